"""The rules of the house, as tests that fail.

What lives here: rules that hold for the whole repository and can be read from its files, its imports or its
processes. What a room promises about its own behaviour is tested in that room's folder.
"""

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from friendlyfl.core.troubles import TROUBLES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "friendlyfl"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "migrations" not in p.parts)
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".json",
    ".yml",
    ".yaml",
    ".sh",
    ".cfg",
    "",
}
LONGEST_MODULE = 450


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(tree(path))


def imports(path: Path) -> Iterator[str]:
    """The dotted names that this module imports; a relative import is of our own package and is left out."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@cache
def tracked() -> tuple[Path, ...]:
    """The text files of the repository; in a source archive, without git, every file that no tool made."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        found = [ROOT / part for part in listed.stdout.split("\0") if part]
    else:
        found = [p for p in ROOT.rglob("*") if not {".venv", "__pycache__", "dist"} & set(p.parts)]
    return tuple(p for p in found if p.is_file() and p.suffix in TEXT)


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Rooms and their walls


def test_import_contracts_hold() -> None:
    check = "lint_imports(no_cache=True, no_logo=True)"
    run_python(
        f"import sys; from importlinter.cli import lint_imports; sys.exit({check})", PYTHONPATH=str(ROOT)
    )


def test_package_root_imports_nothing() -> None:
    assert list(imports(PACKAGE / "__init__.py")) == []
    code = (
        "import sys; before = set(sys.modules); import friendlyfl; print(*sorted(set(sys.modules) - before))"
    )
    assert run_python(code).split() == ["friendlyfl"]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("core/**/*.py")), ids=name)
def test_core_touches_nothing(path: Path) -> None:
    """No clock, no randomness, no I/O: only those parts of the standard library that compute."""
    touching = {
        "asyncio", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
        "secrets", "select", "shutil", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
        "threading", "time", "urllib", "uuid",
    }  # fmt: skip
    for imported in imports(path):
        top = imported.partition(".")[0]
        assert top in sys.stdlib_module_names or imported.startswith("friendlyfl.core"), imported
        assert top not in touching, imported
    calls = {
        node.func.id for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "input", "print"}


def test_routing_server_process_has_no_numbers_in_it(tmp_path: Path) -> None:
    """The whole server, as uvicorn loads it, can neither open post nor compute with it."""
    code = "import sys, friendlyfl.router.asgi; print(*sorted(sys.modules))"
    loaded = set(
        run_python(
            code, DJANGO_SETTINGS_MODULE="friendlyfl.router.settings", FRIENDLYFL_ROUTER_HOME=str(tmp_path)
        ).split()
    )
    assert not loaded & {
        "numpy",
        "pandas",
        "scipy",
        "friendlyfl.wire.seal",
        "friendlyfl.wire.codec",
        "friendlyfl.wire.ring",
    }
    assert not [
        module
        for module in loaded
        if module.startswith(("friendlyfl.tasks", "friendlyfl.client", "friendlyfl.controller"))
    ]


@pytest.mark.parametrize(
    ("room", "home"),
    [("controller", {"controller/runs.py"}), ("router", {"router/registry/"})],
)
def test_a_runs_state_is_written_in_one_place(room: str, home: set[str]) -> None:
    """`run.state = ...` and `Run.objects...update(state=...)` stand where the machine is fed only."""
    strangers = []
    for path in (PACKAGE / room).rglob("*.py"):
        inside = path.relative_to(PACKAGE).as_posix()
        if "migrations" in path.parts or any(inside.startswith(place) for place in home):
            continue
        strangers += [f"{name(path)}:{line}" for line in _writes_of_run_state(path)]
    assert strangers == []


def _writes_of_run_state(path: Path) -> Iterator[int]:
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == "state":
            if ast.unparse(node.value).split(".")[-1].lower() == "run":
                yield node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".update"):
            if "Run." in ast.unparse(node.func) and any(keyword.arg == "state" for keyword in node.keywords):
                yield node.lineno


# What a module looks like


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_says_what_lives_in_it(path: Path) -> None:
    if not tree(path).body:
        return  # an empty __init__.py
    said = ast.get_docstring(tree(path)) or ""
    first = said.split("\n\n")[0].strip()
    assert len(first.split()) >= 4 and first[-1] in ".:?", (
        f"{name(path)} must begin with a sentence about itself"
    )


def test_no_module_is_too_long() -> None:
    long = {name(p): n for p in MODULES if (n := len(p.read_text("utf-8").splitlines())) > LONGEST_MODULE}
    assert long == {}


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
    found = [
        f"{name(p)}: {m[0]}"
        for p in tracked()
        if p.suffix == ".py"
        for m in [marks.search(p.read_text("utf-8"))]
        if m
    ]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_sentences_are_friendly(path: Path) -> None:
    """No 'invalid', no 'oops': a sentence says what is the matter and what to do."""
    docstrings = {
        id(node.body[0].value)
        for node in nodes(path)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            rude = re.search(r"\b(invalid|oops)\b", node.value, re.IGNORECASE)
            assert not (rude and len(node.value.split()) > 2), node.value


# What must never be in the house


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_executable_travels(path: Path) -> None:
    unsafe = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    assert not {imported.partition(".")[0] for imported in imports(path)} & unsafe
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in {
            "eval",
            "exec",
            "compile",
            "__import__",
            "os.system",
            "os.popen",
            "yaml.load",
        }, called
        assert not called.endswith((".eval", ".read_pickle", ".to_pickle")), called
        for keyword in node.keywords:
            pair = (keyword.arg, ast.unparse(keyword.value))
            assert pair not in {("shell", "True"), ("verify", "False"), ("allow_pickle", "True")}, pair
    assert not re.search(r"CERT_NONE|disable_warnings|check_hostname\s*=\s*False", path.read_text("utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_default_secret(path: Path) -> None:
    """A secret is made at the first start or given by a person; none stands in a source."""
    for what, value in _named_values(path):
        if SECRET.search(what) and isinstance(value, ast.Constant) and isinstance(value.value, str | bytes):
            known = value.value == NAMES_OF_FIELDS.get((name(path), what))
            assert known or not value.value, f"{name(path)}:{value.lineno} gives {what} a value"


# Not a secret but what another library calls the field that will hold one.
NAMES_OF_FIELDS = {("friendlyfl/router/relay/database.py", "PASSWORD"): "password"}
SECRET = re.compile(
    r"(^|_)(password|passphrase|passwd|secret|secret_key|private_key|api_key)$", re.IGNORECASE
)


def _named_values(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Each (name, value) that an assignment, argument, default, dictionary or look-up puts together."""
    for node in nodes(path):
        if isinstance(node, ast.Assign):
            yield from ((ast.unparse(target).split(".")[-1], node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value:
            yield ast.unparse(node.target).split(".")[-1], node.value
        elif isinstance(node, ast.Dict):
            yield from (
                (str(k.value), v)
                for k, v in zip(node.keys, node.values, strict=True)
                if isinstance(k, ast.Constant)
            )
        elif isinstance(node, ast.arguments):
            positional = node.posonlyargs + node.args
            defaults = list(
                zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True)
            )
            yield from ((argument.arg, default) for argument, default in defaults)
            yield from ((a.arg, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d)
        elif isinstance(node, ast.Call):
            yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
            if len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node.args[1]


def test_no_key_is_tracked() -> None:
    mark = re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----|django-" + "insecure")
    assert [name(p) for p in tracked() if mark.search(p.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "path", sorted(p for p in PACKAGE.rglob("*") if p.suffix in {".html", ".css", ".js", ".svg"}), ids=name
)
def test_no_page_names_another_host(path: Path) -> None:
    """A hospital's browser asks its own Controller for everything; name spaces are not addresses."""
    text = re.sub(r"http://www\.w3\.org/[\w/.#-]+", "", path.read_text("utf-8"))
    assert not re.search(r"https?://", text)
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?//|url\(\s*["']?//|@import\s+["']//""", text)


def test_no_machine_path_and_no_registry_address() -> None:
    places = [
        "/wo" + "rk/",
        "/ro" + "ot/",
        "/ho" + "me/[a-z]+/",
        "/Us" + "ers/",
        "/t" + "mp/ffl",
        "/o" + "pt/pypi",
    ]
    registries = [
        r"pypi\." + "org",
        "python" + r"hosted\.org",
        r"registry\." + r"npmjs",
        r"deb\." + r"debian\.org",
        "--index" + "-url",
    ]
    mark = re.compile("|".join(places + registries))
    found = {name(p): m[0] for p in tracked() for m in [mark.search(p.read_text("utf-8"))] if m}
    assert found == {}


def test_requirements_are_pinned_by_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        entries = re.split(r"\n(?=[a-z])", path.read_text("utf-8"))
        pins = [entry for entry in entries if not entry.startswith("#")]
        assert pins and all("==" in pin and "--hash=sha256:" in pin for pin in pins), name(path)
        assert "://" not in path.read_text("utf-8")


# What the pages promise


def test_make_commands_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for command in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE):
            assert command in targets, f"{name(page)} says 'make {command}'"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_the_package_carries_all_its_files(tmp_path: Path) -> None:
    """Templates, data sets and styles are in the wheel, byte for byte what is tracked; tests and tools are not."""
    code = f"from poetry.core.masonry import api; print(api.build_wheel({str(tmp_path)!r}))"
    wheel = tmp_path / run_python(code).split()[-1]
    packed = {part for part in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in part}
    listed = subprocess.run(["git", "ls-files", "-z", "friendlyfl"], cwd=ROOT, capture_output=True, text=True)
    assert set(filter(None, listed.stdout.split("\0"))) <= packed
    assert all(part.startswith("friendlyfl/") for part in packed)


def test_tests_named_in_the_pages_exist() -> None:
    """The threat model stands on tests; a test that is renamed takes its claim along."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for where, what in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text("utf-8")):
            assert (ROOT / where).exists(), f"{name(page)} names {where}"
            found = {getattr(node, "name", "") for node in nodes(ROOT / where)}
            assert not what or what in found, f"{name(page)} names {where}::{what}"


def test_what_a_table_lacks_has_a_sentence_that_may_travel() -> None:
    """A DataError's words stay at the hospital; others read the sentence of its code."""
    codes = {
        node.args[0].value
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "DataError"
        and isinstance(node.args[0], ast.Constant)
    }
    assert {"column_missing", "entry_late"} <= codes <= TROUBLES.keys()


def test_a_command_that_reads_no_table_loads_nothing_that_does() -> None:
    """pandas alone takes longer than all else that a list of projects needs."""
    code = (
        "import sys, tempfile; from pathlib import Path; from friendlyfl.controller import home, setup;"
        "setup.create_site(home.Home(Path(tempfile.mkdtemp()) / 'site'), 'A'); import friendlyfl.controller.actions;"
        "print(*{'pandas', 'scipy', 'pyarrow', 'matplotlib'} & set(sys.modules))"
    )
    assert run_python(code).split() == []

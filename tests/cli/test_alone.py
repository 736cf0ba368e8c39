"""A site that is connected to nothing: what its commands say when there is nothing to show, and to wrong input."""

import subprocess
import sys
from pathlib import Path

from tests.cli.keyboard import Said, a_python, one_sentence, type_at

EMPTY = {
    "project list": "friendlyfl project create",
    "dataset list": "friendlyfl dataset add",
    "ledger": "Nothing has ever left this hospital.",
    "ledger --check": "unbroken",
    "site outbox": "Nothing waits",
    "site held-post": "No post",
    "site show": "friendlyfl site connect",
    "site exception list": "No exceptions: every project is checked by the rules as they stand.",
    "site rules": "least number of people in a group",
}
AS_JSON = [
    "project list",
    "dataset list",
    "ledger",
    "site outbox",
    "site held-post",
    "site show",
    "site exception list",
    "site rules",
]


def test_empty_states_name_the_next_act(site: Path) -> None:
    for line, said in zip(EMPTY, type_at(site, *(line.split() for line in EMPTY)), strict=True):
        assert (said.code, said.err, said.trace) == (0, "", ""), line
        assert EMPTY[line] in " ".join(said.out.split()), line
        if "┃" in said.out:
            assert max(map(len, said.out.splitlines())) <= 80, said.out


def test_json_is_for_programs(site: Path) -> None:
    for said in type_at(site, *([*line.split(), "--json"] for line in AS_JSON)):
        assert said.code == 0 and isinstance(said.json, dict | list)


WRONG = [
    # typed, exit code, what the sentence must hold
    ("project show", 1, "friendlyfl project create"),
    ("project show -p Nothing", 1, "There is no project called Nothing."),
    ("project create Study", 1, "friendlyfl site connect"),
    ("project join FFL1-NONSENSE", 2, "code"),
    ("project safety-number Nowhere", 1, "There is no hospital called Nowhere."),
    ("project verify Nowhere", 1, "no hospital"),
    ("plan add table_one --set variables=age -p Nothing", 1, "no project"),
    ("plan show", 1, "No projects yet"),
    ("run start", 1, "No projects yet"),
    ("run results -p x", 1, "no project"),
    ("dataset add x /nowhere/x.csv", 2, "/nowhere/x.csv"),
    ("dataset add x /", 2, "/"),
    ("dataset use x", 1, "No projects yet"),
    ("dataset remove x", 1, "There is no dataset called x."),
    ("dataset map --file /nowhere.json", 1, "No projects yet"),
    ("site rules --set rows", 2, "--set takes name=value"),
    ("site rules --set rows=many", 2, "“rows”"),
    ("site rules --set rows=0", 2, "above 0"),
    ("site rules --set colour=1", 2, "There is no rule “colour”."),
    ("site rules --set memory=much", 2, "above 0"),
    ("site exception end 1", 1, "friendlyfl site exception list"),
    ("site exception end one", 2, "NUMBER"),
    ("site exception allow --rule rows --value 10 --reason x", 1, "No projects yet"),
    ("site exception allow --rule rows --value ten --reason x", 2, "--value"),
    ("site connect ftp://x --enrolment A", 2, "https://"),
    ("site connect http://fl.example.org --enrolment A", 2, "https://"),
    ("site connect https://127.0.0.1:1 --enrolment A", 1, "We cannot reach the router at 127.0.0.1:1."),
    ("site add-person x --password-file -", 2, "password"),
    ("site add-person", 2, "NAME"),
    ("ledger --csv /nowhere/ledger.csv", 1, "/nowhere/ledger.csv"),
    ("controller init --name Twice", 1, "already"),
    ("controller reset-password nobody --password-file -", 1, "There is no account called nobody."),
    ("site rename  ", 2, "NAME"),
]


def test_wrong_input_is_one_sentence(site: Path) -> None:
    answers = type_at(site, *(line.split() for line, _, _ in WRONG), answer="short\n")
    for (line, code, words), said in zip(WRONG, answers, strict=True):
        one_sentence(said, code)
        assert words in said.err, (line, said.err)


TABLE = "age;weight;sex\n61;72,5;f\n58;81,0;m\n"


def test_a_table_is_shown_as_it_was_understood(copy_of, tmp_path: Path) -> None:
    path = tmp_path / "a very long name of a folder that a hospital may well have" / "patients of ward 12.csv"
    path.parent.mkdir()
    path.write_text(TABLE)
    added, again, listed, removed = type_at(
        copy_of(),
        ["dataset", "add", "ward 12", str(path)],
        ["dataset", "add", "ward 12", str(path)],
        ["dataset", "list"],
        ["dataset", "remove", "ward 12"],
    )
    assert "2 rows. Stays in this hospital." in added.out and "weight" in added.out
    one_sentence(again, 1)
    assert "no project yet" in listed.out and max(map(len, listed.out.splitlines())) <= 80
    assert removed.code == 0 and path.read_text() == TABLE


ODD_FILES = {
    b"": "empty",
    b"age\n": "no rows",
    b"\x00\x01\x02\xff\xfe": "",
    b"\xef\xbb\xbf": "",
    b'a,b\n"1,2\n': "",
}


def test_a_file_that_is_no_table_is_one_sentence(copy_of, tmp_path: Path) -> None:
    lines = []
    for number, content in enumerate(ODD_FILES):
        path = tmp_path / f"odd-{number}.csv"
        path.write_bytes(content)
        lines.append(["dataset", "add", f"odd {number}", str(path)])
    for words, said in zip(ODD_FILES.values(), type_at(copy_of(), *lines), strict=True):
        assert said.trace == ""
        if said.code or words:
            one_sentence(said, 2)
            assert words in said.err


def test_rules_are_changed_and_told(copy_of) -> None:
    home = copy_of()
    changed, told = type_at(
        home, ["site", "rules", "--set", "rows=30", "--set", "tasks=table_one"], ["site", "rules", "--json"]
    )
    assert changed.code == 0
    assert told.json["rows"] == 30 and told.json["tasks"] == ["table_one"]


def test_a_mistake_of_ours_is_one_sentence_too_and_its_details_stay_here(copy_of) -> None:
    home = copy_of()
    code = f"""
import friendlyfl.cli.site as broken
from friendlyfl.cli.main import friendlyfl
broken.table = None
friendlyfl(["site", "rules", "--home", {str(home)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    one_sentence(Said(done.returncode, done.stdout, done.stderr), 1)
    assert str(home / "logs") in done.stderr and "TypeError" in done.stderr
    assert "Traceback" in (home / "logs" / "controller.log").read_text()


def test_a_database_that_is_none_is_one_sentence(copy_of) -> None:
    home = copy_of()
    (home / "controller.sqlite3").write_bytes(b"not a database, but long enough to be looked at as one" * 20)
    [said] = type_at(home, ["site", "show"])
    one_sentence(said, 1)
    assert "friendlyfl doctor" in said.err


def test_what_others_wrote_is_shown_and_never_obeyed(copy_of) -> None:
    home = copy_of()
    code = f"""
import friendlyfl.controller as controller
controller.open_home({str(home)!r})
from friendlyfl.controller.models import Identity, Project
Project.objects.create(uid="u", name="[/red] \x1b[2J study", purpose="\x1b]0;title\x07 Why?", role="participant",
    coordinator=Identity.get().site, state="joining")
"""
    a_python(code)
    listed, shown = type_at(home, ["project", "list"], ["project", "show"])
    for said in (listed, shown):
        assert (said.code, said.trace) == (0, "") and "[/red]" in said.out
        assert "\x1b" not in said.out and "\x07" not in said.out


def test_the_ledger_goes_to_a_file(site: Path, tmp_path: Path) -> None:
    [said] = type_at(site, ["ledger", "--csv", str(tmp_path / "ledger.csv")])
    assert said.code == 0 and (tmp_path / "ledger.csv").read_text().startswith("n")

"""`friendlyfl new-task`: what it writes installs without a network, passes its own test, and is found by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from friendlyfl.cli.new_task import WORDS, files
from friendlyfl.tasks import registry
from tests.cli.keyboard import one_sentence, type_here


def run(*line: str, cwd: Path | None = None, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, *line], capture_output=True, text=True, env=env, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_it_writes_installs_and_passes(tmp_path: Path) -> None:
    said = type_here("new-task", "t_score2", "--folder", str(tmp_path / "mine"))
    assert (said.code, said.trace) == (0, ""), said
    package, site = tmp_path / "mine" / "friendlyfl-t-score2", tmp_path / "site"
    assert f"cd {package}" in said.out and "pytest" in said.out
    install = ("pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation")
    run("-m", *install, "--target", str(site), str(package))
    here = {"PYTHONPATH": str(site)}
    passed = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(package), str(package), **here
    )
    assert "2 passed" in passed
    code = "from friendlyfl.tasks import registry; t = registry.find('t_score2'); print(t.name, t.__name__, t.version)"
    assert run("-c", code, **here).split() == ["t_score2", "TScore2", "1.0"]
    again = type_here("new-task", "t_score2", "--folder", str(tmp_path / "mine"))
    one_sentence(again, 2)
    assert "is there already" in again.err


@pytest.mark.parametrize(
    "name", ["Risk", "risk-difference", "class", "9lives", "a__b", "_a", "", "cox", *WORDS]
)
def test_a_name_that_cannot_be_is_a_sentence(name: str, tmp_path: Path) -> None:
    one_sentence(type_here("new-task", name, "--folder", str(tmp_path)), 2)
    assert list(tmp_path.iterdir()) == []


def test_what_it_writes_is_in_good_style(tmp_path: Path) -> None:
    for path, text in files("risk_difference").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    style = ("--isolated", "--line-length", "110", ".")
    run("-m", "ruff", "check", "--select", "E,F,W,I,UP,B", *style, cwd=tmp_path)
    run("-m", "ruff", "format", "--check", *style, cwd=tmp_path)


def test_no_built_in_task_is_in_the_way() -> None:
    assert "risk_difference" not in registry.names()  # the name of every example

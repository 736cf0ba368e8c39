"""Typing commands in tests: in this process where no site is needed, else in a process of the site's own.

Django knows one home a process, so everything that opens one is typed in a child; a whole list of lines there costs
one start of Python. Nothing here judges what was said.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from friendlyfl.cli.main import friendlyfl

TYPIST = """
import json, sys, traceback
from click.testing import CliRunner
from friendlyfl.cli.main import friendlyfl
for line in json.load(sys.stdin):
    done = CliRunner().invoke(friendlyfl, line["type"], input=line["answer"])
    broke = done.exception is not None and not isinstance(done.exception, SystemExit)
    trace = "".join(traceback.format_exception(*done.exc_info)) if broke else ""
    print(json.dumps([done.exit_code, done.stdout, done.stderr, trace]), flush=True)
"""


@dataclass(frozen=True)
class Said:
    """What a command answered. `trace` is empty unless it broke."""

    code: int
    out: str
    err: str
    trace: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def type_here(*arguments: str) -> Said:
    """One command in this process; only for commands that open no site."""
    done = CliRunner().invoke(friendlyfl, list(arguments))
    broke = done.exception is not None and not isinstance(done.exception, SystemExit)
    return Said(done.exit_code, done.stdout, done.stderr, repr(done.exception) if broke else "")


def type_at(home: Path, *lines: Sequence[str], answer: str = "", **environment: str) -> list[Said]:
    """A list of commands at one site, in one process, one after the other."""
    wanted = [{"type": list(line), "answer": answer} for line in lines]
    done = subprocess.run(
        [sys.executable, "-c", TYPIST],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        env={**os.environ, "FRIENDLYFL_HOME": str(home), "COLUMNS": "80", **environment},
    )
    said = [Said(*json.loads(line)) for line in done.stdout.splitlines()]
    assert len(said) == len(lines), done.stderr
    return said


def one_sentence(said: Said, code: int) -> None:
    """A failure as a person may meet it: one plain line on stderr, the promised exit code, no traceback."""
    assert said.trace == ""
    assert said.code == code, said
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err and "Usage:" not in said.err and "Error:" not in said.err
    assert said.err[0].isupper() or said.err[0] in "'/“-\"", said.err


def a_python(code: str, **environment: str) -> str:
    """What a piece of Python prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

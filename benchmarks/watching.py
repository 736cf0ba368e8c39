"""A run as the measuring program sees it: the coordinator's database file, and /proc.

Two cores carry the whole consortium, so whoever measures must not use them: a command of the product that asks how a
run stands starts a Python of its own, which takes a core for most of a second. Nothing here starts a process.
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from friendlyfl.testing.consortium import Site

LOOK_EVERY = 0.2  # seconds between two looks


def say(words: str) -> None:
    """Tell the person at the terminal, beside the figures."""
    print(words, file=sys.stderr, flush=True)


def write(found: dict[str, Any], path: str | None) -> None:
    """Print the figures as one line of JSON, and keep them in a file if one was named."""
    text = json.dumps(found)
    print(text)
    if path:
        Path(path).write_text(text + "\n", encoding="utf-8")


def until_over(coordinator: Site, look: Callable[[], None] = lambda: None) -> None:
    """Wait for the only run to succeed, calling `look` each time; SystemExit with its reason if it does not."""
    state, reason = "", ""
    while state != "succeeded":
        if state in ("failed", "stopped"):
            raise SystemExit(f"The run has {state}: {reason}")
        time.sleep(LOOK_EVERY)
        look()
        state, reason = _rows(coordinator, "SELECT state, reason FROM controller_run")[0]


def events(coordinator: Site) -> list[dict[str, Any]]:
    """The coordinator's journal of the run, oldest first."""
    found = _rows(coordinator, "SELECT event FROM controller_runevent WHERE side = 'run' ORDER BY n")
    return [json.loads(event) for (event,) in found]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live (Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # the thread has ended
    return found


def peak(pid: int) -> int:
    """The largest resident memory of a process so far, in KiB (Linux); 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def used(pid: int) -> float:
    """Seconds of processor time that a process has used so far, in steps of a hundredth (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rows(coordinator: Site, query: str) -> list[Any]:
    with closing(sqlite3.connect(coordinator.home / "controller.sqlite3")) as database:
        return database.execute(query).fetchall()

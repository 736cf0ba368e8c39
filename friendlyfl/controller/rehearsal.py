"""The rehearsal: three pretend hospitals as processes of their own, in a folder of this home. Starting, watching and
removing the one process that holds them; what they do is theirs (cli/rehearsal.py), and nothing of it touches this
site's records, keys or ledger.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from friendlyfl.controller import here

STATE = "rehearsal.json"
STOP_SECONDS = 20.0
# What a child needs of this process's environment: nothing that names this site's home, secrets or settings.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH")
_lock = threading.Lock()
_children: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Rehearsal:
    """How far it is. `done` of `of` steps, `now` in words; hospitals, user and password once all are done."""

    alive: bool = False
    done: int = 0
    of: int = 0
    now: str = ""
    hospitals: list[dict[str, str]] = field(default_factory=list)
    user: str = ""
    password: str = ""

    @property
    def ready(self) -> bool:
        return self.alive and bool(self.hospitals)


def folder() -> Path:
    return here.home().folder / "rehearsal"


def look() -> Rehearsal | None:
    """The rehearsal as it stands, or None if there is none."""
    if not folder().exists():
        return None
    child = _children.get(folder())
    alive = child is not None and child.poll() is None
    try:
        said: dict[str, Any] = json.loads((folder() / STATE).read_text("utf-8"))
    except OSError:
        said = {}
    return Rehearsal(alive=alive, **said)


def begin() -> None:
    """Start it anew, unless it runs."""
    with _lock:
        found = look()
        if found is not None and found.alive:
            return
        _remove()
        folder().mkdir(mode=0o700)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with (folder() / "output.log").open("wb") as log:
            _children[folder()] = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "friendlyfl", "rehearsal", "--folder", str(folder()), "--with-parent"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )


def end() -> None:
    """End every process of it and remove its folder."""
    with _lock:
        _remove()


def _remove() -> None:
    child = _children.pop(folder(), None)
    if child is not None and child.poll() is None:
        assert child.stdin is not None
        child.stdin.close()
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    shutil.rmtree(folder(), ignore_errors=True)

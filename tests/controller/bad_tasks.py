"""Tasks as they should not be. A runner's child that is started by `install` knows them beside the built-in ones."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from friendlyfl.controller.runner import parent
from friendlyfl.tasks.base import Sum, Task

ROOT = Path(__file__).parents[2]
NAME = "Jane Doe, room 12"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(60)
"""


class Bad(Task):
    title, version, row_additive = "Bad", "1.0", True
    sends = {"sum": Sum}

    def combine(self, state: Any, total: Any) -> Any:
        raise AssertionError("never reached")


class Raises(Bad):
    """Says a patient's name when it fails."""

    def local(self, data: Any, state: Any) -> Any:
        raise ValueError(f"cannot divide {NAME} by zero")


class Prints(Bad):
    """Prints a patient's name, also to what looks like the way out."""

    def local(self, data: Any, state: Any) -> Any:
        print(NAME)
        os.write(1, f'{{"trouble": "{NAME}"}}\n'.encode())
        print(NAME, file=sys.stderr)
        return {"sum": 1.0}


class Hangs(Bad):
    def local(self, data: Any, state: Any) -> Any:
        child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
        child.stdout.readline()
        Path("pid").write_text(f"{child.pid}")
        time.sleep(60)


class Eats(Bad):
    def local(self, data: Any, state: Any) -> Any:
        return {"sum": float(np.ones(2 * 10**9).sum())}


class NotANumber(Bad):
    def local(self, data: Any, state: Any) -> Any:
        return {"sum": float("nan")}


class DiesOnce(Bad):
    """Ends the process the first time, as the kernel would when memory is short."""

    def local(self, data: Any, state: Any) -> Any:
        if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), 9)
        return {"sum": 2.5}


class Dies(Bad):
    def local(self, data: Any, state: Any) -> Any:
        os._exit(3)


class BadQuality(Bad):
    """Cannot say how good a round was."""

    def local(self, data: Any, state: Any) -> Any:
        return {"sum": 1.0}

    def combine(self, state: Any, total: Any) -> Any:
        return {"sum": total["sum"]}

    def quality(self, state: Any, total: Any) -> Any:
        raise ValueError(f"no figure of {NAME}")


ALL = {
    kind.__name__.lower(): kind
    for kind in (Raises, Prints, Hangs, Eats, NotANumber, DiesOnce, Dies, BadQuality)
}


def install(monkeypatch: Any, folder: Path) -> None:
    """Start children by a program that knows the bad tasks, in the place of plain Python."""
    program = folder / "python"
    known = {name: f"tests.controller.bad_tasks:{kind.__name__}" for name, kind in ALL.items()}
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from friendlyfl.tasks import registry\n"
        f"registry.BUILT_IN.update({known!r})\n"
        "from friendlyfl.controller.runner import child\n"
        "child.main()\n"
    )
    program.chmod(0o700)

    class Python:
        executable = str(program)
        platform = sys.platform

    monkeypatch.setattr(parent, "sys", Python)

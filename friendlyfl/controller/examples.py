"""A task's own example, worked out on the shipped data for the catalogue: once a process, by a program of its own.

That program is the command `friendlyfl tasks NAME --json`: no task computes in the process that holds the keys, and the
page cannot say something else than the command. Nothing here touches a hospital's data.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from friendlyfl.controller.runner.parent import ENVIRONMENT, PASSED_ON
from friendlyfl.tasks.report import Result

log = logging.getLogger("friendlyfl.examples")
SECONDS = 180.0
_known: dict[str, "Example"] = {}
_begun: set[str] = set()
_lock = threading.Lock()
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Example:
    """What came out, and what each hospital sent. Without a result: the task has no example, or it did not work."""

    result: Result | None = None
    command: str = ""
    refusal: str = ""  # the rules' sentence, when the example could be worked with rules off only
    exchanges: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # that a hospital sent, exchange by exchange


def ready(task: str) -> Example | None:
    """The example if it is worked out; None while it is not. Asking begins the work."""
    with _lock:
        if task in _known or task in _begun:
            return _known.get(task)
        _begun.add(task)
    threading.Thread(target=work_out, args=(task,), name=f"example of {task}", daemon=True).start()
    return None


def work_out(task: str) -> Example:
    """Work it out now, and remember it."""
    with _one_at_a_time:
        if task not in _known:
            _known[task] = _worked(task)
    return _known[task]


def _worked(task: str) -> Example:
    environment = {**ENVIRONMENT, **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "friendlyfl", "tasks", task, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=SECONDS,
            env=environment,
        )
        seen = json.loads(done.stdout)
        if seen["result"] is None:
            return Example()
        result = Result.from_json(seen["result"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        log.exception("the example of a task could not be worked out")
        return Example()
    return Example(
        result,
        seen["example"],
        seen["refusal"],
        int(seen["exchanges_of_example"] or 0),
        seen["sent"],
        seen["numbers_sent"],
    )

"""The controller's end of a runner: start the child, ask it, watch it, end it.

A `Runner` belongs to one thread. A child that died is started again, once for each question; a question that ends two
of them is a trouble.
"""

import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger("friendlyfl.runner")
LOG_BYTES = 5_000_000
TERM_SECONDS = 5.0
LOOK_EVERY = 0.25

# One thread of linear algebra: the bits of a sum must not hang on how many cores there are.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
# The C library keeps this much memory for the next array of the same size (bytes): given back to the system after
# each, it has to be cleared anew, which costs more than the sums themselves.
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(256 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20)}
ENVIRONMENT = THREADS | KEPT
# What decides how the linear algebra library computes on this machine, and where Windows finds itself.
PASSED_ON = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "SYSTEMROOT", "TZ", "LANG")


class Cancelled(Exception):
    """The run ended while the child was at work; the child is gone."""


class Runner:
    """One child process with its own folder. `opened` is the first request, sent again to a child started anew."""

    def __init__(self, folder: Path, opened: dict[str, Any]) -> None:
        self.folder = folder
        self.opened = opened
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._end_words = ""

    def ask(
        self,
        request: dict[str, Any],
        *,
        cancelled: Callable[[], bool],
        seconds: float,
        progress: Callable[[float], None] = lambda done: None,
    ) -> dict[str, Any]:
        """Return the child's answer: `{"trouble": code, "sentence": ...}` where it has none.

        `progress` is told the share (0 to 1) of a long job that is done.

        Raises Cancelled as soon as `cancelled()` says so.
        """
        for _ in range(2):  # a child that died is started again, from the same State, once
            answer = self._once(request, cancelled, seconds, progress)
            if answer is not None:
                return answer
        return {"trouble": "task_failed", "sentence": f"The runner ended twice: {self._end_words}"}

    def _once(
        self,
        request: dict[str, Any],
        cancelled: Callable[[], bool],
        seconds: float,
        progress: Callable[[float], None],
    ) -> dict[str, Any] | None:
        """The answer, or None if the child died over it."""
        if self._child is None or self._child.poll() is not None:
            self.end()
            self._start()
            if request is not self.opened:
                answer = self._exchange(self.opened, cancelled, seconds, progress)
                if answer is None or "trouble" in answer:
                    return answer
        return self._exchange(request, cancelled, seconds, progress)

    def open(self, *, cancelled: Callable[[], bool], seconds: float) -> dict[str, Any]:
        return self.ask(self.opened, cancelled=cancelled, seconds=seconds)

    def _start(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lines = queue.Queue()
        environment = {**ENVIRONMENT, **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-m", "friendlyfl.controller.runner.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env=environment,
            start_new_session=True,
        )
        child, lines = self._child, self._lines
        threading.Thread(target=_pass_lines, args=(child, lines), daemon=True).start()
        threading.Thread(target=_keep_log, args=(child, self.folder / "output.log"), daemon=True).start()

    def _exchange(
        self,
        request: dict[str, Any],
        cancelled: Callable[[], bool],
        seconds: float,
        progress: Callable[[float], None],
    ) -> dict[str, Any] | None:
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except OSError:
            self._died()
            return None
        until = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=LOOK_EVERY)
            except queue.Empty:
                if cancelled():
                    self.end()
                    raise Cancelled from None
                if time.monotonic() > until:
                    self.end()
                    return {"trouble": "out_of_time", "sentence": f"No answer within {seconds:.0f} seconds."}
                continue
            if line is None:
                self._died()
                return None
            answer: dict[str, Any] = json.loads(line)
            if "progress" not in answer:
                return answer
            progress(answer["progress"])

    def _died(self) -> None:
        assert self._child is not None
        code = self._child.wait()
        killed = code == -signal.SIGKILL if sys.platform != "win32" else False
        self._end_words = "it was killed, perhaps for want of memory." if killed else f"with {code}."
        log.warning("the runner ended: %s", self._end_words)
        self.end()

    def end(self) -> None:
        """End the child and all it started: ask, wait 5 s, kill."""
        child, self._child = self._child, None
        if child is None:
            return
        for stop in _signals(child):
            stop()
            try:
                child.wait(TERM_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        if sys.platform != "win32":
            _signal_group(child.pid, signal.SIGKILL)  # what a task started may outlive the child
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue

    def close(self) -> None:
        """End the child and remove its folder."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def _signals(child: subprocess.Popen[str]) -> Iterator[Callable[[], None]]:
    if sys.platform == "win32":
        yield child.terminate
        yield child.kill
    else:
        for number in (signal.SIGTERM, signal.SIGKILL):
            yield lambda number=number: _signal_group(child.pid, number)  # type: ignore[misc]


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _pass_lines(child: subprocess.Popen[str], lines: "queue.Queue[str | None]") -> None:
    assert child.stdout is not None
    try:
        for line in child.stdout:
            lines.put(line)
    except ValueError:
        pass
    lines.put(None)


def _keep_log(child: subprocess.Popen[str], path: Path) -> None:
    """What a task prints stays here, up to a bound."""
    assert child.stderr is not None
    written = 0
    try:
        with path.open("a", encoding="utf-8") as out:
            for line in child.stderr:
                if written < LOG_BYTES:
                    out.write(line)
                    out.flush()
                    written += len(line)
    except (ValueError, OSError):
        return

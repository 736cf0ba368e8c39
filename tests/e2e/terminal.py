"""A terminal that stays open: types `friendlyfl ...` many times in one process, so that each costs milliseconds.

The commands are the real ones, from their arguments to their exit code; only the start of Python is saved. One process
serves one home, as Django's settings demand. What is killed in these tests is never this process.
"""

import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a command left on the screen, and its exit code."""

    code: int
    out: str
    err: str


class Terminal:
    """The near end. Several threads may type; one command runs at a time."""

    def __init__(self, **environment: str) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", **environment},
        )

    def type(self, *arguments: str, stdin: str = "") -> Said:
        assert self._process.stdin and self._process.stdout
        with self._turn:
            self._process.stdin.write(json.dumps({"arguments": arguments, "stdin": stdin}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, f"the terminal broke at: friendlyfl {' '.join(arguments)}"
        return Said(**json.loads(answer))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def _run(request: dict[str, Any]) -> Said:
    from friendlyfl.cli.main import main

    kept = sys.argv, sys.stdin, sys.stdout, sys.stderr
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    sys.argv = ["friendlyfl", *request["arguments"]]
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(request["stdin"]), out, err
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(
            *sys.exc_info()
        )  # as Python would: the traceback is on the screen, and a test finds it
        code = 1
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = kept
    return Said(int(code or 0), *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        answers.write(json.dumps(vars(_run(json.loads(line)))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()

"""The quick start, typed as it stands on its page: a Routing Server and two hospitals on this machine.

Servers get free ports, and a command that has to wait for post of the other side is typed again, as a person would.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "quick-start.md"
PATIENCE = 90.0


def blocks() -> list[tuple[str, list[str]]]:
    """Who types what: the lines of each shell block that says where it is typed."""
    found = re.findall(r"^```shell\n# at (.+?)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [(place.removeprefix("the "), text.splitlines()) for place, text in found]


class Desk:
    """A person who types at several places, and remembers the codes that were printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[subprocess.Popen[str]] = []
        self.enrolments: list[str] = []
        self.invitation = ""
        self.router = ""
        (folder / "friendlyfl").symlink_to(ROOT / "friendlyfl")

    def environment(self, place: str) -> dict[str, str]:
        home = str(self.folder / re.sub(r"\W+", "-", place))
        own = {"FRIENDLYFL_ROUTER_HOME": home} if place == "Routing Server" else {"FRIENDLYFL_HOME": home}
        # Of the tests' own Django project, which other rooms set up in this process, a person's terminal knows nothing.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "FRIENDLYFL_"))}
        return {**clean, **own, "COLUMNS": "120"}

    def type(self, place: str, line: str) -> str:
        words = shlex.split(line.replace("http://127.0.0.1:8000", self.router or "?"))
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "friendlyfl"]
        if words[1:3] in (["router", "start"], ["controller", "start"]):
            return self.serve(place, [*program, *words[1:3], "--port", "0"])
        until = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                [*program, *words[1:]],
                cwd=self.folder,
                env=self.environment(place),
                input=self.answer(words),
                capture_output=True,
                text=True,
                start_new_session=True,  # no terminal: what is asked for is read from `input`
                timeout=2 * PATIENCE,  # a run that does not end is told here, with its command
            )
            if done.returncode == 0:
                break
            assert time.monotonic() < until, f"{line}\n{done.stdout}{done.stderr}"
            time.sleep(0.5)
        self.remember(words, done.stdout)
        return done.stdout

    def answer(self, words: list[str]) -> str:
        """What the person types when a command asks."""
        if words[1:4] == ["router", "user", "add"]:
            return "correct horse battery staple\n" * 2
        if words[1:3] == ["site", "connect"]:
            return self.enrolments.pop(0) + "\n"
        if words[1:3] == ["project", "join"]:
            return self.invitation + "\n"
        return ""

    def remember(self, words: list[str], said: str) -> None:
        if words[1:3] == ["router", "enrol"]:
            self.enrolments.append(said.strip().splitlines()[-1])
        if words[1:3] == ["project", "invite"]:
            self.invitation = re.search(r"FFL1-[A-Z0-9-]+", said)[0]  # type: ignore[index]

    def serve(self, place: str, arguments: list[str]) -> str:
        server = subprocess.Popen(
            arguments, cwd=self.folder, env=self.environment(place), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.servers.append(server)
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                if place == "Routing Server":
                    self.router = found[0]
                return line
        raise AssertionError(f"{place} did not start")

    def close(self) -> None:
        for server in reversed(self.servers):
            server.terminate()
        for server in self.servers:
            server.wait(30)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_quick_start_leads_to_a_result(desk: Desk) -> None:
    said = {line: desk.type(place, line) for place, lines in blocks() for line in lines}
    results = next(text for line, text in said.items() if "run results" in line)
    assert "age" in results and "coins" in results
    assert "unbroken" in said["friendlyfl ledger --check"]
    assert "update" in said["friendlyfl ledger"]
    mine, theirs = (said[line].split("\n\n")[1] for line in said if "safety-number" in line)
    assert mine == theirs

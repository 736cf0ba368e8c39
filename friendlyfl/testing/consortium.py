"""A whole consortium on one machine: a Routing Server and sites as processes of their own, with homes of their own.

The demo, the end-to-end tests and the benchmarks use it. Everything is done by the commands a person would type; what
lives here only starts, waits for and ends processes. All of them listen on loopback and are gone after `close`.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = [sys.executable, "-m", "friendlyfl"]
START_SECONDS = 60.0
STOP_SECONDS = 15.0


class CommandFailed(Exception):
    """A command ended with another exit code than 0; the text is what it said."""

    def __init__(self, arguments: tuple[str, ...], code: int, said: str) -> None:
        super().__init__(f"friendlyfl {' '.join(arguments)} ended with {code}: {said}")
        self.code = code
        self.said = said


class Process:
    """A server process that says one line when it is ready. It may be killed and started again."""

    def __init__(self, arguments: list[str], log: Path, ready: str, environment: Mapping[str, str]) -> None:
        self.arguments, self.log, self.ready = arguments, log, re.compile(ready)
        self.environment = dict(environment)
        self.address = ""  # where it listens since it was last ready
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; minus a signal's number when that ended it, None while it runs."""
        return self._child.poll() if self._child is not None else None

    def launch(self, **extra: str) -> None:
        """Start and do not wait."""
        self._begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self._child = subprocess.Popen(  # noqa: S603
                [*PROGRAM, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, **extra},
                start_new_session=True,
            )

    def wait_ready(self) -> str:
        """Wait for the ready line and return what its group matched."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            said = self.log.read_bytes()[self._begins :].decode(errors="replace")
            found = self.ready.search(said)
            if found:
                self.address = found.group(1)
                return self.address
            if not self.alive:
                break
            time.sleep(0.05)
        raise CommandFailed(tuple(self.arguments), -1, self.log.read_text(errors="replace")[-2000:])

    def start(self, **extra: str) -> str:
        self.launch(**extra)
        return self.wait_ready()

    def kill(self) -> None:
        """SIGKILL, as a power cut would end it; its children end by their closed pipes."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not end by itself."""
        if self._child is None or not self.alive:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


class Site:
    """One hospital: its home, its Controller process, and its command line."""

    def __init__(self, consortium: "Consortium", key: str, name: str) -> None:
        self.name = name
        self.home = consortium.folder / key
        self.process = Process(
            ["controller", "start", "--home", str(self.home), "--port", "0"],
            consortium.folder / f"{key}.log",
            r"portal at (\S+)",
            {},
        )

    def run(self, *arguments: str, **environment: str) -> str:
        """Run one command of this site and return what it printed.

        Raises CommandFailed.
        """
        return command(*arguments, "--home", str(self.home), **environment)

    def json(self, *arguments: str) -> Any:
        """Run one command with --json and return its value."""
        return json.loads(self.run(*arguments, "--json"))

    def start(self, **environment: str) -> None:
        self.process.start(**environment)

    @property
    def portal(self) -> str:
        """The portal's address; a start may have moved it to another port."""
        return self.process.address


class Consortium:
    """A Routing Server and its sites, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.sites: list[Site] = []
        self.router_home = folder / "router"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.router = Process(
            ["router", "start", "--home", str(self.router_home), "--port", str(self.port)],
            folder / "router.log",
            r"Routing Server at (\S+)",
            {"FRIENDLYFL_ROUTER_HOME": str(self.router_home)},
        )
        self.administrator = "ada"

    def __enter__(self) -> "Consortium":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start_router(self) -> None:
        """Start the RS and make its administrator, with a password nobody needs to know."""
        self.router.start()
        command(
            "router", "--home", str(self.router_home), "user", "add", self.administrator,
            "--administrator", "--password-stdin", stdin=secrets.token_urlsafe(24) + "\n",
        )  # fmt: skip

    def add_site(self, key: str, name: str) -> Site:
        """Make a site, enrol it, connect it. Its Controller is not started yet."""
        site = Site(self, key, name)
        command("controller", "init", "--home", str(site.home), "--name", name)
        code = command("router", "--home", str(self.router_home), "enrol", self.administrator).strip()
        site.run("site", "connect", self.address, "--enrolment", code.splitlines()[-1])
        self.sites.append(site)
        return site

    def close(self) -> None:
        """End every process that was started here, all at once."""
        processes = [self.router, *(site.process for site in self.sites)]
        with ThreadPoolExecutor(len(processes)) as pool:
            list(pool.map(Process.stop, processes))


def command(*arguments: str, stdin: str = "", **environment: str) -> str:
    """Run `friendlyfl ...` to its end and return what it printed."""
    done = subprocess.run(  # noqa: S603
        [*PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )
    if done.returncode:
        raise CommandFailed(arguments, done.returncode, (done.stderr or done.stdout).strip())
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, found: Callable[[], Any], seconds: float = 60.0, every: float = 0.2) -> Any:
    """Ask until the answer is true; TimeoutError says what was waited for."""
    until = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} seconds")
        time.sleep(every)

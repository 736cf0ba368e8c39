"""How the server is started, whichever command starts it: uvicorn's options, and what must be right before."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from friendlyfl.core.settled import settle

from .environment import BadSetting

APPLICATION = "friendlyfl.router.asgi:application"
MIGRATION_LOCK = 0x46464C31  # "FFL1": the advisory lock that lets one process migrate
STOP_WITHIN = 10  # seconds for requests in flight when the server is told to stop


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plain_http(host: str) -> None:
    """Beyond loopback the server speaks only behind a proxy that speaks HTTPS, or where it was told otherwise."""
    if not (is_loopback(host) or settings.HTTPS or settings.ALLOW_PLAIN_HTTP):
        raise BadSetting(
            f"serving at {host} would send everything in plain text; put a reverse proxy with HTTPS in front and name "
            "it in TRUSTED_PROXY, or set ALLOW_PLAIN_HTTP=1 inside one machine."
        )


def address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{settings.PREFIX}"


def unapplied_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate() -> None:
    """Bring the tables up to date, one process at a time; an SQLite file comes back as it was if that fails."""
    try:
        if unapplied_migrations():
            if connection.vendor == "sqlite":
                _migrate_a_copy_kept()
            else:
                _migrate_alone()
    except OperationalError as error:
        first = str(error).strip().partition("\n")[0]
        raise BadSetting(
            f"the database does not answer ({first}); check DATABASE_URL or its parts."
        ) from error


def _migrate_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            call_command("migrate", verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _migrate_a_copy_kept() -> None:
    path = Path(connection.settings_dict["NAME"])
    kept = path.with_name(f"{path.name}.before-migration")
    with closing(
        sqlite3.connect(path.with_name("migrating.sqlite3"), timeout=60, isolation_level=None)
    ) as lock:
        lock.execute("BEGIN EXCLUSIVE")  # until it is closed: SQLite locks files on every system
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(kept)) as copy:
            source.backup(copy)
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except BaseException:
            connection.close()
            with closing(sqlite3.connect(kept)) as copy, closing(sqlite3.connect(path)) as broken:
                copy.backup(broken)
            raise
        kept.unlink()


def uvicorn_options(host: str, port: int) -> dict[str, Any]:
    """Our own lines replace uvicorn's access log; proxies are believed by front, not by uvicorn."""
    return {
        "app": APPLICATION,
        "host": host,
        "port": port,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "lifespan": "on",
        "log_config": None,
        "log_level": "warning",
        "timeout_graceful_shutdown": STOP_WITHIN,
        "timeout_keep_alive": 65,
    }


class Server(uvicorn.Server):
    """uvicorn that answers waiting polls when it is told to stop, instead of waiting for them."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        # Before it has started nobody waits, and the signal may have come in the middle of this very import.
        if self.started:
            from .relay.app import hang_up

            hang_up()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """The bound socket; port 0 takes a free one. Bound before anything is printed, so the address is true."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadSetting(
            f"{host}:{port} cannot be opened ({error.strerror}); another server may run there."
        ) from error
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def serve(listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    host, port = listener.getsockname()[:2]
    server = Server(uvicorn.Config(**uvicorn_options(host, port)))
    signal.signal(signal.SIGTERM, server.handle_exit)  # uvicorn raises the signal again when it has stopped
    settle()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])

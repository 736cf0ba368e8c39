"""How the server is started, whichever command starts it: uvicorn's options, and what must be right before."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from typing import Any

import uvicorn
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from .environment import BadSetting

APPLICATION = "friendlyfl.router.asgi:application"
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
    signal.signal(signal.SIGTERM, server.handle_exit)
    asyncio.run(server.serve(sockets=[listener]))

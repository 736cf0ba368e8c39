"""The front door in ASGI: whose request is it, may it come in plain text, and which room answers.

A trusted proxy's X-Forwarded headers are believed, everybody else's thrown away; plain HTTP from beyond loopback is
refused where HTTPS is spoken; a slow or large body is given up before a thread of the records is asked. The relay
gets `messages/` and `uploads/`, its routes being relative to settings.PREFIX; assets come from the packages that
brought them; Django answers the rest. The clock of the jobs starts with each worker.

What does not live here: any resource.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from friendlyfl.core import limits
from friendlyfl.core.errors import FriendlyError

from .jobs import clock
from .refusals import Refusal
from .relay.body import whole
from .relay.errors import Disconnected

RELAY = ("messages", "uploads")
FORWARDED = (
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"forwarded",
)
ASSETS = (
    ("django.contrib.admin", "static"),
    ("rest_framework", "static"),
    ("drf_spectacular_sidecar", "static"),
    ("friendlyfl.router", "static"),
)


class _Files(StaticFiles):
    """The packages' assets, which a browser takes for what they are called and not for what they look like."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class House:
    """Records and relay behind one door, on the same tables, in the same process."""

    def __init__(self, *, records: Any, relay: Starlette) -> None:
        self.records = records
        self.relay = relay
        files = _Files(packages=list(ASSETS))
        self.assets = Starlette(routes=[Mount(settings.STATIC_URL.rstrip("/"), files)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(behind_proxy(scope), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if settings.HTTPS and scope["scheme"] != "https" and not from_loopback(scope):
            await _refuse(scope, receive, send, https_only())
        elif _room(scope["path"]) in RELAY:
            prefix = settings.PREFIX.rstrip("/")
            await self.relay({**scope, "root_path": scope.get("root_path", "") + prefix}, receive, send)
        elif scope["path"].startswith(settings.STATIC_URL):
            await self.assets(scope, receive, send)
        else:
            await self._ask_records(scope, receive, send)

    async def _ask_records(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Django begins when the whole body is here, so a slow sender costs no thread."""
        try:
            body = await whole(receive, Headers(scope=scope), limits.MESSAGE_BODY)
        except Disconnected:
            return
        except FriendlyError as refusal:
            await _refuse(scope, receive, send, refusal)
            return
        await self.records(scope, _again(body, receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Answer the server's start and stop; in between the relay's service and the clock of the jobs live."""
        await receive()
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What lives as long as the worker does."""
        async with self.relay.router.lifespan_context(self.relay):
            with clock():
                yield


def _room(path: str) -> str:
    """The first segment after the prefix: `messages` for /friendlyfl/api/v1/messages/inbox/."""
    if not path.startswith(settings.PREFIX):
        return ""
    return path[len(settings.PREFIX) :].split("/", 1)[0]


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body first, then whatever comes: the end of the connection."""
    ahead: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return ahead.pop() if ahead else await receive()

    return next_message


def from_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def behind_proxy(scope: Scope) -> Scope:
    """The request as the trusted proxy saw it; X-Forwarded headers of anybody else are dropped."""
    forwarded = {name: value for name, value in scope["headers"] if name in FORWARDED}
    if not forwarded:
        return scope
    kept = [(name, value) for name, value in scope["headers"] if name not in FORWARDED]
    client = scope.get("client")
    if client is None or client[0] not in settings.TRUSTED_PROXY:
        return {**scope, "headers": kept}
    changed = {**scope}
    if b"x-forwarded-for" in forwarded:
        # The proxy appends: only the last entry is its own word.
        address = forwarded[b"x-forwarded-for"].decode("latin-1").rsplit(",", 1)[-1].strip()
        changed["client"] = (address, 0)
    if forwarded.get(b"x-forwarded-proto") in {b"http", b"https"}:
        changed["scheme"] = forwarded[b"x-forwarded-proto"].decode()
    if b"x-forwarded-host" in forwarded:
        kept = [(name, value) for name, value in kept if name != b"host"]
        kept.append((b"host", forwarded[b"x-forwarded-host"]))
    return {**changed, "headers": kept}


def https_only() -> Refusal:
    return Refusal(403, "https_only", "This Routing Server is reached by https:// only; change the address.")


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Any) -> None:
    """Answer at the door; the connection ends, since its body was not read."""
    body = {"code": refusal.code, "message": refusal.message, "who": refusal.who}
    headers = {"Connection": "close", **getattr(refusal, "headers", {})}
    response = Response(json.dumps(body), refusal.status, headers, "application/json")
    await response(scope, receive, send)

"""The front door in ASGI: whose request is it, may it come in plain text, and which room answers.

What does not live here: any resource. The relay gets `messages/` and `uploads/`, Django the rest.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from django.conf import settings
from starlette.applications import Starlette

from .jobs import clock
from .refusals import Refusal

RELAY = ("messages", "uploads")
FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"forwarded")

Scope = dict[str, Any]


class House:
    """Records and relay behind one door, on the same tables, in the same process."""

    def __init__(self, *, records: Any, relay: Starlette) -> None:
        self.records = records
        self.relay = relay

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope = behind_proxy(scope)
        if settings.HTTPS and scope["scheme"] != "https" and not from_loopback(scope):
            await _refuse(send)
        elif room(scope["path"]) in RELAY:
            prefix = settings.PREFIX.rstrip("/")
            await self.relay({**scope, "root_path": scope.get("root_path", "") + prefix}, receive, send)  # type: ignore[arg-type]
        else:
            await self.records(scope, receive, send)

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer the server's start and stop; in between the relay's bell and the clock of the jobs live."""
        await receive()
        try:
            async with self._running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with self.relay.router.lifespan_context(self.relay):
            with clock():
                yield


def room(path: str) -> str:
    """The first segment after the prefix: `messages` for /friendlyfl/api/v1/messages/inbox/."""
    if not path.startswith(settings.PREFIX):
        return ""
    return path[len(settings.PREFIX) :].split("/", 1)[0]


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


async def _refuse(send: ASGISendCallable) -> None:
    refusal = Refusal(
        403, "https_only", "This Routing Server is reached by https:// only; change the address."
    )
    body = json.dumps(refusal.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})

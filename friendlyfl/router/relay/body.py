"""Reading a request's body: never more than agreed, never slower than 1 KiB in 20 seconds, never a surprise.

The server underneath does not close slow bodies by itself, and 2,000 connections that dribble a byte a second must
not cost more than 2,000 sockets.

What does not live here: what a body says (accept, uploads), its digest (admission).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive

from friendlyfl.core import limits
from friendlyfl.router.relay.errors import NOBODY, Disconnected, Refusal

PROGRESS = limits.KIB
STALL = limits.BODY_STALL


async def chunks(receive: Receive, headers: Headers, limit: int) -> AsyncIterator[bytes]:
    """The body in the pieces in which it comes; 413 beyond `limit` bytes, 408 when it stalls."""
    if declared_length(headers) > limit:
        raise _too_big(limit)
    loop = asyncio.get_running_loop()
    total = recent = 0
    deadline = loop.time() + STALL
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise _too_slow() from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece: bytes = message.get("body", b"")
        total += len(piece)
        recent += len(piece)
        if total > limit:
            raise _too_big(limit)
        if recent >= PROGRESS:
            recent, deadline = 0, loop.time() + STALL
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def whole(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body in memory, for the small ones."""
    return b"".join([piece async for piece in chunks(receive, headers, limit)])


async def nothing(receive: Receive, headers: Headers) -> bytes:
    """The body of a request that needs none: empty, or `{}` for clients that always send JSON."""
    raw = await whole(receive, headers, 2)
    if raw not in (b"", b"{}"):
        raise Refusal(400, "unknown_field", "This request takes no body.")
    return raw


def declared_length(headers: Headers) -> int:
    """What Content-Length says; 0 when it says nothing."""
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def want_type(headers: Headers, media_type: str) -> None:
    """415 unless the body is of this media type."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Refusal(415, "media_type", f"The body of this request has to be {media_type}.")


def read_json(raw: bytes) -> dict[str, Any]:
    """A JSON object: no duplicate keys, no floats, depth within the limit. Spaces and order of keys are free."""
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_object, parse_float=_no_number, parse_constant=_no_number
        )
    except RecursionError:
        raise _bad_json(f"is nested deeper than {limits.JSON_DEPTH}") from None
    except ValueError:
        raise _bad_json("is not JSON as it is spoken here (UTF-8, no fractions, no name twice)") from None
    if _deeper_than(value, limits.JSON_DEPTH):
        raise _bad_json(f"is nested deeper than {limits.JSON_DEPTH}")
    if not isinstance(value, dict):
        raise _bad_json("is not a JSON object")
    return value


def take(body: dict[str, Any], required: dict[str, type], optional: dict[str, type] | None = None) -> None:
    """Refuse a body that lacks a field, has one too many, or one of another type."""
    known = required | (optional or {})
    for name in body:
        if name not in known:
            raise Refusal(400, "unknown_field", f"{name[:40]!r} is not a field of this request.")
    for name in required:
        if name not in body:
            raise Refusal(400, "missing_field", f"The field {name!r} is missing.")
    for name, kind in known.items():
        if name in body and type(body[name]) is not kind:  # exactly: a bool is no int here
            raise Refusal(400, "wrong_type", f"The field {name!r} has to be of type {kind.__name__}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _no_number(text: str) -> Any:
    raise ValueError


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(item, depth - 1) for item in inner)


def _bad_json(why: str) -> Refusal:
    return Refusal(400, "bad_json", f"The body {why}.")


def _too_big(limit: int) -> Refusal:
    return Refusal(413, "too_big", f"At most {limit} bytes are taken here.")


def _too_slow() -> Refusal:
    return Refusal(
        408,
        "too_slow",
        "The request came in too slowly and was given up. The Controller sends it again.",
        who=NOBODY,
    )

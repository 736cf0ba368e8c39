"""The front door: which proxy is believed, and that HTTPS is not optional where it is spoken."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


def scope(client: str, **headers: str) -> dict[str, Any]:
    sent = {"host": "inside:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/friendlyfl/api/v1/health/",
        "query_string": b"",
        "client": (client, 1234),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }


FORWARDED = {
    "x_forwarded_for": "203.0.113.9, 198.51.100.7",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "fl.example.org",
}


def test_a_trusted_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from friendlyfl.router.front import behind_proxy

    monkeypatch.setattr(settings, "TRUSTED_PROXY", ["10.0.0.1"])
    seen = behind_proxy(scope("10.0.0.1", **FORWARDED))
    assert seen["client"][0] == "198.51.100.7"  # what the proxy itself appended, not what its client claimed
    assert seen["scheme"] == "https"
    assert dict(seen["headers"]) == {b"host": b"fl.example.org"}


def test_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from friendlyfl.router.front import behind_proxy

    monkeypatch.setattr(settings, "TRUSTED_PROXY", ["10.0.0.1"])
    seen = behind_proxy(scope("10.0.0.2", **FORWARDED))
    assert (seen["client"][0], seen["scheme"]) == ("10.0.0.2", "http")
    assert dict(seen["headers"]) == {b"host": b"inside:8000"}


def answer(application: Any, asked: dict[str, Any]) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(asked, receive, send))
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.mark.parametrize(
    "path", ["/friendlyfl/api/v1/projects/", "/friendlyfl/api/v1/messages/inbox/", "/admin/"]
)
def test_plain_http_from_outside_is_refused_where_https_is_spoken(
    server: object, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    from django.conf import settings

    from friendlyfl.router.asgi import application

    monkeypatch.setattr(settings, "HTTPS", True)
    status, body = answer(application, scope("203.0.113.9") | {"path": path})
    assert (status, body["code"]) == (403, "https_only")

"""Asking a relay as a hospital would, and what a refusal has to look like."""

from __future__ import annotations

import json
from typing import Any

from starlette.testclient import TestClient

from friendlyfl.router.relay.app import application
from friendlyfl.router.relay.service import Service
from tests.router.relay.world import HOST, PREFIX, Hospital


def mounted(service: Service) -> Any:
    """The relay as the front door calls it: under the API's prefix."""
    app = application(service)

    async def front(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": PREFIX} if scope["type"] == "http" else scope, receive, send)

    return front


class Relay:
    """Asks a relay as a hospital would; answers are httpx responses."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.http = TestClient(mounted(service), base_url=f"http://{HOST}", raise_server_exceptions=True)

    def ask(
        self,
        site: Hospital | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        signed: dict[str, Any] | None = None,
    ) -> Any:
        """One request. `body`: bytes as they are, else JSON. `signed` changes what is signed."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        path = PREFIX + path
        head = {} if site is None else site.headers(method, path, raw, query=query, over=signed)
        if body is not None:
            head["content-type"] = (
                "application/octet-stream" if isinstance(body, bytes) else "application/json"
            )
        target = f"{path}?{query}" if query else path
        answer = self.http.request(method, target, content=raw, headers=head | (headers or {}))
        assert answer.status_code < 500 or answer.status_code in (503, 507)
        return answer

    def post(self, site: Hospital, letter: Any, **more: Any) -> Any:
        return self.ask(site, "POST", "/messages/", letter.body(), **more)

    def inbox(self, site: Hospital, query: str = "", **more: Any) -> Any:
        return self.ask(site, "GET", "/messages/inbox/", query=query, **more)


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The answer is this refusal, in the form that all have."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), answer.text
    assert body["message"].endswith(".") and body["who"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert (status == 401) == ("www-authenticate" in answer.headers)
    assert ("retry_after" in body) == ("retry-after" in answer.headers)
    return body

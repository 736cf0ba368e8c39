"""An asker that dies in the middle of its request: Django closes the body under the thread that is reading it."""

from __future__ import annotations

import io
import json
import logging

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.urls import resolve

from tests.router.world import API, World


def ask(world: World, body: io.BytesIO) -> int:
    path = f"{API}projects/{world.project}/steps/"
    headers = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": "2",
        **world.alice.credential("PUT", path, "", json.dumps({}).encode()),
    }
    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    request = ASGIRequest(scope, body)
    view, arguments, fields = resolve(path)
    return view(request, *arguments, **fields).status_code


def test_it_is_no_fault_of_the_server(world: World, caplog: pytest.LogCaptureFixture) -> None:
    closed = io.BytesIO()
    closed.close()
    with caplog.at_level(logging.WARNING):
        assert ask(world, closed) == 499
    assert not caplog.records

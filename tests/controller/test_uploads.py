"""Bodies on their way to the portal: in the home while they wait, and never more than may be sent there."""

import asyncio
import stat
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import RequestAborted

from friendlyfl.controller.portal import uploads
from friendlyfl.controller.portal.uploads import FORM_BYTES, Application, _Bounded

SIGNED_IN = [(b"cookie", f"{settings.SESSION_COOKIE_NAME}=abc".encode())]
ONLY_CSRF = [(b"cookie", f"{settings.SESSION_COOKIE_NAME}_csrf=abc".encode())]


def sent(parts: list[bytes], path: str = "/data/add/", headers=SIGNED_IN, gone: bool = False):
    """What of a body waits for the pages."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b""})

    async def receive():
        return messages.pop(0)

    async def read():
        length = str(sum(map(len, parts))).encode()
        scope = {"type": "http", "path": path, "headers": [*headers, (b"content-length", length)]}
        return await Application().read_body(_Bounded(scope, receive))

    return asyncio.run(read())


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(uploads, "FORM_BYTES", 1000)
    monkeypatch.setattr(settings, "UPLOAD_BYTES", 5000)
    monkeypatch.setattr(settings, "FILE_UPLOAD_MAX_MEMORY_SIZE", 100)


@pytest.mark.parametrize(
    ("path", "headers", "bytes_", "kept"),
    [
        ("/data/add/", SIGNED_IN, 5900, 5900),
        ("/data/add/", SIGNED_IN, 6100, 1000),  # the page says that it was too large
        ("/data/add/", [], 3000, 1000),
        ("/data/add/", ONLY_CSRF, 3000, 1000),
        ("/login/", SIGNED_IN, 3000, 1000),
        ("/", [], 900, 900),
    ],
)
def test_only_who_may_give_a_table_may_send_much(small, path, headers, bytes_, kept):
    body = sent([b"x" * 100] * (bytes_ // 100), path, headers)
    assert len(body.read()) == kept
    body.close()


def test_a_body_waits_in_the_home_for_its_owner_only(small, home):
    body = sent([b"x" * 100] * 20)
    assert body._rolled
    place = Path(f"/proc/self/fd/{body.fileno()}")
    assert str(home.sub("tables")) in str(place.readlink())
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    body.close()
    assert list(home.sub("tables").iterdir()) == []


def test_a_browser_that_goes_away_leaves_nothing(small, home):
    with pytest.raises(RequestAborted):
        sent([b"x" * 100] * 20, gone=True)
    assert list(home.sub("tables").iterdir()) == []


def test_without_room_nothing_is_taken(monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 1 << 60)
    assert "not enough room" in uploads._trouble(10) and FORM_BYTES < settings.UPLOAD_BYTES

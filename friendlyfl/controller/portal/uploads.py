"""Files given at the portal: written into the home while they arrive, never into the machine's common folders, and only
for somebody who may add a dataset. What becomes of a file is decided by a verb of actions.
"""

import asyncio
import contextlib
import shutil
import tempfile
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.files.uploadhandler import SkipFile, StopUpload, TemporaryFileUploadHandler
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.utils.translation import gettext as _

PLACE = "data/add/"  # the one address that takes a file
ROOM = 64 << 20  # bytes that stay free on the disk
FORM_BYTES = 3 << 20  # of a body that brings no file


def limit_words() -> str:
    """The limit, as a page says it."""
    size: int = settings.UPLOAD_BYTES
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{max(size >> 20, 1)} MiB"


class IntoHome(TemporaryFileUploadHandler):
    """A file goes to `settings.FILE_UPLOAD_TEMP_DIR`, mode 0600, and is gone with the request unless a verb keeps it.

    `request.upload_trouble` says why a file was not taken.
    """

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> Any:
        self.coming = content_length
        return None

    def new_file(self, *given: Any, **named: Any) -> None:
        request = cast(Any, self.request)
        if not _may_give(request):
            raise StopUpload(connection_reset=False)
        request.upload_trouble = _trouble(self.coming)
        if request.upload_trouble:
            raise SkipFile
        super().new_file(*given, **named)


def _may_give(request: HttpRequest) -> bool:
    from friendlyfl.controller.portal.page import may

    user = getattr(request, "user", None)
    return bool(user and user.is_authenticated and request.path == f"/{PLACE}") and may(request, "researcher")


def _trouble(size: int) -> str:
    if size > settings.UPLOAD_BYTES + FORM_BYTES:
        return _(
            "The file is larger than %(limit)s. Put it on the Controller's machine and give its place there instead."
        ) % {"limit": limit_words()}
    if shutil.disk_usage(settings.FILE_UPLOAD_TEMP_DIR).free < size + ROOM:
        return _("There is not enough room for this file on the Controller's disk. Ask IT to make room.")
    return ""


class Application(ASGIHandler):
    """Django, whose waiting bodies lie in the home too, and are cut off where nobody may send so much."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(
            asyncio.CancelledError
        ):  # the process was told to stop; nobody waits any more
            await super().__call__(scope, _Bounded(scope, receive), send)

    async def read_body(self, receive: Any) -> BinaryIO:
        body = tempfile.SpooledTemporaryFile(  # noqa: SIM115  # closed by Django, with the request
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b", dir=str(settings.FILE_UPLOAD_TEMP_DIR)
        )
        left = receive.limit
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            part = message.get("body", b"")
            if len(part) > left:  # read to its end, so that the browser gets an answer in words
                left = 0
            elif part and left:
                body.write(part)
                left -= len(part)
            if not message.get("more_body", False):
                break
        body.seek(0)
        return cast(BinaryIO, body)


class _Bounded:
    """`receive`, with how much it may bring."""

    def __init__(self, scope: Any, receive: Any) -> None:
        self.receive = receive
        headers = dict(scope.get("headers", ()))
        gives = scope.get(
            "path"
        ) == f"/{PLACE}" and f"{settings.SESSION_COOKIE_NAME}=".encode() in headers.get(b"cookie", b"")
        self.limit = FORM_BYTES
        if gives and not _trouble(int(headers.get(b"content-length", b"0") or b"0")):
            self.limit += settings.UPLOAD_BYTES

    async def __call__(self) -> Any:
        return await self.receive()


def application() -> Application:
    """The portal, as uvicorn serves it."""
    import django

    django.setup(set_prefix=False)
    return Application()

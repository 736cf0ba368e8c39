"""A sealed blob on its way to the Routing Server: inside its message when small, in chunks when not."""

import base64
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from friendlyfl.client.answers import as_record, field
from friendlyfl.client.exchange import Exchange, path_of
from friendlyfl.client.problems import unexpected
from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError
from friendlyfl.wire.message import Envelope

_READ_BACK = 20 * limits.MIB  # bytes a second at which a slow router may read the whole back to hash it


def inline(blob: bytes | Path, envelope: Envelope) -> str | None:
    """The blob in base64 if it may travel inside its message."""
    if _size(blob, envelope) > limits.INLINE_BLOB:
        return None
    return base64.b64encode(blob if isinstance(blob, bytes) else _read(blob)).decode("ascii")


def upload(exchange: Exchange, blob: bytes | Path, envelope: Envelope) -> None:
    """Brings the whole blob to the router under the name its envelope gives it.

    The router says how far it has it already, so a cut costs at most one piece again.
    """
    size = _size(blob, envelope)
    ctx = envelope.ctx
    wanted = {"length": size, "sha256": envelope.ct_sha256, "message_type": ctx.type, "run": ctx.run}
    opened = as_record(exchange.json("POST", "uploads/", wanted), "an upload")
    if opened.get("complete") is True:
        return
    path = path_of("uploads", field(opened, "id", str, "an upload"))
    chunk = field(opened, "chunk", int, "an upload")
    offset = exchange.head(path).get("upload-offset", "")
    if not 0 < chunk <= limits.UPLOAD_CHUNK or not offset.isdecimal() or int(offset) > size:
        raise unexpected("an upload")
    with BytesIO(blob) if isinstance(blob, bytes) else _open(blob) as source:
        source.seek(int(offset))
        for start in range(int(offset), size, chunk):
            exchange.octets("PATCH", path, source.read(chunk), {"upload-offset": str(start)})
    exchange.json("POST", f"{path}complete/", patience=size / _READ_BACK)


def _size(blob: bytes | Path, envelope: Envelope) -> int:
    try:
        size = len(blob) if isinstance(blob, bytes) else blob.stat().st_size
    except OSError as error:
        raise _unreadable() from error
    if size != envelope.ct_len:
        raise BrokenError("blob_changed", "A sealed file in the outbox does not have its length any more.")
    return size


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable() from error


def _read(path: Path) -> bytes:
    with _open(path) as source:
        return source.read()


def _unreadable() -> BrokenError:
    return BrokenError("blob_unreadable", "A sealed file in the outbox cannot be read; check the disk.")

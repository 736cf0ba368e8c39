"""Looking for planted texts where nothing readable may be: in every byte of some files, plain or lightly disguised."""

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A canary that should not have been there."""

    what: str
    path: Path


def disguises(text: str) -> list[bytes]:
    """The text as it could lie in a file: UTF-8, UTF-16, hex, reversed, and base64 at each of three offsets."""
    raw = text.encode()
    shapes = [raw, text.encode("utf-16-le"), raw.hex().encode(), raw[::-1]]
    for offset in range(3):
        # The characters of base64 that depend on this text alone, whatever stands before and after it.
        coded = base64.b64encode(b"\0" * offset + raw)
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        shapes.append(coded[first:last])
        shapes.append(coded[first:last].replace(b"+", b"-").replace(b"/", b"_"))
    return shapes


def scan(places: Iterable[Path], canaries: Mapping[str, str]) -> tuple[list[Found], int, int]:
    """Search files and folders. Returns what was found, the number of files and of bytes looked at."""
    shapes = {what: disguises(text) for what, text in canaries.items()}
    found, files, size = [], 0, 0
    for path in _files(places):
        raw = path.read_bytes()
        files, size = files + 1, size + len(raw)
        for what, looks in shapes.items():
            if any(look in raw or look in _unpacked(raw) for look in looks):
                found.append(Found(what, path))
    return found, files, size


def _files(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        yield from (
            (path for path in sorted(place.rglob("*")) if path.is_file()) if place.is_dir() else [place]
        )


def _unpacked(raw: bytes) -> bytes:
    """What a compressed file holds; nothing for any other."""
    try:
        return zlib.decompress(raw, wbits=47)
    except zlib.error:
        return b""

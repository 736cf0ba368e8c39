"""Contents and sealed bytes, by their SHA-256: a small one is a row, there with the transaction that names it; a large
one is a file in the home (home.py).

A round makes a dozen small contents. As rows they cost the one write to disk that their transaction costs anyway.
Nothing here knows what a content means.
"""

import hashlib
from pathlib import Path

from friendlyfl.controller import here, rows
from friendlyfl.controller.models import SmallContent
from friendlyfl.core.limits import KIB

SMALL = 64 * KIB  # up to here SQLite reads and writes faster than a folder of files does


def keep(raw: bytes) -> str:
    """Store bytes under their SHA-256 and return it; safe to repeat."""
    if len(raw) > SMALL:
        return here.home().keep(raw)
    digest = hashlib.sha256(raw).hexdigest()
    rows.insert(SmallContent(digest=digest, raw=raw), known=True)
    return digest


def keep_file(path: Path) -> str:
    """Store a finished file and remove it from where it lies; returns the SHA-256."""
    if path.stat().st_size > SMALL:
        return here.home().keep_file(path)
    digest = keep(path.read_bytes())
    path.unlink()
    return digest


def find(digest: str) -> bytes | Path:
    """The bytes, or the file of a content that is large."""
    small = rows.first(SmallContent, digest=digest)
    return here.home().blob(digest) if small is None else bytes(small.raw)


def read(digest: str) -> bytes:
    """The bytes."""
    found = find(digest)
    return found if isinstance(found, bytes) else found.read_bytes()


def size(digest: str) -> int:
    """How many bytes it has."""
    found = find(digest)
    return len(found) if isinstance(found, bytes) else found.stat().st_size


def lay_out(digest: str, path: Path) -> Path:
    """A file with the content for another process to read: `path`, written now, or the file that is there already."""
    found = find(digest)
    if isinstance(found, Path):
        return found
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(found)
    return path


def forget(digest: str) -> None:
    """Remove it, if it is there."""
    SmallContent.objects.filter(digest=digest).delete()
    here.home().blob(digest).unlink(missing_ok=True)

"""Contents and sealed bytes, by their SHA-256: a small one is a row, there with the transaction that names it; a large
one is a file in the home (home.py).

A round makes a dozen small contents. As rows they cost the one write to disk that their transaction costs anyway.
Nothing here knows what a content means.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from friendlyfl.controller import here, rows
from friendlyfl.controller.models import SmallContent
from friendlyfl.controller.runner.passing import Passed, arrived, as_file, inline
from friendlyfl.core.limits import SMALL_CONTENT


def keep(raw: bytes) -> str:
    """Store bytes under their SHA-256 and return it; safe to repeat."""
    if len(raw) > SMALL_CONTENT:
        return here.home().keep(raw)
    digest = hashlib.sha256(raw).hexdigest()
    rows.insert(SmallContent(digest=digest, raw=raw), known=True)
    return digest


def keep_file(path: Path) -> str:
    """Store a finished file and remove it from where it lies; returns the SHA-256."""
    if path.stat().st_size > SMALL_CONTENT:
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


def for_runner(digest: str) -> Passed:
    """The content as a request to a runner holds it."""
    found = find(digest)
    return as_file(found) if isinstance(found, Path) else inline(found)


def keep_from_runner(content: Passed) -> str:
    """Store a content that a runner's answer holds; returns the SHA-256."""
    return keep_file(Path(content["path"])) if "path" in content else keep(arrived(content))


def forget(digests: Iterable[str]) -> None:
    """Remove those that are there."""
    SmallContent.objects.filter(digest__in=digests).delete()
    for digest in digests:
        here.home().blob(digest).unlink(missing_ok=True)

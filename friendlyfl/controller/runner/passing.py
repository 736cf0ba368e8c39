"""How a content passes between the controller and its runner's child: a small one stands in the request or answer
itself, a large one is a file whose path stands there.

No content is kept here: that is the controller's, once it has it. Both ends use this module, so it knows no Django.
"""

import base64
from pathlib import Path

from friendlyfl.core.limits import SMALL_CONTENT

Passed = dict[str, str]


def passed(raw: bytes, path: Path) -> Passed:
    """A content on its way; `path` is written only if it is large."""
    if len(raw) <= SMALL_CONTENT:
        return inline(raw)
    path.write_bytes(raw)
    return as_file(path)


def inline(raw: bytes) -> Passed:
    """A small content."""
    return {"raw": base64.b64encode(raw).decode("ascii")}


def as_file(path: Path) -> Passed:
    """A content that lies in a file already."""
    return {"path": str(path)}


def arrived(content: Passed) -> bytes:
    """The bytes of a content that came."""
    raw = content.get("raw")
    return Path(content["path"]).read_bytes() if raw is None else base64.b64decode(raw)

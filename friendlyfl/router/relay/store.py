"""Where sealed bytes lie: a folder of files named by their SHA-256.

    <root>/incoming/<upload id>      quarantine: what is still arriving, or not yet checked
    <root>/ab/cd/<64 hex digits>     kept: whole, checked, fsynced together with its folders

What does not live here: who may read what (inbox, uploads), rows (database). Nothing here knows a site or a
message; a name that is not a plain hex digest or uuid never becomes a path.
"""

import fcntl
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from friendlyfl.core import limits
from friendlyfl.core.faults import faultpoint
from friendlyfl.router.relay.errors import ADMINISTRATOR, Refusal

RESERVED_BYTES = 200 * limits.MIB
RESERVED_SHARE = 0.05
PIECE = 512 * limits.KIB  # memory of one transfer; also small enough to keep a sending loop lively

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class DirectoryStore:
    """A payload store in one local directory. All methods block; callers run them in a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"

    def prepare(self) -> None:
        """Make the folders, open to this account only."""
        for folder in (self.root, self.incoming):
            _make_folder(folder)

    def check_space(self, length: int) -> None:
        """Refuse what would eat into the space that acknowledgements and rows need.

        A full disk must still deliver and take acknowledgements, because these are what frees it again.
        """
        if self.free_space() < length:
            raise no_space()

    def free_space(self) -> int:
        """Bytes that may still be filled: what the disk has, less the reserve."""
        usage = shutil.disk_usage(self.root if self.root.exists() else self.root.parent)
        return usage.free - max(RESERVED_BYTES, int(usage.total * RESERVED_SHARE))

    def receive(self, upload: str, offset: int) -> "Incoming":
        """Go on with an upload at the last offset that counted; what a cut left behind it is thrown away.

        BlockingIOError when another request writes this upload now, FileNotFoundError when bytes before the
        offset are not here.
        """
        if not self.incoming.is_dir():
            self.prepare()
        return Incoming(self._quarantined(upload), offset)

    def digest(self, upload: str, sha256: str) -> str:
        """The SHA-256 of the quarantined bytes, read from disk and not from what was sent.

        Bytes that are kept under `sha256` already (the rename lasted, its row did not) were hashed then.
        """
        try:
            with self._quarantined(upload).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return sha256 if self.holds(sha256) else ""

    def keep(self, upload: str, sha256: str) -> None:
        """Rename a checked upload to its content's name, and make the rename last. Safe to repeat.

        The folder is fsynced before the caller commits its row: a row never names a file that a power cut could
        take away.
        """
        target = self._kept(sha256)
        _make_folder(target.parent.parent)
        _make_folder(target.parent)
        faultpoint("store.before-rename")
        try:
            self._quarantined(upload).replace(target)
        except FileNotFoundError:
            if not target.is_file():
                raise
        _sync_folder(target.parent)
        faultpoint("store.after-rename")

    def drop(self, upload: str) -> None:
        """Throw a quarantined upload away; none there is fine."""
        self._quarantined(upload).unlink(missing_ok=True)

    def holds(self, sha256: str) -> bool:
        """Whether the content lies here, whole."""
        return self._kept(sha256).is_file()

    def open(self, sha256: str) -> BinaryIO:
        """The content, to read. FileNotFoundError when it has expired."""
        return self._kept(sha256).open("rb")

    def remove(self, sha256: str) -> None:
        """Remove the content; none there is fine."""
        self._kept(sha256).unlink(missing_ok=True)

    def sweep(self, known: set[str], older_than: float) -> int:
        """Remove quarantined files that no upload row knows and nobody has touched since `older_than`."""
        removed = 0
        for path in self.incoming.iterdir() if self.incoming.is_dir() else ():
            if path.name not in known and path.stat().st_mtime < older_than:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def ready(self) -> bool:
        """Whether the store answers: the folder is there and may be written. For `health/ready/`."""
        try:
            self.prepare()
        except OSError:
            return False
        return os.access(self.incoming, os.W_OK | os.X_OK)

    def _quarantined(self, upload: str) -> Path:
        if not _UPLOAD.fullmatch(upload):
            raise ValueError("an upload's name is a uuid")
        return self.incoming / upload

    def _kept(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise ValueError("a blob's name is its SHA-256 in hex")
        return self.root / sha256[:2] / sha256[2:4] / sha256


class Incoming:
    """One piece of an upload on its way into quarantine, hashed as it is written.

    The file is locked against a second writer. The piece counts when it is fsynced and the caller has noted the new
    offset; until then the next try writes over it.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._file.fileno()).st_size < offset:
                raise FileNotFoundError(path.name)
            self._file.truncate(offset)
            self._file.seek(offset)
        except OSError:
            self._file.close()
            raise
        self._new = offset == 0
        self._folder = path.parent
        self._hash = hashlib.sha256()
        self.length = 0

    def write(self, piece: bytes | bytearray) -> None:
        """Append."""
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(piece)
        self.length += len(piece)

    def sha256(self) -> bytes:
        """The digest of this piece so far."""
        return self._hash.digest()

    def sync(self) -> None:
        """Make the piece last."""
        os.fsync(self._file.fileno())
        if self._new:
            _sync_folder(self._folder)

    def close(self) -> None:
        """Let go of the file, and of the lock."""
        self._file.close()


def no_space() -> Refusal:
    """There is no room for new uploads."""
    return Refusal(
        507,
        "no_space",
        "The Routing Server's disk is full; it still delivers. Ask its administrator for room.",
        who=ADMINISTRATOR,
        retry_after=600,
    )


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The folder of one site: where things lie, who may read them, how bytes reach the disk.

No Django and no cryptography here. Everything durable on this site is below `Home.folder`:

    controller.sqlite3   records          keys/        private keys, 0600
    secret_key           Django's, 0600   blobs/       large contents and sealed bytes, by SHA-256
    quarantine/          half-read post   work/        the runner's folders, one a run
    logs/                this site's own log    tables/      tables given at the portal, 0600
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from friendlyfl.core.errors import BrokenError, ConflictError

FOLDERS = ("keys", "blobs", "quarantine", "work", "logs", "tables")
LATER = ("tables",)  # folders that a home of an earlier version does not have


@dataclass(frozen=True)
class Home:
    folder: Path

    @classmethod
    def locate(cls, path: str | Path | None = None) -> "Home":
        """The given folder, else FRIENDLYFL_HOME, else the user's data folder."""
        chosen = path or os.environ.get("FRIENDLYFL_HOME") or _user_data_folder()
        return cls(Path(chosen).expanduser().absolute())

    @property
    def database(self) -> Path:
        return self.folder / "controller.sqlite3"

    def sub(self, name: str) -> Path:
        return self.folder / name

    @property
    def exists(self) -> bool:
        return self.database.exists()

    def create(self) -> None:
        """Make the folder and its rooms, for the owner only."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            for name in FOLDERS:
                self.sub(name).mkdir(mode=0o700, exist_ok=True)
            if not self.sub("secret_key").exists():
                write_durably(self.sub("secret_key"), secrets.token_urlsafe(48).encode())
        except OSError as error:
            raise BrokenError(
                "home_unwritable", f"The folder {self.folder} cannot be written: {error.strerror}."
            ) from error

    def check(self) -> None:
        """Raise BrokenError unless this is a home that only its owner can read."""
        if not self.sub("secret_key").exists():
            raise BrokenError(
                "no_home",
                f"There is no FriendlyFL site in {self.folder}. "
                f"Make one with: friendlyfl controller init --home {self.folder}",
                who="you",
            )
        for name in LATER:
            with contextlib.suppress(OSError):  # said below
                self.sub(name).mkdir(mode=0o700, exist_ok=True)
        for path in (self.folder, *(self.sub(name) for name in FOLDERS)):
            if not path.is_dir():
                raise BrokenError("home_damaged", f"The folder {path} is missing. Restore it from a back-up.")
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise BrokenError(
                    "home_open", f"Others on this machine can read {path}. Repair it with: chmod 700 '{path}'"
                )
        for path in (self.sub("secret_key"), *self.sub("keys").iterdir()):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise BrokenError(
                    "key_open", f"Others on this machine can read {path}. Repair it with: chmod 600 '{path}'"
                )

    # --- contents, by digest ---

    def blob(self, digest: str) -> Path:
        return self.sub("blobs") / digest[:2] / digest

    def keep(self, raw: bytes) -> str:
        """Store bytes under their SHA-256 and return it; safe to repeat."""
        digest = hashlib.sha256(raw).hexdigest()
        path = self.blob(digest)
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_durably(path, raw)
        return digest

    def keep_file(self, path: Path) -> str:
        """Move a finished file (already fsynced by its writer or not) under its SHA-256; return that."""
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            os.fsync(source.fileno())
        target = self.blob(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)
        return digest

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this home for one controller process.

        Raises ConflictError when another process on this machine runs on it.
        """
        with self.sub("lock").open("a+") as handle:
            for tries_left in reversed(range(5)):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if not tries_left:
                        raise ConflictError(
                            "already_running",
                            f"A controller already runs on {self.folder}. Stop it first, or use another --home.",
                        ) from error
                    time.sleep(0.05)  # somebody may only be asking `holder`
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    @property
    def holder(self) -> int | None:
        """The process id of the controller that holds this home now (0 if it is not known), or None."""
        try:
            with self.sub("lock").open("r") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    said = handle.read(20)
                    return int(said) if said.isdigit() else 0
        except OSError:  # no such file yet, or nothing that could be locked
            pass
        return None

    @property
    def running(self) -> bool:
        """Whether a controller process holds this home now."""
        return self.holder is not None


def write_durably(path: Path, raw: bytes, mode: int = 0o600) -> None:
    """Write a file so that after a power cut it is there whole, or not at all."""
    half = path.with_name(f"{path.name}.{secrets.token_hex(4)}.half")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(raw)
            handle.flush()
            os.fsync(handle.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _user_data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")) / "FriendlyFL"
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/FriendlyFL")
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "friendlyfl"

"""Key files on this machine's disk: mode 0600, whole or not at all, optionally under a passphrase (Argon2id).

What the bytes mean belongs to `keys`.
"""

import contextlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError, ConflictError, UsageError, WireError
from friendlyfl.wire import canonical, fields
from friendlyfl.wire.canonical import b64, label

_COST = {
    "iterations": 3,
    "lanes": 4,
    "memory": 65536,
}  # RFC 9106, second recommended setting: 64 MiB, about 0.1 s
_LOCKED_KEYS = ("v", "kdf", "salt", "nonce", "iterations", "lanes", "memory", "sealed")


def damaged(path: Path) -> BrokenError:
    return BrokenError(
        "key_damaged", f"The key file {path} is damaged. Restore it from the back-up of this site."
    )


def write(path: Path, raw: bytes, *, replace: bool) -> None:
    """Bytes, file and folder are on disk when this returns.

    A crash leaves the old file or the new one, never half.
    """
    if not replace and path.exists():
        raise ConflictError(
            "key_exists", f"There is a key file at {path} already. It was left as it is; move it away first."
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)  # left by a crash, perhaps with another mode
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise BrokenError(
            "key_not_written",
            f"The key file {path} cannot be written ({error.strerror}). Check the folder and the disk.",
        ) from None


def read(path: Path) -> bytes:
    """The bytes of a key file that only its owner can read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(limits.RECORD + 1)
    except OSError as error:
        raise BrokenError(
            "key_not_read",
            f"The key file {path} cannot be read ({error.strerror}). Restore it or repair its permissions.",
        ) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BrokenError(
            "key_open", f"Others on this machine can read the key file {path}. Run: chmod 600 {path}"
        )
    if len(raw) > limits.RECORD:
        raise damaged(path)
    return raw


def erase(path: Path) -> None:
    """Overwrite and remove a key file.

    Gone already is fine. On flash disks the overwriting is an effort, not a promise.
    """
    try:
        with path.open("r+b") as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        _sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BrokenError(
            "key_not_erased", f"The key file {path} cannot be erased ({error.strerror}). Remove it by hand."
        ) from None


def pem(private: ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def from_pem(raw: bytes) -> ed25519.Ed25519PrivateKey:
    try:
        return _ed25519(serialization.load_pem_private_key(raw, password=None))
    except (ValueError, TypeError):
        raise _unreadable() from None


def from_der(raw: bytes) -> ed25519.Ed25519PrivateKey:
    try:
        return _ed25519(serialization.load_der_private_key(raw, password=None))
    except (ValueError, TypeError):
        raise _unreadable() from None


def lock(encoded: bytes, passphrase: str) -> bytes:
    """`encoded` under AES-256-GCM with a key that Argon2id makes of the passphrase."""
    salt, nonce = os.urandom(16), os.urandom(12)
    key = _stretch(passphrase, salt, **_COST)
    sealed = AESGCM(key).encrypt(nonce, encoded, label("key file"))
    return canonical.dumps(
        {"v": 1, "kdf": "argon2id", "salt": b64(salt), "nonce": b64(nonce), "sealed": b64(sealed), **_COST}
    )


def unlock(raw: bytes, passphrase: str | None) -> bytes:
    """What `lock` closed. A wrong passphrase is a UsageError of the person who typed it."""
    what = "key file"
    if not passphrase:
        raise UsageError(
            "passphrase_needed", "The identity key of this site has a passphrase. Give it to go on."
        )
    try:
        stored = fields.record(canonical.loads(raw, limit=limits.RECORD), _LOCKED_KEYS, what)
        fields.integer(stored, "v", what, least=1, most=1)
        salt = fields.octets(stored, "salt", what, exactly=16)
        nonce = fields.octets(stored, "nonce", what, exactly=12)
        sealed = fields.octets(stored, "sealed", what, most=limits.KIB)
        iterations = fields.integer(stored, "iterations", what, least=1, most=64)
        lanes = fields.integer(stored, "lanes", what, least=1, most=64)
        memory = fields.integer(stored, "memory", what, least=8 * lanes, most=limits.MIB)
    except WireError:
        raise _unreadable() from None
    if stored["kdf"] != "argon2id":
        raise _unreadable()
    try:
        key = _stretch(passphrase, salt, iterations=iterations, lanes=lanes, memory=memory)
        return AESGCM(key).decrypt(nonce, sealed, label(what))
    except InvalidTag:
        raise UsageError(
            "passphrase_wrong",
            "The passphrase does not open this site's identity key. Try again; capitals count.",
        ) from None


def _stretch(passphrase: str, salt: bytes, *, iterations: int, lanes: int, memory: int) -> bytes:
    argon = Argon2id(salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory)
    return argon.derive(label("key file") + passphrase.encode("utf-8"))


def _ed25519(private: object) -> ed25519.Ed25519PrivateKey:
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise ValueError
    return private


def _unreadable() -> BrokenError:
    return BrokenError(
        "key_damaged", "The identity key file is damaged. Restore it from the back-up of this site."
    )


def _sync_folder(folder: Path) -> None:
    """A new name is durable only when its folder is; Windows has no handle for that and does it by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Reading the environment: each setting also as NAME_FILE; a wrong value stops the start with a sentence.

What does not live here: what the settings mean to Django (settings.py).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DEFAULT_DATABASE = "friendlyfl-router"


class BadSetting(SystemExit):
    """Ends the program with the sentence on standard error: nobody needs a traceback to read a setting."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"FriendlyFL cannot start: {sentence}")


def text(name: str, default: str = "") -> str:
    """The value of NAME, or the stripped content of the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return os.environ.get(name, "").strip() or default
    if os.environ.get(name):
        raise BadSetting(f"both {name} and {name}_FILE are set; keep one of them.")
    try:
        return Path(path).read_text(encoding="utf-8").strip() or default
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name}_FILE names {path}, which cannot be read.") from error


def flag(name: str) -> bool:
    value = text(name, "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name} is {value!r}; write 1 or 0.")


def number(name: str, default: int, least: int, most: int) -> int:
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise BadSetting(f"{name} is {value!r}; write a whole number from {least} to {most}.")
    return int(value)


def listing(name: str, default: str) -> list[str]:
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def home() -> Path:
    """The folder that holds all of an embedded server: made at the first start, for this user's eyes only."""
    folder = Path(text("FRIENDLYFL_ROUTER_HOME", "~/.friendlyfl/router")).expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"the home folder {folder} cannot be made; set FRIENDLYFL_ROUTER_HOME.") from error
    return folder


def secret_key(folder: Path) -> str:
    """SECRET_KEY from the environment, else from a 0600 file made at the first start."""
    given = text("SECRET_KEY")
    if given:
        if len(given) < 50 or len(set(given)) < 5:
            raise BadSetting(
                "SECRET_KEY is too short to protect sessions; use at least 50 random characters."
            )
        return given
    path = folder / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept_secret(path)
    except OSError as error:
        raise BadSetting(f"the secret key {path} cannot be written.") from error
    key = secrets.token_urlsafe(64)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def _kept_secret(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"the secret key {path} cannot be read.") from error
    if len(key) < 50:
        raise BadSetting(f"the secret key {path} is damaged; delete the file and people log in again.")
    return key


def database(folder: Path) -> dict[str, Any]:
    """DATABASE_URL, or DATABASE_HOST with its companions, or SQLite in the home folder."""
    url = text("DATABASE_URL")
    if url and text("DATABASE_HOST"):
        raise BadSetting("both DATABASE_URL and DATABASE_HOST are set; keep one of them.")
    if url:
        return _from_url(url)
    if text("DATABASE_HOST"):
        return _postgres(
            host=text("DATABASE_HOST"),
            port=number("DATABASE_PORT", 5432, 1, 65535),
            name=text("DATABASE_NAME", DEFAULT_DATABASE),
            user=text("DATABASE_USER", "postgres"),
            password=text("DATABASE_PASSWORD"),
        )
    return _sqlite(folder / "router.sqlite3")


def _from_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError as error:
        raise BadSetting("DATABASE_URL cannot be read as an address.") from error
    if parts.scheme == "sqlite" and parts.path.strip("/"):
        return _sqlite(Path(unquote(parts.path)))
    if parts.scheme not in {"postgres", "postgresql"} or parts.query.count("=") > 1:
        raise BadSetting("DATABASE_URL must begin with postgresql:// or sqlite:///.")
    host = unquote(parts.hostname or "")
    if parts.query:  # ?host=/folder/of/the/socket
        key, _, value = parts.query.partition("=")
        if key != "host":
            raise BadSetting("DATABASE_URL may carry ?host=... and no other option.")
        host = unquote(value)
    name = unquote(parts.path.lstrip("/")) or DEFAULT_DATABASE
    return _postgres(
        host=host,
        port=port,
        name=name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _postgres(*, host: str, port: int, name: str, user: str, password: str) -> dict[str, Any]:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise BadSetting('PostgreSQL needs its driver: pip install "friendlyfl[postgres]".') from error
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": port,
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "OPTIONS": {"connect_timeout": 10},
    }


def _sqlite(path: Path) -> dict[str, Any]:
    """Every commit is on disk before anyone is told so: WAL with synchronous=FULL, never NORMAL."""
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": pragmas},
    }

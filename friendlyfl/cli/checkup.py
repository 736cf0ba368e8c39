"""What the doctor looks at, one function for each thing: the folder, the database, the keys, the line, what waits.

Nothing is repaired, and nothing is sent but two signed questions to the Routing Server; a mail server or webhook that
tells of the inbox is called, and told nothing. How findings are printed is in
`doctor`. A check gives a `Finding` for each thing it saw, in words for the person who will read them.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote

from friendlyfl import __version__
from friendlyfl.controller.home import FOLDERS, Home
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import GIB, MIB

OK, LOOK, REPAIR = "ok", "look", "repair"
YOU, IT, ADMIN = "you", "the hospital's IT", "a site-admin of this hospital"
DISK_LOOK, DISK_REPAIR = 1 * GIB, 200 * MIB
CLOCK_LOOK = 30.0  # seconds
OUTBOX_PATIENCE = 300.0  # seconds that post may wait before somebody should look
NEWEST_PYTHON = (3, 14)  # that this version was made for


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `who` repairs it; empty where nobody has to act."""

    check: str
    state: str
    words: str
    who: str = ""


def examine(home: Home) -> Iterator[Finding]:
    """Look at everything that can be looked at, from the outside in."""
    yield from _safely("Python", python)
    yield from _safely("Disk", disk, home)
    found = list(_safely("Home", folder, home))
    yield from found
    if not home.sub("secret_key").is_file() or not home.database.is_file():
        return
    if not all(os.access(path, os.R_OK) for path in (home.folder, home.database, home.sub("keys"))):
        return
    whole = list(_safely("Database", database, home))
    yield from whole
    if any(finding.state == REPAIR for finding in whole):
        return
    from friendlyfl.controller import unapplied, use_home

    use_home(home)
    if waiting := unapplied():
        words = (
            f"it has {len(waiting)} migrations to go, which the next command or start carries out by itself"
        )
        yield Finding("Database", LOOK, f"The database is of an earlier version; {words}.")
        return
    yield from _inside(home)


def _inside(home: Home) -> Iterator[Finding]:
    from friendlyfl.cli import checkup_records as records
    from friendlyfl.cli.checkup_word import word_of_inbox
    from friendlyfl.controller.models import Identity

    row = Identity.objects.filter(pk=1).first()
    if row is None:
        again = f"friendlyfl controller init --home {quote(str(home.folder))} --name NAME"
        yield Finding("Site", REPAIR, f"Making this site was interrupted. Do it again: {again}", YOU)
        return
    yield Finding("Site", OK, f"{row.name}, fingerprint {row.fingerprint[:16]}…")
    yield from _safely("Keys", records.keys, home, row)
    yield from _safely("Controller", records.process, home)
    yield from _safely("Connection", records.connection, home, row)
    yield from _safely("Notifications", word_of_inbox)
    yield from _safely("Outbox", records.outbox, home)
    yield from _safely("Held post", records.held_post)
    yield from _safely("Datasets", records.datasets)
    yield from _safely("Ledger", records.ledger)


def _safely(name: str, check: Callable[..., Iterator[Finding]], *given: object) -> Iterator[Finding]:
    """A check that breaks is a finding like any other: the rest is still looked at."""
    try:
        yield from check(*given)
    except FriendlyError as error:
        yield Finding(name, REPAIR, error.message, error.who)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        yield Finding(
            name, REPAIR, f"It cannot be read:{where} {(error.strerror or str(error)).lower()}.", IT
        )
    except Exception as error:
        yield Finding(name, REPAIR, f"It could not be checked ({type(error).__name__}: {error}).", IT)


# --- this machine ---


def python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    words = f"Python {version}, FriendlyFL {__version__}"
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(str(part) for part in NEWEST_PYTHON)
        yield Finding("Python", LOOK, f"{words}. It was made for Python 3.11 to {newest}.", IT)
    else:
        yield Finding("Python", OK, words)


def disk(home: Home) -> Iterator[Finding]:
    place = next(path for path in (home.folder, *home.folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    words = f"{size_words(free)} free below {place}"
    if free < DISK_REPAIR:
        yield Finding("Disk", REPAIR, f"Only {words}. Make room before the next run; nothing is lost.", IT)
    elif free < DISK_LOOK:
        yield Finding("Disk", LOOK, f"Only {words}. Make room before it runs out.", IT)
    else:
        yield Finding("Disk", OK, words)


def size_words(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.1f} MiB"


# --- the folder ---


def folder(home: Home) -> Iterator[Finding]:
    place = home.folder
    make = f"friendlyfl controller init --home {quote(str(place))} --name NAME"
    if not place.exists():
        yield Finding("Home", LOOK, f"There is no site in {place} yet. Make one: {make}", YOU)
        return
    if not place.is_dir():
        yield Finding("Home", REPAIR, f"{place} is a file, not a folder. Choose another with --home.", YOU)
        return
    owner = _owner(place)
    if not os.access(place, os.R_OK | os.X_OK):
        as_owner = f"sudo -u {owner} friendlyfl doctor --home {quote(str(place))}"
        yield Finding(
            "Home", REPAIR, f"{place} belongs to {owner}, and you may not read it. Try: {as_owner}", IT
        )
        return
    missing = [name for name in (*FOLDERS, "secret_key", home.database.name) if not home.sub(name).exists()]
    if "secret_key" in missing and home.database.name in missing:
        yield Finding("Home", LOOK, f"There is no site in {place} yet. Make one: {make}", YOU)
        return
    if missing:
        words = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing in {place}"
        yield Finding(
            "Home", REPAIR, f"{words}. Stop the Controller and restore the folder from a back-up.", IT
        )
    yield from _modes(home)
    if hasattr(os, "geteuid") and place.stat().st_uid != os.geteuid():
        words = f"{place} belongs to {owner}. What you type as somebody else may leave files that {owner} cannot read"
        yield Finding("Home", LOOK, f"{words}; type commands as {owner}.", YOU)


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user without a name
        return f"user {path.stat().st_uid}"


def _modes(home: Home) -> Iterator[Finding]:
    private = [home.folder, home.sub("secret_key"), home.database]
    private += [home.sub(name) for name in FOLDERS]
    with contextlib.suppress(OSError):
        private += sorted(home.sub("keys").iterdir())
    wide = [path for path in private if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if not wide:
        yield Finding("Home", OK, f"{home.folder}, readable by its owner only")
        return
    more = f" and {len(wide) - 1} more" if len(wide) > 1 else ""
    repair = f"chmod -R go-rwx {quote(str(home.folder))}"
    yield Finding("Home", REPAIR, f"Others on this machine can read {wide[0]}{more}. Repair it: {repair}", IT)


# --- the database ---


def database(home: Home) -> Iterator[Finding]:
    """Its pages, by SQLite's own check, read-only; and whether this version knows all its migrations."""
    restore = "Stop the Controller, keep a copy of the folder, and restore it from a back-up."
    try:
        with contextlib.closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)) as opened:
            said = [str(line[0]) for line in opened.execute("PRAGMA quick_check(3)")]
            applied = {
                line[0]
                for line in opened.execute("SELECT name FROM django_migrations WHERE app = 'controller'")
            }
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            yield Finding("Database", LOOK, "The database is busy. Ask again in a moment.", YOU)
            return
        yield Finding("Database", REPAIR, f"The database cannot be read ({error}). {restore}", IT)
        return
    except sqlite3.DatabaseError as error:
        yield Finding("Database", REPAIR, f"The database is damaged ({error}). {restore}", IT)
        return
    if said != ["ok"]:
        yield Finding("Database", REPAIR, f"The database is damaged ({said[0]}). {restore}", IT)
        return
    migrations = Path(sys.modules["friendlyfl.controller"].__file__ or "").parent / "migrations"
    if strange := sorted(applied - {path.stem for path in migrations.glob("[0-9]*.py")}):
        words = f"The database was written by a newer FriendlyFL than {__version__} (it knows {strange[0]})"
        yield Finding("Database", REPAIR, f"{words}. Install that version again.", IT)
        return
    yield Finding("Database", OK, f"Whole, {size_words(home.database.stat().st_size)}")


def ago(seconds: float) -> str:
    """A length of time as a person says it."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} second{'s' if int(seconds) != 1 else ''}"


def seconds_since(moment: datetime) -> float:
    return max(time.time() - moment.timestamp(), 0.0)

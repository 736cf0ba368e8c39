"""The doctor's second half: what needs the site's records. Keys, process, line, post, datasets, ledger.

The folder and the database were found readable before (`checkup`). Read only: nothing is changed here either.
"""

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from friendlyfl import __version__
from friendlyfl.cli.checkup import (
    ADMIN,
    CLOCK_LOOK,
    IT,
    LOOK,
    OK,
    OUTBOX_PATIENCE,
    REPAIR,
    YOU,
    Finding,
    ago,
    seconds_since,
)
from friendlyfl.client.problems import BusyError
from friendlyfl.client.router import Router
from friendlyfl.controller import ledger as departures
from friendlyfl.controller.home import Home
from friendlyfl.controller.keyring import Keyring
from friendlyfl.controller.models import Dataset, Departure, HeldPost, Identity, Outbox, Peer, Project, Run
from friendlyfl.core.errors import ConflictError, FriendlyError, UnreachableError
from friendlyfl.core.run import ENDED
from friendlyfl.tasks import formats
from friendlyfl.tasks.places import Place
from friendlyfl.wire.keys import Identity as SigningKey

COPIED = "slot_taken"  # the Routing Server's word for post of a site that was restored from an old copy, or runs twice
RESTORE = "Restore the folder keys/ from the back-up of this site"


def keys(home: Home, row: Identity) -> Iterator[Finding]:
    """The identity key is the one that others pinned, and the card's subkey is here."""
    found = SigningKey.load(home.sub("keys") / "identity.pem")
    if found.fingerprint != row.fingerprint:
        words = f"identity.pem is another hospital's key: its fingerprint begins {found.fingerprint[:16]}"
        yield Finding("Keys", REPAIR, f"{words}. {RESTORE}; with this key nobody believes this hospital.", IT)
        return
    ring = Keyring(home, row.site)
    if ring.card.kid not in ring.standing:
        words = "The key that belongs to this hospital's card is missing, so post for it cannot be opened"
        yield Finding("Keys", REPAIR, f"{words}. {RESTORE}.", IT)
        return
    yield Finding("Keys", OK, "The identity key fits the fingerprint, and its card is signed by it")


def process(home: Home) -> Iterator[Finding]:
    pid = home.holder
    if pid is not None:
        yield Finding("Controller", OK, f"It runs, process {pid}" if pid else "It runs")
        return
    waiting = Run.objects.exclude(state__in=[*ENDED, ""]).count()
    what = f"; {waiting} {'run waits' if waiting == 1 else 'runs wait'} for it" if waiting else ""
    yield Finding("Controller", LOOK, f"It does not run{what}. Start it: friendlyfl controller start", YOU)


# --- the line ---


def connection(home: Home, row: Identity) -> Iterator[Finding]:
    """Two questions to the Routing Server: is it there, and what does it know of this site?"""
    if not row.router:
        connect = "friendlyfl site connect ADDRESS"
        yield Finding("Connection", LOOK, f"Not connected to a Routing Server yet. Connect: {connect}", YOU)
        return
    router = Router(
        row.router,
        Keyring(home, row.site).identity,
        site=row.site,
        ca_file=row.ca_file or None,
        plain_inside=row.plain_inside,
    )
    router.lease = row.lease
    try:
        yield from _asked(router, row)
    finally:
        router.close()


def _asked(router: Router, row: Identity) -> Iterator[Finding]:
    began = time.time()
    try:
        router.health()
        began = time.time()
        me = router.me()
    except FriendlyError as error:
        since = (
            f" Out of reach since {row.line_trouble_since:%Y-%m-%d %H:%M} UTC." if _silent(row, error) else ""
        )
        state = LOOK if isinstance(error, BusyError) else REPAIR
        yield Finding("Connection", state, f"{error.message}{since}", error.who)
        return
    middle = (began + time.time()) / 2
    protected = "HTTPS" if row.router.startswith("https") else "plain HTTP inside this machine"
    yield Finding("Connection", OK, f"{row.router} knows this hospital ({protected})")
    yield from _clock(me, middle)
    yield Finding(
        "Version",
        OK,
        f"{__version__} here; the Routing Server serves {me.get('oldest_controller')} and newer",
    )
    yield from _lease(router, row)


def _silent(row: Identity, error: FriendlyError) -> bool:
    return (
        isinstance(error, UnreachableError) and bool(row.line_trouble) and row.line_trouble_since is not None
    )


def _clock(me: dict[str, Any], middle: float) -> Iterator[Finding]:
    try:
        ahead = middle - datetime.fromisoformat(str(me.get("server_time"))).timestamp()
    except ValueError:
        yield Finding("Clock", LOOK, "The Routing Server did not tell its time.", "who runs the router")
        return
    if abs(ahead) <= CLOCK_LOOK:
        yield Finding("Clock", OK, f"Within {max(abs(ahead), 1):.0f} s of the Routing Server's")
        return
    way = "ahead of" if ahead > 0 else "behind"
    words = f"This machine's clock is {ago(abs(ahead))} {way} the Routing Server's"
    rest = "Requests are signed again with its time by themselves, and runs are not touched; still, set the clock"
    yield Finding("Clock", LOOK, f"{words}. {rest}.", IT)


def _lease(router: Router, row: Identity) -> Iterator[Finding]:
    """Whether this copy of the Controller is the one that speaks for the site."""
    if not row.lease:
        words = "The Controller has not spoken for this hospital yet; it does once it runs"
        yield Finding("Lease", LOOK, f"{words}: friendlyfl controller start", YOU)
        return
    try:
        router.projects()
    except ConflictError as error:
        if error.code != "fenced":
            raise
        words = "Another copy of this Controller speaks for this hospital now, on another machine or from a back-up"
        rest = "Stop one of the two; if this one shall go on, the Routing Server's administrator releases the lease"
        yield Finding("Lease", REPAIR, f"{words}. {rest}.", ADMIN)
        return
    yield Finding("Lease", OK, "This copy of the Controller speaks for the hospital")


# --- post ---


def outbox(home: Home) -> Iterator[Finding]:
    for peer in Peer.objects.filter(doubted=True).order_by("name"):
        held = Outbox.objects.filter(state="held").count()
        words = f"The key of {peer.name} is in question, and post for it is held back ({held} so far)"
        yield Finding("Outbox", REPAIR, f"{words}. Compare keys by telephone, on the project's page.", YOU)
    refused = Outbox.objects.filter(state="refused").count()
    if Outbox.objects.filter(state="refused", trouble__endswith=f"({COPIED})").exists():
        words = "Another copy of this site has said something else in one place, and others put this one's post aside"
        rest = (
            "Stop the copy; after going back to an old one this hospital has to be enrolled and invited anew"
        )
        yield Finding("Outbox", REPAIR, f"{words}. {rest}.", ADMIN)
    elif refused:
        words = f"{_messages(refused)} refused and will not be sent again"
        yield Finding("Outbox", LOOK, f"{words}. See why: friendlyfl site outbox", ADMIN)
    oldest = Outbox.objects.filter(state="waiting").order_by("made_at").first()
    if oldest is None:
        if not refused:
            yield Finding("Outbox", OK, "Everything was sent")
        return
    waiting, age = Outbox.objects.filter(state="waiting").count(), seconds_since(oldest.made_at)
    words = f"{waiting} {'message waits' if waiting == 1 else 'messages wait'}, the oldest for {ago(age)}"
    if not home.running:
        yield Finding("Outbox", LOOK, f"{words}; the Controller sends them once it runs", YOU)
    elif age > OUTBOX_PATIENCE:
        why = f" ({oldest.trouble.rstrip('.')})" if oldest.trouble else ""
        yield Finding("Outbox", LOOK, f"{words}{why}. It is tried again by itself", IT)
    else:
        yield Finding("Outbox", OK, words)


def _messages(count: int) -> str:
    return f"{count} {'message was' if count == 1 else 'messages were'}"


def held_post() -> Iterator[Finding]:
    early = HeldPost.objects.filter(state="early").count()
    refused = HeldPost.objects.filter(state="refused").count()
    if refused:
        words = f"{_messages(refused)} put aside because a check failed; nothing of them was used"
        yield Finding("Held post", LOOK, f"{words}. See why: friendlyfl site held-post", ADMIN)
    if early or not refused:
        words = f"{_messages(early)} early and kept for their turn" if early else "No post was put aside"
        yield Finding("Held post", OK, words)


# --- data and ledger ---


def datasets() -> Iterator[Finding]:
    rows = list(Dataset.objects.order_by("name"))
    if not rows:
        yield Finding("Datasets", OK, "None yet; add one: friendlyfl dataset add NAME FILE")
    for row in rows:
        yield _dataset(row)


def _dataset(row: Dataset) -> Finding:
    place = Place.of(row.path)
    if place.path is None or place.kind == "sqlite":
        return _database(row, place)
    path = place.path
    serves = ", ".join(Project.objects.filter(dataset=row).values_list("name", flat=True))
    needed = f" It serves {serves}." if serves else ""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        words = f"“{row.name}”: {path} cannot be read ({why}). Put the file back, or let this user read it"
        return Finding(
            "Datasets", REPAIR if serves else LOOK, f"{words}.{needed}", "who looks after the file"
        )
    if digest != row.digest:
        words = f"“{row.name}”: {path} is not the file that was added on {row.added_at:%Y-%m-%d}"
        rest = "Runs read it as it is now; if that is not meant, put the old one back"
        return Finding("Datasets", LOOK, f"{words}. {rest}.{needed}", "who looks after the file")
    return Finding("Datasets", OK, f"“{row.name}”: readable and unchanged, {row.rows} rows")


def _database(row: Dataset, place: Place) -> Finding:
    """A database may change at any time; what counts is that it answers."""
    serves = ", ".join(Project.objects.filter(dataset=row).values_list("name", flat=True))
    try:
        formats.names(place.where)
    except FriendlyError as error:
        needed = f" It serves {serves}." if serves else ""
        words = f"“{row.name}”: {error.message}{needed}"
        return Finding("Datasets", REPAIR if serves else LOOK, words, "who looks after the database")
    return Finding("Datasets", OK, f"“{row.name}”: the database answers")


def ledger() -> Iterator[Finding]:
    broken = list(departures.breaks())
    count = Departure.objects.count()
    if broken:
        number, why = broken[0]
        words = f"The chain is broken at line {number}: {why}"
        yield Finding(
            "Ledger", REPAIR, f"{words}. Find out who did it; a back-up shows the line as it was.", ADMIN
        )
    elif not count:
        yield Finding("Ledger", OK, "Nothing has ever left this hospital")
    else:
        yield Finding("Ledger", OK, f"{count} {'line' if count == 1 else 'lines'}, the chain is unbroken")

"""Word of the inbox: that something waits there, by e-mail or webhook, at most once a day for each project and way.

Off until a site-admin switches it on. What is said has no place for a column, a count or a result; see carriers.Saying.
The password and the webhook's address, in which services put a key, are files below `keys/`, never rows.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from friendlyfl.controller import carriers, here, matters
from friendlyfl.controller.carriers import MailServer, NotSaidError, Saying
from friendlyfl.controller.home import write_durably
from friendlyfl.controller.models import Project, Way, Word
from friendlyfl.wire.keyfile import erase

log = logging.getLogger("friendlyfl.word")
MAIL, WEBHOOK = "mail", "webhook"
WAYS = (MAIL, WEBHOOK)
A_DAY = timedelta(days=1)
LOOKS_BACK = timedelta(days=14)  # what happened earlier is no news any more, if no word has gone until then
PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)  # after one failed try, doubled with each

_thread: threading.Thread | None = None


def way(name: str) -> Way:
    """The row of a way; one that was never set up is off, and looking writes nothing."""
    return Way.objects.filter(name=name).first() or Way(name=name)


# --- secrets ---


def _file(name: str) -> Path:
    return here.home().sub("keys") / {MAIL: "mail-password", WEBHOOK: "webhook-address"}[name]


def secret(name: str) -> str:
    """The password of the mail server, or the webhook's address; "" if there is none."""
    try:
        return _file(name).read_text("utf-8")
    except FileNotFoundError:
        return ""


def keep_secret(name: str, value: str) -> None:
    """Keep it for the owner of this home only; "" forgets it."""
    if value:
        write_durably(_file(name), value.encode())
    elif _file(name).exists():
        erase(_file(name))


# --- saying ---


def say(row: Way, saying: Saying) -> str:
    """Send one word on this way now. Returns "" or a sentence about those it did not reach.

    Raises NotSaidError.
    """
    if row.name == WEBHOOK:
        carriers.by_webhook(saying, secret(WEBHOOK), here.identity().ca_file)
        return ""
    given = row.given
    return carriers.by_mail(saying, given["to"], given["sender"] or given["to"][0], _server(given))


def reach(row: Way) -> None:
    """Go this way as far as somebody would have to be told something.

    Raises NotSaidError.
    """
    if row.name == WEBHOOK:
        carriers.reach_webhook(secret(WEBHOOK), here.identity().ca_file)
    else:
        carriers.reach_mail(_server(row.given))


def _server(given: dict[str, Any]) -> MailServer:
    ca_file = here.identity().ca_file
    return MailServer(given["host"], given["port"], given["security"], given["user"], secret(MAIL), ca_file)


def send_test(row: Way) -> str:
    """Send a test now, whatever was said today. Returns "" or the sentence that says why it did not go."""
    try:
        trouble, went = say(row, Saying(here.identity().name, "", row.link, test=True)), True
    except NotSaidError as error:
        trouble, went = str(error), False
    _note(row, trouble, went=went)
    return trouble


# --- the duty ---


def begin() -> None:
    """Tell what is to be told, in a thread of its own: a mail server that does not answer holds up nothing else."""
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = threading.Thread(target=_alone, name="word", daemon=True)
        _thread.start()


def _alone() -> None:
    try:
        tell()
    except Exception:
        log.exception("word broke")
    finally:
        connection.close()


def tell() -> None:
    """Say on each way that is on what was not said yet. A way that failed rests before the next try."""
    for row in Way.objects.filter(on=True):
        if _rests(row):
            continue
        for project, names in _due(row):
            if not _told(row, project, names):
                break


def _rests(row: Way) -> bool:
    pause = min(PAUSE * 2 ** min(row.tries - 1, 10), LONGEST_PAUSE) if row.tries else timedelta(0)
    return row.tried_at is not None and row.tried_at <= timezone.now() < row.tried_at + pause


def _due(row: Way) -> list[tuple[Project, set[str]]]:
    """Projects of which no word went for a day, with all their matters, if one of these is new."""
    now = timezone.now()
    last = {word.project_id: word for word in Word.objects.filter(way=row)}
    due = {
        project: names
        for project, names in matters.by_project(max(row.since, now - LOOKS_BACK)).items()
        if project not in last or _may_follow(last[project], names, now)
    }
    return [(project, due[project.pk]) for project in Project.objects.filter(pk__in=due).order_by("pk")]


def _may_follow(word: Word, names: set[str], now: datetime) -> bool:
    return now - word.at >= A_DAY and bool(names - set(word.matters))


def _told(row: Way, project: Project, names: set[str]) -> bool:
    """Note that it is said, then say it: whoever is cut off in between says nothing twice. Whether it may go on."""
    take_back = _intend(row, project, names)
    try:
        trouble = say(row, Saying(here.identity().name, project.name, row.link))
    except NotSaidError as error:
        log.warning("word by %s did not go; the settings page says why", row.name)
        if not error.maybe:
            take_back()
        _note(row, str(error), went=False)
        return False
    _note(row, trouble, went=True)
    return True


def _intend(row: Way, project: Project, names: set[str]) -> Callable[[], object]:
    """Returns what takes the intent back."""
    with transaction.atomic():
        before = Word.objects.filter(way=row, project=project).values("at", "matters").first()
        said = {"at": timezone.now(), "matters": sorted(names)}
        word, _ = Word.objects.update_or_create(way=row, project=project, defaults=said)
    kept = Word.objects.filter(pk=word.pk)
    return kept.delete if before is None else lambda: kept.update(**before)


def _note(row: Way, trouble: str, *, went: bool) -> None:
    """Keep how the last try went, for the settings page."""
    row.trouble, row.tried_at, row.tries = trouble, timezone.now(), 0 if went else row.tries + 1
    row.said_at = row.tried_at if went else row.said_at
    row.save(update_fields=["trouble", "tried_at", "tries", "said_at"])

"""What the first person at the portal would wait for, done ahead by a thread as soon as the portal answers: the pages'
modules and the tasks are loaded, and the journals of runs that people are about to look at are read.

Nothing depends on it: a page that is asked for earlier does it by itself. What is remembered is what pages remember.
"""

import logging
import threading
from collections.abc import Callable

from django.db import connection
from django.template import engines
from django.urls import get_resolver
from django.utils.formats import get_format

from friendlyfl.controller.models import Run
from friendlyfl.controller.portal import watch
from friendlyfl.core import run as core_run
from friendlyfl.tasks import registry

log = logging.getLogger("friendlyfl.ahead")
JOURNALS = 32  # of live runs first, then of the newest ones; no more than `watch` keeps


def begin() -> threading.Thread:
    """Begin the work; nobody has to wait for it."""
    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    return thread


def work() -> None:
    """Do all of it now. What breaks here breaks again, with its reason, on the page that needs it."""
    duties: tuple[Callable[[], None], ...] = (_pages, _tasks, _stories)
    for duty in duties:
        try:
            duty()
        except Exception:
            log.exception("%s could not be done ahead", duty.__name__)
    connection.close()


def _pages() -> None:
    _ = get_resolver().url_patterns  # loads every room of pages
    for engine in engines.all():  # and what all templates use
        _ = engine.engine.template_context_processors  # type: ignore[attr-defined]
    get_format("DATE_FORMAT")


def _tasks() -> None:
    registry.every()


def _stories() -> None:
    runs = Run.objects.select_related("project").exclude(state="")
    live = runs.exclude(state__in=core_run.ENDED).order_by("-pk")[:JOURNALS]
    newest = runs.filter(state__in=core_run.ENDED).order_by("-pk")[:JOURNALS]
    for run in [*live, *newest][:JOURNALS]:
        watch.story_of(run)

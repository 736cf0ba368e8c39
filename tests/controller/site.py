"""The site under test: one home and one Django a process, as a Controller has it, back to its first day for each test.

Django's settings belong to the process, so there is one home in it. What a test commits is really committed (no
transaction is wrapped around it), and afterwards the database, the keys and every memory of the process are put back.
"""

import atexit
import functools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from friendlyfl.controller.home import Home

NAME = "St Mary's"
KEPT = ("blobs", "quarantine", "work", "tables")


@functools.cache
def process_home() -> Home:
    """Make the site of this process. Django is set up from here on; the environment is left as it was."""
    folder = Path(tempfile.mkdtemp(prefix="friendlyfl-test-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    home = Home(folder / "home")
    home.create()
    before = {name: os.environ.get(name) for name in ("FRIENDLYFL_HOME", "DJANGO_SETTINGS_MODULE")}
    from friendlyfl.controller import open_home

    open_home(home.folder)
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    from django.conf import settings

    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]  # a slow one teaches nothing here
    from friendlyfl.controller.setup import create_site

    create_site(home, NAME)
    _copy(home, folder / "first-day.sqlite3")
    return home


def _copy(home: Home, to: Path) -> None:
    with sqlite3.connect(home.database) as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()


@contextmanager
def first_day() -> Iterator[Home]:
    """The site as it was made; whatever happens inside is undone at the end."""
    home = process_home()
    try:
        yield home
    finally:
        _restore(home)


def _restore(home: Home) -> None:
    from django.db import connection

    from friendlyfl.controller import chain, here, line, members, readings, runs, trials
    from friendlyfl.controller.agent import beat
    from friendlyfl.controller.portal import tries, watch
    from friendlyfl.core import faults

    readings.settle()
    connection.close()
    first = sqlite3.connect(home.folder.parent / "first-day.sqlite3")
    now = sqlite3.connect(home.database, timeout=20)
    first.backup(now)
    first.close()
    now.close()
    for pattern in ("run-*", "mail-password", "webhook-address"):
        for key in home.sub("keys").glob(pattern):
            key.unlink()
    for name in KEPT:
        shutil.rmtree(home.sub(name))
    home.create()
    here.keys()._runs.clear()
    for memory in (
        runs._folds,
        members._pins,
        members._epochs,
        members._run_keys,
        line._standings,
        line._routers,
        beat._reported,
        watch._stories,
    ):
        memory.clear()
    members._parsed.cache_clear()
    trials.trials.clear()
    chain.checks.clear()
    line._noted.update(at=0.0, trouble="", standing=0.0)
    tries._tries.clear()
    faults._hook = None

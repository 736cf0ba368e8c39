"""What is done ahead of the first person: it is what pages would do, and nothing on a page hangs on it."""

import subprocess
import sys

from friendlyfl.controller import here, runs
from friendlyfl.controller.models import RunEvent
from friendlyfl.controller.portal import ahead, watch
from friendlyfl.core import run as core_run
from tests.controller.portal.visitor import said, signed_in
from tests.controller.world import Consortium


def rows_read(run) -> int:
    """How many journal records a look at the run's page still has to read."""
    n, _story = watch._stories.get((run.uid, runs.RUN), (0, None))
    return RunEvent.objects.filter(run=run, side=runs.RUN, n__gt=n).count()


def test_journals_are_read_ahead_and_what_comes_after_is_seen(consortium: Consortium):
    run = consortium.computing()
    assert rows_read(run) > 0
    ahead.begin().join()
    assert rows_read(run) == 0
    client = signed_in("viewer")
    assert "No hospital has answered round 1" in said(client, f"/runs/{run.pk}/")
    runs.feed(run.uid, runs.RUN, core_run.Stop("adam", 9.0))
    assert "Stopped" in said(client, f"/runs/{run.pk}/") and "answered round 1" not in said(
        client, f"/runs/{run.pk}/status/"
    )


def test_live_runs_come_before_newer_ones_that_have_ended(consortium: Consortium, monkeypatch):
    run = consortium.computing()
    newer = consortium.world.consortium("Northfield", name="Later").start()
    runs.feed(newer.uid, runs.RUN, core_run.Stop("adam", 9.0))
    monkeypatch.setattr(ahead, "JOURNALS", 1)
    ahead.work()
    assert rows_read(run) == 0 and rows_read(newer) > 0


def test_what_breaks_ahead_stops_nothing_else(consortium: Consortium, monkeypatch):
    run = consortium.computing()
    monkeypatch.setattr(ahead.registry, "every", lambda: 1 / 0)
    ahead.work()
    assert rows_read(run) == 0


LOADED = """
import sys
from friendlyfl.controller import open_home
open_home(sys.argv[1])
from friendlyfl.controller.portal import ahead, uploads
uploads.application()
ahead.work()
loaded = set(sys.modules)
from django.test import Client
from friendlyfl.controller.models import Person
client = Client(SERVER_NAME="localhost")
client.force_login(Person.objects.create_user(username="adam", password="x", role="site-admin"))
for path in ("/", "/settings/analyses/", "/catalogue/", "/projects/", "/data/", "/runs/", "/ledger/"):
    assert client.get(path).status_code == 200, path
late = sorted(name for name in set(sys.modules) - loaded if name.split(".")[0] in ("friendlyfl", "scipy", "pandas"))
sys.exit(f"loaded on a click: {late}" if late else 0)
"""


def test_no_page_loads_modules_on_a_persons_click():
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(here.home().folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

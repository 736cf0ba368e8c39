"""The ledger: empty, with numbers and refusals, a line opened, the chain checked and broken."""

import time
from typing import Any

from tests.e2e.states import State


def full() -> int:
    """A run whose first round was sent, and one that a rule refused. Returns the line that holds numbers."""
    import numpy as np

    from friendlyfl.controller import contents, runs
    from friendlyfl.controller.models import Departure
    from friendlyfl.core import seat as core_seat
    from friendlyfl.wire.update import Update
    from tests.controller.world import World

    world = World()
    study = world.study("University Hospital Northfield", "Southgate", name="Low birth weight and smoking")
    run = study.ready()
    study.state(run).receive()
    part = {
        "n": np.array([12.0, 30.0, 18.0]),
        "score": np.array([0.25, -1.5e-7]),
        "information": np.eye(2) * 3.5,
        ".used": np.array(60.0),
    }
    digest = contents.keep(Update.of([part]).to_bytes())
    facts = {"what": "Logistic regression: totals over this hospital's rows (n, score, information)"}
    facts |= {"numbers": 10, "rows": 60, "rules": "rows 20, cell 5, ratio 0.33, rounds 100"}
    runs.job_done(study.job("local"), runs.SEAT, core_seat.UpdateMade(1, 1, digest, 3.0), facts)
    other = world.study("Westbrook", "Hilltop", name="Readmission within 30 days")
    second = other.ready()
    other.state(second).receive()
    runs.job_done(other.job("local"), runs.SEAT, core_seat.Refused(1, 1, "refused_cell", 3.0))
    return int(Departure.objects.get(type="update").n)


def checked() -> None:
    full()
    _check()


def broken() -> None:
    from friendlyfl.controller.models import Departure

    n = full()
    Departure.objects.filter(n=n).update(numbers=1)
    _check()


def _check() -> None:
    from friendlyfl.controller import chain

    work = chain.begin()
    while not work.done:
        time.sleep(0.02)


def wrong_day(page: Any) -> None:
    page.goto("/ledger/?since=soon")


STATES = {
    "ledger, empty": State("ledger", "/ledger/", role="viewer"),
    "ledger, full": State("ledger", "/ledger/", full, role="viewer"),
    "ledger, error": State("ledger", "/ledger/", full, "viewer", wrong_day, 400),
    "departure, opened": State("departure", "/ledger/{}/", full, role="site-admin"),
    "departure, viewer": State("departure", "/ledger/{}/", full, role="viewer"),
    "ledger_check, unbroken": State("ledger_check", "/ledger/check/", checked, role="viewer"),
    "ledger_check, broken": State("ledger_check", "/ledger/check/", broken, role="viewer"),
}

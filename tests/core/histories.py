"""Short ways to a run, or a seat, that stands where a test begins."""

from friendlyfl.core import run as core
from friendlyfl.core.run import Run
from friendlyfl.core.seat import Invited, Prepared, Seat, StateCame

A, B, C = "ash", "birch", "cedar"
PREPARE, ROUND = 100.0, 10.0  # seconds


def started(*sites: str, steps: int = 1, quorum: int | None = None) -> Run:
    run = Run()
    run.handle(core.Start(0.0, sites, steps, quorum or len(sites), PREPARE, ROUND))
    return run


def prepared(*sites: str, steps: int = 1, quorum: int | None = None) -> Run:
    """Everybody is ready; the first State is being made."""
    run = started(*sites, steps=steps, quorum=quorum)
    for site in sites:
        run.handle(core.Ready(site, 1.0))
    return run


def in_round(number: int, *sites: str, steps: int = 1, quorum: int | None = None) -> Run:
    """The State of this round of step 1 is out; nobody has answered it."""
    run = prepared(*sites, steps=steps, quorum=quorum)
    run.handle(core.StateMade(1, 1, "state 1", 2.0))
    for done in range(1, number):
        answer(run, *sites)
        run.handle(core.StateMade(1, done + 1, f"state {done + 1}", 2.0))
    return run


def answer(run: Run, *sites: str) -> list[core.Command]:
    """These sites answer the round that is out. Returns the last one's consequences."""
    told: list[core.Command] = []
    for site in sites:
        told = run.handle(core.UpdateCame(site, run.step, run.round, f"{site} {run.step}/{run.round}", 3.0))
    return told


def ready_seat(steps: int = 2) -> Seat:
    """A hospital that said it is ready and waits for the first State."""
    seat = Seat()
    seat.handle(Invited(0.0, steps, True, 50.0))
    seat.handle(Prepared(1.0))
    return seat


def computing_seat(steps: int = 2) -> Seat:
    seat = ready_seat(steps)
    seat.handle(StateCame(1, 1, "state", 2.0))
    return seat

"""Killed at any moment and started again: the Result has the same bits as if nothing had happened.

The faultpoints of core.faults lie between an intent, its effect and its done mark. One run takes several kills of one
program: each start of it is armed with the next faultpoint, and the last start runs on in peace.
"""

import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from friendlyfl.testing.consortium import Process
from tests.e2e.house import House

# A number says at which passing: later than the first, to die in a round and not while the data are checked.
INBOX = ("inbox.opened:2", "inbox.before_commit:2", "inbox.committed:1")
JOURNAL = ("journal.written:3", "feed.before_commit:2", "feed.committed:2", "job.marked:1")
AT_A_PARTICIPANT = {
    "inbox": INBOX,
    "journal": JOURNAL,
    "work": ("work.prepared:1", "work.before_local:1", "work.computed:2", "deliver.accepted:2"),
}
AT_THE_COORDINATOR = {
    "inbox": INBOX,
    "journal": JOURNAL,
    "work": (
        *("work.prepared:1", "deliver.here:1", "work.before_local:1", "work.computed:1"),
        *("work.before_combine:1", "work.combined:1", "deliver.accepted:1"),
    ),
}
# Every request passes here, polls and heartbeats too, so the numbers spread the kills over the run.
AT_THE_ROUTER = (
    "relay.before-commit:6",
    "relay.after-commit:9",
    "relay.before-commit:12",
    "relay.after-commit:8",
)


def places(known: Mapping[str, Sequence[str]]) -> list[Any]:
    """Each place by its name; all but the work itself take long enough to be left to `make test-slow`."""
    return [name if name == "work" else pytest.param(name, marks=pytest.mark.slow) for name in known]


def killed_at(house: House, process: Process, faultpoints: Sequence[str]) -> str:
    """A run in which the process dies at each of these places in turn; returns the Results as printed."""
    process.stop()
    process.start(**armed(faultpoints[0]))
    return dies_at(house, process, faultpoints, house.start_run())


def dies_at(house: House, process: Process, faultpoints: Sequence[str], number: int) -> str:
    """The process, armed with the first place, dies at each in turn while the run goes on."""
    began = time.monotonic()
    for faultpoint, following in zip(faultpoints, [*faultpoints[1:], ""], strict=True):
        house.wait(f"the kill at {faultpoint}", lambda: not process.alive, 30)
        print(f"{time.monotonic() - began:5.1f} s: killed at {faultpoint}")  # shown when the test fails
        assert process.returncode == -signal.SIGKILL, f"{faultpoint}: ended with {process.returncode}"
        process.launch(**armed(following))
    process.wait_ready()
    return house.succeed(number)


def armed(faultpoint: str) -> dict[str, str]:
    name, _, passing = faultpoint.partition(":")
    return {"FRIENDLYFL_FAULTPOINT": f"{name}:kill:{passing}"} if name else {}


@pytest.mark.parametrize("place", places(AT_A_PARTICIPANT))
def test_a_participant_is_killed(house: House, place: str) -> None:
    expected = house.reference
    assert killed_at(house, house.lake.process, AT_A_PARTICIPANT[place]) == expected


@pytest.mark.parametrize("place", places(AT_THE_COORDINATOR))
def test_the_coordinator_is_killed(house: House, place: str) -> None:
    expected = house.reference
    assert killed_at(house, house.marys.process, AT_THE_COORDINATOR[place]) == expected


def test_the_routing_server_is_killed(house: House) -> None:
    """Armed once the run is there: while nothing runs, polls pass its faultpoints too and would use them up."""
    expected = house.reference
    number = house.start_run()
    house.router.stop()
    house.router.launch(**armed(AT_THE_ROUTER[0]))
    assert dies_at(house, house.router, AT_THE_ROUTER, number) == expected


def test_all_three_are_killed_at_random_moments_of_one_run(house: House) -> None:
    expected = house.reference
    chance = random.Random()
    moments = {
        process: chance.uniform(0.3, 4.0)
        for process in (house.router, house.marys.process, house.north.process)
    }
    print("killed after", [f"{seconds:.2f} s" for seconds in moments.values()])  # shown when the test fails

    def kill(process: Process, seconds: float) -> None:
        time.sleep(seconds)
        process.kill()
        process.start()

    number = house.start_run()
    killers = [threading.Thread(target=kill, args=pair) for pair in moments.items()]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join()
    assert house.succeed(number) == expected

"""What another site says cannot make a machine raise, whatever it says and whenever.

Post passes core.moment before it is opened. Here one machine at a time stands between honest work of its own side
and any post at all from the other one.
"""

import copy
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import WireError
from friendlyfl.core.moment import TO_COORDINATOR, TO_SEAT, fits_run, fits_seat
from friendlyfl.core.run import FAILED, STOPPED, ImpossibleEvent
from friendlyfl.wire.message import TYPES
from tests.core.consortium import Side, StrictRun, StrictSeat
from tests.core.histories import A, B, C, answer, computing_seat, in_round, prepared, ready_seat, started

PLACES = {"step": st.integers(0, 3), "round_": st.integers(0, 6)}
SITES = st.sampled_from((A, B, C, "a stranger"))
MORE = settings(max_examples=100, stateful_step_count=30, deadline=None)


class CoordinatorUnderFire(RuleBasedStateMachine):
    @initialize(quorum=st.integers(1, 2), already=st.integers(0, 5))
    def start(self, quorum: int, already: int) -> None:
        self.side = Side(StrictRun(), core_run.unpack_event)
        self.now = 0.0
        self.jobs: list[Any] = []
        self.feed(core_run.Start(0.0, (A, B, C), 2, quorum, 100.0, 20.0))
        for site in (A, B, C) if already else ():
            self.feed(core_run.Ready(site, 0.0))
        for _ in range(already - 1):
            self.work("state", again=False)
            for site in (A, B, C):
                self.feed(core_run.UpdateCame(site, self.run.step, self.run.round, "u", self.now))

    @property
    def run(self) -> core_run.Run:
        machine: core_run.Run = self.side.machine
        return machine

    def feed(self, event: core_run.Event) -> None:
        for command in self.side.feed(event):
            if isinstance(command, core_run.Begin | core_run.Combine):
                self.jobs.append(command)

    @rule(site=SITES, type_=st.sampled_from(sorted(TO_COORDINATOR)), ready=st.booleans(), **PLACES)
    def any_post(self, site: str, type_: str, ready: bool, step: int, round_: int) -> None:
        try:
            fits = fits_run(self.run, type_, site, step, round_)
        except WireError:
            return
        event = {
            "ready": core_run.Ready(site, self.now) if ready else core_run.NotReady(site, "clock", self.now),
            "update": core_run.UpdateCame(site, step, round_, f"{site} {step}/{round_}", self.now),
            "trouble": core_run.Trouble(site, step, round_, "refused", self.now),
        }.get(type_)
        if fits and event is not None:
            self.feed(event)

    @rule()
    def everybody_answers(self) -> None:
        for site in self.run.active:
            if self.run.state == "running" and self.run.state_digest:
                self.feed(core_run.UpdateCame(site, self.run.step, self.run.round, "u", self.now))

    @precondition(lambda self: self.jobs)
    @rule(how=st.sampled_from(["state", "state", "done", "failed"]), again=st.booleans())
    def work(self, how: str, again: bool) -> None:
        job = self.jobs[0] if again else self.jobs.pop(0)
        if how == "failed":
            self.feed(core_run.JobFailed(job.step, job.round, "task_failed", self.now))
        elif isinstance(job, core_run.Begin):
            self.feed(core_run.StateMade(job.step, job.round, "state", self.now))
        elif how == "done":
            self.feed(core_run.StepDone(job.step, job.round, "result", self.now))
        else:
            self.feed(core_run.StateMade(job.step, job.round + 1, "state", self.now))

    @rule(site=SITES)
    def leave(self, site: str) -> None:
        self.feed(core_run.Left(site, self.now))

    @rule(seconds=st.sampled_from([0.0, 5.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(core_run.Tick(self.now))

    @rule()
    def kill(self) -> None:
        self.side.kill()


class HospitalUnderFire(RuleBasedStateMachine):
    @initialize(approved=st.booleans(), at_work=st.booleans())
    def start(self, approved: bool, at_work: bool) -> None:
        self.side = Side(StrictSeat(), core_seat.unpack_event)
        self.now = 0.0
        self.jobs: list[Any] = []
        if at_work:
            self.feed(core_seat.Invited(self.now, 2, True, 60.0))
            self.work(well=True, again=False)
        elif approved:
            self.feed(core_seat.Invited(self.now, 2, False, 60.0))

    @property
    def seat(self) -> core_seat.Seat:
        machine: core_seat.Seat = self.side.machine
        return machine

    def feed(self, event: core_seat.Event) -> None:
        for command in self.side.feed(event):
            if isinstance(command, core_seat.Prepare | core_seat.Compute):
                self.jobs.append(command)

    @rule(type_=st.sampled_from(sorted(TO_SEAT)), approved=st.booleans(), **PLACES)
    def any_post(self, type_: str, approved: bool, step: int, round_: int) -> None:
        try:
            fits = fits_seat(self.seat, type_, step, round_)
        except WireError:
            return
        outcome = FAILED if approved else STOPPED
        events: dict[str, core_seat.Event] = {
            "run-invite": core_seat.Invited(self.now, 2, approved, 60.0),
            "state": core_seat.StateCame(step, round_, "state", self.now),
            "result": core_seat.ResultCame(step, "result", step == 2, self.now),
            "stop": core_seat.Ended(outcome, "late", self.now),
        }
        if fits:
            self.feed(events[type_])

    @rule()
    def the_next_state(self) -> None:
        if self.seat.state in ("running", "aggregating"):
            self.feed(core_seat.StateCame(max(self.seat.step, 1), self.seat.round + 1, "state", self.now))

    @precondition(lambda self: self.jobs)
    @rule(well=st.sampled_from([True, True, True, False]), again=st.booleans())
    def work(self, well: bool, again: bool) -> None:
        job = self.jobs[0] if again else self.jobs.pop(0)
        if isinstance(job, core_seat.Prepare):
            self.feed(core_seat.Prepared(self.now) if well else core_seat.PrepareFailed("clock", self.now))
        elif well:
            self.feed(core_seat.UpdateMade(job.step, job.round, "update", self.now))
        else:
            self.feed(core_seat.Refused(job.step, job.round, "refused_rows", self.now))

    @precondition(lambda self: self.seat.state)
    @rule(yes=st.booleans())
    def decide(self, yes: bool) -> None:
        self.feed(core_seat.Approved(self.now) if yes else core_seat.PrepareFailed("declined", self.now))

    @precondition(lambda self: self.seat.state)
    @rule(seconds=st.sampled_from([0.0, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(core_run.Tick(self.now))

    @rule()
    def kill(self) -> None:
        self.side.kill()


TestCoordinatorUnderFire = CoordinatorUnderFire.TestCase
TestCoordinatorUnderFire.settings = MORE
TestHospitalUnderFire = HospitalUnderFire.TestCase
TestHospitalUnderFire.settings = MORE


def test_every_type_of_post_that_belongs_to_a_run_is_judged_on_one_side_or_the_other() -> None:
    of_runs = {name for name, kind in TYPES.items() if kind.in_run}
    assert of_runs == TO_COORDINATOR | TO_SEAT
    assert not TO_COORDINATOR & TO_SEAT


# --- the same, one rule at a time ---


@pytest.mark.parametrize("type_", ["update", "trouble", "progress"])
@pytest.mark.parametrize("place", [(1, 3), (2, 1), (0, 0), (1, 0), (0, 1)])
def test_the_coordinator_refuses_post_of_a_round_that_was_never_sent(
    type_: str, place: tuple[int, int]
) -> None:
    with pytest.raises(WireError) as refused:
        fits_run(in_round(2, A, B), type_, A, *place)
    assert refused.value.code == "unknown_round"


@pytest.mark.parametrize("type_", sorted(TO_COORDINATOR))
def test_a_member_without_a_seat_has_no_say_in_a_run(type_: str) -> None:
    with pytest.raises(WireError) as refused:
        fits_run(in_round(1, A), type_, B, *((0, 0) if type_ == "ready" else (1, 1)))
    assert refused.value.code == "no_seat"


def test_a_ready_before_the_start_is_written_waits() -> None:
    assert not fits_run(core_run.Run(), "ready", A, 0, 0)
    assert fits_run(started(A), "ready", A, 0, 0)


@pytest.mark.parametrize(("type_", "place"), [("ready", (1, 1)), ("ready", (0, 1))])
def test_who_is_ready_says_so_in_one_slot_only(type_: str, place: tuple[int, int]) -> None:
    with pytest.raises(WireError) as refused:
        fits_run(started(A), type_, A, *place)
    assert refused.value.code == "wrong_place"


def test_stragglers_and_logs_are_let_in() -> None:
    run = in_round(2, A, B)
    answer(run, A, B)
    for type_, place in (("update", (1, 1)), ("trouble", (1, 1)), ("log", (0, 0)), ("log", (7, 7))):
        assert fits_run(run, type_, A, *place)
    assert fits_run(prepared(A), "ready", A, 0, 0)


def test_numbers_wait_until_the_hospital_is_ready_for_them() -> None:
    standby = core_seat.Seat()
    assert not fits_seat(standby, "stop", 0, 0)
    standby.handle(core_seat.Invited(0.0, 2, False, 60.0))
    assert not fits_seat(standby, "state", 1, 1)
    assert fits_seat(ready_seat(), "state", 1, 1)
    for seat in (standby, ready_seat(), computing_seat()):
        assert not fits_seat(seat, "result", 1, 1)
        assert fits_seat(seat, "stop", 0, 0)


@pytest.mark.parametrize(
    ("type_", "place", "code"),
    [
        ("run-invite", (0, 0), "second_invite"),
        ("run-invite", (1, 0), "wrong_place"),
        ("stop", (1, 1), "wrong_place"),
        ("state", (3, 1), "unknown_round"),
        ("state", (0, 0), "unknown_round"),
        ("result", (3, 1), "unknown_round"),
        ("result", (1, 0), "unknown_round"),
    ],
)
def test_a_hospital_refuses_what_its_plan_has_no_place_for(
    type_: str, place: tuple[int, int], code: str
) -> None:
    with pytest.raises(WireError) as refused:
        fits_seat(computing_seat(steps=2), type_, *place)
    assert refused.value.code == code


def test_an_impossible_event_changes_no_machine() -> None:
    for machine, event in (
        (in_round(1, A, B), core_run.UpdateCame(A, 2, 1, "u", 1.0)),
        (ready_seat(), core_seat.ResultCame(1, "r", False, 1.0)),
    ):
        before = copy.deepcopy(machine)
        with pytest.raises(ImpossibleEvent):
            machine.handle(event)  # type: ignore[arg-type]
        assert machine == before

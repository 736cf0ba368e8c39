"""The rules of a hospital's part in a run, one test a rule."""

import copy

import pytest

from friendlyfl.core.run import (
    AGGREGATING,
    FAILED,
    MOVES,
    PREPARING,
    RUNNING,
    STANDBY,
    STOPPED,
    SUCCEEDED,
    ImpossibleEvent,
    Tick,
)
from friendlyfl.core.seat import (
    Approved,
    Close,
    Compute,
    Ended,
    Event,
    Invited,
    Prepare,
    Prepared,
    PrepareFailed,
    Refused,
    ResultCame,
    Seat,
    SendNotReady,
    SendReady,
    SendTrouble,
    SendUpdate,
    StateCame,
    UpdateMade,
)
from tests.core.histories import computing_seat, ready_seat


def answered_seat(steps: int = 2) -> Seat:
    seat = computing_seat(steps)
    seat.handle(UpdateMade(1, 1, "update", 3.0))
    return seat


def test_a_part_of_two_steps_from_invitation_to_result() -> None:
    seat = Seat()
    assert seat.handle(Invited(0.0, 2, False, 50.0)) == []
    assert seat.state == STANDBY
    assert seat.handle(Approved(1.0)) == [Prepare()]
    assert seat.state == PREPARING
    assert seat.handle(Prepared(2.0)) == [SendReady()]
    assert seat.handle(StateCame(1, 1, "s11", 3.0)) == [Compute(1, 1, "s11")]
    assert seat.state == RUNNING
    assert seat.handle(UpdateMade(1, 1, "u11", 4.0)) == [SendUpdate(1, 1, "u11")]
    assert seat.state == AGGREGATING
    assert seat.handle(ResultCame(1, "r1", False, 5.0)) == []
    assert seat.handle(StateCame(2, 1, "s21", 6.0)) == [Compute(2, 1, "s21")]
    assert seat.handle(UpdateMade(2, 1, "u21", 7.0)) == [SendUpdate(2, 1, "u21")]
    assert seat.handle(ResultCame(2, "r2", True, 8.0)) == [Close(SUCCEEDED, "")]
    assert seat.results == {1: "r1", 2: "r2"}


def test_a_plan_that_was_approved_before_is_prepared_at_once() -> None:
    assert Seat().handle(Invited(0.0, 1, True, 50.0)) == [Prepare()]


def test_who_declines_or_cannot_prepare_says_so_and_is_done() -> None:
    for approved, code in ((False, "declined"), (True, "column_missing")):
        seat = Seat()
        seat.handle(Invited(0.0, 1, approved, 50.0))
        assert seat.handle(PrepareFailed(code, 1.0)) == [SendNotReady(code), Close(FAILED, code)]


def test_taking_the_approval_back_does_not_touch_a_part_under_way() -> None:
    seat = computing_seat()
    before = copy.deepcopy(seat)
    assert seat.handle(PrepareFailed("declined", 9.0)) == []
    assert seat == before


def test_a_rule_that_refuses_ends_the_part_and_sends_its_code_only() -> None:
    assert computing_seat().handle(Refused(1, 1, "refused_rows", 3.0)) == [
        SendTrouble(1, 1, "refused_rows"),
        Close(FAILED, "refused_rows"),
    ]


def test_a_state_for_a_step_begun_again_replaces_what_is_being_computed() -> None:
    seat = computing_seat()
    assert seat.handle(StateCame(1, 3, "afresh", 3.0)) == [Compute(1, 3, "afresh")]
    before = copy.deepcopy(seat)
    assert seat.handle(UpdateMade(1, 1, "old", 4.0)) == []
    assert seat.handle(Refused(1, 1, "refused_rows", 4.0)) == []
    assert seat == before


@pytest.mark.parametrize(
    ("seat", "again"),
    [
        (computing_seat(), StateCame(1, 1, "another", 9.0)),
        (computing_seat(), Prepared(9.0)),
        (computing_seat(), Approved(9.0)),
        (answered_seat(), UpdateMade(1, 1, "another", 9.0)),
        (answered_seat(), Refused(1, 1, "refused_rows", 9.0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_same_again_changes_nothing(seat: Seat, again: Event) -> None:
    before = copy.deepcopy(seat)
    assert seat.handle(again) == []
    assert seat == before


def test_a_result_that_comes_again_changes_nothing_not_even_the_patience() -> None:
    seat = answered_seat()
    seat.handle(ResultCame(1, "r", False, 5.0))
    before = copy.deepcopy(seat)
    assert seat.handle(ResultCame(1, "r", False, 30.0)) == []
    assert seat == before


def test_a_result_of_the_step_before_may_come_after_the_next_state() -> None:
    seat = answered_seat()
    seat.handle(StateCame(2, 1, "s21", 5.0))
    assert seat.handle(ResultCame(1, "r", False, 6.0)) == []
    assert (seat.state, seat.results) == (RUNNING, {1: "r"})


@pytest.mark.parametrize(
    ("seat", "event"),
    [
        (Seat(), Approved(1.0)),
        (Seat(), Ended(STOPPED, "", 1.0)),
        (ready_seat(), Invited(1.0, 2, True, 50.0)),
        (ready_seat(), ResultCame(1, "r", False, 3.0)),
        (ready_seat(), UpdateMade(1, 1, "u", 3.0)),
        (computing_seat(), StateCame(3, 1, "s", 3.0)),
        (computing_seat(), UpdateMade(1, 2, "u", 3.0)),
        (computing_seat(), Refused(1, 2, "refused_rows", 3.0)),
        (computing_seat(), ResultCame(1, "r", False, 3.0)),
        (computing_seat(), Ended(SUCCEEDED, "", 3.0)),
        (computing_seat(), Ended(RUNNING, "", 3.0)),
        (answered_seat(), ResultCame(2, "r", True, 4.0)),
        (answered_seat(), ResultCame(1, "r", True, 4.0)),
        (answered_seat(1), ResultCame(1, "r", False, 4.0)),
    ],
    ids=repr,
)
def test_what_cannot_have_happened_raises_and_changes_nothing(seat: Seat, event: Event) -> None:
    before = copy.deepcopy(seat)
    with pytest.raises(ImpossibleEvent):
        seat.handle(event)
    assert seat == before


@pytest.mark.parametrize("event", [StateCame(1, 1, "s", 1.0), ResultCame(1, "r", False, 1.0)], ids=repr)
@pytest.mark.parametrize("approved", [False, True])
def test_numbers_of_a_run_cannot_come_before_this_hospital_is_ready(event: Event, approved: bool) -> None:
    seat = Seat()
    seat.handle(Invited(0.0, 1, approved, 50.0))
    with pytest.raises(ImpossibleEvent):
        seat.handle(event)


def test_data_cannot_have_been_prepared_before_the_plan_was_approved() -> None:
    seat = Seat()
    seat.handle(Invited(0.0, 1, False, 50.0))
    with pytest.raises(ImpossibleEvent):
        seat.handle(Prepared(1.0))


def test_a_stop_works_at_any_time_and_twice() -> None:
    standby = Seat()
    standby.handle(Invited(0.0, 1, False, 50.0))
    for seat in (standby, ready_seat(), computing_seat(), answered_seat()):
        assert seat.handle(Ended(STOPPED, "stopped_by", 4.0)) == [Close(STOPPED, "stopped_by")]
        assert seat.handle(Ended(FAILED, "late", 5.0)) == []
        assert (seat.state, seat.reason) == (STOPPED, "stopped_by")


def test_a_coordinator_that_is_silent_too_long_is_lost_and_every_state_of_its_starts_the_wait_anew() -> None:
    seat = ready_seat()
    assert seat.handle(Tick(49.9)) == []
    seat.handle(StateCame(1, 1, "s", 40.0))
    assert seat.handle(Tick(89.9)) == []
    assert seat.handle(Tick(90.0)) == [Close(FAILED, "coordinator_lost")]


def test_a_seat_that_was_never_taken_has_no_deadline() -> None:
    assert Seat().deadline is None


def test_every_end_of_a_seat_is_a_move_of_the_runs_table() -> None:
    assert SUCCEEDED not in MOVES[RUNNING]  # only who answered can have a result

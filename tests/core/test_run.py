"""The rules of a run, one test a rule, as its coordinator's machine keeps them."""

import copy

import pytest

from friendlyfl.core import run as core
from friendlyfl.core.run import (
    AGGREGATING,
    ENDED,
    FAILED,
    MOVES,
    PREPARING,
    RUNNING,
    STANDBY,
    STOPPED,
    SUCCEEDED,
    Begin,
    Close,
    Combine,
    ImpossibleEvent,
    Invite,
    JobFailed,
    Left,
    NotReady,
    Ready,
    Run,
    SendResult,
    SendState,
    SendStop,
    Start,
    StateMade,
    StepDone,
    Stop,
    Tick,
    Trouble,
    UpdateCame,
)
from tests.core.histories import PREPARE, ROUND, A, B, C, answer, in_round, prepared, started


def restarted_from_aggregating() -> Run:
    """Cedar is lost while round 2 is added up: the step begins again, as round 4."""
    run = in_round(2, A, B, C, quorum=2)
    answer(run, A, B, C)
    assert run.handle(Left(C, 4.0))[-1] == Begin(1, 4)
    return run


# --- the ordinary way ---


def test_a_run_of_two_steps_from_start_to_result() -> None:
    run = Run()
    assert run.handle(Start(0.0, (A, B), 2, 2, PREPARE, ROUND)) == [Invite((A, B))]
    assert run.state == STANDBY
    assert run.handle(Ready(A, 1.0)) == []
    assert run.state == PREPARING
    assert run.handle(Ready(B, 2.0)) == [Begin(1, 1)]
    assert run.handle(StateMade(1, 1, "s11", 3.0)) == [SendState(1, 1, "s11", (A, B))]
    assert run.state == RUNNING
    assert run.handle(UpdateCame(B, 1, 1, "b", 4.0)) == []
    assert run.handle(UpdateCame(A, 1, 1, "a", 5.0)) == [Combine(1, 1, "s11", ((A, "a"), (B, "b")))]
    assert run.state == AGGREGATING
    assert run.handle(StateMade(1, 2, "s12", 6.0)) == [SendState(1, 2, "s12", (A, B))]
    answer(run, A, B)
    assert run.handle(StepDone(1, 2, "r1", 7.0)) == [SendResult(1, 2, "r1", (A, B), False), Begin(2, 1)]
    run.handle(StateMade(2, 1, "s21", 8.0))
    answer(run, A, B)
    done = run.handle(StepDone(2, 1, "r2", 9.0))
    assert done == [SendResult(2, 1, "r2", (A, B), True), Close(SUCCEEDED, "")]
    assert (run.state, run.results, run.deadline) == (SUCCEEDED, {1: "r1", 2: "r2"}, None)


def test_updates_are_combined_in_the_order_of_seats_whoever_answers_first() -> None:
    run = in_round(1, A, B, C)
    (combine,) = answer(run, C, A, B)
    assert isinstance(combine, Combine)
    assert [site for site, _ in combine.updates] == [A, B, C]


def test_an_ended_state_has_no_way_out_and_every_other_can_fail_or_be_stopped() -> None:
    assert {SUCCEEDED, FAILED, STOPPED} == ENDED
    assert all({FAILED, STOPPED} <= moves for state, moves in MOVES.items() if state not in ENDED)


# --- once, and in its own time ---


def test_the_same_post_again_changes_nothing() -> None:
    run = in_round(1, A, B)
    answer(run, A)
    for again in (
        Ready(A, 9.0),
        UpdateCame(A, 1, 1, "another", 9.0),
        StateMade(1, 1, "another", 9.0),
    ):
        before = copy.deepcopy(run)
        assert run.handle(again) == []
        assert run == before


def test_an_update_of_an_earlier_round_is_not_used() -> None:
    run = in_round(2, A, B)
    assert run.handle(UpdateCame(A, 1, 1, "old", 9.0)) == []
    assert run.updates == {}


def test_post_for_a_finished_run_changes_nothing() -> None:
    run = in_round(1, A)
    run.handle(Stop("Ada", 4.0))
    before = copy.deepcopy(run)
    late: list[core.Event] = [
        UpdateCame(A, 1, 1, "u", 5.0),
        Trouble(A, 1, 1, "late", 5.0),
        Left(A, 5.0),
        Tick(1e9),
    ]
    late += [StateMade(1, 2, "s", 5.0), StepDone(1, 1, "r", 5.0), JobFailed(1, 1, "task_failed", 5.0)]
    assert [run.handle(event) for event in [*late, Stop("Ada", 6.0)]] == [[]] * 8
    assert run == before


@pytest.mark.parametrize(
    "event",
    [
        Start(0.0, (A,), 1, 1, PREPARE, ROUND),
        Ready("nobody", 1.0),
        UpdateCame("nobody", 1, 1, "u", 1.0),
        UpdateCame(A, 1, 2, "u", 1.0),
        UpdateCame(A, 2, 1, "u", 1.0),
        Trouble(A, 1, 2, "refused", 1.0),
        StateMade(1, 2, "s", 1.0),
        StateMade(2, 1, "s", 1.0),
        StepDone(1, 2, "r", 1.0),
        StepDone(2, 1, "r", 1.0),
        JobFailed(1, 2, "task_failed", 1.0),
        JobFailed(2, 1, "task_failed", 1.0),
    ],
    ids=repr,
)
def test_what_cannot_have_happened_while_round_1_is_out_raises_and_changes_nothing(event: core.Event) -> None:
    run = in_round(1, A, B)
    before = copy.deepcopy(run)
    with pytest.raises(ImpossibleEvent):
        run.handle(event)
    assert run == before


@pytest.mark.parametrize("event", [Ready(A, 1.0), Stop("Ada", 1.0), Tick(1.0), Left(A, 1.0)], ids=repr)
def test_nothing_happens_before_start(event: core.Event) -> None:
    with pytest.raises(ImpossibleEvent):
        Run().handle(event)


@pytest.mark.parametrize(
    ("sites", "steps", "quorum"), [((), 1, 0), ((A,), 0, 1), ((A,), 1, 2), ((A, B), 1, 0), ((A, A), 1, 1)]
)
def test_a_run_that_could_never_end_well_does_not_start(
    sites: tuple[str, ...], steps: int, quorum: int
) -> None:
    with pytest.raises(ImpossibleEvent):
        Run().handle(Start(0.0, sites, steps, quorum, PREPARE, ROUND))


# --- who is lost, and what that does ---


def test_below_quorum_the_run_fails_with_the_reason_and_everybody_is_told() -> None:
    run = in_round(1, A, B, C, quorum=3)
    told = run.handle(Trouble(B, 1, 1, "refused_rows", 4.0))
    assert told == [
        SendStop((B,), FAILED, "refused_rows"),
        SendStop((A, C), FAILED, "below_quorum:refused_rows"),
        Close(FAILED, "below_quorum:refused_rows"),
    ]
    lost = run.seats[B]
    assert (lost.status, lost.reason, lost.step, lost.round) == ("left", "refused_rows", 1, 1)


def test_a_site_lost_in_the_first_round_of_a_step_is_simply_left_out() -> None:
    run = in_round(1, A, B, C, quorum=2)
    answer(run, A, C)
    told = run.handle(Trouble(B, 1, 1, "refused_rows", 4.0))
    assert told[0] == SendStop((B,), STOPPED, "refused_rows")
    assert told[1] == Combine(1, 1, "state 1", ((A, f"{A} 1/1"), (C, f"{C} 1/1")))


def test_a_site_that_takes_its_answer_back_before_the_sum_is_not_in_it() -> None:
    run = in_round(1, A, B, C, quorum=2)
    answer(run, A, B)
    run.handle(Trouble(B, 1, 1, "dataset_changed", 4.0))
    (combine,) = answer(run, C)
    assert isinstance(combine, Combine)
    assert [site for site, _ in combine.updates] == [A, C]


def test_a_site_lost_in_a_later_round_begins_the_step_again_without_it() -> None:
    run = in_round(3, A, B, C, quorum=2)
    answer(run, A)
    assert run.handle(Trouble(B, 1, 3, "refused_cell", 4.0)) == [
        SendStop((B,), STOPPED, "refused_cell"),
        Begin(1, 5),
    ]
    assert run.handle(StateMade(1, 5, "afresh", 5.0)) == [SendState(1, 5, "afresh", (A, C))]
    (combine,) = answer(run, A, C)
    assert isinstance(combine, Combine)
    assert (combine.round, combine.state) == (5, "afresh")


@pytest.mark.parametrize("number", [1, 2])
def test_a_site_lost_while_aggregating_begins_the_step_again(number: int) -> None:
    run = in_round(number, A, B, C, quorum=2)
    answer(run, A, B, C)
    told = run.handle(Left(C, 4.0))
    assert told == [SendStop((C,), STOPPED, "left_project"), Begin(1, number + 2)]
    assert run.state == RUNNING


def test_the_sum_that_still_holds_a_lost_site_leads_nowhere() -> None:
    for outcome in (StateMade(1, 3, "s", 5.0), StepDone(1, 2, "r", 5.0), JobFailed(1, 2, "task_failed", 5.0)):
        run = restarted_from_aggregating()
        before = copy.deepcopy(run)
        assert run.handle(outcome) == []
        assert run == before


def test_a_failed_begin_after_a_restart_ends_the_run() -> None:
    run = restarted_from_aggregating()
    assert run.handle(JobFailed(1, 4, "task_failed", 5.0))[-1] == Close(FAILED, "job_failed:task_failed")


def test_no_deadline_runs_while_the_coordinator_itself_is_at_work() -> None:
    for run in (prepared(A, B), restarted_from_aggregating()):
        assert run.deadline is None
        assert run.handle(Tick(1e9)) == []


def test_a_site_lost_between_begin_and_the_first_state_is_not_sent_it() -> None:
    run = prepared(A, B, C, quorum=2)
    assert run.handle(Left(B, 2.0)) == [SendStop((B,), STOPPED, "left_project")]
    assert run.handle(StateMade(1, 1, "s", 3.0)) == [SendState(1, 1, "s", (A, C))]


def test_a_second_site_lost_while_a_restart_is_pending_begins_nothing_twice() -> None:
    run = restarted_from_aggregating()
    run.quorum = 1
    assert run.handle(Left(B, 5.0)) == [SendStop((B,), STOPPED, "left_project")]
    assert run.handle(StateMade(1, 4, "s", 6.0)) == [SendState(1, 4, "s", (A,))]


def test_two_sites_lost_in_different_rounds_count_together_against_the_quorum() -> None:
    run = in_round(2, A, B, C, quorum=2)
    run.handle(Trouble(A, 1, 2, "task_failed", 4.0))
    run.handle(StateMade(1, 4, "s", 5.0))
    told = run.handle(Trouble(B, 1, 4, "refused_rows", 6.0))
    assert told[-1] == Close(FAILED, "below_quorum:refused_rows")
    assert told[1] == SendStop((C,), FAILED, "below_quorum:refused_rows")


def test_a_site_in_trouble_is_lost_even_when_its_word_is_about_a_round_begun_again() -> None:
    """Two hospitals refuse the same round; the first word begins the step again before the second one comes.

    The second hospital has ended its part as well. Waiting for it would cost a deadline and end as "late".
    """
    run = in_round(2, A, B, C, quorum=1)
    assert run.handle(Trouble(A, 1, 2, "refused_rows", 4.0))[-1] == Begin(1, 4)
    assert run.handle(Trouble(B, 1, 2, "refused_rows", 4.0)) == [SendStop((B,), STOPPED, "refused_rows")]
    assert (run.active, run.seats[B].reason) == ((C,), "refused_rows")


def test_a_site_that_left_once_cannot_be_lost_again() -> None:
    run = in_round(1, A, B, C, quorum=2)
    run.handle(Left(B, 4.0))
    before = copy.deepcopy(run)
    for event in (Left(B, 5.0), Trouble(B, 1, 1, "late", 5.0), UpdateCame(B, 1, 1, "u", 5.0), Ready(B, 5.0)):
        assert run.handle(event) == []
    assert run == before


def test_a_member_that_joined_after_the_start_may_leave_without_touching_the_run() -> None:
    run = in_round(1, A, B)
    before = copy.deepcopy(run)
    assert run.handle(Left("a later member", 4.0)) == []
    assert run == before


def test_a_bad_update_found_in_the_sum_costs_its_site_and_a_new_beginning() -> None:
    run = in_round(1, A, B, quorum=1)
    answer(run, A, B)
    assert run.handle(Trouble(B, 1, 1, "bad_update", 4.0)) == [
        SendStop((B,), STOPPED, "bad_update"),
        Begin(1, 3),
    ]


# --- getting ready ---


def test_a_hospital_that_is_not_ready_is_left_out_if_the_quorum_allows() -> None:
    run = started(A, B, quorum=1)
    assert run.handle(NotReady(A, "column_missing", 1.0)) == [SendStop((A,), STOPPED, "column_missing")]
    assert run.state == PREPARING
    assert run.handle(Ready(B, 2.0)) == [Begin(1, 1)]


def test_not_ready_after_ready_changes_nothing() -> None:
    run = prepared(A, B)
    before = copy.deepcopy(run)
    assert run.handle(NotReady(A, "declined", 5.0)) == []
    assert run == before


def test_a_site_that_leaves_in_standby_ends_only_its_own_part() -> None:
    run = started(A, B, quorum=1)
    assert run.handle(Left(A, 1.0)) == [SendStop((A,), STOPPED, "left_project")]
    assert run.state == STANDBY
    assert run.handle(Ready(B, 2.0)) == [Begin(1, 1)]


# --- deadlines ---


def test_who_is_not_ready_at_the_deadline_is_late() -> None:
    run = started(A, B, C, quorum=2)
    run.handle(Ready(A, 1.0))
    run.handle(Ready(C, 1.0))
    assert run.handle(Tick(PREPARE - 0.1)) == []
    assert run.handle(Tick(PREPARE)) == [SendStop((B,), STOPPED, "late"), Begin(1, 1)]


def test_nobody_ready_at_the_deadline_fails_the_run() -> None:
    run = started(A, B, quorum=1)
    assert run.handle(Tick(PREPARE))[-1] == Close(FAILED, "below_quorum:late")


def test_who_has_not_answered_at_the_deadline_is_late_and_the_others_go_on() -> None:
    run = in_round(1, A, B, C, quorum=2)
    answer(run, A, C)
    told = run.handle(Tick(2.0 + ROUND))
    assert told[0] == SendStop((B,), STOPPED, "late")
    assert isinstance(told[1], Combine)
    assert run.handle(UpdateCame(B, 1, 1, "too late", 13.0)) == []


def test_a_deadline_that_passed_is_not_held_against_the_next_round() -> None:
    run = in_round(1, A, B)
    answer(run, A, B)
    run.handle(StateMade(1, 2, "s", 50.0))
    assert run.handle(Tick(50.0 + ROUND - 0.1)) == []
    assert run.handle(Tick(50.0 + ROUND))[-1] == Close(FAILED, "below_quorum:late")


# --- stop, and the coordinator's own failure ---


def test_stop_works_in_every_state_and_reaches_everybody_still_in() -> None:
    aggregating = in_round(1, A, B)
    answer(aggregating, A, B)
    for run in (started(A, B), prepared(A, B), in_round(1, A, B), aggregating):
        assert run.handle(Stop("Ada", 4.0)) == [
            SendStop((A, B), STOPPED, "stopped_by:Ada"),
            Close(STOPPED, "stopped_by:Ada"),
        ]


def test_the_coordinators_own_failed_job_fails_the_run() -> None:
    aggregating = in_round(1, A, B)
    answer(aggregating, A, B)
    for run in (prepared(A, B), aggregating):
        told = run.handle(JobFailed(1, 1, "out_of_memory", 4.0))
        assert told == [
            SendStop((A, B), FAILED, "job_failed:out_of_memory"),
            Close(FAILED, "job_failed:out_of_memory"),
        ]


def test_a_jobs_outcome_of_the_step_before_changes_nothing() -> None:
    run = in_round(1, A, B, steps=2)
    answer(run, A, B)
    run.handle(StepDone(1, 1, "r", 4.0))
    before = copy.deepcopy(run)
    for old in (StepDone(1, 1, "r", 5.0), StateMade(1, 1, "s", 5.0), JobFailed(1, 1, "task_failed", 5.0)):
        assert run.handle(old) == []
    assert run == before

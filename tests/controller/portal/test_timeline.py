"""The story of a run, told from whole histories: journals as they were recorded, and what the page makes of them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from friendlyfl.controller.portal.endings import ending
from friendlyfl.controller.portal.round_chart import Point, chart, figure
from friendlyfl.controller.portal.standing import Now, run_sentence, seat_sentence, short, site_rows, span
from friendlyfl.controller.portal.story import RunStory, SeatStory
from friendlyfl.controller.portal.timeline import told
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.run import NotReady, Ready, StateMade, StepDone, Stop, Tick, Trouble, UpdateCame
from friendlyfl.tasks.base import Quality

MARYS, NORTH, LAKE = "m" * 36, "n" * 36, "l" * 36
NAMES = {MARYS: "St Mary's", NORTH: "Northfield", LAKE: "Lakeside"}
TEN = 36_000.0  # ten o'clock of the first day


def begin(quorum: int = 3, steps: int = 1, deadline: float = 600.0) -> core_run.Start:
    return core_run.Start(TEN, (MARYS, NORTH, LAKE), steps, quorum, 7200.0, deadline)


def story(*events: Any) -> RunStory:
    made = RunStory()
    for event in events:
        made.take(event)
    return made


def seat(*events: Any) -> SeatStory:
    made = SeatStory()
    for event in events:
        made.take(event)
    return made


def now(after: float, **known: Any) -> Now:
    usual = {"titles": ("Logistic regression",), "most": (50,), "names": NAMES, "coordinator": "St Mary's"}
    return Now(at=TEN + after, here=MARYS, **{**usual, **known})


def words(of: Any, at: Now) -> list[str]:
    return [line.words for line in told(of, at)]


ready = [Ready(site, TEN + 10.0) for site in NAMES]
TWO = ("Table one", "Logistic regression")


def rounds(step: int, begins: float, count: int, sites: Any = NAMES, first: int = 1) -> list[Any]:
    """So many rounds of ten seconds, all answered; the last one is not combined yet."""
    events: list[Any] = []
    for number in range(first, first + count):
        at = begins + 10.0 * (number - first)
        events.append(StateMade(step, number, f"state-{step}-{number}", at))
        events += [UpdateCame(site, step, number, f"u-{site}", at + 5.0) for site in sites]
    return events


# --- a coordinator ---


def test_while_hospitals_are_asked_each_line_says_who_has_to_act():
    asked = story(begin())
    at = now(7000.0, approved=frozenset({LAKE}))
    assert words(asked, at) == [
        "Three hospitals were asked to take part",
        "Waiting for Northfield: a person there has to approve, asked 1 hour ago",
        "Checking the data here, asked 1 hour ago",
        "Waiting for Lakeside: it checks its data, asked 1 hour ago",
    ]
    last = told(asked, at)[-1]
    assert last.then == "The plan asks for three of three hospitals: with fewer by 12:00 UTC the run ends."
    assert run_sentence(asked, at) == "Waiting for three hospitals to begin."
    assert [row.words for row in site_rows(asked, at)] == [
        "Checking its data",
        "Has to approve",
        "Checking its data",
    ]
    asked.take(Ready(NORTH, TEN + 7001.0))
    assert run_sentence(asked, at) == "One of three hospitals is ready."


def test_a_round_at_hand():
    running = story(begin(), *ready, *rounds(1, TEN + 20, 3), StateMade(1, 4, "s4", TEN + 50))
    running.take(UpdateCame(NORTH, 1, 4, "u", TEN + 51))
    at = now(53.0, told={MARYS: (0.3, TEN + 52)})
    assert run_sentence(running, at) == "One of three hospitals has answered round 4 of at most 50."
    assert words(running, at) == [
        "Three hospitals were asked to take part",
        "Three hospitals are ready",
        "Logistic regression: round 4 of at most 50",
        "Computing here, 30% done",
        "Lakeside computes",
    ]
    running.take(UpdateCame(MARYS, 1, 4, "u", TEN + 54))
    assert run_sentence(running, at) == "Two of three hospitals have answered round 4 of at most 50."
    late = now(50.0 + 130.0)
    assert words(running, late)[-1] == "Waiting for Lakeside: it has not answered for 2 minutes"
    assert told(running, late)[-1].then.startswith(
        "The plan asks for three of three hospitals: with fewer by 10:10 UTC"
    )
    # Who tells how far it is has not gone silent.
    assert words(running, now(180.0, told={LAKE: (0.5, TEN + 178)}))[-1] == "Lakeside computes, 50% done"
    running.take(UpdateCame(LAKE, 1, 4, "u", TEN + 190))
    assert words(running, now(191.0))[-1] == "Adding up round 4 of at most 50 here"
    assert run_sentence(running, now(191.0)).startswith("Every hospital has answered round 4 of at most 50;")
    assert [row.share for row in site_rows(running, at)] == [100, 100, 100]


def test_a_hospital_that_does_not_answer_is_left_out_as_the_plan_says():
    history = story(begin(quorum=2, deadline=6.0), *ready, StateMade(1, 1, "s1", TEN + 20))
    for site in (MARYS, NORTH):
        history.take(UpdateCame(site, 1, 1, "u", TEN + 21))
    waiting = told(history, now(23.0))[-1]
    assert waiting.words == "Waiting for Lakeside: it has not answered for 3 seconds"
    assert (
        waiting.then
        == "Who has not answered by 10:00 UTC is left out; the plan asks for two of three hospitals."
    )
    history.take(Tick(TEN + 27))
    lost = told(history, now(28.0))[-2]
    assert (lost.mood, lost.words) == (
        "bad",
        "Lakeside has not answered before the deadline and is out of this run. "
        "The plan asks for two hospitals: with the two that are left the run goes on.",
    )
    assert run_sentence(history, now(28.0)).startswith("Every hospital has answered round 1 of at most 50;")
    row = site_rows(history, now(28.0))[2]
    assert (row.words, row.why) == ("Out of this run", "The hospital did not answer before the deadline.")
    # Its numbers are in no round yet, so nothing begins again.
    assert not any("again" in line for line in words(history, now(28.0)))


def test_a_step_begins_again_without_one_whose_numbers_are_in_it():
    history = story(begin(quorum=2), *ready, *rounds(1, TEN + 20, 2), StateMade(1, 3, "s3", TEN + 40))
    history.take(Trouble(LAKE, 1, 3, "refused_cell", TEN + 41))
    assert words(history, now(42.0))[-2:] == [
        "Logistic regression begins again, so that every number of its result comes from the same hospitals",
        "Logistic regression is being prepared here",
    ]
    history.take(StateMade(1, 5, "s5", TEN + 43))
    # The rounds are counted on, so "of at most" would not be true.
    assert run_sentence(history, now(44.0)) == "No hospital has answered round 5 yet."
    assert [found.first for found in history.rounds] == [True, False, False, True]
    for site in (MARYS, NORTH):
        history.take(UpdateCame(site, 1, 5, "u", TEN + 45))
    history.take(StepDone(1, 5, "r", TEN + 46))
    assert words(history, now(50.0))[-2:] == [
        "Logistic regression: four rounds in 36 seconds, its result is there",
        "The run is finished",
    ]


def test_fifty_rounds_are_one_line():
    history = story(begin(steps=2), *ready, *rounds(1, TEN + 20, 3), StepDone(1, 3, "r", TEN + 50))
    for event in [*rounds(2, TEN + 60, 50), StepDone(2, 50, "r", TEN + 560)]:
        history.take(event)
    at = now(600.0, titles=TWO, most=(50, 50))
    assert words(history, at) == [
        "Three hospitals were asked to take part",
        "Three hospitals are ready",
        "Step 1 of 2, Table one: three rounds in 40 seconds, its result is there",
        "Step 2 of 2, Logistic regression: 50 rounds in 8 minutes, its result is there",
        "The run is finished",
    ]
    assert [line.mood for line in told(history, at)] == ["", "", "ok", "ok", "ok"]
    assert run_sentence(history, at) == "Finished: the results are there."
    assert {row.words for row in site_rows(history, at)} == {"Finished"}


def test_too_few_are_left():
    history = story(begin(), *ready, StateMade(1, 1, "s1", TEN + 20), Tick(TEN + 700))
    at = now(701.0, reason="Fewer hospitals than the plan asks for were left.")
    assert words(history, at)[-3:] == [
        "St Mary's, Northfield and Lakeside have not answered before the deadline and are out of this run. "
        "The plan asks for three hospitals, and there are fewer now: the run ends.",
        "Logistic regression: one round in 11 minutes, without a result",
        "The run failed. Fewer hospitals than the plan asks for were left.",
    ]
    assert run_sentence(history, at) == "Failed. Fewer hospitals than the plan asks for were left."


def test_a_stop_is_believed_when_it_is_confirmed():
    history = story(begin(), *ready, *rounds(1, TEN + 20, 1), Stop("rosa", TEN + 31))
    at = now(32.0, reason="Stopped by rosa.")
    assert run_sentence(history, at) == "Stopped by rosa."
    assert words(history, at)[-1] == "The run was stopped. Stopped by rosa."
    assert [row.words for row in site_rows(history, at)] == ["Stopped", "Told to stop", "Told to stop"]
    at = now(32.0, reason="Stopped by rosa.", confirmed=frozenset({NORTH, LAKE}))
    assert [row.words for row in site_rows(history, at)] == ["Stopped"] * 3


def test_a_hospital_that_is_not_ready_is_named_with_its_reason():
    history = story(begin(quorum=2), NotReady(LAKE, "declined", TEN + 5))
    assert words(history, now(6.0))[1] == (
        "Lakeside is out of this run. The hospital declined this plan. "
        "The plan asks for two hospitals: with the two that are left the run goes on."
    )


def test_the_line_to_the_routing_server_is_waited_for():
    history = story(begin(), *ready, StateMade(1, 1, "s1", TEN + 20))
    at = now(40.0, trouble="We cannot reach the router at fl.example.org.", trouble_since=TEN + 30)
    last = told(history, at)[-1]
    assert (last.words, last.at) == (
        "Waiting for the Routing Server. We cannot reach the router at fl.example.org.",
        TEN + 30,
    )


def test_many_hospitals_share_a_line():
    sites = tuple(f"{number:036d}" for number in range(50))
    history = story(core_run.Start(TEN, sites, 1, 50, 7200.0, 600.0))
    names = {site: f"Hospital {number}" for number, site in enumerate(sites)}
    at = now(60.0, names=names)
    assert words(history, at) == [
        "50 hospitals were asked to take part",
        "Waiting for Hospital 0, Hospital 1, Hospital 2 and 47 others: in each a person has to approve, "
        "asked 1 minute ago",
    ]
    for site in sites:
        history.take(Ready(site, TEN + 70))
    history.take(StateMade(1, 1, "s", TEN + 71))
    share = dict.fromkeys(sites[:20], (0.5, TEN + 72))
    said = words(history, now(73.0, names=names, told=share))
    assert said[-2:] == [
        "20 hospitals compute and tell how far they are",
        "Hospital 20, Hospital 21, Hospital 22 and 27 others compute",
    ]


def test_a_run_that_was_never_launched_says_so():
    assert told(story(), now(0.0)) == []
    assert "Not started yet" in run_sentence(story(), now(0.0))


# --- a hospital that takes part ---


def test_a_participants_whole_history_holds_its_own_part_only():
    part = seat(core_seat.Invited(TEN, 2, False, 3600.0))
    at = now(7200.0, titles=TWO, most=(50, 50))
    assert words(part, at) == [
        "St Mary's asked this hospital to take part",
        "Waiting for you: a site-admin here has to approve or decline, asked 2 hours ago",
    ]
    assert seat_sentence(part, at) == "Waiting for you: a site-admin of this hospital approves or declines."
    part.take(core_seat.Approved(TEN + 1))
    assert words(part, now(2.0))[1:] == ["This hospital approved the plan", "Checking the data here"]
    part.take(core_seat.Prepared(TEN + 3))
    assert words(part, now(4.0))[-1] == "Waiting for St Mary's: it begins when the hospitals are ready"
    part.take(core_seat.StateCame(1, 1, "s", TEN + 10))
    at = now(12.0, titles=TWO, most=(50, 50), told={MARYS: (0.31, TEN + 11)})
    assert words(part, at)[-1] == "Computing here, round 1 of at most 50, 31% done"
    assert seat_sentence(part, at) == "This hospital is computing round 1 of at most 50."
    part.take(core_seat.UpdateMade(1, 1, "u", TEN + 13))
    assert (
        words(part, now(14.0))[-1]
        == "This hospital has answered round 1 of at most 50. Waiting for St Mary's"
    )
    quiet = told(part, now(13.0 + 120))[-1]
    assert quiet.words == "Waiting for St Mary's: it has not sent anything for 2 minutes"
    assert quiet.then == "If it stays silent until 11:00 UTC, this hospital's part ends."
    part.take(core_seat.ResultCame(1, "r", False, TEN + 20))
    part.take(core_seat.StateCame(2, 1, "s2", TEN + 21))
    part.take(core_seat.UpdateMade(2, 1, "u", TEN + 22))
    part.take(core_seat.ResultCame(2, "r", True, TEN + 23))
    assert words(part, at) == [
        "St Mary's asked this hospital to take part",
        "This hospital approved the plan",
        "The data here fit the plan. This hospital is ready",
        "Step 1 of 2, Table one: one round in 10 seconds, its result is there",
        "Step 2 of 2, Logistic regression: one round in 2 seconds, its result is there",
        "This hospital's part is finished",
    ]
    assert not any("Lakeside" in line for line in words(part, at))


def test_a_refusal_here_says_that_nothing_was_sent():
    part = seat(core_seat.Invited(TEN, 1, True, 3600.0), core_seat.Prepared(TEN + 1))
    part.take(core_seat.StateCame(1, 1, "s", TEN + 2))
    part.take(core_seat.Refused(1, 1, "refused_cell", TEN + 3))
    said = words(part, now(4.0, reason="Refused by the hospital's rule: too few people in a group."))
    assert said[-3] == "Nothing was sent. Refused by the hospital's rule: too few people in a group."
    assert said[-1] == "The run failed. Refused by the hospital's rule: too few people in a group."


# --- the end, and small words ---


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("below_quorum:late", "Call Lakeside: is the Controller there switched on"),
        ("below_quorum:declined", "Call Lakeside and ask what would have to change."),
        ("below_quorum:refused_cell", "A rule of Lakeside stands, and nothing was sent."),
        ("below_quorum:column_missing", "The people of Lakeside see on their page what to repair"),
        ("below_quorum:disk_full", "Those who look after FriendlyFL at Lakeside"),
        ("below_quorum:left_project", "Talk to Lakeside, then repeat the run."),
        ("job_failed:task_failed", "Read this hospital's log, below."),
    ],
)
def test_a_failure_says_who_does_what_next(reason, expected):
    code = reason.partition(":")[2]
    made = ending("failed", reason, now(0.0), True, [(NORTH, "bad_update"), (LAKE, code)], 0)
    assert made.next.startswith(expected) and made.data.startswith("All rows stayed in their hospitals.")


@pytest.mark.parametrize(
    "reason", ["coordinator_lost", "column_missing", "disk_full", "refused_rows", "below_quorum"]
)
def test_a_participant_reads_what_the_end_means_and_names_nobody_else(reason):
    made = ending("failed", reason, now(0.0), False, [], 0)
    assert made.data.startswith("Your data stayed here.") and made.next
    assert "Northfield" not in made.next and "Lakeside" not in made.next


def test_spans_are_in_the_largest_unit():
    assert [span(s) for s in (-5, 0.2, 59, 60, 3599, 3600, 2 * 86400)] == [
        "1 second", "1 second", "59 seconds", "1 minute", "59 minutes", "1 hour", "2 days",
    ]  # fmt: skip


def test_the_chart_shows_distances_where_the_method_knows_them_and_times_where_not():
    distances = (1.5, 0.04, 3e-5, 1e-10, None)
    search = [Point(1, n, 2.0, d, n > 1) for n, d in enumerate(distances, start=1)]
    drawn = chart(search, "Cox")
    assert drawn is not None and drawn.rows[1][1] == ["0.04"] and drawn.svg.count("<circle") == 4
    assert "1.5 standard errors from the answer after round 1, and 1 × 10⁻¹⁰ after round 4." in drawn.alt
    assert 'style="' not in drawn.svg and "<title>Cox: how near the answer is</title>" in drawn.svg
    times = chart([Point(1, 1, 2.0, None, False), Point(1, 2, 3.5, None, False)], "<Table>")
    assert times is not None and not times.heads and times.svg.count("<rect") == 2
    assert "&lt;Table&gt;" in times.svg and "the longest 3.5" in times.alt
    assert chart([Point(1, 1, None, None, False)], "Table") is None
    assert [short(value) for value in (None, 250.0, 0.5, 3e-4, 2e-9)] == [
        "",
        "250",
        "0.5",
        "0.0003",
        "2 × 10⁻⁹",
    ]


def learned(*losses: float | None, name: str = "Log loss") -> list[Point]:
    """Rounds with the loss of held-back patients; None where the step began again."""
    points, beginning = [], 1
    for number, loss in enumerate(losses, start=1):
        beginning += loss is None
        quality = Quality(name, {"held back": loss}, "held back", number) if loss is not None else None
        joined = bool(points) and points[-1].quality is not None
        points.append(Point(1, number, 1.0, None, joined, quality, beginning))
    return points


def test_the_best_round_is_the_first_with_the_least_loss_since_the_step_last_began():
    drawn = chart(learned(0.9, 0.5, 0.5, 0.6), "Model")
    assert drawn is not None and "round 2 has the least, 0.5000," in drawn.alt
    assert [cells[0] for _point, cells in drawn.rows] == ["0.9000", "best: 0.5000", "0.5000", "0.6000"]
    again = chart(learned(0.9, 0.1, None, 0.8, 0.7), "Model")
    assert again is not None and "round 5 has the least, 0.7000," in again.alt
    assert again.svg.count("<polyline") == 3  # a line before and one after, and the key's
    begun = chart(learned(0.9, 0.1, None), "Model")
    assert begun is not None and "best" not in begun.svg + begun.alt


def test_no_round_is_the_best_where_the_task_takes_none():
    points = [replace(p, quality=replace(p.quality, chosen_by="", counted=None)) for p in learned(2.0, 1.0)]
    drawn = chart(points, "Model")
    assert drawn is not None and "best" not in drawn.svg + drawn.alt + drawn.note
    assert len(drawn.heads) == 1 and "The result counts" not in drawn.note


@pytest.mark.parametrize(
    "losses", [(1.0, 1.0), (0.0, 0.0), (-1.0, 2.0), (1e9, 3e-7), (5e-8, 6e-8), (1e7, 1e7 + 1)]
)
def test_every_loss_has_its_place_inside_the_axes(losses):
    drawn = chart(learned(*losses), "Model")
    assert drawn is not None
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)" r="4" fill="#00606b"', drawn.svg)]
    assert len(heights) == 3 and all(58 <= y <= 190 for y in heights[1:])  # after the key's own
    assert 3 <= drawn.svg.count('text-anchor="end"') <= 9


def test_many_rounds_are_a_line_and_losses_have_the_digits_that_tell_them_apart():
    drawn = chart(learned(*(1.0 / number for number in range(1, 98))), "Model")
    assert drawn is not None and drawn.svg.count('r="4"') == 1 and drawn.svg.count("<polyline") == 2
    shown = [figure(value) for value in (0.0, 0.693147, 12.3456, 1234.5, 2.5e6, 3.21e-5)]
    assert shown == ["0.000", "0.6931", "12.35", "1,234", "2.500 × 10⁶", "3.210 × 10⁻⁵"]

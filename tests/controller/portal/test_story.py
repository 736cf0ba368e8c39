"""A long journal read in brief tells the same story as all of it, whatever happened."""

import copy
import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.controller import contents, runs
from friendlyfl.controller.portal.story import ANSWER, DONE, STATE, RunStory, brief
from friendlyfl.core import run as core
from friendlyfl.core.record import pack
from friendlyfl.wire.codec import encode
from tests.controller.world import Consortium

SITES = ("ash", "birch", "cedar", "elm")


def a_history(chance: Random, count: int, eventful: float) -> list[Any]:
    """A journal of about `count` events: mostly rounds without anything else, and now and then a hospital is lost."""
    run, journal, at = core.Run(), [], 0.0

    def happens(event: Any) -> None:
        before = copy.deepcopy(run)
        if run.handle(event) or run != before:  # as runs.feed: what changes nothing is not written down
            journal.append(event)

    happens(core.Start(at, SITES, 3, 2, 1e6, 1e6))
    while not run.ended and len(journal) < count:
        at += 1.0
        site = chance.choice(SITES)
        if chance.random() < eventful:
            happens(
                chance.choice(
                    [
                        core.Left(site, at),
                        core.Trouble(site, run.step, run.round, "late", at),
                        core.NotReady(site, "rows", at),
                        core.Tick(at + 2e6),
                    ]
                )
            )
        elif run.state in (core.STANDBY, core.PREPARING):
            happens(core.Ready(site, at))
        elif run.state == core.RUNNING and run.state_digest:
            happens(core.UpdateCame(site, run.step, run.round, f"u{at}", at))
        elif run.state == core.AGGREGATING and chance.random() < 0.2:
            happens(core.StepDone(run.step, run.round, f"r{at}", at))
        else:
            happens(core.StateMade(run.step, run.round + 1, f"s{at}", at))
    return journal


def told(story: RunStory, records: list[str]) -> RunStory:
    kept, passed = brief(records)
    for place, record in enumerate(kept):
        if place in passed:
            story.pass_round()
        story.take(core.unpack_event(json.loads(record)))
    return story


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 120), st.sampled_from([0.0, 0.01, 0.05]), st.data())
def test_a_journal_in_brief_tells_the_same_story(chance, count, eventful, data):
    journal = a_history(chance, count, eventful)
    whole = RunStory()
    for event in journal:
        whole.take(event)
    records = [json.dumps(pack(event)) for event in journal]
    assert told(RunStory(), records) == whole
    cut = data.draw(st.integers(0, len(records)))  # and in two looks
    assert told(told(RunStory(), records[:cut]), records[cut:]) == whole


def test_only_answers_of_rounds_that_are_long_over_are_left_out():
    journal: list[Any] = [core.Start(0.0, SITES, 1, 2, 1e6, 1e6), *(core.Ready(site, 1.0) for site in SITES)]
    for number in range(1, 101):
        journal.append(core.StateMade(1, number, "s", 2.0))
        journal += [core.UpdateCame(site, 1, number, "u", 3.0) for site in SITES]
    kept, passed = brief([json.dumps(pack(event)) for event in journal])
    assert len(passed) == 98 and len(kept) == 1 + 4 + 100 + 2 * 4


def test_records_in_the_database_begin_as_they_are_looked_for(consortium: Consortium):
    run = consortium.computing()
    for peer in consortium.others:
        assert consortium.update(peer, run).receive().state == "taken"
    digest = contents.keep(encode({".round": 2}))
    runs.job_done(consortium.job("combine"), runs.RUN, core.StateMade(1, 2, digest, 9.0))
    begins = [record.split(",")[0] for record in runs.journal(run, runs.RUN)]
    assert [begins.count(kind) for kind in (ANSWER, STATE, DONE)] == [2, 2, 0]

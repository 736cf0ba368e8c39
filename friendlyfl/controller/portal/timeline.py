"""The timeline of a run: what happened, and what is waited for, one line each, in words.

Pure: `told` makes the lines from a story (the fold of the journal) and from what is known at this moment (`Now`).
Where a run stands in one sentence, and each hospital's row, are in `standing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.standing import Now, many, names_of, round_words, span, step_words
from friendlyfl.controller.portal.story import Fact, RunStory, SeatStory, Story
from friendlyfl.core import run as core_run
from friendlyfl.core.troubles import sentence

NAMED = 5  # hospitals that are waited for in the same way, up to which each has its own line
QUIET = 15.0  # seconds without a word after which a line says so; less where a round has little time


@dataclass(frozen=True)
class Line:
    """One line. `mood`: "now" for what is awaited, "ok", "bad"; `then`: what follows if nothing comes."""

    words: str
    at: float
    mood: str = ""
    then: str = ""

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


def told(story: RunStory | SeatStory, now: Now) -> list[Line]:
    """The whole timeline, oldest line first, what is awaited last. Rounds are folded: a line a step."""
    coordinates = isinstance(story, RunStory)
    past = _of_run if coordinates else _of_seat
    lines: list[Line] = []
    for fact in story.facts:
        if fact.kind == "step":
            lines.append(_step_line(story, fact, now))
        elif fact.kind == "ended":
            lines += _cut_off(story, now)
            lines.append(_end_line(story, fact, now))
        else:
            lines.append(past(story, fact, now))
    if story.machine.state and not story.machine.ended:
        if isinstance(story, RunStory):
            lines += _awaited_by_coordinator(story, now)
        else:
            lines += _awaited_by_participant(story, now)
        if now.trouble:
            lines.append(
                Line(_("Waiting for the Routing Server. %s") % now.trouble, now.trouble_since, "now")
            )
    return lines


# --- what happened ---


def _of_run(story: Any, fact: Fact, now: Now) -> Line:
    if fact.kind == "asked":
        count = len(fact.sites)
        words = ngettext(
            "One hospital was asked to take part", "%(many)s hospitals were asked to take part", count
        )
        return Line(words % {"many": many(count).capitalize()}, fact.at)
    if fact.kind == "prepared":
        words = ngettext("One hospital is ready", "%(many)s hospitals are ready", fact.left)
        return Line(words % {"many": many(fact.left).capitalize()}, fact.at)
    if fact.kind == "again":
        words = _("%(step)s begins again, so that every number of its result comes from the same hospitals")
        return Line(words % {"step": step_words(now, fact.step)}, fact.at)
    return Line(f"{_lost_words(fact, now)} {_quorum_words(story.machine.quorum, fact.left)}", fact.at, "bad")


def _lost_words(fact: Fact, now: Now) -> str:
    names = names_of(now, fact.sites)
    if fact.code == "late":
        if len(fact.sites) == 1:
            return _("%(site)s has not answered before the deadline and is out of this run.") % {
                "site": names
            }
        return _("%(sites)s have not answered before the deadline and are out of this run.") % {
            "sites": names
        }
    return _("%(site)s is out of this run. %(why)s") % {"site": names, "why": ours(sentence(fact.code))}


def _quorum_words(quorum: int, left: int) -> str:
    """What the plan says about going on with those that are left."""
    asked = ngettext("The plan asks for one hospital", "The plan asks for %(many)s hospitals", quorum)
    places = {"asked": asked % {"many": many(quorum)}, "left": many(left)}
    if left >= quorum:
        words = ngettext(
            "%(asked)s: with the one that is left the run goes on.",
            "%(asked)s: with the %(left)s that are left the run goes on.",
            left,
        )
    else:
        words = _("%(asked)s, and there are fewer now: the run ends.")
    return words % places


def _of_seat(story: Any, fact: Fact, now: Now) -> Line:
    coordinator = {"coordinator": now.coordinator}
    if fact.kind == "invited":
        words = (
            _("%(coordinator)s began this run. This hospital had approved its plan before")
            if fact.again
            else _("%(coordinator)s asked this hospital to take part")
        )
        return Line(words % coordinator, fact.at)
    if fact.kind == "approved":
        return Line(_("This hospital approved the plan"), fact.at)
    if fact.kind == "ready":
        return Line(_("The data here fit the plan. This hospital is ready"), fact.at)
    return Line(_("Nothing was sent. %s") % ours(sentence(fact.code)), fact.at, "bad")


def _step_line(story: Story, fact: Fact, now: Now) -> Line:
    return Line(_rounds_line(story, fact.step, now, _("its result is there")), fact.at, "ok")


def _cut_off(story: Story, now: Now) -> list[Line]:
    """The step in which the run ended without its result."""
    step = story.rounds[-1].step if story.rounds else 0
    if not step or step in story.done:
        return []
    return [Line(_rounds_line(story, step, now, _("without a result")), story.rounds[-1].ended or 0.0)]


def _rounds_line(story: Story, step: int, now: Now, outcome: str) -> str:
    rounds = story.rounds_of(step)
    took = (rounds[-1].ended or rounds[-1].began) - story.began[step] if rounds else 0.0
    words = ngettext(
        "%(step)s: one round in %(span)s, %(outcome)s",
        "%(step)s: %(many)s rounds in %(span)s, %(outcome)s",
        len(rounds),
    )
    places = {"step": step_words(now, step), "many": many(len(rounds)), "outcome": outcome}
    return words % {**places, "span": span(took)}


def _end_line(story: Any, fact: Fact, now: Now) -> Line:
    ended = story.machine.state
    if ended == core_run.SUCCEEDED:
        own = isinstance(story, SeatStory)
        return Line(_("This hospital's part is finished") if own else _("The run is finished"), fact.at, "ok")
    words = _("The run was stopped. %s") if ended == core_run.STOPPED else _("The run failed. %s")
    return Line((words % now.reason).strip(), fact.at, "bad")


# --- what is awaited ---


def _awaited_by_coordinator(story: RunStory, now: Now) -> list[Line]:
    run = story.machine
    if run.state in (core_run.STANDBY, core_run.PREPARING):
        return _waiting_to_begin(story, now)
    if run.state == core_run.AGGREGATING:
        since = max((seat.since for seat in run.seats.values()), default=0.0)
        return [Line(_("Adding up %s here") % round_words(story, now), since, "now")]
    if not run.state_digest:
        return [
            Line(_("%s is being prepared here") % step_words(now, run.step), story.began[run.step], "now")
        ]
    began = story.rounds[-1].began
    doing = _("%(step)s: %(round)s") % {"step": step_words(now, run.step), "round": round_words(story, now)}
    return [Line(doing, began, "now"), *_waiting_for_answers(story, now)]


def _waiting_to_begin(story: RunStory, now: Now) -> list[Line]:
    run = story.machine
    asked = [seat for seat in run.seats.values() if seat.status == "asked"]
    unsure = [seat.site for seat in asked if seat.site not in now.approved and seat.site != now.here]
    rest = [seat.site for seat in asked if seat.site not in unsure]
    since = asked[0].since if asked else 0.0
    for_long = {"span": span(now.at - since)}
    own = _("Checking the data here, asked %(span)s ago")
    lines = _one_each(
        unsure,
        now,
        _("Waiting for %(site)s: a person there has to approve, asked %(span)s ago"),
        _("Waiting for %(sites)s: in each a person has to approve, asked %(span)s ago"),
        since,
        for_long,
    )
    lines += _one_each(
        rest,
        now,
        _("Waiting for %(site)s: it checks its data, asked %(span)s ago"),
        _("Waiting for %(sites)s: they check their data, asked %(span)s ago"),
        since,
        for_long,
        own,
    )
    return _with_deadline(lines, run, now, len(asked))


def _waiting_for_answers(story: RunStory, now: Now) -> list[Line]:
    run = story.machine
    computing = [seat.site for seat in run.seats.values() if seat.status == "computing"]
    quiet_after = min(QUIET, run.round_deadline / 3)
    lines, steady = [], []
    began = story.rounds[-1].began
    silent: dict[str, float] = {}
    for site in computing:
        share, heard = now.told.get(site, (None, 0.0))
        last = max(heard, run.seats[site].since)
        if now.at - last >= quiet_after and site != now.here:
            silent[site] = last
        elif share is not None:
            words = (
                _("Computing here, %(share)s%% done")
                if site == now.here
                else _("%(site)s computes, %(share)s%% done")
            )
            lines.append(
                Line(words % {"site": names_of(now, [site]), "share": round(100 * share)}, began, "now")
            )
        else:
            steady.append(site)
    if len(lines) > NAMED:
        words = _("%(many)s hospitals compute and tell how far they are")
        lines = [Line(words % {"many": many(len(lines)).capitalize()}, began, "now")]
    lines += _one_each(
        steady, now, _("%(site)s computes"), _("%(sites)s compute"), began, {}, _("Computing here")
    )
    if silent:
        last = max(silent.values())
        late = _one_each(
            list(silent),
            now,
            _("Waiting for %(site)s: it has not answered for %(span)s"),
            _("Waiting for %(sites)s: they have not answered for %(span)s"),
            last,
            {"span": span(now.at - last)},
        )
        lines += late
    return _with_deadline(lines, run, now, len(computing))


def _with_deadline(lines: list[Line], run: core_run.Run, now: Now, missing: int) -> list[Line]:
    """On the last line: what the plan does with those that have not come by then."""
    if run.deadline is None or not lines:
        return lines
    left = len(run.active) - missing
    until = {"until": now.clock(run.deadline), "quorum": many(run.quorum), "all": many(len(run.seats))}
    if left >= run.quorum:
        words = _(
            "Who has not answered by %(until)s is left out; the plan asks for %(quorum)s of %(all)s hospitals."
        )
    else:
        words = _("The plan asks for %(quorum)s of %(all)s hospitals: with fewer by %(until)s the run ends.")
    last = lines[-1]
    return [*lines[:-1], Line(last.words, last.at, last.mood, words % until)]


def _one_each(
    sites: Sequence[str],
    now: Now,
    one: str,
    several: str,
    since: float,
    places: dict[str, Any],
    own: str = "",
) -> list[Line]:
    """A line for each hospital, or one for all where they are many; this one's own always by itself."""
    lines = [Line(own % places, since, "now")] if own and now.here in sites else []
    others = [site for site in sites if not (own and site == now.here)]
    if len(others) <= NAMED:
        named = [{**places, "site": names_of(now, [site])} for site in others]
        return lines + [Line(one % each, since, "now") for each in named]
    return [*lines, Line(several % {**places, "sites": names_of(now, others)}, since, "now")]


def _awaited_by_participant(story: SeatStory, now: Now) -> list[Line]:
    seat, since = story.machine, story.changed
    places: dict[str, Any] = {
        "span": span(now.at - since),
        "coordinator": now.coordinator,
        "round": round_words(story, now),
    }
    then = ""
    if seat.state == core_run.STANDBY:
        words = _("Waiting for you: a site-admin here has to approve or decline, asked %(span)s ago")
    elif seat.state == core_run.PREPARING:
        words = _("Checking the data here")
    elif not seat.step:
        words = _("Waiting for %(coordinator)s: it begins when the hospitals are ready")
    elif seat.state == core_run.RUNNING:
        share = now.told.get(now.here, (None, 0.0))[0]
        words = (
            _("Computing here, %(round)s")
            if share is None
            else _("Computing here, %(round)s, %(share)s%% done")
        )
        places["share"] = round(100 * (share or 0.0))
    else:
        words = _("This hospital has answered %(round)s. Waiting for %(coordinator)s")
        if now.at - since >= QUIET:
            words = _("Waiting for %(coordinator)s: it has not sent anything for %(span)s")
            until = {"until": now.clock(seat.deadline)} if seat.deadline else {}
            then = (
                _("If it stays silent until %(until)s, this hospital's part ends.") % until if until else ""
            )
    return [Line(words % places, since, "now", then)]

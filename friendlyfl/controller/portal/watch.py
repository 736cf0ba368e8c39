"""What the pages of a run are made of, read from the records: its story so far, what is known now, its rounds, its log.

The journal only grows, so a story is kept in this process and read on from its last event: a long run costs no more
at each look than a short one. Words are made elsewhere (timeline, standing, endings).
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

from friendlyfl.controller import actions, here, plans, runs
from friendlyfl.controller.models import (
    Approval,
    Job,
    LogLine,
    Outbox,
    Peer,
    Run,
    SiteProgress,
    SmallContent,
)
from friendlyfl.controller.portal.ours import called, ours
from friendlyfl.controller.portal.round_chart import Chart, Point, chart
from friendlyfl.controller.portal.standing import Now
from friendlyfl.controller.portal.story import Round, RunStory, SeatStory, brief
from friendlyfl.core import run as core_run
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import SMALL_CONTENT
from friendlyfl.core.troubles import sentence
from friendlyfl.tasks import engine, registry
from friendlyfl.tasks.base import Quality, State, Task
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.wire.codec import decode

KEPT = 128  # stories; one of 200 rounds takes 50 kB
CONFIRMED_WITHIN = (
    300.0  # seconds for which a page asks on after a stop; a hospital that is away may take days
)
CONFIRMED = ("seat_stopped", "seat_failed", "seat_succeeded")
_stories: "OrderedDict[tuple[str, str], tuple[int, RunStory | SeatStory]]" = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Watched:
    """A run as its page shows it."""

    run: Run
    story: RunStory | SeatStory
    now: Now
    content: plans.Content

    @property
    def coordinates(self) -> bool:
        return isinstance(self.story, RunStory)

    @property
    def ended(self) -> bool:
        return self.run.state in core_run.ENDED

    @property
    def settled(self) -> bool:
        """Nothing more is awaited: it has ended, and whoever was to stop has said so."""
        if not self.ended or not isinstance(self.story, RunStory) or self.run.state == core_run.SUCCEEDED:
            return self.ended
        stay = set(self.story.machine.active) - {here.site()}
        ended = self.run.ended_at.timestamp() if self.run.ended_at else 0.0
        return stay <= self.now.confirmed or self.now.at - ended > CONFIRMED_WITHIN

    @cached_property
    def step(self) -> int:
        """The step whose rounds are shown: the newest of which one has ended; 0 before the first round."""
        rounds = self.story.rounds
        return next(
            (found.step for found in reversed(rounds) if found.ended), rounds[-1].step if rounds else 0
        )

    @cached_property
    def points(self) -> list[Point]:
        """Every round of that step, with what its method knows of it."""
        return points(self, self.step)

    @cached_property
    def drawn(self) -> Chart | None:
        """Their picture, once there is something to show."""
        return chart(self.points, self.now.titles[self.step - 1]) if self.step else None


def watched(pk: int) -> Watched | None:
    """The run, if it is known here."""
    run = Run.objects.select_related("project", "plan").filter(pk=pk).first()
    if run is None:
        return None
    story = story_of(run)
    content = plans.read(bytes(run.plan.raw))
    return Watched(run, story, _now(run, story, content), content)


def story_of(run: Run) -> RunStory | SeatStory:
    """The story as far as the journal goes."""
    side = runs.main_side(run)
    key = (run.uid, side)
    with _lock:
        n, story = _stories.pop(key, (0, RunStory() if side == runs.RUN else SeatStory()))
        records = runs.journal(run, side, n)
        kept, passed = brief(records)
        for place, event in enumerate(runs.events(side, kept)):
            if place in passed and isinstance(story, RunStory):
                story.pass_round()
            story.take(event)
        _stories[key] = (n + len(records), story)
        while len(_stories) > KEPT:
            _stories.popitem(last=False)
        return story


def _now(run: Run, story: RunStory | SeatStory, content: plans.Content) -> Now:
    me = here.identity()
    sites = [run.project.coordinator, *(content.seats if isinstance(story, RunStory) else ())]
    names = dict(Peer.objects.filter(site__in=set(sites)).values_list("site", "name")) | {me.site: me.name}
    told = SiteProgress.objects.filter(run=run, step=run.step, round=run.round)
    waits = isinstance(story, RunStory) and run.state in (core_run.STANDBY, core_run.PREPARING)
    stopped = isinstance(story, RunStory) and run.state in (core_run.FAILED, core_run.STOPPED)
    return Now(
        at=time.time(),
        here=me.site,
        names=names,
        coordinator=names.get(run.project.coordinator, ""),
        titles=[called(step.title) for step in content.steps],
        most=_most(bytes(run.plan.raw)),
        told={row.site: (row.fraction, row.heard_at.timestamp()) for row in told},
        approved=_approved(run) if waits else frozenset(),
        confirmed=_confirmed(run) if stopped else frozenset(),
        reason=ours(actions.reason_words(run)),
        trouble=ours(me.line_trouble),
        trouble_since=me.line_trouble_since.timestamp() if me.line_trouble_since else 0.0,
    )


def task_of(step: plans.PlanStep) -> type[Task] | None:
    """The task of a step, if it is installed here in that version."""
    try:
        return registry.find(step.task, step.version)
    except FriendlyError:
        return None


@lru_cache(KEPT)
def _most(raw: bytes) -> tuple[int | None, ...]:
    """The most rounds that each step of a plan can take; None where its task cannot be made here. A plan's bytes never
    change, and its run's page is looked at all the time."""
    content = plans.read(raw)
    dictionary = Dictionary.parse(content.dictionary)
    found: list[int | None] = []
    for step in content.steps:
        try:
            task = engine.make_task(
                step.task, step.version, step.parameters, dictionary, len(content.seats), where=step.criteria
            )
        except FriendlyError:
            found.append(None)
        else:
            found.append(task.most_rounds)
    return tuple(found)


def _approved(run: Run) -> frozenset[str]:
    """Hospitals whose last word on this plan is yes."""
    last: dict[str, bool] = {}
    for site, yes, revoked in Approval.objects.filter(plan=run.plan_id).values_list(
        "site", "approved", "revoked_at"
    ):
        last[site] = yes and revoked is None
    return frozenset(site for site, yes in last.items() if yes)


def _confirmed(run: Run) -> frozenset[str]:
    """Hospitals whose log of this run says that their part has ended."""
    ended = LogLine.objects.filter(run=run, code__in=CONFIRMED)
    return frozenset(ended.values_list("site", flat=True).distinct().order_by())


# --- rounds ---


def points(seen: Watched, step: int) -> list[Point]:
    """Every round of a step, with what its method knows of it."""
    rounds = seen.story.rounds_of(step)
    distances, qualities = _distances(seen, rounds), _qualities(seen, step)
    made: list[Point] = []
    known, beginning = False, 0
    for found, distance in zip(rounds, distances, strict=True):
        seconds = found.ended - found.began if found.ended is not None else None
        quality = qualities.get(found.number)
        beginning += found.first
        before, known = known, distance is not None or quality is not None
        joined = not found.first and before and known
        made.append(Point(found.step, found.number, seconds, distance, joined, quality, beginning))
    return made


def _distances(seen: Watched, rounds: Sequence[Round]) -> list[float | None]:
    """A State says how far off the round before it was. Large ones are models, which no search makes."""
    task = task_of(seen.content.steps[rounds[0].step - 1]) if rounds else None
    if task is None:
        return [None] * len(rounds)
    small = SmallContent.objects.filter(digest__in=[found.state for found in rounds]).values_list(
        "digest", "raw"
    )
    states: dict[str, State] = {digest: decode(bytes(raw), limit=SMALL_CONTENT) for digest, raw in small}
    found: list[float | None] = []
    for after in rounds[1:]:
        known = after.state in states and not after.first
        found.append(task.distance(states[after.state]) if known else None)
    return [*found, None]


def _qualities(seen: Watched, step: int) -> dict[int, Quality]:
    """How good the model of a round was, where its task tells it: the coordinator's to see, who added it up."""
    if not seen.coordinates:
        return {}
    jobs = Job.objects.filter(run=seen.run, kind="combine", step=step).values_list("round", "outcome")
    return {number: Quality(**outcome["quality"]) for number, outcome in jobs if "quality" in outcome}


# --- words of the records ---


def departures(run: Run) -> int:
    """Messages of this run that have left this hospital, or are on their way out."""
    return Outbox.objects.filter(run=run, here=False).count()


def log_lines(run: Run, rows: Sequence[LogLine], names: dict[str, str]) -> list[dict[str, Any]]:
    """Lines of the log in words."""
    return [
        {
            "at": datetime.fromtimestamp(row.at, UTC),
            "site": names.get(row.site, row.site[:8]),
            "step": row.step,
            "round": row.round,
            "words": ours(sentence(row.code)),
            "detail": row.detail.splitlines()[0] if row.detail else "",
        }
        for row in rows
    ]

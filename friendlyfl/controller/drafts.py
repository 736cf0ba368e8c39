"""Where a plan stands at its coordinator: whether the draft is what was proposed, and each hospital's word on that.

Read only. Verbs are in actions/plan, what a word is worth in approvals.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from friendlyfl.controller import approvals, here, members, plans
from friendlyfl.controller.models import Approval, Peer, Plan, Project, Step

APPROVED, DECLINED, ENDED, OPEN = "approved", "declined", "ended", "open"


@dataclass(frozen=True)
class Word:
    """What one hospital of the plan has said about it; `ended` is a yes that holds no longer."""

    name: str
    state: str
    person: str = ""
    reason: str = ""
    at: datetime | None = None
    ours: bool = False


@dataclass(frozen=True)
class Standing:
    """`changed`: the draft is not what was proposed. `moved`: hospitals joined or left since."""

    plan: Plan | None = None
    content: plans.Content | None = None
    changed: bool = False
    moved: bool = False
    words: tuple[Word, ...] = ()

    @property
    def others(self) -> list[Word]:
        return [word for word in self.words if not word.ours]

    @property
    def approved(self) -> list[Word]:
        """Other hospitals whose yes holds."""
        return [word for word in self.others if word.state == APPROVED]

    @property
    def current(self) -> bool:
        """A run may be started on it."""
        return self.plan is not None and not self.changed and not self.moved


def standing(project: Project) -> Standing:
    """For the coordinator only: it names every hospital."""
    plan = project.plans.filter(current=True).last()
    if plan is None:
        return Standing()
    content = plans.read(bytes(plan.raw))
    plan.project = project
    return Standing(
        plan, content, _changed(project, content), plan.epoch != project.epoch, _words(plan, content)
    )


def changed(project: Project, plan: Plan) -> bool:
    """Whether the draft says something else than a plan that was proposed."""
    return _changed(project, plans.read(bytes(plan.raw)))


def _changed(project: Project, content: plans.Content) -> bool:
    drafted = [_step(step) for step in project.steps.all()]
    proposed = [_step(step) for step in content.steps]
    return (
        drafted != proposed
        or project.dictionary != content.dictionary
        or project.cohort != content.cohort
        or {**plans.RULES, **project.rules} != content.rules
    )


def _step(step: Step | plans.PlanStep) -> tuple[Any, ...]:
    return step.task, step.version, step.title, step.parameters, step.cohort


def _words(plan: Plan, content: plans.Content) -> tuple[Word, ...]:
    last: dict[str, Approval] = {word.site: word for word in plan.approvals.all()}
    names = dict(Peer.objects.filter(site__in=content.seats).values_list("site", "name"))
    return tuple(_word(plan, site, last.get(site), names) for site in content.seats)


def _word(plan: Plan, site: str, said: Approval | None, names: dict[str, str]) -> Word:
    ours = site == here.site()
    name = members.name_of(site) if ours else names.get(site, f"site {site[:8]}")
    if said is None:
        return Word(name, OPEN, ours=ours)
    lacks = approvals.missing(plan, said, plan.project.epoch)
    state = APPROVED if not lacks else DECLINED if lacks == approvals.DECLINED else ENDED
    return Word(name, state, said.person, said.reason, said.at, ours)

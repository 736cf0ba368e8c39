"""Exceptions to this site's rules: a rule loosened for one project, with a reason, a name and a last day.

Which hold now, the rules with them, and what an exception may be. Who may allow one is decided in actions; what the
rules refuse, in tasks.disclosure.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet

from friendlyfl.controller import approvals, here, rows
from friendlyfl.controller.models import Project, RuleException
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import registry
from friendlyfl.tasks.disclosure import AT_MOST, LOOSEST, Policy

REASON = 500  # characters
DAYS = 30  # for which one holds if nothing else is said
LONGEST = 365
TASKS = "tasks"  # the one rule whose exception is a name and no number
# To `time` and `sum_of_sites` there is none: outside a secure sum a table by time shows single patients' days.
RULES = (*LOOSEST, TASKS)


@dataclass(frozen=True)
class Loosened:
    """The rules that hold for a project at this moment, as the runner reads them, and the exceptions in them."""

    rules: dict[str, Any]
    by: list[RuleException]

    @property
    def ledger_words(self) -> dict[str, str]:
        """For the line of what left under them, by rule."""
        words: dict[str, list[str]] = {}
        for exception in self.by:
            words.setdefault(exception.rule, []).append(ledger_words(exception))
        return {rule: ", ".join(found) for rule, found in words.items()}


def holds(exception: RuleException) -> bool:
    return exception.ended_at is None and approvals.today() <= exception.until


def holding() -> QuerySet[RuleException]:
    """Those of all projects that hold now."""
    return RuleException.objects.filter(ended_at=None, until__gte=approvals.today())


def in_force(project: Project) -> Loosened:
    """This site's rules for a project: the loosest value of each rule that an exception which holds now allows, and the
    list of tasks with those that are allowed here alone."""
    decided = here.policy().rules
    policy = Policy.from_json(decided)
    by: dict[tuple[str, str], RuleException] = {}
    for exception in rows.every(RuleException, "pk", project=project.pk):
        if holds(exception) and _loosens(exception, policy):
            by[exception.rule, exception.task] = exception
            changed = [*policy.tasks, exception.task] if exception.rule == TASKS else number(exception)
            policy = Policy.from_json({**policy.to_json(), exception.rule: changed})
    loosened = {rule: getattr(policy, rule) for rule, _ in by}
    if TASKS in loosened:
        loosened[TASKS] = [*policy.tasks]
    return Loosened({**decided, **loosened}, [*by.values()])


def _loosens(exception: RuleException, policy: Policy) -> bool:
    if exception.rule == TASKS:
        return exception.task not in policy.tasks
    return policy.is_looser(exception.rule, exception.value)


def number(exception: RuleException) -> float:
    """Its value as the rule counts: a share, or people and times."""
    return exception.value if exception.rule == "ratio" else int(exception.value)


def given(exception: RuleException) -> float | str:
    """What it allows as a person gives it: a number, or the name of a task."""
    return exception.task if exception.rule == TASKS else number(exception)


def ledger_words(exception: RuleException) -> str:
    """For the line of what left under it; the ledger's page reads it again."""
    return f"exception to {exception.rule} by {exception.person} until {exception.until.isoformat()}"


def usual_end() -> date:
    return approvals.today() + timedelta(days=DAYS)


def checked(rule: str, value: float | str, reason: str, until: date) -> tuple[float, str, str]:
    """The number, the task and the reason as they are kept.

    Raises UsageError, with the name of what is wrong as its code: rule, value, reason or until.
    """
    if rule not in RULES:
        names = ", ".join(RULES)
        raise UsageError("rule", f"There is no exception to the rule “{rule}”; there is to: {names}.")
    kept = (0.0, _task(value)) if rule == TASKS else (_number(rule, value), "")
    words = " ".join(reason.split())
    if not 1 <= len(words) <= REASON or not words.isprintable():
        raise UsageError("reason", f"Give a reason of 1 to {REASON} characters.")
    if not approvals.today() <= until <= approvals.today() + timedelta(days=LONGEST):
        raise UsageError("until", "Choose a last day from today on, at most one year ahead.")
    return *kept, words


def _task(name: float | str) -> str:
    if not isinstance(name, str) or name not in registry.names():
        raise UsageError(
            "value", "Give the name of a task that is installed here.", command="friendlyfl tasks"
        )
    if name in Policy.from_json(here.policy().rules).tasks:
        raise UsageError(
            "value", f"The task “{name}” is on the list for every project; it needs no exception."
        )
    return name


def _number(rule: str, value: float | str) -> float:
    policy = Policy.from_json(here.policy().rules)
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError("value", "Give the value of the exception as a number.")
    if rule != "ratio" and value != int(value):
        raise UsageError("value", f"The value of the rule “{rule}” is a whole number.")
    held, loosest = getattr(policy, rule), LOOSEST[rule]
    if not policy.is_looser(rule, loosest):
        raise UsageError("value", f"The rule “{rule}” stands at {held:g}; no exception goes further.")
    within = value <= loosest if rule in AT_MOST else value >= loosest
    if not (policy.is_looser(rule, value) and within):
        raise UsageError(
            "value",
            f"The rule “{rule}” stands at {held:g}. An exception is looser, and goes no further than {loosest:g}.",
        )
    return float(value)

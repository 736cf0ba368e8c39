"""The plan: what a project's sites approve, as exact bytes with a hash. Made here, read here, nowhere else.

A plan names its seats (the sites that contribute data, in order: their numbers 1, 2, 3 in Results), the data
dictionary, the inclusion criteria, the steps, and the rules of the run. It travels sealed; only its hash is known to
the Routing Server.
"""

import json
from dataclasses import dataclass
from typing import Any

from friendlyfl.controller import reading
from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.core.limits import NAME, RING_SITES, TEXT_BYTES
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.wire import canonical
from friendlyfl.wire.fields import is_uid

PURPOSE = 2000  # characters
LONGEST_DEADLINE = 30 * 86400

RULES: dict[str, Any] = {
    "quorum": 0,  # 0: every seat must answer
    "prepare_deadline": 24 * 3600.0,
    "round_deadline": 3600.0,
    "late": "refuse",
    "secure_sum": False,
    "share_result": True,
    "coordinator_data": False,  # the coordinator has a seat of its own
}
DEADLINES = ("prepare_deadline", "round_deadline")
STEP_KEYS = {
    "seq",
    "task",
    "version",
    "title",
    "parameters",
}  # and `cohort`, where a step has criteria of its own
PLAN_KEYS = {"v", "project", "name", "purpose", "seats", "dictionary", "steps", "rules", "cohort"}


@dataclass(frozen=True)
class PlanStep:
    seq: int
    task: str
    version: str
    title: str
    parameters: dict[str, Any]
    cohort: str = ""
    criteria: tuple[str, ...] = ()  # the plan's and the step's own: both must hold


@dataclass(frozen=True)
class Content:
    """A plan, read and checked."""

    project: str
    name: str
    purpose: str
    seats: tuple[str, ...]
    dictionary: dict[str, Any]
    cohort: str
    steps: tuple[PlanStep, ...]
    rules: dict[str, Any]
    sha256: str

    @property
    def quorum(self) -> int:
        return self.rules["quorum"] or len(self.seats)

    def seat_number(self, site: str) -> int:
        """1 for the first seat; 0 for a site without one."""
        return self.seats.index(site) + 1 if site in self.seats else 0


def write(
    *,
    project: str,
    name: str,
    purpose: str,
    seats: list[str],
    dictionary: dict[str, Any],
    steps: list[dict[str, Any]],
    rules: dict[str, Any],
    cohort: str = "",
) -> bytes:
    """Return the bytes of a plan. Their hash is `read(...).sha256`."""
    plan = {
        "v": 1,
        "project": project,
        "name": name,
        "purpose": purpose,
        "seats": seats,
        "dictionary": dictionary,
        "steps": [
            {name: value for name, value in step.items() if name != "cohort" or value} for step in steps
        ],
        "rules": {**RULES, **rules},
        "cohort": cohort,
    }
    raw = json.dumps(plan, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if len(raw) > TEXT_BYTES:
        raise UsageError("plan_too_large", "The plan is too large to send: shorten its texts or dictionary.")
    read(raw)
    return raw


def read(raw: bytes) -> Content:
    """Check a plan's bytes and return what they say.

    Raises WireError `bad_plan`.
    """
    try:
        plan = reading.loads(raw)
        if set(plan) != PLAN_KEYS or plan["v"] != 1 or set(plan["rules"]) != set(RULES):
            raise ValueError("keys")
        _check_texts(plan)
        dictionary = Dictionary.parse(plan["dictionary"])
        Cohort.read(plan["cohort"], dictionary)
        steps = tuple(
            _step(step, seq, plan["cohort"], dictionary) for seq, step in enumerate(plan["steps"], start=1)
        )
        seats = _seats(plan["seats"])
        if not steps or type(plan["v"]) is not int:
            raise ValueError("a plan needs a step")
        rules = _rules(plan["rules"], len(seats))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError) as error:
        raise WireError("bad_plan", "A plan came that this version cannot read. Nothing was done.") from error
    return Content(
        project=plan["project"],
        name=plan["name"],
        purpose=plan["purpose"],
        seats=seats,
        dictionary=plan["dictionary"],
        cohort=plan["cohort"],
        steps=steps,
        rules=rules,
        sha256=canonical.digest("plan", raw),
    )


def is_purpose(text: str) -> bool:
    """A question in words: lines of printable signs, not endless."""
    return len(text) <= PURPOSE and all(line.isprintable() for line in text.split("\n"))


def _check_texts(plan: dict[str, Any]) -> None:
    """Every text of a plan is shown to people who decide by it, so none may hide or turn around what it says."""
    if not is_uid(plan["project"]):
        raise ValueError("project")
    if any(not isinstance(plan[key], str) for key in ("name", "purpose", "cohort")):
        raise ValueError("types")
    if not 1 <= len(plan["name"]) <= NAME or not is_purpose(plan["purpose"]):
        raise ValueError("name")
    if not _printable({name: value for name, value in plan.items() if name != "purpose"}):
        raise ValueError("signs")


def _printable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    if isinstance(value, dict):
        return all(name.isprintable() and _printable(inner) for name, inner in value.items())
    return all(map(_printable, value)) if isinstance(value, list) else True


def _seats(seats: Any) -> tuple[str, ...]:
    if not isinstance(seats, list) or not 1 <= len(seats) <= RING_SITES or not all(map(is_uid, seats)):
        raise ValueError("seats")
    if len(set(seats)) != len(seats):
        raise ValueError("a seat twice")
    return tuple(seats)


def _step(step: dict[str, Any], seq: int, cohort: str, dictionary: Dictionary) -> PlanStep:
    if set(step) - {"cohort"} != STEP_KEYS or not isinstance(step["parameters"], dict):
        raise ValueError("step")
    own = step.get("cohort", "")
    if type(step["seq"]) is not int or not isinstance(own, str) or ("cohort" in step and not own):
        raise ValueError("step")
    Cohort.read(own, dictionary)
    if step["seq"] != seq:
        raise ValueError("steps are counted from 1")
    if any(
        not isinstance(step[key], str) or not 1 <= len(step[key]) <= NAME
        for key in ("task", "version", "title")
    ):
        raise ValueError("step")
    return PlanStep(**step, criteria=tuple(text for text in (cohort, own) if text))


def check_rule(name: str, value: Any) -> None:
    """Raise UsageError with a sentence for the person who typed a rule that no plan could carry."""
    if name not in RULES:
        raise UsageError("rule", f"There is no rule {name}; there are {', '.join(RULES)}.")
    if name in DEADLINES:
        good = type(value) in (int, float) and 0 < value <= LONGEST_DEADLINE
        words = f"is a number of seconds, above 0 and at most {LONGEST_DEADLINE} (30 days)"
    elif name == "quorum":
        good = type(value) is int and value >= 0
        words = "is a whole number of hospitals, or 0 for all of them"
    elif name == "late":
        good, words = value == "refuse", "has one value in this version: refuse"
    else:
        good, words = type(value) is bool, "is yes or no"
    if not good:
        raise UsageError("rule_value", f"The rule {name} {words}.")


def _rules(rules: dict[str, Any], seats: int) -> dict[str, Any]:
    deadlines = [rules[name] for name in DEADLINES]
    if type(rules["quorum"]) is not int or not 0 <= rules["quorum"] <= seats:
        raise ValueError("quorum")
    if any(type(value) not in (int, float) or not 0 < value <= LONGEST_DEADLINE for value in deadlines):
        raise ValueError("deadline")
    if rules["late"] != "refuse" or any(
        type(rules[key]) is not bool for key in ("secure_sum", "share_result", "coordinator_data")
    ):
        raise ValueError("rule")
    return rules

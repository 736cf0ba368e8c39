"""The plan: what a project's sites approve, as exact bytes with a hash. Made here, read here, nowhere else.

A plan names its seats (the sites that contribute data, in order: their numbers 1, 2, 3 in Results), the data
dictionary, the steps, and the rules of the run. It travels sealed; only its hash is known to the Routing Server.
"""

import json
from dataclasses import dataclass
from typing import Any

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.core.limits import TEXT_BYTES
from friendlyfl.wire import canonical

RULES: dict[str, Any] = {
    "quorum": 0,  # 0: every seat must answer
    "prepare_deadline": 24 * 3600.0,
    "round_deadline": 3600.0,
    "late": "refuse",
    "secure_sum": False,
    "share_result": True,
    "coordinator_data": False,  # the coordinator has a seat of its own
}
STEP_KEYS = {"seq", "task", "version", "title", "parameters"}
PLAN_KEYS = {"v", "project", "name", "purpose", "seats", "dictionary", "steps", "rules", "cohort"}


@dataclass(frozen=True)
class PlanStep:
    seq: int
    task: str
    version: str
    title: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Content:
    """A plan, read and checked."""

    project: str
    name: str
    purpose: str
    seats: tuple[str, ...]
    dictionary: dict[str, Any]
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
) -> bytes:
    """Return the bytes of a plan. Their hash is `read(...).sha256`."""
    plan = {
        "v": 1,
        "project": project,
        "name": name,
        "purpose": purpose,
        "seats": seats,
        "dictionary": dictionary,
        "steps": steps,
        "rules": {**RULES, **rules},
        "cohort": "",
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
        plan = json.loads(raw)
        if set(plan) != PLAN_KEYS or plan["v"] != 1 or set(plan["rules"]) != set(RULES):
            raise ValueError("keys")
        steps = tuple(PlanStep(**_step(step)) for step in plan["steps"])
        rules = _rules(plan["rules"], len(plan["seats"]))
        seats = tuple(plan["seats"])
        texts = (plan["project"], plan["name"], plan["purpose"], plan["cohort"], *seats)
        if not all(isinstance(text, str) for text in texts) or not isinstance(plan["dictionary"], dict):
            raise ValueError("types")
        if not seats or len(set(seats)) != len(seats) or not steps:
            raise ValueError("a plan needs a seat and a step")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError("bad_plan", "A plan came that this version cannot read. Nothing was done.") from error
    return Content(
        project=plan["project"],
        name=plan["name"],
        purpose=plan["purpose"],
        seats=seats,
        dictionary=plan["dictionary"],
        steps=steps,
        rules=rules,
        sha256=canonical.digest("plan", raw),
    )


def _step(step: dict[str, Any]) -> dict[str, Any]:
    if set(step) != STEP_KEYS or not isinstance(step["parameters"], dict) or type(step["seq"]) is not int:
        raise ValueError("step")
    if not all(isinstance(step[key], str) for key in ("task", "version", "title")):
        raise ValueError("step")
    return step


def _rules(rules: dict[str, Any], seats: int) -> dict[str, Any]:
    deadlines = (rules["prepare_deadline"], rules["round_deadline"])
    if type(rules["quorum"]) is not int or not 0 <= rules["quorum"] <= seats:
        raise ValueError("quorum")
    if any(type(value) not in (int, float) or not 0 < value <= 30 * 86400 for value in deadlines):
        raise ValueError("deadline")
    if rules["late"] != "refuse" or any(
        type(rules[key]) is not bool for key in ("secure_sum", "share_result", "coordinator_data")
    ):
        raise ValueError("rule")
    return rules

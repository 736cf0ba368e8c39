"""Checking this hospital's data against a plan: what a runner child starts from, and the check on demand.

The findings hold rows and values; they are for this hospital's own people. Only codes ever travel.
"""

import secrets
from collections.abc import Callable
from typing import Any

from friendlyfl.controller import described as described_rows
from friendlyfl.controller import exceptions, here, plans
from friendlyfl.controller.models import Project
from friendlyfl.controller.runner.parent import Runner
from friendlyfl.core.errors import ConflictError
from friendlyfl.tasks.places import filled

CHECK_SECONDS = 600.0


def opening(project: Project, plan: plans.Content, *, with_data: bool) -> dict[str, Any]:
    """The description that a runner child starts from; without data for the coordinator's own jobs."""
    return {
        "do": "open",
        "dictionary": plan.dictionary,
        "steps": [vars(step) for step in plan.steps],
        "sites": len(plan.seats),
        "site": plan.seat_number(here.site()) if with_data else 0,
        "seed": plan.sha256,
        "policy": exceptions.in_force(project).rules,
        "limits": here.policy().limits,
        "dataset": described(project) if with_data else None,
        "described": described_rows.opening(project, plan.sha256) if with_data else None,
    }


def described(project: Project) -> dict[str, Any] | None:
    """The dataset that serves a project here, as a child reads it: where it lies, what was corrected, the mapping."""
    if project.dataset is None:
        return None
    mapping = project.mappings.order_by("version").last()
    return {
        "path": filled(
            project.dataset.path
        ),  # the child has no environment of ours; a password goes to it only
        "missing": project.dataset.missing,
        "corrections": project.dataset.corrections,
        "mapping": mapping.mapping if mapping else None,
    }


def check(
    project: Project, plan: plans.Content, cancelled: Callable[[], bool] = lambda: False
) -> list[dict[str, Any]]:
    """What stands in the way of the plan here: [{step, code, sentence}], empty when all is well.

    Raises ConflictError `no_dataset` before a dataset is chosen, runner.parent.Cancelled when `cancelled` says so.
    """
    if project.dataset is None:
        raise ConflictError(
            "no_dataset",
            f"Choose the dataset that serves {project.name} first.",
            command=f"friendlyfl dataset use DATASET --project '{project.name}'",
        )
    runner = Runner(
        here.home().sub("work") / f"check-{secrets.token_hex(4)}", opening(project, plan, with_data=True)
    )
    try:
        answer = runner.open(cancelled=cancelled, seconds=CHECK_SECONDS)
    finally:
        runner.close()
    if "trouble" in answer:
        return [{"step": 0, "code": answer["trouble"], "sentence": answer["sentence"]}]
    problems: list[dict[str, Any]] = answer["problems"]
    return problems

"""Runs that have ended, with Results: real ones, from the tasks' own examples on the clinic's data."""

import functools
from typing import Any

from django.utils import timezone

from friendlyfl import datasets
from friendlyfl.controller import actions
from friendlyfl.controller.commands import without_sites
from friendlyfl.controller.models import Result, Run
from friendlyfl.tasks import Dictionary, registry
from friendlyfl.testing.simulate import run as simulated
from friendlyfl.testing.worked_example import worked
from tests.controller.world import RESEARCHER, Consortium, Study

CLINIC = datasets.dictionary("clinic")


@functools.cache
def example(name: str) -> dict[str, Any]:
    """The Result of a task's own example."""
    return worked(registry.find(name), name).outcome.result.to_json()


@functools.cache
def refusal() -> dict[str, Any]:
    """A Result without numbers: a hospital's rules did not allow it."""
    frames = list(datasets.load("clinic").values())
    task = registry.find("kaplan_meier")
    return simulated(
        "kaplan_meier", frames, Dictionary.parse(CLINIC), parameters=dict(task.example)
    ).result.to_json()


def ended(run: Run, results: list[dict[str, Any]], state: str = "succeeded", reason: str = "") -> Run:
    """The run as it stands when it has ended."""
    for step, result in enumerate(results, start=1):
        Result.objects.create(run=run, step=step, result=result)
    Run.objects.filter(pk=run.pk).update(
        state=state, reason=reason, step=max(1, len(results)), ended_at=timezone.now()
    )
    run.refresh_from_db()
    return run


def coordinated(consortium: Consortium, *tasks: str) -> Run:
    """A run of these tasks' examples that has just begun, at the hospital that coordinates it."""
    actions.set_dictionary(RESEARCHER, consortium.project, CLINIC)
    for name in tasks:
        actions.add_step(RESEARCHER, consortium.project, name, dict(registry.find(name).example))
    return consortium.start()


def taken_part(study: Study, *tasks: str, **changes: Any) -> Run:
    """The same at a hospital that takes part."""
    steps = [
        {
            "seq": seq,
            "task": name,
            "version": registry.find(name).version,
            "title": registry.find(name).title,
            "parameters": dict(registry.find(name).example),
        }
        for seq, name in enumerate(tasks, start=1)
    ]
    study.propose(dictionary=CLINIC, steps=steps, **changes)
    return study.invite(steps=len(tasks))


def shared(result: dict[str, Any]) -> dict[str, Any]:
    """A Result as a participant gets it."""
    return without_sites(result, [])

"""Verbs about data: datasets that stay in this hospital, and which of them serves a project.

What reads tables (pandas and more) is loaded by the verbs that read one: it takes longer than all else a command does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from friendlyfl.controller import plans, preflight
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import Dataset, Mapping, Plan, Project, Run
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.core.run import ENDED
from friendlyfl.tasks.places import absolute

if TYPE_CHECKING:
    from friendlyfl.tasks.columns import Source


def add_dataset(
    actor: Actor, name: str, path: str, *, missing: tuple[str, ...] = ()
) -> tuple[Dataset, Source]:
    """Register a file, or a table or query of a database. It is read and described, not copied and not changed.

    Raises UsageError with one sentence when it is not a table.
    """
    from friendlyfl.tasks import formats

    with acting(actor, "add_dataset", name):
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise UsageError("name", "Give the dataset a name of 1 to 100 characters.")
        if Dataset.objects.filter(name=name).exists():
            raise ConflictError(
                "name_taken", f"There is a dataset called {name} already. Choose another name."
            )
        where = absolute(path)
        source = formats.read(where, missing=missing)
        dataset = Dataset.objects.create(
            name=name,
            path=where,
            missing=list(missing),
            description=_describe(source),
            digest=source.digest,
            rows=source.rows,
            added_by=actor.name,
        )
        return dataset, source


def _describe(source: Source) -> dict[str, Any]:
    return {
        "guessed": list(source.notes),
        "columns": [
            {"name": column.name, "type": column.type, "n": column.n, "missing": column.n_missing}
            for column in source.columns
        ],
    }


def remove_dataset(actor: Actor, dataset: Dataset) -> None:
    """Forget a dataset. The file stays where it is."""
    with acting(actor, "remove_dataset", dataset.name):
        live = Run.objects.filter(project__dataset=dataset).exclude(state__in=[*ENDED, ""])
        if live.exists():
            raise ConflictError(
                "in_use", f"{dataset.name} serves a run that is under way. Wait until it has ended."
            )
        dataset.delete()


def use_dataset(actor: Actor, project: Project, dataset: Dataset) -> None:
    """Choose which dataset serves a project here."""
    with acting(actor, "use_dataset", f"{dataset.name} for {project.name}"), transaction.atomic():
        if project.runs.exclude(state__in=[*ENDED, ""]).exists():
            raise ConflictError("run_under_way", "A run is under way. Change the dataset when it has ended.")
        project.dataset = dataset
        project.save(update_fields=["dataset"])


def map_columns(actor: Actor, project: Project, mapping: dict[str, Any]) -> Mapping:
    """Say how this site's columns become the dictionary's; a new version, the old ones stay."""
    from friendlyfl.tasks.mapping import Mapping as ColumnMapping

    with acting(actor, "map_columns", project.name):
        checked = ColumnMapping.from_json(mapping).to_json()
        last = project.mappings.order_by("version").last()
        version = last.version + 1 if last else 1
        return Mapping.objects.create(project=project, version=version, mapping=checked, made_by=actor.name)


def check_dataset(project: Project, plan: Plan) -> list[dict[str, Any]]:
    """What stands in the way of a plan here, for this hospital's own people; empty when all is well."""
    return preflight.check(project, plans.read(bytes(plan.raw)))

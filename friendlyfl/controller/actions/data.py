"""Verbs about data: datasets that stay in this hospital, how they are read, and which of them serves a project.

What reads tables (pandas and more) is loaded by the verbs that read one: it takes longer than all else a command does.
At the portal tables are read beside the page (`readings`), where a person may wait or go elsewhere.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction

from friendlyfl.controller import here, mappings, plans, preflight, readings
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import Dataset, Mapping, Plan, Project, Reading, Run
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.core.run import ENDED
from friendlyfl.tasks.corrections import Corrections, codes_of
from friendlyfl.tasks.places import Place, absolute

if TYPE_CHECKING:
    from friendlyfl.tasks.columns import Survey

ENDINGS = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".xlsx", ".sav", ".zsav", ".dta")


def add_dataset(
    actor: Actor, name: str, path: str, *, missing: tuple[str, ...] = ()
) -> tuple[Dataset, Survey]:
    """Register a file, or a table or query of a database. It is read and described, not copied and not changed.

    Raises UsageError with one sentence when it is not a table.
    """
    from friendlyfl.tasks import formats
    from friendlyfl.tasks.description import describe

    with acting(actor, "add_dataset", name):
        _check_name(name)
        where = _outside(path)
        found = formats.survey(where, missing=missing)
        dataset = Dataset.objects.create(
            name=name,
            path=where,
            missing=list(missing),
            description=describe(found),
            digest=found.digest,
            rows=found.rows,
            added_by=actor.name,
        )
        return dataset, found


def give_dataset(
    actor: Actor,
    name: str,
    *,
    where: str = "",
    upload: Path | None = None,
    given_as: str = "",
    sheet: str = "",
    missing: str | tuple[str, ...] = (),
) -> Dataset:
    """Register a table that is read beside the page: a place as of `add_dataset`, or a file that was just given, which
    is moved into the home's `tables`. A person looks at what was guessed, and saves it, before it serves a project.

    Raises UsageError whose code is the field that is wrong.
    """
    with acting(actor, "add_dataset", name):
        _check_name(name)
        codes = codes_of(missing)
        target = _kept(upload, given_as) if upload else None
        try:
            place = (f"{target}#{sheet}" if sheet else str(target)) if target else _outside(where)
            with transaction.atomic():
                dataset = Dataset.objects.create(
                    name=name,
                    path=place,
                    missing=list(codes),
                    digest="",
                    rows=0,
                    given_as=given_as[:255],
                    state="reading",
                    added_by=actor.name,
                )
                asked = {"missing": list(codes), "corrections": {}}
                reading = readings.begin(dataset, actor.name, asked)
        except BaseException:
            if target:
                target.unlink(missing_ok=True)
            raise
        readings.in_background(reading)
        return dataset


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError("name", "Give the dataset a name of 1 to 100 characters.")
    if Dataset.objects.filter(name=name).exists():
        raise ConflictError("name_taken", f"There is a dataset called {name} already. Choose another name.")


def _outside(where: str) -> str:
    """The place, if it is not this site's own folder, which holds keys and passwords."""
    found = absolute(where)
    path = Place.of(found).path
    if path is not None and path.resolve().is_relative_to(here.home().folder.resolve()):
        raise UsageError("file_own_folder", "That lies in FriendlyFL's own folder. Choose a table elsewhere.")
    return found


def _kept(upload: Path, given_as: str) -> Path:
    """A given file under a name of ours: its own may name a person."""
    ending = Path(given_as).suffix.lower()
    Place.of(f"given{ending}")  # refuses kinds that are never read
    target = here.home().sub("tables") / f"{secrets.token_hex(8)}{ending if ending in ENDINGS else '.csv'}"
    upload.replace(target)
    target.chmod(0o600)
    return target


def describe_dataset(
    actor: Actor,
    dataset: Dataset,
    *,
    missing: str | tuple[str, ...] | list[str] | None = None,
    corrections: dict[str, Any] | None = None,
    wait: bool = True,
) -> Reading:
    """Read a dataset again, with what a person corrected: codes that mean "no value", and `corrections` as
    tasks.corrections reads them; None leaves them as they are. They count for checks and runs from then on.

    Raises UsageError with one sentence when the table cannot be read so; it then stays as it was.
    """
    with acting(actor, "describe_dataset", dataset.name):
        _not_in_use(dataset)
        if any(map(readings.is_live, dataset.readings.filter(project=None))):
            raise ConflictError(
                "being_read", f"{dataset.name} is being read just now. Wait until it is done."
            )
        checked = Corrections.from_json(dataset.corrections if corrections is None else corrections)
        codes = dataset.missing if missing is None else codes_of(missing)
        row = readings.begin(dataset, actor.name, {"missing": list(codes), "corrections": checked.to_json()})
        if not wait:
            readings.in_background(row)
            return row
        readings.do(row)
        row.refresh_from_db()
        if row.state != "done":
            raise UsageError("describe", row.trouble or readings.FAILED)
        return row


def save_dataset(actor: Actor, dataset: Dataset) -> None:
    """A person has looked at what was guessed of a table: from now on it may serve projects."""
    with acting(actor, "save_dataset", dataset.name):
        if not Dataset.objects.filter(pk=dataset.pk, state="looked").update(state="ready"):
            _check_ready(dataset)


def _check_ready(dataset: Dataset) -> None:
    if dataset.state == "reading":
        raise ConflictError("not_read", f"{dataset.name} has not been read yet. Look at it when it has.")
    if dataset.state != "ready":
        raise ConflictError(
            "not_saved", f"{dataset.name} is not saved yet. Look at what was guessed, then save it."
        )


def _not_in_use(dataset: Dataset) -> None:
    if Run.objects.filter(project__dataset=dataset).exclude(state__in=[*ENDED, ""]).exists():
        raise ConflictError(
            "in_use", f"{dataset.name} serves a run that is under way. Wait until it has ended."
        )


def remove_dataset(actor: Actor, dataset: Dataset) -> None:
    """Forget a dataset. The file stays where it is, unless it was given at the portal: then the copy is removed."""
    with acting(actor, "remove_dataset", dataset.name):
        _not_in_use(dataset)
        path = Path(dataset.path.partition("#")[0])
        dataset.delete()
        if path.parent == here.home().sub("tables"):
            path.unlink(missing_ok=True)


def use_dataset(actor: Actor, project: Project, dataset: Dataset) -> None:
    """Choose which dataset serves a project here."""
    with acting(actor, "use_dataset", f"{dataset.name} for {project.name}"), transaction.atomic():
        if project.runs.exclude(state__in=[*ENDED, ""]).exists():
            raise ConflictError("run_under_way", "A run is under way. Change the dataset when it has ended.")
        _check_ready(dataset)
        project.dataset = dataset
        project.save(update_fields=["dataset"])


def map_columns(actor: Actor, project: Project, mapping: dict[str, Any]) -> Mapping:
    """Say how this site's columns become the dictionary's; a new version, the old ones stay."""
    from friendlyfl.tasks.mapping import Mapping as ColumnMapping

    with acting(actor, "map_columns", project.name), transaction.atomic():
        checked = ColumnMapping.from_json(mapping).to_json()
        last = project.mappings.order_by("version").last()
        version = last.version + 1 if last else 1
        return Mapping.objects.create(project=project, version=version, mapping=checked, made_by=actor.name)


def map_column(actor: Actor, project: Project, name: str, entry: dict[str, Any] | None) -> Mapping:
    """Say how one column of the dictionary is made here (None: it is not); the others stay as they are in force."""
    dictionary = mappings.agreed(project)
    if name not in dictionary:
        raise UsageError("column", f"The dictionary has no column “{name}” any more. Look at it again.")
    columns, _ = mappings.in_force(project, dictionary)
    columns.pop(name, None)
    if entry is not None:
        columns[name] = entry
    return map_columns(actor, project, {"v": 1, "columns": columns})


def check_dataset(project: Project, plan: Plan) -> list[dict[str, Any]]:
    """What stands in the way of a plan here, for this hospital's own people; empty when all is well."""
    return preflight.check(project, plans.read(bytes(plan.raw)))


def check_columns(actor: Actor, project: Project) -> Reading:
    """Try the dataset that serves a project against its dictionary and its plan, beside the page. Nothing is sent."""
    with acting(actor, "check_columns", project.name):
        if project.dataset is None:
            raise ConflictError("no_dataset", f"Choose the dataset that serves {project.name} first.")
        dictionary = mappings.agreed(project)
        if not dictionary:
            raise ConflictError(
                "no_dictionary", "No columns are agreed on yet, so there is nothing to check."
            )
        _, version = mappings.in_force(project, dictionary)
        row = readings.begin(project.dataset, actor.name, {"mapping": version}, project)
        readings.in_background(row)
        return row

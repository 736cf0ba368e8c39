"""Which columns are agreed on in a project, and which of this hospital's own columns become them.

Read from records alone, so that a page need not open the table: without a mapping the columns of the same name are
used, as the runner does. What a mapping means is tasks.mapping's business; a new one is made by a verb of actions.
"""

from typing import Any

from friendlyfl.controller import plans
from friendlyfl.controller.models import Dataset, Project
from friendlyfl.tasks.alike import same_levels, same_names


def agreed(project: Project) -> dict[str, Any]:
    """The data dictionary: the coordinator's draft, or what the plan says that a participant was sent."""
    if project.coordinates:
        draft: dict[str, Any] = project.dictionary
        return draft
    return proposed(project)


def proposed(project: Project) -> dict[str, Any]:
    """The data dictionary of the plan that stands; empty before there is one."""
    plan = project.plans.filter(current=True).last()
    return dict(plans.read(bytes(plan.raw)).dictionary) if plan else {}


def in_force(project: Project, dictionary: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """For each column of the dictionary how it is made here, as a mapping says it, and the mapping's version: 0 when
    nobody has made one, and columns of the same name are used."""
    last = project.mappings.order_by("version").last()
    if last is not None:
        return dict(last.mapping["columns"]), last.version
    return by_name(project.dataset, dictionary), 0


def by_name(dataset: Dataset | None, dictionary: dict[str, Any]) -> dict[str, Any]:
    """What is used while nobody has chosen."""
    if dataset is None:
        return {}
    own = columns(dataset)
    found: dict[str, Any] = {}
    for name, source in same_names(dictionary, own).items():
        found[name] = {"column": source}
        written = [value for value, _ in own[source].get("values", ())]
        recode = same_levels(dictionary[name].get("levels", ()), written)
        if dictionary[name].get("type") == "factor" and recode:
            found[name]["recode"] = recode
    return found


def columns(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The dataset's columns by name, as they were described."""
    return {column["name"]: column for column in dataset.description.get("columns", ())}


def unmapped(project: Project, dictionary: dict[str, Any]) -> list[str]:
    """Columns of the dictionary that nothing of this hospital becomes yet."""
    mapped, _ = in_force(project, dictionary)
    own = columns(project.dataset) if project.dataset else {}
    return [name for name in dictionary if mapped.get(name, {}).get("column") not in own]

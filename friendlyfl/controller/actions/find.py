"""Finding what a person means: a project, run, site or dataset by its name, number or uid."""

import difflib
from typing import Any

from django.db.models import Model, QuerySet

from friendlyfl.controller.models import Dataset, Peer, Person, Project, Run
from friendlyfl.core.errors import NotFoundError, UsageError


def project(text: str) -> Project:
    """By name, uid, or the first characters of a uid.

    Raises NotFoundError, or UsageError when several fit.
    """
    return _one(Project.objects.all(), text, "project", "name", "uid")


def peer(text: str) -> Peer:
    return _one(Peer.objects.all(), text, "hospital", "name", "site")


def dataset(text: str) -> Dataset:
    return _one(Dataset.objects.all(), text, "dataset", "name", "name")


def person(text: str) -> Person:
    """Somebody with an account on this site's portal, by the user name."""
    return _one(Person.objects.all(), text, "account", "username", "username")


def run(project_: Project, number: int | None) -> Run:
    """The run with this number, or the newest one."""
    runs = Run.objects.filter(project=project_).select_related("project", "plan").order_by("number")
    found = runs.filter(number=number).first() if number is not None else runs.last()
    if found is None:
        words = f"{project_.name} has no run yet."
        if number is not None:
            words = f"{project_.name} has no run {number}."
        raise NotFoundError("no_run", words, command="friendlyfl run list")
    return found


def _one(rows: QuerySet[Any], text: str, what: str, name: str, uid: str) -> Any:
    found: list[Model] = list(rows.filter(**{uid: text})) or list(rows.filter(**{name: text}))
    if not found and len(text) >= 6 and uid != name:
        found = list(rows.filter(**{f"{uid}__startswith": text.lower()}))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError("ambiguous", f"Several {what}s are called {text}; give the uid instead.")
    known = [str(value) for value in rows.values_list(name, flat=True)]
    close = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    if not known:
        hint = f" There is no {what} here yet."
    raise NotFoundError(f"no_{what}", f"There is no {what} called {text}.{hint}")

"""Which rows of this hospital's datasets left it as totals, and under which plan: bitmaps and marks that stay here.

They are written in the transaction of the departure, so that nothing leaves without them. Whether rows differ by a few
from these is found in the runner's child (runner/before.py); what a difference is stands in tasks.described.
"""

import secrets
from typing import Any

from django.db.models import Q

from friendlyfl.controller import contents, here, rows
from friendlyfl.controller.home import write_durably
from friendlyfl.controller.models import Described, Project, Run
from friendlyfl.core.errors import BrokenError

KEY_BYTES = 32


def opening(project: Project, plan: str) -> dict[str, Any]:
    """What a child needs to compare its rows with those of other plans: part of what it starts from."""
    newest = last()  # before the rest is read: what comes between is told again, and not missed
    return {"key": _key().hex(), "plan": plan, "releases": since(project, 0), "last": newest}


def last() -> int:
    """The newest that there is; what is checked against all up to it may leave as long as there is no newer one."""
    row = rows.first(Described, "-pk", without=("sets", "marks"))
    return row.pk if row else 0


def since(project: Project, after: int) -> list[dict[str, Any]]:
    """What was described after that of the dataset that serves a project, or of another one for the same project."""
    if project.dataset is None or last() <= after:
        return []
    same = Q(dataset=project.dataset.name) | Q(path=project.dataset.path) | Q(project=project.uid)
    found: dict[str, dict[str, Any]] = {}
    for row in Described.objects.filter(same, pk__gt=after):
        found.setdefault(
            str([row.plan, row.table, row.sets, row.marks]),
            {
                "plan": row.plan,
                "table": row.table,
                "rows": row.rows,
                "sets": [contents.for_runner(digest) for digest in row.sets],
                "marks": {name: contents.for_runner(digest) for name, digest in row.marks.items()},
            },
        )
    return [*found.values()]


def is_kept(run: Run, step: int) -> bool:
    return rows.count(Described, run=run.uid, step=step) > 0


def taken(told: dict[str, Any]) -> dict[str, Any]:
    """What a child tells of a step, its bitmaps and marks by digest."""
    return {
        **told,
        "sets": [contents.keep_from_runner(one) for one in told["sets"]],
        "marks": {name: contents.keep_from_runner(one) for name, one in told["marks"].items()},
    }


def keep(run: Run, step: int, told: dict[str, Any]) -> None:
    """Once for each step of a run: called where its first numbers are queued, in that transaction."""
    dataset = run.project.dataset
    assert dataset is not None
    place = {"project": run.project.uid, "run": run.uid, "step": step, "plan": run.plan.sha256}
    Described.objects.create(**place, dataset=dataset.name, path=dataset.path, **told)


def _key() -> bytes:
    """The key of the marks; with another one, rows described earlier would not be known again."""
    path = here.home().sub("keys") / "rows.key"
    if path.exists():
        return path.read_bytes()
    if Described.objects.exists():
        raise BrokenError(
            "home_damaged", f"The file {path} is missing. Restore it from a back-up, then start again."
        )
    write_durably(path, secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()

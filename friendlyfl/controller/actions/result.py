"""The verb by which a Result leaves the portal as a file. Looking at it needs no verb."""

import json
from collections.abc import Callable
from typing import Any

from friendlyfl.controller import figures, plans, publications
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import Result, Run
from friendlyfl.core.errors import NotFoundError

PACK, JSON = "pack.zip", "result.json"


def download_result(actor: Actor, run: Run, file: str, step: int | None = None) -> bytes:
    """A file of a run's Results: the publication pack, the Result, `tables/NAME.csv`, `figures/NUMBER.pdf` or `.png`.

    Raises NotFoundError when it is not here.
    """
    of = f" of step {step}" if step else ""
    with acting(actor, "download_result", f"{file}{of} of run {run.number} of {run.project.name}"):
        if file == PACK:
            return publications.zipped(run, step)
        made = run.results.filter(step=step or 0).first()
        if made is None:
            raise NotFoundError("no_result", f"No Result of run {run.number} is here.")
        kind, _, name = file.partition("/")
        return _FILES[kind](run, made, name)


def _json(run: Run, made: Result, name: str) -> bytes:
    return (json.dumps(made.result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _table(run: Run, made: Result, name: str) -> bytes:
    from friendlyfl.tasks import publication
    from friendlyfl.tasks.report import Result as Read

    rows = publication.tables_of(Read.from_json(made.result)).get(name.removesuffix(".csv"))
    if rows is None:
        raise NotFoundError("no_table", "This Result has no such table.")
    return publication.table(publication.in_reading_order(rows))


def _figure(run: Run, made: Result, name: str) -> bytes:
    number, _, kind = name.partition(".")
    return figures.drawn(made.result, plans.read(bytes(run.plan.raw)).dictionary, int(number), kind)


_FILES: dict[str, Callable[[Run, Any, str], bytes]] = {JSON: _json, "tables": _table, "figures": _figure}

"""Tables that are read beside the pages: a description, or a check for a project, in a child process of its own.

A `Reading` row says how far it is; its page asks again until it ends. One table is read at a time. What is found is
for this hospital's own people: kept in the row and on the dataset, never logged and never sent. Who may ask for it is
decided in actions; what the child does stands in runner.looking.
"""

import atexit
import logging
import secrets
import shutil
import threading
import time
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from friendlyfl.controller import here, mappings, plans, preflight
from friendlyfl.controller.models import Dataset, Project, Reading
from friendlyfl.controller.runner.parent import Cancelled, Runner
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks.places import filled

log = logging.getLogger("friendlyfl.readings")
SECONDS = 3600.0
TELL_EVERY = 1.0  # seconds
SILENT = timedelta(seconds=60)  # a reading that says nothing for so long has lost its process
LEFT_OVER = 3600.0  # seconds after which a folder of a reading that was killed is removed
KEPT = 5  # readings of a dataset; older ones are forgotten
FAILED = (
    "Something went wrong while the table was read. It was not changed. Read it again; if this lasts, ask IT."
)

_turn = threading.Lock()
_over = threading.Event()
_threads: list[threading.Thread] = []


def begin(dataset: Dataset, person: str, asked: dict[str, Any], project: Project | None = None) -> Reading:
    """A row for a reading that nothing does yet."""
    old = dataset.readings.order_by("-pk").values_list("pk", flat=True)[KEPT - 1 :]
    Reading.objects.filter(pk__in=list(old)).exclude(state="live").delete()
    return Reading.objects.create(dataset=dataset, project=project, asked=asked, person=person)


def in_background(row: Reading) -> None:
    """Do it in a thread of this process."""
    thread = threading.Thread(target=_alone, args=(row.pk,), name=f"reading-{row.pk}", daemon=True)
    _threads[:] = [other for other in _threads if other.is_alive()]
    _threads.append(thread)
    thread.start()


def is_live(row: Reading) -> bool:
    """It is being done; a row that says so without having been heard of is one whose process ended."""
    return row.state == "live" and timezone.now() - row.heard_at < SILENT


def settle(seconds: float = 60.0) -> None:
    """Wait until no reading of this process is under way."""
    for thread in list(_threads):
        thread.join(seconds)


def do(row: Reading) -> None:
    """Read the table now and put what was found where it belongs."""
    watch = _Watch(row)
    with _turn:
        if watch():
            return
        _remove_left_over()
        try:
            outcome = _described(row, watch) if row.project is None else _fitted(row, watch)
        except Cancelled:
            return
        except FriendlyError as error:
            outcome = {"trouble": error.code, "sentence": error.message}
    with transaction.atomic():
        if "trouble" in outcome:
            _end(row, "failed", trouble=_sentence(outcome))
        elif row.project is not None:
            _end(row, "done", outcome=outcome)
        else:
            _put(row, outcome)
            _end(row, "done")


def _alone(pk: int) -> None:
    try:
        row = Reading.objects.select_related("dataset", "project").filter(pk=pk).first()
        if row is not None:
            do(row)
    except Exception as error:  # its text could hold values of the table
        log.error("a table could not be read: %s", type(error).__name__)
        Reading.objects.filter(pk=pk).update(state="failed", trouble=FAILED)
    finally:
        connection.close()


class _Watch:
    """Tells the row how far its reading is, and whether nobody waits for it any more."""

    def __init__(self, row: Reading) -> None:
        self.pk, self.share, self.told, self.gone = row.pk, 0.0, 0.0, False

    def progress(self, share: float) -> None:
        self.share = share

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self.told >= TELL_EVERY:
            self.told = now
            live = Reading.objects.filter(pk=self.pk, state="live")
            self.gone = not live.update(share=self.share, heard_at=timezone.now())
        return self.gone or _over.is_set()


def _ask(request: dict[str, Any], watch: _Watch) -> dict[str, Any]:
    runner = Runner(here.home().sub("work") / f"look-{secrets.token_hex(4)}", request)
    try:
        return runner.ask(runner.opened, cancelled=watch, seconds=SECONDS, progress=watch.progress)
    finally:
        runner.close()


def _described(row: Reading, watch: _Watch) -> dict[str, Any]:
    dataset = {
        "path": filled(row.dataset.path),
        "missing": row.asked["missing"],
        "corrections": row.asked["corrections"],
    }
    return _ask({"do": "describe", "limits": here.policy().limits, "dataset": dataset}, watch)


def _fitted(row: Reading, watch: _Watch) -> dict[str, Any]:
    """Column by column, and then whether the steps of the plan can be computed here."""
    project = row.project
    assert project is not None
    request = {
        "do": "fit",
        "limits": here.policy().limits,
        "dataset": preflight.described(project),
        "dictionary": mappings.agreed(project),
    }
    answer = _ask(request, watch)
    if "trouble" in answer:
        return answer
    plan = project.plans.filter(current=True).last()
    problems = preflight.check(project, plans.read(bytes(plan.raw)), watch) if plan else []
    return {"columns": answer["columns"], "rows": answer["rows"], "problems": problems, "planned": bool(plan)}


def _put(row: Reading, found: dict[str, Any]) -> None:
    """The description, and the corrections it was made with, become the dataset's."""
    dataset = Dataset.objects.get(pk=row.dataset.pk)
    Dataset.objects.filter(pk=dataset.pk).update(
        missing=row.asked["missing"],
        corrections=row.asked["corrections"],
        description=found["description"],
        digest=found["digest"],
        rows=found["rows"],
        state="looked" if dataset.state == "reading" else dataset.state,
    )


def _end(row: Reading, state: str, **found: Any) -> None:
    Reading.objects.filter(pk=row.pk).update(state=state, share=1.0, heard_at=timezone.now(), **found)


def _sentence(outcome: dict[str, Any]) -> str:
    return FAILED if outcome["trouble"] == "task_failed" else str(outcome["sentence"])


def _remove_left_over() -> None:
    before = time.time() - LEFT_OVER
    for folder in here.home().sub("work").glob("look-*"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def _stop() -> None:
    """The children end with this process."""
    _over.set()
    for thread in _threads:
        thread.join(6)

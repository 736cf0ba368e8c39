"""Statements that are made once read and write what Django's own would."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from friendlyfl.controller import rows
from friendlyfl.controller.models import Identity, Job, LogLine, Outbox, Project, Run, Slot


def fields(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_row_is_written_and_read_as_django_does(study):
    run = study.ready()
    row = rows.insert(
        Outbox(msg="m1", project=run.project, run=run, type="log", context={"step": 1}, blob="b")
    )
    assert row.pk and not row._state.adding
    assert fields(Outbox.objects.get(pk=row.pk)) == fields(rows.get(Outbox, msg="m1")) == fields(row)
    made = Slot.objects.create(key="k", digest="d", sender="s", seq=2**40)
    assert fields(rows.get(Slot, pk=made.pk)) == fields(made)
    held = rows.first(Run, without=("keys",), pk=run.pk)
    assert held is not None and held.get_deferred_fields() == {"keys"} and held.keys == run.keys
    assert fields(rows.get(Identity, pk=1)) == fields(Identity.objects.get(pk=1))


def test_what_fits_and_in_which_order(study):
    run = study.ready()
    LogLine.objects.all().delete()
    for at in (3.0, 1.0, 2.0):
        rows.insert(LogLine(run=run, site="here", at=at, code="ready", sent=at > 1))
    assert [line.at for line in rows.every(LogLine, "at", run=run)] == [1.0, 2.0, 3.0]
    assert [line.at for line in rows.every(LogLine, "-at", run=run.pk, sent=True)] == [3.0, 2.0]
    assert rows.first(LogLine, "-pk", run=run).at == 2.0
    assert rows.first(LogLine, site="there") is None
    assert rows.count(LogLine, run=run, sent=True) == 2 and rows.count(LogLine, site="there") == 0
    assert rows.value(Run, "state", pk=run.pk) == run.state
    for asked in (rows.get, lambda model, **where: rows.value(model, "name", **where)):
        with pytest.raises(Project.DoesNotExist):
            asked(Project, uid="nobody's")


def test_changes_touch_what_fits_and_nothing_else(study):
    run = study.ready()
    job = rows.insert(Job(run=run, kind="local", step=1, round=7))
    assert rows.update(Job, {"pk": job.pk, "state": "waiting"}, state="done", outcome={"rows": 60}) == 1
    assert rows.update(Job, {"pk": job.pk, "state": "waiting"}, state="done") == 0
    assert Job.objects.get(pk=job.pk).outcome == {"rows": 60}
    run.round, run.reason = 9, "not written"
    rows.save(run, "round")
    assert Run.objects.get(pk=run.pk).round == 9 and Run.objects.get(pk=run.pk).reason == ""


def test_only_a_lazy_change_does_not_wait_for_the_disk(study):
    def waits() -> int:
        with connection.cursor() as cursor:
            return cursor.execute("PRAGMA synchronous").fetchone()[0]

    run, full = study.ready(), 2
    job = rows.insert(Job(run=run, kind="local", step=1, round=7))
    assert waits() == full
    assert rows.update_lazily(Job, {"pk": job.pk}, state="done") == 1
    assert waits() == full and Job.objects.get(pk=job.pk).state == "done"
    with pytest.raises(IntegrityError):
        rows.update_lazily(Job, {"pk": job.pk}, state=None)
    assert waits() == full


def test_they_belong_to_djangos_transaction_and_raise_its_errors(study):
    run = study.ready()
    with pytest.raises(RuntimeError), transaction.atomic():
        rows.insert(Job(run=run, kind="local", step=1, round=8))
        raise RuntimeError
    assert rows.count(Job, round=8) == 0
    rows.insert(Job(run=run, kind="local", step=1, round=8))
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            rows.insert(Job(run=run, kind="local", step=1, round=8))
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            rows.count(Job)

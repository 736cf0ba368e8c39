"""What the house keeps for itself: the audit, idempotency keys, password tries, and who runs which job."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from django.db import models
from django.utils import timezone

from .base import HexField, UidField, VisibleQuerySet
from .projects import Project


class AuditQuerySet(VisibleQuerySet):
    """Append only: rows are added one at a time and never changed or taken away."""

    def seen_by_administrator(self) -> Self:
        return self.all()

    def seen_by_site(self, site: int) -> Self:
        """A coordinator sees its own projects' lines."""
        return self.filter(project__in=Project.objects.filter(coordinator=site).values("uid"))

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit is append-only")

    def delete(self) -> NoReturn:
        raise TypeError("the audit is append-only")


class AuditEntry(models.Model):
    """ffl_audit: who did what to which object, when, from where, and how it ended. Texts, so it outlives
    everything.
    """

    uid = UidField(unique=True, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.CharField(max_length=64)  # site:<uid>, user:<uid>, anonymous, the house
    action = models.CharField(max_length=64)
    object = models.CharField(max_length=128, blank=True)
    project = models.CharField(max_length=36, blank=True, db_index=True)
    address = models.CharField(max_length=64, blank=True)
    outcome = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        db_table = "ffl_audit"
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("the audit is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit is append-only")


class IdempotencyKey(models.Model):
    """ffl_idempotency: the answer given to one creating POST, so that the same request again gets the same
    answer.
    """

    actor = models.CharField(max_length=64)
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=128)
    body_sha256 = HexField()
    status = models.IntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        db_table = "ffl_idempotency"
        constraints = [
            models.UniqueConstraint(fields=["actor", "route", "key"], name="ffl_idempotency_once"),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


class PasswordTry(models.Model):
    """ffl_password_try: password checks by name and by address in the minute that began at `since` (Unix
    seconds).
    """

    subject = HexField(unique=True)  # hash of "name:..." or "address:..."
    since = models.BigIntegerField()
    count = models.IntegerField()

    class Meta:
        db_table = "ffl_password_try"

    def __str__(self) -> str:
        return self.subject


class JobLease(models.Model):
    """ffl_job_lease: one row a job; whoever moves `due_at` (Unix seconds) forward runs the job for that
    period.
    """

    name = models.CharField(max_length=64, unique=True)
    due_at = models.BigIntegerField(default=0)

    class Meta:
        db_table = "ffl_job_lease"

    def __str__(self) -> str:
        return self.name

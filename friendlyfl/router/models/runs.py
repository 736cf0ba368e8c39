"""Copies of runs and of each site's place in them. The truth is at the sites; lists are made from these
rows.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from friendlyfl.core.run import ENDED, STATES

from .base import HexField, UidField, VisibleQuerySet
from .projects import Participant, Project
from .sites import Site

ACTIVE_STATES = tuple(state for state in STATES if state not in ENDED)


class RunQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        return self.all()

    def seen_by_site(self, site: int) -> Self:
        """What it coordinates; else runs it has a seat in, as long as it is in the project."""
        mine = Participant.objects.filter(site=site, out_at=None).values("project")
        seated = Seat.objects.filter(site=site).values("run")
        return self.filter(Q(project__coordinator=site) | Q(project__in=mine, pk__in=seated))

    def active(self) -> Self:
        return self.filter(state__in=ACTIVE_STATES)


class Run(models.Model):
    """ffl_run: the coordinator's own line about one execution of a plan; `uid` and `number` come from its
    journal.
    """

    uid = UidField(unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    number = models.IntegerField()
    state = models.CharField(max_length=16, default="standby")
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    progress = models.FloatField(default=0)  # as its writer counts it
    plan_sha256 = HexField()
    epoch = models.IntegerField()
    quorum = models.IntegerField()
    deadline = models.DateTimeField(null=True, blank=True)
    repeats = models.CharField(max_length=36, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    stop_message = HexField(blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        db_table = "ffl_run"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="ffl_run_number"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(state__in=ACTIVE_STATES), name="ffl_run_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} run {self.number}"


class Seat(models.Model):
    """ffl_seat: a site's own line about a run. A participant writes and reads only its own."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="seats")
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    state = models.CharField(max_length=16, default="standby")
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    progress = models.FloatField(default=0)
    reason = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ffl_seat"
        ordering = ["run", "pk"]
        constraints = [models.UniqueConstraint(fields=["run", "site"], name="ffl_seat_once")]

    def __str__(self) -> str:
        return f"{self.site} in {self.run}"

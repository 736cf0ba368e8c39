"""Runs: their journals, jobs, contents, progress, logs and Results."""

from django.db import models
from django.utils import timezone

from .projects import Plan, Project


class Run(models.Model):
    """One execution of a plan, as known here. A coordinator with data of its own has one row and two journals."""

    uid = models.CharField(max_length=36, unique=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    number = models.IntegerField()
    epoch = models.IntegerField()
    manifest = models.CharField(max_length=64)  # hash of the manifest the run is pinned to
    repeats = models.CharField(max_length=36, blank=True)
    state = models.CharField(max_length=16, blank=True)
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    reason = models.CharField(max_length=200, blank=True)
    deadline = models.FloatField(null=True)
    reported = models.CharField(max_length=64, blank=True)  # the last "state/step/round" the RS confirmed
    keys = models.JSONField(default=dict)  # site -> its run card, as SignedCard.to_json
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="run_number")]


class RunEvent(models.Model):
    """The journal. `side` is "run" (the coordinator's machine) or "seat" (this site's own part)."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    side = models.CharField(max_length=4)
    n = models.IntegerField()
    event = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "side", "n"], name="journal_place")]
        ordering = ["n"]


class Job(models.Model):
    """Work for the runner: prepare, local (this site's data); open, begin, combine (the coordinator's adding)."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=8)
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    inputs = models.JSONField(default=dict)  # digests of the contents it reads
    state = models.CharField(max_length=8, default="waiting")  # waiting, done
    # For the ledger: rows, numbers, rules passed and loosened; for the run's page: quality.
    outcome = models.JSONField(default=dict)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "kind", "step", "round"], name="job_slot")]
        indexes = [models.Index(fields=["state"])]


class SmallContent(models.Model):
    """A content or sealed bytes small enough for a row; see contents.py."""

    digest = models.CharField(max_length=64, primary_key=True)
    raw = models.BinaryField()


class SiteProgress(models.Model):
    """Coordinator: how far a site says it is in the round, and when it was last heard."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="progress")
    site = models.CharField(max_length=36)
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    fraction = models.FloatField(default=0.0)
    heard_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "site"], name="progress_of_site")]


class LogLine(models.Model):
    """A code, its place and time. `detail` is for this hospital's own eyes and never sent."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log")
    site = models.CharField(max_length=36)
    at = models.FloatField()
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    code = models.CharField(max_length=40)
    detail = models.TextField(blank=True)
    sent = models.BooleanField(default=True)  # False: a line of ours that the coordinator has not got yet

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["run", "at"], name="log_of_run_in_time")]


class Result(models.Model):
    """A step's Result as shared or made here."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="results")
    step = models.IntegerField()
    result = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="result_of_step")]
        ordering = ["step"]

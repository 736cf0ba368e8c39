"""Datasets and projects: members, plans, approvals, whose columns serve which project, and what holds in one alone."""

from django.db import models
from django.utils import timezone

from .site import Way

COORDINATOR, PARTICIPANT = "coordinator", "participant"


class Dataset(models.Model):
    """A table that stays in this hospital: where it lies and how it is read."""

    name = models.CharField(max_length=100, unique=True)
    path = models.CharField(max_length=4096)
    missing = models.JSONField(default=list)  # codes that mean "no value"
    description = models.JSONField(default=dict)  # columns, types, gaps; for this hospital's eyes only
    digest = models.CharField(max_length=64)
    rows = models.BigIntegerField()
    corrections = models.JSONField(default=dict)  # of what was guessed, as tasks.corrections reads them
    given_as = models.CharField(max_length=255, blank=True)  # the name of a file that was given at the portal
    state = models.CharField(
        max_length=8, default="ready"
    )  # reading, looked (a person has to save it), ready
    added_by = models.CharField(max_length=150)
    added_at = models.DateTimeField(default=timezone.now)


class Project(models.Model):
    uid = models.CharField(max_length=36, unique=True)
    name = models.CharField(max_length=100)
    purpose = models.TextField(blank=True)
    role = models.CharField(max_length=16)
    coordinator = models.CharField(max_length=36)
    state = models.CharField(max_length=16, default="open")  # new, joining, open, closed
    epoch = models.IntegerField(default=0)
    dictionary = models.JSONField(default=dict)  # the coordinator's draft
    cohort = models.TextField(blank=True, default="")  # and its inclusion criteria
    rules = models.JSONField(default=dict)
    dataset = models.ForeignKey(
        Dataset, null=True, on_delete=models.SET_NULL
    )  # of this site, for this project
    created_at = models.DateTimeField(default=timezone.now)

    @property
    def coordinates(self) -> bool:
        return self.role == COORDINATOR


class Reading(models.Model):
    """One reading of a table beside the pages: to describe it, or to check it for a project. See readings.py."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="readings")
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE)  # None: it is described
    asked = models.JSONField(default=dict)  # missing codes and corrections, or the mapping's version
    state = models.CharField(max_length=8, default="live")  # live, done, failed
    share = models.FloatField(default=0.0)  # that is done
    outcome = models.JSONField(default=dict)  # for this hospital's eyes only
    trouble = models.TextField(blank=True)
    person = models.CharField(max_length=150)
    began_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(default=timezone.now)  # old for one that is live: its process is gone


class Step(models.Model):
    """One step of the coordinator's draft of a plan."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="steps")
    seq = models.IntegerField()
    task = models.CharField(max_length=100)
    version = models.CharField(max_length=20)
    title = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict)
    cohort = models.TextField(blank=True, default="")  # narrower than the plan's

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "seq"], name="step_place")]
        ordering = ["seq"]


class Manifest(models.Model):
    """Every epoch of a project's signed membership, as accepted here."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="manifests")
    epoch = models.IntegerField()
    sha256 = models.CharField(max_length=64)
    signed = models.JSONField()  # SignedManifest.to_json
    accepted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "epoch"], name="manifest_epoch")]
        ordering = ["epoch"]


class Invitation(models.Model):
    """A code that this site, as coordinator, made for one hospital."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    uid = models.CharField(max_length=32, unique=True)
    label = models.CharField(max_length=100)
    code = models.CharField(max_length=100)
    state = models.CharField(max_length=16, default="open")  # open, joined, accepted, withdrawn
    site = models.CharField(max_length=36, blank=True)
    site_name = models.CharField(max_length=100, blank=True)
    card = models.JSONField(null=True)  # of the site that used the code, once its MAC was checked
    expires_at = models.DateTimeField()


class Plan(models.Model):
    """A plan as it was proposed: exact bytes, by hash."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="plans")
    sha256 = models.CharField(max_length=64)
    raw = models.BinaryField()
    epoch = models.IntegerField()
    seq = models.BigIntegerField(default=0)  # of the envelope it came in; 0 for one that was made here
    current = models.BooleanField(default=True)
    proposed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="plan_hash")]


class Approval(models.Model):
    """One site's word on one plan and epoch. At the coordinator: everybody's; elsewhere: this site's own."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="approvals")
    site = models.CharField(max_length=36)
    epoch = models.IntegerField()
    approved = models.BooleanField()
    person = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    seq = models.BigIntegerField(default=0)  # of the envelope it came in; 0 for this site's own word
    at = models.DateTimeField(default=timezone.now)
    until = models.DateField(null=True)  # the last day, in UTC, on which a run may begin on it
    once = models.BooleanField(default=False)  # for one run only
    run = models.CharField(max_length=36, blank=True)  # the run for which a yes "for one run" was used
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]


class Mapping(models.Model):
    """How this site's columns become the dictionary's; a version is never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="mappings")
    version = models.IntegerField()
    mapping = models.JSONField()
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="mapping_version")]


class RuleException(models.Model):
    """One disclosure rule of this site, loosened for one project up to a day. Kept when it is over."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exceptions")
    rule = models.CharField(max_length=20)
    value = models.FloatField()  # 0 of the rule "tasks", which has a name instead
    task = models.CharField(max_length=100, blank=True)  # that may be used although it is not on the list
    reason = models.CharField(max_length=500)  # for this hospital's eyes only
    person = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)
    until = models.DateField()  # the last day, in UTC, on which it holds
    ended_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True)  # before its last day

    class Meta:
        ordering = ["pk"]


class Word(models.Model):
    """The last word about a project on one way: written before it is sent, taken back if it surely did not go."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    way = models.ForeignKey(Way, on_delete=models.CASCADE)
    at = models.DateTimeField()
    matters = models.JSONField(default=list)  # what it was about, as matters.by_project names it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "way"], name="word_of_project")]

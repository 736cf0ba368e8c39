"""Post on its way out and in, the ledger of what has left, and which rows that described."""

from django.db import models
from django.utils import timezone

from .projects import Project
from .runs import Run


class Outbox(models.Model):
    """Finished bytes on their way out: a retry sends the same. `here` is post of this site to itself."""

    msg = models.CharField(max_length=32, unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE)
    type = models.CharField(max_length=16)
    here = models.BooleanField(default=False)
    context = models.JSONField()  # step, round and, for post to itself, the content's digest
    post = models.JSONField(default=dict)  # Post.to_json: what the RS gets beside the blob
    blob = models.CharField(max_length=64)  # digest of the sealed (or, here, the plain) bytes
    tries = models.IntegerField(default=0)
    trouble = models.TextField(blank=True)  # why it has not gone yet, or why it never will
    state = models.CharField(max_length=8, default="waiting")  # waiting, held (see doubts.py), sent, refused
    made_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "id"])]


class Slot(models.Model):
    """The inbox's memory: the digest of the first envelope accepted in each slot. Never deleted."""

    key = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=64)
    sender = models.CharField(max_length=36)
    seq = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["sender", "seq"])]


class HeldPost(models.Model):
    """Post that could not be taken: early (kept unopened, tried again) or refused (kept for a person to see)."""

    rs_id = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=8)  # early, refused
    post = models.JSONField()  # as the RS delivered it, the blob by digest
    sender = models.CharField(max_length=36)
    code = models.CharField(max_length=40, blank=True)
    sentence = models.TextField(blank=True)
    at = models.DateTimeField(default=timezone.now)


class Departure(models.Model):
    """One line of the ledger: something that left this hospital, or was refused ("nothing was sent")."""

    n = models.BigIntegerField(unique=True)
    at = models.CharField(max_length=32)  # RFC 3339, UTC; part of the hash
    project = models.CharField(max_length=36)
    run = models.CharField(max_length=36, blank=True)
    step = models.IntegerField(default=0)
    round = models.IntegerField(default=0)
    type = models.CharField(max_length=16)
    to = models.JSONField(default=list)
    what = models.TextField()
    numbers = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(null=True)  # rows described; null where no row is
    rules = models.TextField(blank=True)
    secure_sum = models.BooleanField(default=False)
    approval = models.CharField(max_length=300, blank=True)
    plain_sha256 = models.CharField(max_length=64, blank=True)
    sealed_sha256 = models.CharField(max_length=64, blank=True)
    msg = models.CharField(max_length=32, blank=True)
    before = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["n"]
        indexes = [models.Index(fields=["project", "at"]), models.Index(fields=["at"])]


class Described(models.Model):
    """Which rows of a dataset a step of a run described, in contents that stay here. Kept for ever; see described."""

    project = models.CharField(max_length=36)
    run = models.CharField(max_length=36)
    step = models.IntegerField()
    plan = models.CharField(max_length=64)
    dataset = models.CharField(max_length=100)
    path = models.CharField(max_length=4096)
    table = models.CharField(max_length=80)  # the same for the same file read in the same way
    rows = models.BigIntegerField()  # of the whole table
    sets = models.JSONField(default=list)  # digests of bitmaps
    marks = models.JSONField(default=dict)  # column of the dataset -> digest of its marks

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="described_by_step")]
        ordering = ["pk"]

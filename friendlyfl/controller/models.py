"""What a site remembers. Records only: who may change them and why is decided in actions, inbox and runs.

Two rules hold everywhere: what has left this hospital has a Departure, and where a run stands is a fold of its
RunEvents; `Run.state`, `step` and `round` are copies of that fold for lists, written by runs.feed alone.
"""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

ROLES = ("viewer", "researcher", "site-admin")
COORDINATOR, PARTICIPANT = "coordinator", "participant"


class Person(AbstractUser):
    """Somebody with an account on this site's portal."""

    role = models.CharField(max_length=16, default="viewer", choices=[(role, role) for role in ROLES])
    language = models.CharField(max_length=16, blank=True)  # "": as the browser asks for
    inbox_read_at = models.DateTimeField(null=True)  # notices up to then are read


class FormKey(models.Model):
    """One sending of a form on the portal, so that it counts once; see portal/page.py."""

    key = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    leads_to = models.CharField(max_length=500, blank=True)  # where its answer led; "" while it is being done
    at = models.DateTimeField(default=timezone.now)


class Identity(models.Model):
    """This site: one row. The keys themselves are files; see keyring."""

    site = models.CharField(max_length=36)
    name = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    router = models.CharField(max_length=255, blank=True)  # the RS's address; "" until connected
    ca_file = models.CharField(max_length=1024, blank=True)
    plain_inside = models.BooleanField(default=False)  # the RS is reached in plain text inside one machine
    instance = models.CharField(max_length=36)
    lease = models.BigIntegerField(default=0)
    beats = models.BigIntegerField(default=0)
    beat_id = models.CharField(max_length=36, blank=True)
    cursor = models.BigIntegerField(default=0)  # all inbox positions up to here are stored here
    seq = models.BigIntegerField(default=0)  # of the last envelope sealed here
    clock_offset = models.FloatField(default=0.0)  # seconds to add to our clock to get the RS's
    answered_at = models.DateTimeField(null=True)  # the RS's last answer
    line_trouble = models.TextField(blank=True)  # the sentence while the RS cannot be reached
    line_trouble_since = models.DateTimeField(null=True)
    first_code = models.CharField(max_length=128, blank=True)  # hash of the one-time code for the first admin

    @classmethod
    def get(cls) -> "Identity":
        return cls.objects.get(pk=1)


class Peer(models.Model):
    """Another site whose identity is pinned here."""

    site = models.CharField(max_length=36, unique=True)
    name = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    card = models.JSONField()  # newest standing SignedCard seen, as SignedCard.to_json
    verified_by = models.CharField(max_length=150, blank=True)
    verified_at = models.DateTimeField(null=True)
    doubted = models.BooleanField(
        default=False
    )  # no post goes there or comes in until a person has settled it
    doubt = models.CharField(max_length=16, blank=True)  # why: "shown" by the RS, or "heard" on the telephone
    shown = models.CharField(max_length=64, blank=True)  # the other fingerprint while the RS shows it
    doubted_at = models.DateTimeField(null=True)


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


class Policy(models.Model):
    """This site's rules, one row: disclosure rules and the runner's limits, as tasks.disclosure reads them."""

    rules = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)

    @classmethod
    def get(cls) -> "Policy":
        return cls.objects.get_or_create(pk=1)[0]


class RuleException(models.Model):
    """One disclosure rule of this site, loosened for one project up to a day. Kept when it is over."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exceptions")
    rule = models.CharField(max_length=20)
    value = models.FloatField()
    reason = models.CharField(max_length=500)  # for this hospital's eyes only
    person = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)
    until = models.DateField()  # the last day, in UTC, on which it holds
    ended_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True)  # before its last day

    class Meta:
        ordering = ["pk"]


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
    outcome = models.JSONField(
        default=dict
    )  # for the ledger: rows, numbers, rules passed; for the run's page: quality
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "kind", "step", "round"], name="job_slot")]
        indexes = [models.Index(fields=["state"])]


class SmallContent(models.Model):
    """A content or sealed bytes small enough for a row; see contents.py."""

    digest = models.CharField(max_length=64, primary_key=True)
    raw = models.BinaryField()


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


class Result(models.Model):
    """A step's Result as shared or made here."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="results")
    step = models.IntegerField()
    result = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="result_of_step")]
        ordering = ["step"]


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


class AuditLine(models.Model):
    """Who did what on this site, by which verb, with which outcome. Append-only."""

    at = models.DateTimeField(default=timezone.now)
    person = models.CharField(max_length=150)
    verb = models.CharField(max_length=40)
    object = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=200, default="done")


class Way(models.Model):
    """A way on which word of the inbox goes out: "mail" or "webhook". Its secret is a file; see word.py."""

    name = models.CharField(max_length=8, unique=True)
    on = models.BooleanField(default=False)
    since = models.DateTimeField(default=timezone.now)  # switched on; what had happened before is no news
    given = models.JSONField(default=dict)  # the settings that are no secret
    link = models.CharField(
        max_length=500, blank=True
    )  # the inbox, as the site-admin's browser reached this portal
    tries = models.IntegerField(default=0)  # that failed, one after the other
    tried_at = models.DateTimeField(null=True)
    trouble = models.TextField(blank=True)  # the sentence of the last try; "" if it went
    said_at = models.DateTimeField(null=True)  # the last word that went


class Word(models.Model):
    """The last word about a project on one way: written before it is sent, taken back if it surely did not go."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    way = models.ForeignKey(Way, on_delete=models.CASCADE)
    at = models.DateTimeField()
    matters = models.JSONField(default=list)  # what it was about, as matters.by_project names it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "way"], name="word_of_project")]

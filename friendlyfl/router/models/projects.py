"""Projects and who belongs to them. Membership follows the coordinator's signed manifests and nothing else."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Count, Q
from django.utils import timezone

from friendlyfl.core import limits

from .base import HexField, UidField, VisibleQuerySet
from .sites import Site


class ProjectQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        inside = Q(participants__out_at=None) & Q(participants__isnull=False)
        return self.annotate(
            participants_count=Count("participants", filter=inside, distinct=True),
            runs_count=Count("runs", distinct=True),
        )

    def seen_by_site(self, site: int) -> Self:
        mine = Participant.objects.filter(site=site, out_at=None).values("project")
        return self.filter(Q(coordinator=site) | Q(pk__in=mine))


class Project(models.Model):
    """ffl_project: a question several sites work on. `epoch` is the newest accepted manifest's, 0 before
    the first.
    """

    class State(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"
        ARCHIVED = "archived"

    uid = UidField(unique=True)
    name = models.CharField(max_length=limits.NAME)
    description = models.TextField(blank=True)
    coordinator = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="coordinates")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    plan_sha256 = HexField(blank=True)
    epoch = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        db_table = "ffl_project"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """ffl_step: the name of one task of the plan at its place. The parameters travel sealed; here is their
    hash.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="steps")
    seq = models.IntegerField()
    task = models.CharField(max_length=limits.NAME)
    version = models.CharField(max_length=32)
    title = models.CharField(max_length=limits.NAME)
    parameters_sha256 = HexField()

    class Meta:
        db_table = "ffl_step"
        ordering = ["project", "seq"]
        constraints = [models.UniqueConstraint(fields=["project", "seq"], name="ffl_step_seq")]

    def __str__(self) -> str:
        return self.title


class Manifest(models.Model):
    """ffl_manifest: the signed membership of one epoch, exactly as the coordinator signed it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="manifests")
    epoch = models.IntegerField()
    sha256 = HexField(unique=True)
    raw = models.BinaryField()
    signature = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ffl_manifest"
        ordering = ["project", "epoch"]
        constraints = [models.UniqueConstraint(fields=["project", "epoch"], name="ffl_manifest_epoch")]

    def __str__(self) -> str:
        return f"{self.project} {self.epoch}"


class Member(models.Model):
    """ffl_member: one member of one epoch, so that a run's pinned epoch can be looked up without parsing."""

    manifest = models.ForeignKey(Manifest, on_delete=models.CASCADE, related_name="members")
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    role = models.CharField(max_length=16)  # coordinator, participant
    fingerprint = HexField()

    class Meta:
        db_table = "ffl_member"
        ordering = ["manifest", "pk"]
        constraints = [models.UniqueConstraint(fields=["manifest", "site"], name="ffl_member_once")]

    def __str__(self) -> str:
        return f"{self.site} in {self.manifest}"


class ParticipantQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        return self.filter(out_at=None)

    def seen_by_site(self, site: int) -> Self:
        return self.filter(project__in=Project.objects.seen_by_site(site), out_at=None)


class Participant(models.Model):
    """ffl_participant: a site that is (out_at null) or was in a project. The coordinator has a row as well.

    A post of a run pinned to an older epoch needs both: the member row of that epoch, and a participant row
    not out.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="participants")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="seats_in")
    role = models.CharField(max_length=16)  # coordinator, participant
    fingerprint = HexField()
    joined_at = models.DateTimeField(default=timezone.now)
    out_at = models.DateTimeField(null=True, blank=True)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        db_table = "ffl_participant"
        ordering = ["project", "pk"]
        constraints = [models.UniqueConstraint(fields=["project", "site"], name="ffl_participant_once")]

    def __str__(self) -> str:
        return f"{self.site} in {self.project}"


class InvitationQuerySet(VisibleQuerySet):
    def seen_by_site(self, site: int) -> Self:
        return self.filter(project__coordinator=site)


class Invitation(models.Model):
    """ffl_invitation: an invitation code's public id, and the one answer to it. The secret never comes
    here.
    """

    code_id = HexField(max_length=32, unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    label = models.CharField(max_length=limits.NAME, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.SET_NULL)
    card = models.BinaryField(null=True, blank=True)
    signature = models.BinaryField(null=True, blank=True)
    mac = models.BinaryField(null=True, blank=True)
    joined_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        db_table = "ffl_invitation"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.label or self.code_id

    @property
    def state(self) -> str:
        if self.accepted_at is not None:
            return "accepted"
        if self.joined_at is not None:
            return "joined"
        return "expired" if self.expires_at <= timezone.now() else "open"

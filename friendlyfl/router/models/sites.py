"""Sites, their key cards, and what makes a signed request acceptable once: leases and nonces."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from friendlyfl.core import limits

from .base import HexField, UidField, VisibleQuerySet


class SiteQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        return self.all()

    def seen_by_site(self, site: int) -> Self:
        """Itself, the members of what it coordinates, and the coordinators of what it takes part in."""
        from .projects import Participant, Project

        members = Participant.objects.filter(project__coordinator=site, out_at=None).values("site")
        joined = Participant.objects.filter(site=site, out_at=None).values("project")
        coordinators = Project.objects.filter(pk__in=joined).values("coordinator")
        seen = self.filter(Q(pk=site) | Q(pk__in=members) | Q(pk__in=coordinators))
        return seen.annotate(is_member=Exists(members.filter(site=OuterRef("pk"))))

    def seen_by_person(self, user: int) -> Self:
        return self.filter(owner=user)

    def seen_by_revoked(self, site: int) -> Self:
        return self.filter(pk=site)

    def fellows_of(self, site: int) -> Self:
        """Itself and every site it shares a project with: those whose key cards it needs."""
        from .projects import Participant

        mine = Participant.objects.filter(site=site, out_at=None).values("project")
        fellows = Participant.objects.filter(project__in=mine, out_at=None).values("site")
        return self.filter(Q(pk=site) | Q(pk__in=fellows))


class Site(models.Model):
    """ffl_site: one hospital's installation. `fingerprint` names its identity key, `public` is that key in
    hex.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        REVOKED = "revoked"

    uid = UidField(unique=True)
    name = models.CharField(max_length=limits.NAME)
    description = models.TextField(blank=True)
    owner = models.ForeignKey("User", null=True, on_delete=models.SET_NULL, related_name="sites")
    fingerprint = HexField(unique=True)
    public = HexField()
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_seen = models.DateTimeField(null=True, blank=True)
    noted_connected = models.BooleanField(default=False)  # what the job last wrote to the audit; never shown
    clock_skew = models.IntegerField(null=True, blank=True)  # seconds, this site's clock minus ours
    version = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = SiteQuerySet.as_manager()

    class Meta:
        db_table = "ffl_site"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def connected(self) -> bool:
        """Seen within the last minute. Whole instants are compared, so a site dead for 25 hours is dead."""
        if self.last_seen is None:
            return False
        return timezone.now() - self.last_seen <= timedelta(seconds=limits.CONNECTED_WITHIN)


class Card(models.Model):
    """ffl_card: a key card exactly as its site signed it. `use` is "standing" or a run's uid.

    `seq` counts up for each use by itself.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="cards")
    sha256 = HexField(unique=True)
    kid = HexField(max_length=32)
    use = models.CharField(max_length=36)
    seq = models.BigIntegerField()
    raw = models.BinaryField()
    signature = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ffl_card"
        ordering = ["site", "pk"]
        constraints = [models.UniqueConstraint(fields=["site", "use", "seq"], name="ffl_card_seq")]

    def __str__(self) -> str:
        return self.kid


class Lease(models.Model):
    """ffl_lease: which Controller instance speaks for a site, under which fence. Times are Unix seconds.

    No row yet means fence 0. Every signed request carries the fence as `ffl-lease`.
    """

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="lease")
    instance = models.CharField(max_length=64, blank=True)  # empty: released, the next asker gets it
    fence = models.BigIntegerField(default=0)
    since = models.BigIntegerField()
    seen_at = models.BigIntegerField()
    n = models.BigIntegerField(default=0)  # the last heartbeat's count and id, as sent
    beat = models.CharField(max_length=64, blank=True)

    class Meta:
        db_table = "ffl_lease"

    def __str__(self) -> str:
        return f"{self.site} {self.fence}"


class Nonce(models.Model):
    """ffl_nonce: nonces of accepted request signatures, kept until 10 minutes after `created` (Unix
    seconds).
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, db_index=False)
    nonce = models.CharField(max_length=64)
    expires_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "ffl_nonce"
        constraints = [models.UniqueConstraint(fields=["site", "nonce"], name="ffl_nonce_once")]

    def __str__(self) -> str:
        return self.nonce

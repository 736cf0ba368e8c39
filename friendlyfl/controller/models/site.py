"""This hospital itself, the others it knows, its rules, and the ways on which word of the inbox goes out."""

from django.db import models
from django.utils import timezone


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


class Policy(models.Model):
    """This site's rules, one row: disclosure rules and the runner's limits, as tasks.disclosure reads them."""

    rules = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)

    @classmethod
    def get(cls) -> "Policy":
        return cls.objects.get_or_create(pk=1)[0]


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

"""The relay's tables. Django makes them; the relay alone writes them, with plain SQL.

All times are Unix seconds, all hashes lower-case hex, all uids 36 characters. A column with a starting
value has it in the database too (db_default), so an INSERT may leave it out.
"""

from __future__ import annotations

from django.db import models

from .base import HexField, UidField
from .projects import Project
from .sites import Site


class Message(models.Model):
    """ffl_message: one sealed envelope as posted. `digest` is its id in the API.

    `slot` is wire.message.slot_of(ctx) plus the recipients, unique: the same digest again is a repeat,
    another digest in a taken slot is 409. Rows stay as slots when the blob is long gone. `run` is the
    run's uid, or "" outside a run.
    """

    digest = HexField(unique=True)
    slot = models.TextField(unique=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="messages")
    sender = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="posted")
    type = models.CharField(max_length=16)
    run = models.CharField(max_length=36, blank=True, db_default="")
    step = models.IntegerField(db_default=0)
    round = models.IntegerField(db_default=0)
    part = models.IntegerField(db_default=0)
    epoch = models.IntegerField()
    envelope = models.BinaryField()
    signature = models.BinaryField()
    blob_sha256 = HexField(db_index=True)
    blob_length = models.BigIntegerField()
    posted_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "ffl_message"
        ordering = ["pk"]
        indexes = [models.Index(fields=["run", "type", "sender"], name="ffl_message_run")]

    def __str__(self) -> str:
        return f"{self.type} {self.digest[:12]}"


class Delivery(models.Model):
    """ffl_delivery: one message for one site, at a position of that site's mailbox. acked_at null: not yet
    safe there.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, db_index=False)
    position = models.BigIntegerField()
    delivery = models.BinaryField()
    signature = models.BinaryField()
    acked_at = models.BigIntegerField(null=True, blank=True)

    class Meta:
        db_table = "ffl_delivery"
        ordering = ["site", "position"]
        constraints = [
            models.UniqueConstraint(fields=["site", "position"], name="ffl_delivery_position"),
            models.UniqueConstraint(fields=["message", "site"], name="ffl_delivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.site_id}:{self.position}"


class Mailbox(models.Model):
    """ffl_mailbox: a site's row to lock while positions are given. Made with the site, so it is always there.

    `last` is the last position given; `acked` is the mark up to which all is safely stored at the site.
    """

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="mailbox")
    last = models.BigIntegerField(default=0, db_default=0)
    acked = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "ffl_mailbox"

    def __str__(self) -> str:
        return f"mailbox {self.site_id}"


class Blob(models.Model):
    """ffl_blob: an opaque payload named by its SHA-256. `data` holds small ones; null: it is in the store.

    `gone_at` is set when the bytes were deleted; the row stays, so that a late reader gets a sentence and
    not a riddle.
    """

    sha256 = HexField(unique=True)
    length = models.BigIntegerField()
    data = models.BinaryField(null=True, blank=True)
    stored_at = models.BigIntegerField()
    gone_at = models.BigIntegerField(null=True, blank=True)

    class Meta:
        db_table = "ffl_blob"

    def __str__(self) -> str:
        return self.sha256


class Upload(models.Model):
    """ffl_upload: a payload on its way in from one site. `received` counts bytes that are synced to disk."""

    uid = UidField(unique=True)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, db_index=False)
    sha256 = HexField()
    length = models.BigIntegerField()
    message_type = models.CharField(max_length=16)
    run = models.CharField(max_length=36, blank=True, db_default="")
    received = models.BigIntegerField(default=0, db_default=0)
    started_at = models.BigIntegerField()
    expires_at = models.BigIntegerField(db_index=True)
    completed_at = models.BigIntegerField(null=True, blank=True)

    class Meta:
        db_table = "ffl_upload"
        indexes = [models.Index(fields=["site", "sha256"], name="ffl_upload_blob")]

    def __str__(self) -> str:
        return self.uid

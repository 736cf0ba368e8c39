"""What comes in: one strict record for each verb that takes a body."""

from __future__ import annotations

from rest_framework import serializers

from friendlyfl.core import limits
from friendlyfl.wire.keys import SIGNATURE

from .fields import (
    COUNT,
    Choice,
    Deadline,
    Hex,
    In,
    Instant,
    Label,
    Name,
    Octets,
    Progress,
    Secret,
    Text,
    Uid,
    Whole,
)

STEPS = 200  # of one plan


class LoginIn(In):
    username = Text(150)
    password = Secret()


class UserIn(In):
    """A new account, made by an administrator. The staff flag is set on the admin site only."""

    username = Text(150)
    password = Secret()
    name = Text(limits.NAME, required=False, default="")
    email = serializers.EmailField(required=False, default="", allow_blank=True, max_length=254)


class UserChangeIn(In):
    """One's own e-mail and password are changed with the current password; an administrator needs none."""

    name = Text(limits.NAME, required=False)
    email = serializers.EmailField(required=False, allow_blank=True, max_length=254)
    password = Secret(required=False)
    current_password = Secret(required=False)


class EnrolmentIn(In):
    user = Uid()


class _CardIn(In):
    card = Octets(most=limits.RECORD)
    signature = Octets(most=SIGNATURE, exactly=SIGNATURE)


class CardIn(_CardIn):
    """A key card in base64 and its signature."""


class SiteIn(_CardIn):
    """A new site, which chooses its uid. The first card is signed by the key that it names."""

    uid = Uid()
    name = Name()
    description = Text(required=False, default="")


class SiteChangeIn(In):
    name = Name(required=False)
    description = Text(required=False)


class HeartbeatIn(In):
    instance = Label(64)
    n = Whole(most=2**53)
    id = Label(64)


class ProjectIn(In):
    uid = Uid(required=False)
    name = Name()
    description = Text(required=False, default="")


class ProjectChangeIn(In):
    name = Name(required=False)
    description = Text(required=False)
    state = Choice(("open", "closed"), required=False)


class StepIn(In):
    seq = Whole(least=1)
    task = Name()
    version = Label(32)
    title = Name()
    parameters_sha256 = Hex()


class StepsIn(In):
    plan_sha256 = Hex()
    steps = serializers.ListField(child=StepIn(), max_length=STEPS)


class InvitationIn(In):
    """`id` is derived from the code; the code's secret never comes here."""

    id = Hex(32)
    label = Text(limits.NAME, required=False, default="")
    expires_at = Instant(required=False, default=None, allow_null=True)


class JoinIn(_CardIn):
    mac = Octets(most=32, exactly=32)


class ManifestIn(In):
    manifest = Octets(most=limits.MANIFEST)
    signature = Octets(most=SIGNATURE, exactly=SIGNATURE)


class RunIn(In):
    uid = Uid()
    project = Uid()
    number = Whole(least=1)
    plan_sha256 = Hex()
    epoch = Whole(least=1)
    quorum = Whole(least=1, most=limits.RECIPIENTS)
    deadline = Deadline(required=False, default=None, allow_null=True)
    repeats = Uid(required=False, default=None, allow_null=True)


class StatusIn(In):
    """The asker's own line. `state` is one of core.run's."""

    state = Text(16)
    step = Whole(most=COUNT)
    round = Whole(most=COUNT)
    progress = Progress(required=False, default=0.0)
    reason = Text(300, required=False, default="", allow_null=True)


class StopIn(In):
    """A coordinator names the signed `stop` it posted; an administrator gives a reason."""

    message = Hex(required=False)
    reason = Text(300, required=False)


class NothingIn(In):
    """No fields: an empty body or {}."""

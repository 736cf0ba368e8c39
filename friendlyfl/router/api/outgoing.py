"""What goes out: one record for each resource. Who asks is in `context["actor"]`, where it makes a difference."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from friendlyfl.wire.canonical import b64

from ..models import Invitation, Participant, Project, Run, Seat, Site


class Out(serializers.Serializer):
    """A record that goes out; nothing is ever written through it."""

    @property
    def asker(self) -> Any:
        return self.context["actor"]


class Base64(serializers.Field):
    def form(self) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64"}

    def to_representation(self, value: Any) -> str:
        return b64(bytes(value))


class UserOut(Out):
    uid = serializers.UUIDField()
    username = serializers.CharField()
    name = serializers.CharField()
    email = serializers.EmailField()
    is_staff = serializers.BooleanField()
    created_at = serializers.DateTimeField(source="date_joined")


class TokenOut(Out):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class EnrolmentOut(Out):
    """`code` is told when it is made and never again."""

    uid = serializers.UUIDField()
    user = serializers.UUIDField(source="user.uid")
    username = serializers.CharField(source="user.username")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)
    code = serializers.CharField(required=False)


class SiteOut(Out):
    """Of its coordinator a participant is told uid, name and fingerprint; of a member its coordinator all."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(required=False)
    fingerprint = serializers.CharField()
    owner = serializers.UUIDField(source="owner.uid", default=None, required=False)
    state = serializers.ChoiceField(Site.State.choices, required=False)
    connected = serializers.BooleanField(required=False)
    last_seen = serializers.DateTimeField(required=False)
    version = serializers.CharField(required=False)
    clock_skew = serializers.IntegerField(required=False)
    created_at = serializers.DateTimeField(required=False)

    def to_representation(self, site: Site) -> dict[str, Any]:
        row: dict[str, Any] = super().to_representation(site)
        asker = self.asker
        if asker.is_administrator or asker.user is not None:
            return row
        if asker.site.pk == site.pk:
            return row
        if getattr(site, "is_member", False):
            return {name: value for name, value in row.items() if name != "owner"}
        return {name: row[name] for name in ("uid", "name", "fingerprint")}


class OwnSiteOut(SiteOut):
    server_time = serializers.DateTimeField()
    limits = serializers.DictField(child=serializers.IntegerField())
    oldest_controller = serializers.CharField()


class BeatOut(Out):
    lease = serializers.IntegerField()
    server_time = serializers.DateTimeField()
    projects = serializers.DictField(child=serializers.IntegerField())
    joins = serializers.IntegerField()


class CardOut(Out):
    card = Base64(source="raw")
    signature = Base64()


class CardsOut(Out):
    cards = CardOut(many=True)


class ProjectOut(Out):
    """An administrator is told states and counts, not what the project says of itself."""

    uid = serializers.UUIDField()
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    coordinator = serializers.UUIDField(source="coordinator.uid")
    role = serializers.SerializerMethodField(required=False)
    state = serializers.ChoiceField(Project.State.choices)
    plan_sha256 = serializers.CharField(required=False)
    epoch = serializers.IntegerField()
    created_at = serializers.DateTimeField()

    def get_role(self, project: Project) -> str:
        return "coordinator" if self.asker.site.pk == project.coordinator_id else "participant"

    def to_representation(self, project: Project) -> dict[str, Any]:
        if not self.asker.is_administrator:
            row: dict[str, Any] = super().to_representation(project)
            return row
        return {
            "uid": project.uid,
            "coordinator": project.coordinator.uid,
            "state": project.state,
            "epoch": project.epoch,
            "created_at": serializers.DateTimeField().to_representation(project.created_at),
            "participants": project.participants_count,  # type: ignore[attr-defined]
            "runs": project.runs_count,  # type: ignore[attr-defined]
        }


class StepOut(Out):
    seq = serializers.IntegerField()
    task = serializers.CharField()
    version = serializers.CharField()
    title = serializers.CharField()
    parameters_sha256 = serializers.CharField()


class StepsOut(Out):
    plan_sha256 = serializers.CharField()
    steps = StepOut(many=True)


class ParticipantOut(Out):
    """A participant reads the names of itself and of its coordinator only; of others uid, role and card."""

    site = serializers.UUIDField(source="site.uid")
    name = serializers.SerializerMethodField()
    role = serializers.CharField()
    fingerprint = serializers.CharField()
    joined_at = serializers.DateTimeField()
    card = serializers.SerializerMethodField()

    @extend_schema_field(CardOut)
    def get_card(self, row: Participant) -> Any:
        return CardOut(row.site.standing_cards[-1]).data  # type: ignore[attr-defined]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_name(self, row: Participant) -> str | None:
        asker = self.asker.site
        known = asker is None or asker.pk in (row.project.coordinator_id, row.site_id)
        return row.site.name if known or row.role == "coordinator" else None


class JoinOut(Out):
    site = serializers.UUIDField(source="site.uid", default=None)
    name = serializers.CharField(source="site.name", default="")
    card = Base64()
    signature = Base64()
    mac = Base64()


class InvitationOut(Out):
    id = serializers.CharField(source="code_id")
    label = serializers.CharField()
    state = serializers.ChoiceField(("open", "joined", "accepted", "expired"))
    expires_at = serializers.DateTimeField()
    join = serializers.SerializerMethodField()

    @extend_schema_field(JoinOut(allow_null=True))
    def get_join(self, invitation: Invitation) -> Any:
        return JoinOut(invitation).data if invitation.joined_at is not None and invitation.site else None


class _NamedProject(Out):
    uid = serializers.UUIDField()
    name = serializers.CharField()


class _NamedSite(Out):
    site = serializers.UUIDField(source="uid")
    name = serializers.CharField()


class OfferOut(Out):
    """What the holder of a code may see: the project's name and the coordinator's standing card."""

    project = _NamedProject()
    coordinator = _NamedSite(source="project.coordinator")
    card = Base64(source="coordinator_card.raw")
    signature = Base64(source="coordinator_card.signature")


class ManifestOut(Out):
    manifest = Base64(source="raw")
    signature = Base64()


class ManifestsOut(Out):
    manifests = ManifestOut(many=True)


class SeatOut(Out):
    site = serializers.UUIDField(source="site.uid")
    state = serializers.CharField()
    step = serializers.IntegerField()
    round = serializers.IntegerField()
    progress = serializers.FloatField()
    reason = serializers.CharField()
    updated_at = serializers.DateTimeField()


class RunOut(Out):
    """`seats`: the coordinator reads all, a participant its own, an administrator how many there are."""

    uid = serializers.UUIDField()
    project = serializers.UUIDField(source="project.uid")
    number = serializers.IntegerField()
    state = serializers.CharField()
    step = serializers.IntegerField()
    round = serializers.IntegerField()
    progress = serializers.FloatField()
    plan_sha256 = serializers.CharField()
    epoch = serializers.IntegerField()
    quorum = serializers.IntegerField()
    deadline = serializers.DateTimeField(allow_null=True)
    repeats = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    stop_message = serializers.CharField()
    seats = serializers.SerializerMethodField()

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_repeats(self, run: Run) -> str | None:
        return run.repeats or None

    @extend_schema_field(SeatOut(many=True))
    def get_seats(self, run: Run) -> Any:
        seats: list[Seat] = list(run.seats.all())
        if self.asker.is_administrator:
            return len(seats)
        if run.project.coordinator_id != self.asker.site.pk:
            seats = [seat for seat in seats if seat.site_id == self.asker.site.pk]
        return SeatOut(seats, many=True).data


class LogOut(Out):
    """The id of a sealed `log` message; its content is opened at the sites only."""

    id = serializers.CharField(source="digest")
    site = serializers.UUIDField(source="sender.uid")
    step = serializers.IntegerField()
    part = serializers.IntegerField()
    length = serializers.IntegerField(source="blob_length")


class AuditOut(Out):
    uid = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    action = serializers.CharField()
    object = serializers.CharField()
    project = serializers.CharField()
    address = serializers.CharField(required=False)
    outcome = serializers.CharField()

    def to_representation(self, entry: Any) -> dict[str, Any]:
        """Network addresses of others are the administrator's business only."""
        row: dict[str, Any] = super().to_representation(entry)
        if not self.asker.is_administrator:
            del row["address"]
        return row


class StatusOut(Out):
    status = serializers.CharField()


class ProblemOut(Out):
    """Every refusal: a code, one plain sentence, and who must act."""

    code = serializers.CharField()
    message = serializers.CharField()
    who = serializers.CharField()
    retry_after = serializers.IntegerField(required=False)

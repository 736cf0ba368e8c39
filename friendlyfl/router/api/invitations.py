"""Invitations: the coordinator's list of codes it handed out, and what the holder of a code may ask and do."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from friendlyfl.wire.keys import STANDING, SignedCard

from ..models import Card, Invitation
from ..refusals import not_found
from ..registry import membership
from ..registry.actor import Actor, Kind
from . import incoming as take
from . import outgoing as out
from .base import Endpoint, ProjectEndpoint, find
from .policy import Role, role_in


class Invitations(ProjectEndpoint):
    """The coordinator's invitations, with the joins that wait for its word."""

    route = "invitations"
    takes = {"POST": take.InvitationIn}
    gives = {"GET": out.InvitationOut, "POST": out.InvitationOut}
    paged = creates = True

    def get(self, request: Request, project: str) -> Response:
        rows = Invitation.objects.visible_to(self.actor).filter(project=self.project)
        return self.give_page(out.InvitationOut, rows.select_related("site"))

    def post(self, request: Request, project: str) -> Response:
        fields = self.body(request)
        invitation, new = membership.invite(self.project, code_id=fields.pop("id"), **fields)
        if new:
            self.note("invitation.made", f"invitation:{invitation.code_id}", project)
        return self.give(out.InvitationOut, invitation, 201 if new else 200)


class OneInvitation(ProjectEndpoint):
    """Take an invitation back."""

    route = "invitation"
    invitation: Invitation

    def locate(self, actor: Actor) -> Role:
        role = super().locate(actor)
        if role is Role.COORDINATOR:
            rows = Invitation.objects.visible_to(actor).filter(project=self.project)
            self.invitation = find(rows, code_id=self.kwargs["invitation"])
        return role

    def delete(self, request: Request, project: str, invitation: str) -> Response:
        membership.withdraw(self.invitation)
        self.note("invitation.taken_back", f"invitation:{invitation}", project)
        return Response(status=204)


class _ByCode(Endpoint):
    """A route that a site finds with the id of a code it was given; nobody else is told that it exists."""

    invitation: Invitation

    def locate(self, actor: Actor) -> Role:
        if actor.kind is not Kind.SITE:
            raise not_found()
        self.invitation = membership.open_invitation(self.kwargs["invitation"])
        return role_in(actor, self.invitation.project)


class Offer(_ByCode):
    """What the code invites to."""

    route = "offer"
    gives = {"GET": out.OfferOut}

    def get(self, request: Request, invitation: str) -> Response:
        coordinator = self.invitation.project.coordinator
        card = Card.objects.filter(site=coordinator, use=STANDING).latest("seq")
        self.invitation.coordinator_card = card  # type: ignore[attr-defined]
        return self.give(out.OfferOut, self.invitation)


class Join(_ByCode):
    """Answer an invitation with one's standing card and the proof that one holds the code."""

    route = "join"
    takes = {"POST": take.JoinIn}
    gives = {"POST": out.OfferOut}

    def post(self, request: Request, invitation: str) -> Response:
        fields = self.body(request)
        site = self.actor.site
        assert site is not None  # the policy admits nobody else
        signed = SignedCard(fields["card"], fields["signature"])
        membership.join(self.invitation, site, signed, fields["mac"])
        self.note("invitation.joined", f"site:{site.uid}", self.invitation.project.uid)
        return Response({"state": "joined"})

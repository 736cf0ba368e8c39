"""Sites: enrolling, reading, changing, closing, revoking; the heartbeat; key cards."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from friendlyfl.core import limits
from friendlyfl.wire.keys import SignedCard

from ..models import Card, Project, Site
from ..registry import lease, membership, sites
from ..registry.actor import Actor, Kind
from . import incoming as take
from . import outgoing as out
from .base import Endpoint, find
from .policy import Role, role_of

TOLD_LIMITS = {
    "envelope": limits.ENVELOPE,
    "message_body": limits.MESSAGE_BODY,
    "inline_blob": limits.INLINE_BLOB,
    "upload_chunk": limits.UPLOAD_CHUNK,
    "blob": limits.BLOB,
    "recipients": limits.RECIPIENTS,
    "page": limits.PAGE,
    "poll_wait": limits.POLL_WAIT,
    "request_skew": limits.REQUEST_SKEW,
}
CARDS = 1000  # newest of one site that are told: standing ones and those of its runs


class Sites(Endpoint):
    """Sites that the asker may know of. A new one is made with an enrolment code."""

    route = "sites"
    takes = {"POST": take.SiteIn}
    gives = {"GET": out.SiteOut, "POST": out.SiteOut}
    paged = creates = True

    def get(self, request: Request) -> Response:
        return self.give_page(out.SiteOut, Site.objects.visible_to(self.actor).select_related("owner"))

    def post(self, request: Request) -> Response:
        fields = self.body(request)
        signed = SignedCard(fields.pop("card"), fields.pop("signature"))
        enrolment = self.actor.enrolment
        assert enrolment is not None  # the policy admits nobody else
        new = not Site.objects.filter(uid=fields["uid"]).exists()
        site = sites.enrol(enrolment, signed=signed, **fields)
        if new:
            self.note("site.enrolled", f"site:{site.uid}")
        return self.give(out.SiteOut, site, 201 if new else 200)


class _OneSite(Endpoint):
    takes = {"PATCH": take.SiteChangeIn}
    gives = {"GET": out.SiteOut, "PATCH": out.SiteOut}
    site: Site

    def get(self, request: Request, site: str = "") -> Response:
        return self.give(out.SiteOut, self.site)

    def patch(self, request: Request, site: str = "") -> Response:
        fields = self.body(request)
        for name, value in fields.items():
            setattr(self.site, name, value)
        self.site.save(update_fields=list(fields))
        self.note("site.changed", f"site:{self.site.uid}")
        return self.give(out.SiteOut, self.site)

    def delete(self, request: Request, site: str = "") -> Response:
        """The site leaves every project and its key is refused from now on."""
        sites.close(self.site)
        self.note("site.closed", f"site:{self.site.uid}")
        return Response(status=204)


class OneSite(_OneSite):
    """A site by its uid: oneself, a member of what one coordinates, or the coordinator of what one is in."""

    route = "site"

    def locate(self, actor: Actor) -> Role:
        self.site = find(Site.objects.visible_to(actor).select_related("owner"), uid=self.kwargs["site"])
        own = actor.kind is Kind.SITE and actor.site == self.site
        return Role.SELF if own else role_of(actor)


class OwnSite(_OneSite):
    """The asking site, with the server's time, its limits and the oldest Controller version it serves."""

    route = "site-me"
    gives = {"GET": out.OwnSiteOut, "PATCH": out.SiteOut}
    any_lease_for = frozenset({"GET", "HEAD"})  # a Controller that starts asks this before it holds the lease

    def locate(self, actor: Actor) -> Role:
        if actor.site is not None:
            self.site = actor.site
        return role_of(actor)

    def get(self, request: Request, site: str = "") -> Response:
        self.site.server_time = timezone.now()  # type: ignore[attr-defined]
        self.site.limits = TOLD_LIMITS  # type: ignore[attr-defined]
        self.site.oldest_controller = settings.OLDEST_CONTROLLER  # type: ignore[attr-defined]
        return self.give(out.OwnSiteOut, self.site)


class Heartbeat(Endpoint):
    """Keeps the lease, and tells what there is to know: each project's newest epoch, and who wants to join."""

    route = "heartbeat"
    takes = {"POST": take.HeartbeatIn}
    gives = {"POST": out.BeatOut}
    any_lease_for = frozenset({"POST"})

    def post(self, request: Request) -> Response:
        fields = self.body(request)
        site = self.actor.site
        assert site is not None  # the policy admits nobody else
        fence = lease.beat(site, fields["instance"], fields["n"], fields["id"])
        projects = Project.objects.visible_to(self.actor).exclude(state=Project.State.ARCHIVED)
        beat = {
            "lease": fence,
            "server_time": timezone.now(),
            "projects": dict(projects.values_list("uid", "epoch")),
            "joins": membership.waiting_joins(site),
        }
        return self.give(out.BeatOut, beat)


class OwnKeys(Endpoint):
    """Post the next key card of the asking site."""

    route = "own-keys"
    takes = {"POST": take.CardIn}
    gives = {"POST": out.CardOut}
    creates = True

    def post(self, request: Request) -> Response:
        fields = self.body(request)
        site = self.actor.site
        assert site is not None  # the policy admits nobody else
        card, new = sites.add_card(site, SignedCard(fields["card"], fields["signature"]))
        return self.give(out.CardOut, card, 201 if new else 200)


class Keys(Endpoint):
    """The key cards of a fellow member, oldest first. Each says by its own signature whose it is."""

    route = "keys"
    gives = {"GET": out.CardsOut}
    site: Site

    def locate(self, actor: Actor) -> Role:
        if actor.kind is Kind.SITE and actor.site is not None:
            rows = Site.objects.fellows_of(actor.site.pk)
        else:
            rows = Site.objects.all() if actor.is_administrator else Site.objects.none()
        self.site = find(rows, uid=self.kwargs["site"])
        return role_of(actor)

    def get(self, request: Request, site: str) -> Response:
        newest = Card.objects.filter(site=self.site).order_by("-pk")[:CARDS]
        return self.give(out.CardsOut, {"cards": list(newest)[::-1]})


class Revoke(OneSite):
    """Take a site's access away; it bites at its next request."""

    route = "revoke"
    takes = {}
    gives = {"POST": out.SiteOut}
    http_method_names = ["post"]

    def post(self, request: Request, site: str) -> Response:
        sites.revoke(self.site)
        self.note("site.revoked", f"site:{self.site.uid}")
        return self.give(out.SiteOut, self.site)

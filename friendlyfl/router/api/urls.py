"""The addresses of the records below the API's prefix, each with and without its last slash."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter

from .base import Endpoint
from .house import Audit, Docs, Health, Ready, Root, Schema
from .invitations import Invitations, Join, Offer, OneInvitation
from .people import Enrolments, Login, Logout, OneEnrolment, OneUser, OwnUser, TokenView, Users
from .projects import ManifestView, OneParticipant, OneProject, Participants, Projects, Steps
from .runs import ActiveRuns, Logs, OneRun, Runs, Status, Stop
from .sites import Heartbeat, Keys, OneSite, OwnKeys, OwnSite, Revoke, Sites


class _Uid(StringConverter):
    regex = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class _CodeId(StringConverter):
    regex = "[0-9a-f]{32}"


register_converter(_Uid, "uid")
register_converter(_CodeId, "code")

ROUTES: dict[str, type[Endpoint]] = {
    "": Root,
    "schema/": Schema,
    "docs/": Docs,
    "health/": Health,
    "health/ready/": Ready,
    "auth/login/": Login,
    "auth/logout/": Logout,
    "auth/token/": TokenView,
    "users/": Users,
    "users/me/": OwnUser,
    "users/<uid:user>/": OneUser,
    "enrolments/": Enrolments,
    "enrolments/<uid:enrolment>/": OneEnrolment,
    "sites/": Sites,
    "sites/me/": OwnSite,
    "sites/me/heartbeat/": Heartbeat,
    "sites/me/keys/": OwnKeys,
    "sites/<uid:site>/": OneSite,
    "sites/<uid:site>/keys/": Keys,
    "sites/<uid:site>/revoke/": Revoke,
    "projects/": Projects,
    "projects/<uid:project>/": OneProject,
    "projects/<uid:project>/steps/": Steps,
    "projects/<uid:project>/participants/": Participants,
    "projects/<uid:project>/participants/<uid:site>/": OneParticipant,
    "projects/<uid:project>/invitations/": Invitations,
    "projects/<uid:project>/invitations/<code:invitation>/": OneInvitation,
    "projects/<uid:project>/manifest/": ManifestView,
    "invitations/<code:invitation>/": Offer,
    "invitations/<code:invitation>/join/": Join,
    "runs/": Runs,
    "runs/active/": ActiveRuns,
    "runs/<uid:run>/": OneRun,
    "runs/<uid:run>/status/": Status,
    "runs/<uid:run>/stop/": Stop,
    "runs/<uid:run>/logs/": Logs,
    "audit/": Audit,
}


def _both(route: str, view: type[Endpoint]) -> list[URLPattern]:
    handler = view.as_view()
    with_slash = path(route, handler, name=view.route)
    return [with_slash, path(route.rstrip("/"), handler)] if route else [with_slash]


urlpatterns = [pattern for route, view in ROUTES.items() for pattern in _both(route, view)]

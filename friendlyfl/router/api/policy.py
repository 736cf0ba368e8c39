"""Who may use which verb of which route. Default deny: what is not in the table is refused.

A role comes from the stored records at request time: the credential, and the accepted manifest of the project that
the address names. What a role may see inside a resource is said by `visible_to` (models) and by the outgoing records.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..credentials import site_revoked
from ..models import Participant, Project
from ..refusals import Refusal
from ..registry.actor import ANONYMOUS, Actor, Kind


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    PERSON = "a person"
    ADMINISTRATOR = "an administrator"
    ENROLLING = "a person with an enrolment code"
    REVOKED = "a revoked site"
    SITE = "any site"  # on routes that name no project
    SELF = "the site or person that the address names"
    OUTSIDER = "a site outside the project"
    PARTICIPANT = "participant"
    COORDINATOR = "coordinator"


Policy = dict[str, frozenset[Role]]


def _allow(**verbs: tuple[Role, ...]) -> Policy:
    return {verb.upper(): frozenset(roles) for verb, roles in verbs.items()}


_R = Role
_EVERYBODY = tuple(Role)
_PEOPLE = (_R.PERSON, _R.ADMINISTRATOR)
_MEMBERS = (_R.PARTICIPANT, _R.COORDINATOR)
_ONLY_COORDINATOR = (_R.COORDINATOR,)
_ONLY_ADMINISTRATOR = (_R.ADMINISTRATOR,)
_ASKERS = (_R.PERSON, _R.ADMINISTRATOR, _R.SITE)

POLICY: dict[str, Policy] = {
    "root": _allow(get=_EVERYBODY),
    "schema": _allow(get=_EVERYBODY),
    "docs": _allow(get=_EVERYBODY),
    "health": _allow(get=_EVERYBODY),
    "ready": _allow(get=_EVERYBODY),
    "login": _allow(post=(_R.ANONYMOUS, *_PEOPLE)),
    "token": _allow(post=(_R.ANONYMOUS, *_PEOPLE)),
    "logout": _allow(post=_PEOPLE),
    "users": _allow(get=_ASKERS, post=_ONLY_ADMINISTRATOR),
    "user-me": _allow(get=_ASKERS, patch=_ASKERS),
    "user": _allow(
        get=(_R.SELF, _R.ADMINISTRATOR), patch=(_R.SELF, _R.ADMINISTRATOR), delete=_ONLY_ADMINISTRATOR
    ),
    "enrolments": _allow(get=_ONLY_ADMINISTRATOR, post=_ONLY_ADMINISTRATOR),
    "enrolment": _allow(delete=_ONLY_ADMINISTRATOR),
    "sites": _allow(get=(*_ASKERS, _R.REVOKED), post=(_R.ENROLLING,)),
    "site-me": _allow(get=(_R.SITE, _R.REVOKED), patch=(_R.SITE,), delete=(_R.SITE,)),
    "heartbeat": _allow(post=(_R.SITE,)),
    "own-keys": _allow(post=(_R.SITE,)),
    "site": _allow(get=(*_ASKERS, _R.SELF, _R.REVOKED), patch=(_R.SELF,), delete=(_R.SELF, _R.ADMINISTRATOR)),
    "keys": _allow(get=(_R.SITE, _R.SELF, _R.ADMINISTRATOR)),
    "revoke": _allow(post=_ONLY_ADMINISTRATOR),
    "projects": _allow(get=_ASKERS, post=(_R.SITE,)),
    "project": _allow(
        get=(*_MEMBERS, _R.ADMINISTRATOR), patch=_ONLY_COORDINATOR, delete=(_R.COORDINATOR, _R.ADMINISTRATOR)
    ),
    "steps": _allow(get=(*_MEMBERS, _R.ADMINISTRATOR), put=_ONLY_COORDINATOR),
    "participants": _allow(get=(*_MEMBERS, _R.ADMINISTRATOR)),
    "participant": _allow(delete=(_R.SELF, _R.COORDINATOR)),
    "invitations": _allow(get=_ONLY_COORDINATOR, post=_ONLY_COORDINATOR),
    "invitation": _allow(delete=_ONLY_COORDINATOR),
    "offer": _allow(get=(_R.OUTSIDER, _R.COORDINATOR)),
    "join": _allow(post=(_R.OUTSIDER,)),
    "manifest": _allow(get=(*_MEMBERS, _R.ADMINISTRATOR), post=_ONLY_COORDINATOR),
    "runs": _allow(get=_ASKERS, post=_ONLY_COORDINATOR),
    "active-runs": _allow(get=_ASKERS),
    "run": _allow(get=(*_MEMBERS, _R.ADMINISTRATOR)),
    "status": _allow(put=_MEMBERS),
    "stop": _allow(post=(_R.COORDINATOR, _R.ADMINISTRATOR)),
    "logs": _allow(get=_MEMBERS),
    "audit": _allow(get=(_R.COORDINATOR, _R.ADMINISTRATOR)),
}

_ROLE_OF = {
    Kind.ANONYMOUS: Role.ANONYMOUS,
    Kind.PERSON: Role.PERSON,
    Kind.ADMINISTRATOR: Role.ADMINISTRATOR,
    Kind.ENROLMENT: Role.ENROLLING,
    Kind.REVOKED: Role.REVOKED,
    Kind.SITE: Role.SITE,
}


def role_of(actor: Actor) -> Role:
    """The role on a route that names no project."""
    return _ROLE_OF[actor.kind]


def role_in(actor: Actor, project: Project) -> Role:
    """The role in one project, from its coordinator and the participants of its accepted manifest."""
    if actor.kind is not Kind.SITE or actor.site is None:
        return role_of(actor)
    if project.coordinator_id == actor.site.pk:
        return Role.COORDINATOR
    inside = Participant.objects.filter(project=project, site=actor.site, out_at=None).exists()
    return Role.PARTICIPANT if inside else Role.OUTSIDER


class DenyAll(BasePermission):
    """What a view gets that names no other: nobody may use it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class ByPolicy(BasePermission):
    """Looks up the route's policy, and refuses in the order 401, revoked, 404, 403.

    The view's `locate` finds what the address names among what the asker may see, and says in which role.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        verb = "GET" if request.method == "HEAD" else request.method
        allowed = POLICY.get(view.route, {}).get(verb or "", frozenset())
        actor: Actor = request.auth or ANONYMOUS
        if actor.kind is Kind.ANONYMOUS and Role.ANONYMOUS not in allowed:
            raise Refusal(401, "login_needed", "Log in, or sign the request with a site's key.")
        if actor.kind is Kind.REVOKED and Role.REVOKED not in allowed:
            raise site_revoked()
        if view.locate(actor) not in allowed:
            raise Refusal(403, "not_allowed", "You may see this but not do that; ask whoever may.")
        return True

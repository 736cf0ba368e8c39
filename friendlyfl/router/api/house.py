"""The house itself: the root's links, health, the API's description and its reader, the audit."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from ..models import AuditEntry, Project
from ..refusals import Refusal
from ..registry.actor import Actor, Kind
from . import outgoing as out
from .base import Endpoint, find
from .policy import Role, role_in, role_of

LINKS = ("users", "user-me", "enrolments", "sites", "site-me", "projects", "runs", "active-runs", "audit")


class Root(Endpoint):
    """Links to the resources. This server has no portal; the portal is at each hospital's Controller."""

    route = "root"

    def get(self, request: Request) -> Response:
        links = {
            name: request.build_absolute_uri(reverse(name)) for name in (*LINKS, "schema", "docs", "health")
        }
        return Response(links)


class Health(Endpoint):
    """Whether the server answers."""

    route = "health"
    gives = {"GET": out.StatusOut}
    authentication_classes: list[type] = []

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Ready(Endpoint):
    """Whether the database and the payload store answer. Nothing else is told."""

    route = "ready"
    gives = {"GET": out.StatusOut}
    authentication_classes: list[type] = []

    def get(self, request: Request) -> Response:
        if not (_database_answers() and _store_answers()):
            raise Refusal(
                503,
                "not_ready",
                "The Routing Server's database or payload store does not answer.",
                who="the Routing Server's administrator",
                retry_after=5,
            )
        return Response({"status": "ready"})


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _store_answers() -> bool:
    folder = Path(settings.PAYLOAD_STORE.removeprefix("dir:"))
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent  # made by the relay when it starts
    return os.access(folder, os.W_OK)


class Schema(Endpoint):
    """The API's description (OpenAPI 3)."""

    route = "schema"
    authentication_classes: list[type] = []

    def get(self, request: Request) -> Response:
        from .schema import description  # after the views that it describes

        return Response(description())


class Docs(Endpoint):
    """A reader for the API's description."""

    route = "docs"
    authentication_classes: list[type] = []

    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "friendlyfl_router/docs.html")


class Audit(Endpoint):
    """Who did what, newest first. A coordinator reads its own projects' lines. Nobody changes any."""

    route = "audit"
    gives = {"GET": out.AuditOut}
    paged = True
    query = frozenset({"project"})

    def locate(self, actor: Actor) -> Role:
        uid = self.request.query_params.get("project")
        if uid is not None:
            return role_in(actor, find(Project.objects.visible_to(actor), uid=uid))
        if actor.kind is Kind.SITE and Project.objects.filter(coordinator=actor.site).exists():
            return Role.COORDINATOR
        return role_of(actor)

    def get(self, request: Request) -> Response:
        return self.give_page(
            out.AuditOut, AuditEntry.objects.visible_to(self.actor).filter(**self.read_fields(request))
        )

    def read_fields(self, request: Request) -> dict[str, str]:
        project = request.query_params.get("project")
        return {} if project is None else {"project": project}

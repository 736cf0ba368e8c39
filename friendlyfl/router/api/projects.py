"""Projects, their steps, and who takes part in them."""

from __future__ import annotations

import uuid

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from friendlyfl.wire.keys import STANDING
from friendlyfl.wire.trust import SignedManifest

from ..models import Card, Manifest, Participant, Project, Step
from ..registry import membership, projects
from ..registry.actor import Actor
from . import incoming as take
from . import outgoing as out
from .base import Endpoint, ProjectEndpoint, find
from .policy import Role


class Projects(Endpoint):
    """Projects of the asker. The coordinator of a new one is the asking site."""

    route = "projects"
    takes = {"POST": take.ProjectIn}
    gives = {"GET": out.ProjectOut, "POST": out.ProjectOut}
    paged = creates = True

    def get(self, request: Request) -> Response:
        return self.give_page(
            out.ProjectOut, Project.objects.visible_to(self.actor).select_related("coordinator")
        )

    def post(self, request: Request) -> Response:
        fields = self.body(request)
        site = self.actor.site
        assert site is not None  # the policy admits nobody else
        fields.setdefault("uid", str(uuid.uuid4()))
        project, new = projects.create(site, **fields)
        if new:
            self.note("project.made", f"project:{project.uid}", project.uid)
        return self.give(out.ProjectOut, project, 201 if new else 200)


class OneProject(ProjectEndpoint):
    """A project. Deleting archives it; nothing of it is lost."""

    route = "project"
    takes = {"PATCH": take.ProjectChangeIn}
    gives = {"GET": out.ProjectOut, "PATCH": out.ProjectOut}

    def get(self, request: Request, project: str) -> Response:
        return self.give(out.ProjectOut, self.project)

    def patch(self, request: Request, project: str) -> Response:
        changed = projects.change(self.project, self.body(request))
        self.note("project.changed", f"project:{project}", project)
        return self.give(out.ProjectOut, changed)

    def delete(self, request: Request, project: str) -> Response:
        projects.archive(self.project)
        self.note("project.archived", f"project:{project}", project)
        return Response(status=204)


class Steps(ProjectEndpoint):
    """The names of the tasks, in order. Parameters and the data dictionary travel sealed."""

    route = "steps"
    takes = {"PUT": take.StepsIn}
    gives = {"GET": out.StepsOut, "PUT": out.StepsOut}

    def get(self, request: Request, project: str) -> Response:
        steps = Step.objects.filter(project=self.project)
        return self.give(out.StepsOut, {"plan_sha256": self.project.plan_sha256, "steps": steps})

    def put(self, request: Request, project: str) -> Response:
        projects.put_steps(self.project, **self.body(request))
        self.note("project.steps", f"project:{project}", project)
        return self.get(request, project)


class Participants(ProjectEndpoint):
    """Who is in the project now, the coordinator included."""

    route = "participants"
    gives = {"GET": out.ParticipantOut}
    paged = True

    def get(self, request: Request, project: str) -> Response:
        rows = Participant.objects.visible_to(self.actor).filter(project=self.project)
        cards = Card.objects.filter(use=STANDING).order_by("seq")
        newest_last = Prefetch("site__cards", cards, to_attr="standing_cards")
        return self.give_page(
            out.ParticipantOut, rows.select_related("site", "project").prefetch_related(newest_last)
        )


class OneParticipant(ProjectEndpoint):
    """Leave the project, or as its coordinator remove a hospital: out at once, before the next manifest."""

    route = "participant"
    participant: Participant

    def locate(self, actor: Actor) -> Role:
        role = super().locate(actor)
        rows: QuerySet = Participant.objects.visible_to(actor).filter(project=self.project)
        self.participant = find(rows.select_related("site"), site__uid=self.kwargs["site"])
        itself = role is Role.PARTICIPANT and self.participant.site == actor.site
        return Role.SELF if itself else role

    def delete(self, request: Request, project: str, site: str) -> Response:
        membership.leave(self.participant)
        self.note("project.left", f"site:{site}", project)
        return Response(status=204)


class ManifestView(ProjectEndpoint):
    """The signed membership of every epoch, oldest first; the coordinator posts the next."""

    route = "manifest"
    takes = {"POST": take.ManifestIn}
    gives = {"GET": out.ManifestsOut, "POST": out.ManifestOut}
    creates = True

    def get(self, request: Request, project: str) -> Response:
        rows = Manifest.objects.filter(project=self.project).order_by("epoch")
        return self.give(out.ManifestsOut, {"manifests": rows})

    def post(self, request: Request, project: str) -> Response:
        fields = self.body(request)
        signed = SignedManifest(fields["manifest"], fields["signature"])
        manifest, new = membership.accept_manifest(self.project, signed)
        if new:
            self.note("project.manifest", f"epoch:{manifest.epoch}", project)
        return self.give(out.ManifestOut, manifest, 201 if new else 200)

"""Runs: the coordinator's copies, each site's own line, and the ids of sealed logs."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from ..models import Message, Project, Run
from ..models.runs import RunQuerySet
from ..refusals import Refusal
from ..registry import runs
from ..registry.actor import Actor
from . import incoming as take
from . import outgoing as out
from .base import Endpoint, RunEndpoint, find
from .policy import Role, role_in, role_of


class _ManyRuns(Endpoint):
    paged = True
    query = frozenset({"project"})
    gives = {"GET": out.RunOut}

    def rows(self) -> RunQuerySet:
        rows: RunQuerySet = Run.objects.visible_to(self.actor)
        project = self.request.query_params.get("project")
        return rows if project is None else rows.filter(project__uid=project)

    def get(self, request: Request) -> Response:
        rows = self.rows().select_related("project").prefetch_related("seats__site")
        return self.give_page(out.RunOut, rows)


class Runs(_ManyRuns):
    """Runs of the asker. A coordinator records a new one; there is at most one active run a project."""

    route = "runs"
    takes = {"POST": take.RunIn}
    gives = {"GET": out.RunOut, "POST": out.RunOut}
    creates = True

    def locate(self, actor: Actor) -> Role:
        if self.request.method != "POST":
            return role_of(actor)
        self.fields = self.body(self.request)
        rows = Project.objects.visible_to(actor).select_related("coordinator")
        self.project = find(rows, uid=self.fields.pop("project"))
        return role_in(actor, self.project)

    def post(self, request: Request) -> Response:
        self.fields["deadline"] = runs.instant(self.fields["deadline"])
        self.fields["repeats"] = self.fields["repeats"] or ""
        run, new = runs.create(self.project, self.fields)
        if new:
            self.note("run.recorded", f"run:{run.uid}", self.project.uid)
        return self.give(out.RunOut, run, 201 if new else 200)


class ActiveRuns(_ManyRuns):
    """Runs that are not over."""

    route = "active-runs"

    def rows(self) -> RunQuerySet:
        return super().rows().active()


class OneRun(RunEndpoint):
    """A run as its coordinator last told it, with the seats that the asker may see."""

    route = "run"
    gives = {"GET": out.RunOut}

    def get(self, request: Request, run: str) -> Response:
        return self.give(out.RunOut, self.run)


class Status(RunEndpoint):
    """Sets the asker's own line: the run's copy for its coordinator, its seat for a participant."""

    route = "status"
    takes = {"PUT": take.StatusIn}
    gives = {"PUT": out.RunOut}

    def put(self, request: Request, run: str) -> Response:
        fields = self.body(request)
        fields["reason"] = fields["reason"] or ""
        before = self.run.state
        site = self.actor.site
        assert site is not None  # the policy admits nobody else
        runs.say(self.run, site, fields)
        fresh = find(Run.objects.select_related("project").prefetch_related("seats__site"), pk=self.run.pk)
        if fresh.state != before:
            self.note(f"run.{fresh.state}", f"run:{run}", fresh.project.uid)
        return self.give(out.RunOut, fresh)


class Stop(RunEndpoint):
    """Notes that the coordinator's signed `stop` was posted, or that an administrator closes our copy."""

    route = "stop"
    takes = {"POST": take.StopIn}
    gives = {"POST": out.RunOut}

    def post(self, request: Request, run: str) -> Response:
        fields = self.body(request)
        wanted = "reason" if self.actor.is_administrator else "message"
        if set(fields) != {wanted} or not fields[wanted]:
            raise Refusal(400, "bad_field", f"Send the field {wanted!r} and no other.")
        if self.actor.is_administrator:
            runs.close(self.run, fields["reason"])
        else:
            runs.stop(self.run, fields["message"])
        self.note("run.stop", f"run:{run}", self.run.project.uid)
        fresh = find(Run.objects.select_related("project").prefetch_related("seats__site"), pk=self.run.pk)
        return self.give(out.RunOut, fresh)


class Logs(RunEndpoint):
    """Ids of the run's sealed `log` messages: of all sites for the coordinator, else one's own."""

    route = "logs"
    gives = {"GET": out.LogOut}
    paged = True

    def get(self, request: Request, run: str) -> Response:
        rows = Message.objects.filter(project=self.run.project, run=run, type="log").select_related("sender")
        if self.run.project.coordinator_id != getattr(self.actor.site, "pk", None):
            rows = rows.filter(sender=self.actor.site)
        return self.give_page(out.LogOut, rows)

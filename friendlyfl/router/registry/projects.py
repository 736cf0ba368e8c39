"""Projects and their steps: made and changed by their coordinator alone."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from ..models import Project, Run, Site, Step
from ..refusals import Refusal


def create(site: Site, *, uid: str, name: str, description: str) -> tuple[Project, bool]:
    """The project, and whether it is new. The coordinator is the asking site and never a field."""
    known = Project.objects.filter(uid=uid).first()
    if known is not None:
        return _same(known, site, name, description), False
    try:
        with transaction.atomic():
            made = Project.objects.create(uid=uid, name=name, description=description, coordinator=site)
    except IntegrityError:
        return _same(Project.objects.get(uid=uid), site, name, description), False
    return made, True


def _same(known: Project, site: Site, name: str, description: str) -> Project:
    if (known.coordinator_id, known.name, known.description) != (site.pk, name, description):
        raise Refusal(409, "uid_taken", "A project with this uid exists already; use a new uid.")
    return known


def change(project: Project, fields: dict[str, Any]) -> Project:
    """Change name, description or state (open, closed)."""
    if project.state == Project.State.ARCHIVED:
        raise archived()
    for name, value in fields.items():
        setattr(project, name, value)
    project.save(update_fields=list(fields))
    return project


def archive(project: Project) -> None:
    """Nothing is deleted; an archived project is read only. Not while a run is active."""
    if Run.objects.active().filter(project=project).exists():
        raise Refusal(409, "run_active", "A run of this project is active; stop it first.", who="you")
    Project.objects.filter(pk=project.pk).update(state=Project.State.ARCHIVED)
    project.refresh_from_db()


def put_steps(project: Project, plan_sha256: str, steps: list[dict[str, Any]]) -> None:
    """Replace the list of steps. The plan itself travels sealed; here are names, places and hashes."""
    if project.state == Project.State.ARCHIVED:
        raise archived()
    if len({step["seq"] for step in steps}) < len(steps):
        raise Refusal(422, "same_place", "Two steps have the same place; number them one after another.")
    Step.objects.filter(project=project).delete()
    Step.objects.bulk_create([Step(project=project, **step) for step in steps])
    Project.objects.filter(pk=project.pk).update(plan_sha256=plan_sha256)
    project.refresh_from_db()


def archived() -> Refusal:
    return Refusal(409, "project_archived", "This project is archived and only read now.", who="you")

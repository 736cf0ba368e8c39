"""Verbs about the plan: draft it and propose it. Each hospital's yes or no to it is in decide."""

import hashlib
import json
from typing import Any

from django.db import transaction

from friendlyfl.controller import here, line, members, plans
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.actions.project import only_coordinator
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import Approval, Plan, Project, Step
from friendlyfl.controller.post import JSON, send
from friendlyfl.core.errors import ConflictError, NotFoundError, UsageError
from friendlyfl.core.limits import NAME
from friendlyfl.tasks import engine, registry
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.dictionary import Dictionary

SECURE_SUM_LATER = (
    "Secure sums come with a later version of FriendlyFL. Without one, the coordinator receives each hospital's own "
    "totals; each hospital sees that before it approves."
)


def set_dictionary(actor: Actor, project: Project, dictionary: dict[str, Any]) -> None:
    """Agree on columns, types, levels, units and ranges. Steps that do not fit are named when the plan is proposed."""
    with acting(actor, "set_dictionary", project.name):
        only_coordinator(project)
        project.dictionary = Dictionary.parse(dictionary).to_json()
        project.save(update_fields=["dictionary"])


def set_cohort(actor: Actor, project: Project, cohort: str) -> str:
    """Choose the patients of the whole plan by inclusion criteria; an empty text means all. Returns them as kept.

    Raises UsageError with a sentence that names the place.
    """
    with acting(actor, "set_cohort", project.name):
        only_coordinator(project)
        project.cohort = _criteria(project, cohort)
        project.save(update_fields=["cohort"])
        return project.cohort


def _criteria(project: Project, text: str) -> str:
    """Inclusion criteria as the plan holds them."""
    if not text.strip():
        return ""
    read = Cohort.read(text, Dictionary.parse(project.dictionary))
    return read.text if read else ""


def add_step(
    actor: Actor,
    project: Project,
    task: str,
    parameters: dict[str, Any],
    *,
    title: str = "",
    cohort: str = "",
) -> Step:
    """Add a task with chosen parameters at the end of the plan's list; `cohort` narrows the plan's for this step.

    Raises UsageError with a sentence that names the field.
    """
    with acting(actor, "add_step", task):
        only_coordinator(project)
        kind = registry.find(task)
        checked = engine.make_task(task, kind.version, parameters, project.dictionary, 1)
        last = project.steps.last()
        return Step.objects.create(
            project=project,
            seq=last.seq + 1 if last else 1,
            task=task,
            version=kind.version,
            title=_title(title) or kind.title,
            parameters=_plain(checked.values),
            cohort=_criteria(project, cohort),
        )


def change_step(
    actor: Actor,
    step: Step,
    parameters: dict[str, Any],
    *,
    cohort: str | None = None,
    title: str | None = None,
    whole: bool = False,
) -> Step:
    """Choose other parameters, criteria or another title (empty: the task's own); what is not given stays.

    With `whole`, parameters that are not given go back to their defaults.
    """
    with acting(actor, "change_step", step.title):
        only_coordinator(step.project)
        merged = parameters if whole else {**step.parameters, **parameters}
        checked = engine.make_task(step.task, step.version, merged, step.project.dictionary, 1)
        step.parameters = _plain(checked.values)
        if cohort is not None:
            step.cohort = _criteria(step.project, cohort)
        if title is not None:
            step.title = _title(title) or checked.title
        step.save(update_fields=["parameters", "cohort", "title"])
        return step


def _title(title: str) -> str:
    if not title.isprintable():
        raise UsageError("title", "Give the step a title of one line.")
    return title[:NAME]


def remove_step(actor: Actor, step: Step) -> None:
    """Take a step out of the draft; the later ones move up."""
    with acting(actor, "remove_step", step.title), transaction.atomic():
        only_coordinator(step.project)
        project = step.project
        step.delete()
        for seq, later in enumerate(project.steps.all(), start=1):
            Step.objects.filter(pk=later.pk).update(seq=seq)


def move_step(actor: Actor, step: Step, places: int) -> None:
    """Move a step up (negative) or down in the list."""
    with acting(actor, "move_step", step.title), transaction.atomic():
        only_coordinator(step.project)
        order = list(step.project.steps.all())
        at = order.index(step)
        to = min(max(at + places, 0), len(order) - 1)
        order.insert(to, order.pop(at))
        for offset in (1000, 0):  # seq is unique: first out of the way, then into place
            for seq, moved in enumerate(order, start=1):
                Step.objects.filter(pk=moved.pk).update(seq=offset + seq)


def set_rules(actor: Actor, project: Project, changes: dict[str, Any]) -> dict[str, Any]:
    """Change quorum, deadlines (seconds), share_result, coordinator_data. Returns all rules."""
    with acting(actor, "set_rules", ", ".join(sorted(changes))):
        only_coordinator(project)
        for name, value in changes.items():
            plans.check_rule(name, value)
        if changes.get("secure_sum"):
            raise UsageError("secure_sum", SECURE_SUM_LATER)
        project.rules = {**project.rules, **changes}
        project.save(update_fields=["rules"])
        return {**plans.RULES, **project.rules}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def propose_plan(actor: Actor, project: Project) -> Plan:
    """Send the plan to every participant for approval. Any later change is a new plan and needs new approvals."""
    with acting(actor, "propose_plan", project.name):
        only_coordinator(project)
        seats = _seats(project)
        steps = list(project.steps.all())
        if not steps:
            raise ConflictError(
                "no_steps", "The plan has no step yet. Add one first.", command="friendlyfl plan add"
            )
        for step in steps:
            where = (project.cohort, step.cohort)
            engine.make_task(
                step.task, step.version, step.parameters, project.dictionary, len(seats), where=where
            )
        raw = plans.write(
            project=project.uid,
            name=project.name,
            purpose=project.purpose,
            seats=seats,
            dictionary=project.dictionary,
            steps=[
                {name: getattr(step, name) for name in (*sorted(plans.STEP_KEYS), "cohort")} for step in steps
            ],
            rules=_checked_rules(project, len(seats)),
            cohort=project.cohort,
        )
        plan = _keep(actor, project, raw)
        with line.noting() as router:
            router.put_steps(project.uid, plan.sha256, [_public(step) for step in steps])
        return plan


def _seats(project: Project) -> list[str]:
    """The coordinator first if it brings data of its own, then participants as they joined."""
    manifest, _ = members.current(project)
    belong = {member.site for member in manifest.members if member.role == "participant"}
    joined: list[str] = []
    for row in project.manifests.all():
        listed = members.at_epoch(project, row.epoch)[0].members
        joined += [member.site for member in listed if member.site in belong and member.site not in joined]
    seats = [here.site()] if project.rules.get("coordinator_data") else []
    seats += joined
    if not seats:
        raise ConflictError(
            "no_sites", "Nobody has joined yet. Invite a hospital.", command="friendlyfl project invite"
        )
    return seats


def _checked_rules(project: Project, seats: int) -> dict[str, Any]:
    quorum = project.rules.get("quorum", 0)
    if type(quorum) is not int or not 0 <= quorum <= seats:
        raise UsageError("quorum", f"The quorum is a whole number from 1 to {seats}, or 0 for all hospitals.")
    return dict(project.rules)


def _public(step: Step) -> dict[str, Any]:
    """What the RS may know of a step: names, and the hash of its parameters."""
    parameters = json.dumps(step.parameters, sort_keys=True).encode()
    return {
        "seq": step.seq,
        "task": step.task,
        "version": step.version,
        "title": step.title,
        "parameters_sha256": hashlib.sha256(parameters).hexdigest(),
    }


def _keep(actor: Actor, project: Project, raw: bytes) -> Plan:
    content = plans.read(raw)
    others = [site for site in content.seats if site != here.site()]
    with transaction.atomic():
        project.plans.update(current=False)
        plan, _ = Plan.objects.update_or_create(
            project=project,
            sha256=content.sha256,
            defaults={"raw": raw, "epoch": project.epoch, "current": True},
        )
        if here.site() in content.seats:
            Approval.objects.create(
                plan=plan, site=here.site(), epoch=project.epoch, approved=True, person=actor.name
            )
        if others:
            leaving = Leaving("The plan: question, patients, steps, data dictionary and rules, for approval")
            send(project, "plan", raw, others, leaving=leaving, media=JSON)
    return plan


def current_plan(project: Project) -> Plan:
    """The plan as proposed last."""
    plan = project.plans.filter(current=True).last()
    if plan is None:
        raise NotFoundError(
            "no_plan", f"No plan of {project.name} has been proposed yet.", who="the coordinator"
        )
    return plan

"""The request as a hospital reads it before it decides: who asks, what for, which columns, what leaves, how often."""

from typing import Any

from friendlyfl.cli.exception import describe_exception
from friendlyfl.cli.opening import table, tell
from friendlyfl.controller import actions, exceptions, here, members, plans
from friendlyfl.controller.models import Peer, Plan, Project
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import engine
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.dictionary import Dictionary

KINDS = {
    "Count": "numbers of people",
    "Sum": "sums over this hospital's rows",
    "Cross": "cross-products of the columns, summed over rows",
    "Weights": "model parameters, weighted by rows",
}


def describe_request(project: Project, plan: Plan) -> dict[str, Any]:
    content = plans.read(bytes(plan.raw))
    dictionary = Dictionary.parse(content.dictionary)
    peer = Peer.objects.filter(site=project.coordinator).first()
    steps = []
    for step in content.steps:
        entry: dict[str, Any] = {
            "seq": step.seq,
            "title": step.title,
            "task": f"{step.task} {step.version}",
            "parameters": step.parameters,
            "cohort": _patients(step.cohort, dictionary),
            "leaves": [],
            "at_most": 0,
        }
        try:
            task = engine.make_task(
                step.task,
                step.version,
                step.parameters,
                dictionary,
                len(content.seats),
                where=step.criteria,
            )
        except FriendlyError as error:
            entry["problem"] = error.message
        else:
            reads = (*task.columns, *(task.cohort.columns if task.cohort else ()))
            entry["columns"] = list(dict.fromkeys(reads))
            entry["leaves"] = [f"{name}: {_kind(kind)}" for name, kind in task.sends.items()]
            entry["at_most"] = task.most_rounds
        steps.append(entry)
    return {
        "project": project.name,
        "purpose": project.purpose,
        "coordinator": members.name_of(project.coordinator),
        "verified_by": peer.verified_by if peer else "",
        "hospitals": len(content.seats),
        "plan": plan.sha256,
        "cohort": _patients(content.cohort, dictionary),
        "steps": steps,
        "rules": content.rules,
        "who_reads": f"{members.name_of(project.coordinator)} will receive this hospital's own totals",
        "dataset": project.dataset.name if project.dataset else None,
        "policy": actions.policy(),
        "exceptions": [describe_exception(entry) for entry in exceptions.in_force(project).by],
        "ours": project.coordinator == here.site(),
    }


def _patients(text: str, dictionary: Dictionary) -> dict[str, str]:
    """Inclusion criteria as they stand in the plan, and in words."""
    cohort = Cohort.read(text, dictionary)
    return {"text": text, "words": cohort.words if cohort else ""}


def _kind(kind: Any) -> str:
    name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
    return KINDS.get(name, name)


def show_request(seen: dict[str, Any]) -> None:
    verified = f"verified by {seen['verified_by']}" if seen["verified_by"] else "key not compared yet"
    asks = "this hospital" if seen["ours"] else f"{seen['coordinator']} ({verified})"
    tell(f"{seen['project']}: asked by {asks}, of {seen['hospitals']} hospitals. Plan {seen['plan'][:12]}.")
    if seen["purpose"]:
        tell(seen["purpose"])
    tell(f"Patients: {'only where ' if seen['cohort']['text'] else 'all'}{seen['cohort']['words']}.")
    for step in seen["steps"]:
        chosen = ", ".join(
            f"{name}={text_of(value)}"
            for name, value in step["parameters"].items()
            if value not in (None, "", [])
        )
        tell(f"\nStep {step['seq']}: {step['title']} ({step['task']})\n  {chosen}")
        if step["cohort"]["text"]:
            tell(f"  Of these patients only where {step['cohort']['words']}.")
        if "problem" in step:
            tell(f"  {step['problem']}")
            continue
        rows = [[entry] for entry in step["leaves"]]
        table(f"  What leaves, at most {step['at_most']} times", ["numbers"], rows, "  Nothing leaves.")
    tell(f"\nWho can read it: {seen['who_reads']}.")
    tell(f"Dataset here: {seen['dataset'] or 'none chosen: friendlyfl dataset use NAME -p PROJECT'}")
    for entry in seen["exceptions"]:
        tell(
            f"An exception holds: {entry['rule']} {entry['value']:g} instead of {seen['policy'][entry['rule']]:g}, "
            f"by {entry['person']} until {entry['until']}: {entry['reason']}"
        )
    if not seen["ours"]:
        tell(
            "Check your data: friendlyfl dataset check. Then: friendlyfl plan approve, or friendlyfl plan decline"
        )


def text_of(value: Any) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)

"""The request as a hospital reads it before it decides: who asks, what for, which columns, what leaves, how often."""

from typing import Any

from friendlyfl.cli.opening import table, tell
from friendlyfl.controller import actions, here, members, plans
from friendlyfl.controller.models import Peer, Plan, Project
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import engine

KINDS = {
    "Count": "numbers of people",
    "Sum": "sums over this hospital's rows",
    "Cross": "cross-products of the columns, summed over rows",
    "Weights": "model parameters, weighted by rows",
}


def describe_request(project: Project, plan: Plan) -> dict[str, Any]:
    content = plans.read(bytes(plan.raw))
    peer = Peer.objects.filter(site=project.coordinator).first()
    steps = []
    for step in content.steps:
        entry: dict[str, Any] = {
            "seq": step.seq,
            "title": step.title,
            "task": f"{step.task} {step.version}",
            "parameters": step.parameters,
            "leaves": [],
            "at_most": 0,
        }
        try:
            task = engine.make_task(
                step.task, step.version, step.parameters, content.dictionary, len(content.seats)
            )
        except FriendlyError as error:
            entry["problem"] = error.message
        else:
            entry["columns"] = list(task.columns)
            entry["leaves"] = [f"{name}: {_kind(kind)}" for name, kind in task.sends.items()]
            entry["at_most"] = task.max_rounds
        steps.append(entry)
    return {
        "project": project.name,
        "purpose": project.purpose,
        "coordinator": members.name_of(project.coordinator),
        "verified_by": peer.verified_by if peer else "",
        "hospitals": len(content.seats),
        "plan": plan.sha256,
        "steps": steps,
        "rules": content.rules,
        "who_reads": f"{members.name_of(project.coordinator)} will receive this hospital's own totals",
        "dataset": project.dataset.name if project.dataset else None,
        "policy": actions.policy(),
        "ours": project.coordinator == here.site(),
    }


def _kind(kind: Any) -> str:
    name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
    return KINDS.get(name, name)


def show_request(seen: dict[str, Any]) -> None:
    verified = f"verified by {seen['verified_by']}" if seen["verified_by"] else "key not compared yet"
    asks = "this hospital" if seen["ours"] else f"{seen['coordinator']} ({verified})"
    tell(f"{seen['project']}: asked by {asks}, of {seen['hospitals']} hospitals. Plan {seen['plan'][:12]}.")
    if seen["purpose"]:
        tell(seen["purpose"])
    for step in seen["steps"]:
        chosen = ", ".join(
            f"{name}={text_of(value)}"
            for name, value in step["parameters"].items()
            if value not in (None, "", [])
        )
        tell(f"\nStep {step['seq']}: {step['title']} ({step['task']})\n  {chosen}")
        if "problem" in step:
            tell(f"  {step['problem']}")
            continue
        rows = [[entry] for entry in step["leaves"]]
        table(f"  What leaves, at most {step['at_most']} times", ["numbers"], rows, "  Nothing leaves.")
    tell(f"\nWho can read it: {seen['who_reads']}.")
    tell(f"Dataset here: {seen['dataset'] or 'none chosen: friendlyfl dataset use NAME -p PROJECT'}")
    if not seen["ours"]:
        tell(
            "Check your data: friendlyfl dataset check. Then: friendlyfl plan approve, or friendlyfl plan decline"
        )


def text_of(value: Any) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)

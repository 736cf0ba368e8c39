"""Records of a site put into plain dicts for the command line: what a person there may see, and nothing else."""

from shlex import quote
from typing import Any

from friendlyfl.controller import approvals, here, members, plans
from friendlyfl.controller.models import Plan, Project


def describe_project(project: Project) -> dict[str, Any]:
    """A coordinator sees every hospital; a participant sees itself and the coordinator."""
    plan = project.plans.filter(current=True).last()
    seen: dict[str, Any] = {
        "uid": project.uid,
        "name": project.name,
        "purpose": project.purpose,
        "state": project.state,
        "role": project.role,
        "coordinator": members.name_of(project.coordinator),
        "dataset": project.dataset.name if project.dataset else None,
        "plan": _plan_words(project, plan),
        "plan_sha256": plan.sha256 if plan else None,
        "runs": project.runs.exclude(state="").count(),
    }
    if project.state == "joining":
        return {**seen, "hospitals": 0, "sites": [], "waiting": [], "open_codes": []}
    manifest, _ = members.current(project)
    seen["hospitals"] = len(manifest.members)
    if project.coordinates:
        sites = [_site(member, plan) for member in manifest.members]
        seen["sites"] = sorted(sites, key=lambda site: (site["role"] != "coordinator", site["name"]))
        joined = project.invitations.filter(state="joined")
        seen["waiting"] = [{"name": row.site_name, "site": row.site} for row in joined]
        seen["open_codes"] = list(project.invitations.filter(state="open").values_list("label", flat=True))
    return seen


def _site(member: Any, plan: Plan | None) -> dict[str, Any]:
    from friendlyfl.controller.models import Peer

    peer = Peer.objects.filter(site=member.site).first()
    word = plan.approvals.filter(site=member.site).last() if plan else None
    if plan is None:
        decision = "no plan yet"
    elif member.site not in plans.read(bytes(plan.raw)).seats:
        decision = "brings no data"
    elif word is None:
        decision = "not decided yet"
    else:
        end = f", {approvals.end_words(word)}" if word.until or word.once else ""
        decision = f"approved by {word.person}{end}" if word.approved else f"declined: {word.reason}"
    return {
        "site": member.site,
        "name": members.name_of(member.site),
        "role": member.role,
        "verified": _verified(peer, member.site),
        "decision": decision,
    }


def _verified(peer: Any, site: str) -> str:
    if site == here.site():
        return "this site"
    if peer is not None and peer.doubted:
        return "key in question: its post is held back"
    return peer.verified_by if peer else ""


def _plan_words(project: Project, plan: Plan | None) -> str:
    if plan is None:
        return (
            "none yet: friendlyfl plan propose"
            if project.coordinates
            else "none yet; the coordinator proposes one"
        )
    if project.coordinates:
        return f"proposed, {plan.sha256[:12]}"
    word = approvals.newest(plan)
    lacks = approvals.missing(plan, word, project.epoch)
    if word is None or lacks not in ("", approvals.DECLINED):
        return f"waits for you: friendlyfl plan show -p {quote(project.name)}"
    end = "" if lacks else f", {approvals.end_words(word)}"
    return f"{'declined' if lacks else 'approved'} by {word.person}{end}, {plan.sha256[:12]}"

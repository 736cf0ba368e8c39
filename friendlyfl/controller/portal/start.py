"""Starting a run: who will be asked, who has approved, what is checked first; then Start.

Whether a run may start is decided in actions. What happens afterwards is on the run's own page.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import actions, drafts, members
from friendlyfl.controller.models import Project
from friendlyfl.controller.portal import steps
from friendlyfl.controller.portal.page import actor, may, page
from friendlyfl.controller.portal.plan import kinds, reads
from friendlyfl.controller.portal.rules import rules_in_words, span
from friendlyfl.core.run import ENDED
from friendlyfl.tasks.dictionary import Dictionary


@page(acts="researcher")
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Check your answers, then start."""
    project = get_object_or_404(Project, pk=pk)
    if request.method == "POST":
        run = actions.start_run(actor(request), project)
        return redirect("portal:run", run.pk)
    if not project.coordinates:
        name = members.name_of(project.coordinator)
        lead = _("Only the coordinator, %(name)s, can start a run. Nothing happens here.") % {"name": name}
        return render(
            request,
            "portal/start/start.html",
            {"project": project, "lead": lead, "standing": drafts.Standing()},
        )
    return render(request, "portal/start/start.html", {"project": project, **_answers(request, project)})


def _answers(request: HttpRequest, project: Project) -> dict[str, Any]:
    standing = drafts.standing(project)
    content = standing.content
    if content is None:
        lead = _("The plan has not been proposed yet, so there is nothing to start.")
        return {"standing": standing, "lead": lead}
    live = project.runs.exclude(state__in=ENDED).first()
    shown = steps.shown(content.steps, content.dictionary, content.cohort, len(content.seats))
    obstacle = _obstacle(project, standing, live is not None)
    return {
        "standing": standing,
        "live": live,
        "lead": _lead(standing),
        "obstacle": obstacle,
        "may_start": not obstacle and may(request, "researcher"),
        "hospitals": [_row(word, content.rules) for word in standing.words],
        "steps": shown,
        "patients": steps.patients(content.cohort, Dictionary.parse(content.dictionary)),
        "leaves": kinds(shown),
        "reads": reads(project),
        "rules": rules_in_words(content.rules),
    }


def _lead(standing: drafts.Standing) -> str:
    count = len(standing.words)
    return ngettext(
        "%(n)s hospital will be asked. Nothing is computed before you press Start.",
        "%(n)s hospitals will be asked. Nothing is computed before you press Start.",
        count,
    ) % {"n": _number(count)}


def _number(count: int) -> str:
    words = [
        *(_("No"), _("One"), _("Two"), _("Three"), _("Four"), _("Five"), _("Six"), _("Seven"), _("Eight")),
        *(_("Nine"), _("Ten")),
    ]
    return words[count] if count < len(words) else f"{count:,}"


def _row(word: drafts.Word, rules: dict[str, Any]) -> dict[str, Any]:
    """A hospital, its word, and what Start means there."""
    waits = _("The run waits for it, at most %(span)s.") % {"span": span(rules["prepare_deadline"])}
    tag, said, then = {
        drafts.APPROVED: ("ok", _("Approved"), _("Begins at once.")),
        drafts.DECLINED: ("bad", _("Declined"), _("Takes no part.")),
        drafts.ENDED: ("wait", _("Its approval has ended"), waits),
        drafts.OPEN: ("wait", _("Not answered yet"), waits),
    }[word.state]
    if word.state == drafts.DECLINED and word.reason:
        then = _("Takes no part. Its reason: %(reason)s") % {"reason": word.reason}
    return {"word": word, "tag": tag, "said": said, "then": then}


def _obstacle(project: Project, standing: drafts.Standing, live: bool) -> str:
    if project.state == "closed":
        return _("This project is closed.")
    if live:
        return _("A run is under way. Wait until it has ended, or stop it.")
    if standing.changed:
        return _(
            "The plan was changed since it was proposed, so its approvals no longer count. Propose it again first."
        )
    if standing.moved:
        return _("The list of hospitals changed since the plan was proposed. Propose it again first.")
    if any(word.ours for word in standing.words) and project.dataset_id is None:
        return _("This hospital brings data of its own: choose its dataset first.")
    return ""


urlpatterns = [path("projects/<int:pk>/start/", start, name="start")]

"""Runs: the list of them, one run as it goes on, its log, and the two acts of its coordinator: stop, and repeat.

The page of a run is made once; two parts of it (the sentence, and the story below) and the table of rounds ask for
themselves anew. A part that would look as before is answered with nothing, so nothing moves on the screen, a screen
reader hears only what is new, and a figure's table stays open. No link and no button is in a part that asks on.
"""

import hashlib
import time
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import path
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import LogLine, Run
from friendlyfl.controller.portal import overview, watch
from friendlyfl.controller.portal.endings import ending
from friendlyfl.controller.portal.page import actor, may, page
from friendlyfl.controller.portal.round_chart import chart
from friendlyfl.controller.portal.standing import run_sentence, seat_sentence, site_rows
from friendlyfl.controller.portal.story import RunStory
from friendlyfl.controller.portal.timeline import told
from friendlyfl.controller.portal.watch import Watched
from friendlyfl.core import run as core_run

OFTEN, SELDOM = 3, 15  # seconds from one look to the next
TIRED = 600.0  # seconds after which an open page looks seldom
SHOWN = 25
NEWEST = 8  # lines of the log on the run's page


@page()
def listed(request: HttpRequest) -> HttpResponse:
    """Every run of every project, newest first."""
    rows = Run.objects.select_related("project", "plan").exclude(state="").order_by("-pk")
    shown = Paginator(rows, SHOWN).get_page(request.GET.get("page"))
    live = Run.objects.exclude(state="").exclude(state__in=core_run.ENDED).count()
    context = {"shown": shown, "rows": [(row, overview.shown(row)) for row in shown], "live": live}
    return render(request, "portal/runs/list.html", context)


@page()
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run, live."""
    seen = _seen(pk)
    paused = "paused" in request.GET
    context = {
        **_base(request, seen),
        **_parts(request, seen, "" if paused else str(int(time.time()))),
        "paused": paused,
        "asked": _asks_here(seen),
        "repeats": Run.objects.filter(uid=seen.run.repeats).first() if seen.run.repeats else None,
    }
    return render(request, "portal/runs/run.html", context)


@page()
def status(request: HttpRequest, pk: int) -> HttpResponse:
    return _part(request, _seen(pk), "status")


@page()
def story(request: HttpRequest, pk: int) -> HttpResponse:
    return _part(request, _seen(pk), "story")


@page()
def rounds(request: HttpRequest, pk: int) -> HttpResponse:
    return _part(request, _seen(pk), "rounds")


@page()
def facts(request: HttpRequest, pk: int) -> HttpResponse:
    return _part(request, _seen(pk), "facts")


@page()
def picture(request: HttpRequest, pk: int) -> HttpResponse:
    """The chart of a step's rounds. The step is asked for, since the run may be in the next one by now."""
    seen, asked = _seen(pk), request.GET.get("step", "")
    step = int(asked) if asked.isdecimal() and len(asked) < 6 else 0
    if not 1 <= step <= len(seen.now.titles):
        raise Http404
    drawn = chart(watch.points(seen, step), seen.now.titles[step - 1])
    if drawn is None:
        raise Http404
    return HttpResponse(drawn.svg, content_type="image/svg+xml")


@page()
def log(request: HttpRequest, pk: int) -> HttpResponse:
    """The log in words, newest line first: a coordinator chooses whose."""
    seen = _seen(pk)
    seats = list(seen.content.seats) if seen.coordinates else []
    chosen = request.GET.get("hospital", "")
    number = int(chosen) if chosen.isdecimal() and len(chosen) < 6 else 0
    whose = seats[number - 1] if 1 <= number <= len(seats) else ""
    rows = LogLine.objects.filter(run=seen.run).order_by("-at", "-pk")
    if whose or not seen.coordinates:
        rows = rows.filter(site=whose or here.site())
    shown = Paginator(rows, SHOWN).get_page(request.GET.get("page"))
    context = {
        **_base(request, seen),
        "shown": shown,
        "lines": watch.log_lines(seen.run, list(shown), dict(seen.now.names)),
        "seats": [(place, seen.now.names.get(site, site[:8])) for place, site in enumerate(seats, start=1)],
        "chosen": number if whose else 0,
    }
    return render(request, "portal/runs/log.html", context)


@page(acts="researcher")
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a run, once a person has said so twice."""
    seen = _seen(pk)
    if request.method == "POST":
        before = seen.ended
        actions.stop_run(actor(request), seen.run)
        words = (
            _("Run %(run)s had ended before; nothing was stopped.")
            if before
            else _("Run %(run)s is stopped. A hospital that is away stops when it comes back.")
        )
        messages.success(request, words % {"run": seen.run.number})
        return redirect("portal:run", pk)
    return render(request, "portal/runs/stop.html", _base(request, seen))


@page(acts="researcher")
def repeat(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a new run that names this one, with the plan as it is now."""
    seen = _seen(pk)
    if request.method == "POST":
        made = actions.repeat_run(actor(request), seen.run)
        messages.success(request, _("Run %(run)s has begun.") % {"run": made.number})
        return redirect("portal:run", made.pk)
    current = seen.run.project.plans.filter(current=True).only("sha256").first()
    context = {
        **_base(request, seen),
        "same": current is not None and current.pk == seen.run.plan_id,
        "hospitals": len(seen.content.seats),
    }
    return render(request, "portal/runs/repeat.html", context)


# --- what the pages have in common ---


def _seen(pk: int) -> Watched:
    seen = watch.watched(pk)
    if seen is None:
        raise Http404
    return seen


def _base(request: HttpRequest, seen: Watched) -> dict[str, Any]:
    return {
        "seen": seen,
        "run": seen.run,
        "project": seen.run.project,
        "acts": seen.coordinates and may(request, "researcher"),
        "coordinator": seen.now.coordinator,
    }


def _asks_here(seen: Watched) -> bool:
    """The run waits for a person of this hospital."""
    return not seen.coordinates and seen.run.state == core_run.STANDBY


def _parts(request: HttpRequest, seen: Watched, since: str) -> dict[str, Any]:
    """The parts of a run's page as it is made. `since`: its beginning, in seconds; "" if it does not ask on."""
    return {f"{name}_part": _made(request, seen, name, since) for name in PARTS}


def _part(request: HttpRequest, seen: Watched, name: str) -> HttpResponse:
    """A part anew, or nothing where it would look as before."""
    since = request.GET.get("since", "")
    made = _made(request, seen, name, since if since.isdecimal() and len(since) < 12 else "0")
    if _digest(made) == request.GET.get("as"):
        return HttpResponse(status=204)
    return HttpResponse(made)


PARTS = ("status", "story", "rounds", "facts")
AS = "DIGEST-OF-THIS-PART"  # a word that stands for itself while the digest is taken


def _made(request: HttpRequest, seen: Watched, name: str, since: str) -> str:
    every = 0
    if since and not seen.settled:
        every = SELDOM if seen.now.at - int(since) > TIRED or name == "rounds" else OFTEN
    context = {
        **_base(request, seen),
        **_content(seen, name),
        "shares": seen.content.rules["share_result"],
        "every": every,
        "since": since,
        "as": AS,
    }
    text = render_to_string(f"portal/runs/{name}.html", context)
    return text.replace(AS, _digest(text))


def _digest(text: str) -> str:
    """What a part looks like, as a word. The same whether its own digest stands in it already or not."""
    start = text.find("as=")
    whole = text if start < 0 else text[: start + 3] + text[start + 3 :].split('"', 1)[1]
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _content(seen: Watched, name: str) -> dict[str, Any]:
    run, story, now = seen.run, seen.story, seen.now
    if name == "status":
        words = run_sentence(story, now) if isinstance(story, RunStory) else seat_sentence(story, now)
        return {"words": words}
    if name == "rounds":
        drawn = seen.drawn
        return {"drawn": drawn, "rows": drawn.rows if drawn else [(point, ()) for point in seen.points]}
    if name == "facts":
        return {"left": watch.departures(run), "asked": _asks_here(seen), "log": _log(seen, here.site())}
    context: dict[str, Any] = {
        "lines": [(line, now.clock(line.at)) for line in told(story, now)],
        "drawn": seen.drawn,
        "change": len(story.rounds) + sum(found.ended is not None for found in story.rounds),
    }
    if isinstance(story, RunStory):
        context["sites"] = site_rows(story, now)
    if run.state in (core_run.FAILED, core_run.STOPPED):
        lost = []
        if isinstance(story, RunStory):
            lost = [(seat.site, seat.reason) for seat in story.machine.seats.values() if seat.reason]
        context["ending"] = ending(run.state, run.reason, now, seen.coordinates, lost, len(story.done))
    return context


def _log(seen: Watched, site: str) -> list[dict[str, Any]]:
    rows = LogLine.objects.filter(run=seen.run).order_by("-at", "-pk")
    if not seen.coordinates:
        rows = rows.filter(site=site)
    return watch.log_lines(seen.run, list(rows[:NEWEST]), dict(seen.now.names))


urlpatterns = [
    path("runs/", listed, name="runs"),
    path("runs/<int:pk>/", run, name="run"),
    path("runs/<int:pk>/status/", status, name="run_status"),
    path("runs/<int:pk>/story/", story, name="run_story"),
    path("runs/<int:pk>/rounds/", rounds, name="run_rounds"),
    path("runs/<int:pk>/facts/", facts, name="run_facts"),
    path("runs/<int:pk>/rounds.svg", picture, name="run_chart"),
    path("runs/<int:pk>/log/", log, name="run_log"),
    path("runs/<int:pk>/stop/", stop, name="run_stop"),
    path("runs/<int:pk>/repeat/", repeat, name="run_repeat"),
]

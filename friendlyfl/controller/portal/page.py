"""What every page has in common: who may see it, who may act on it, what a refusal looks like, and that a form counts
once. A page is a function of a request; it calls verbs of `actions` and shows records.

What an act may do is decided in `actions`, by the same role; here a person who lacks it is told whose act it is.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from friendlyfl.controller.actions import Actor
from friendlyfl.controller.models import ROLES, FormKey, Person
from friendlyfl.core.errors import (
    BrokenError,
    ConflictError,
    ForbiddenError,
    FriendlyError,
    NotFoundError,
    UnreachableError,
)

View = Callable[..., HttpResponse]
Form = TypeVar("Form", bound=forms.Form)
SAFE = ("GET", "HEAD")
ONCE = "once"  # the hidden field that tells one sending of a form from the next
KEPT_FORM, KEPT_BYTES = "kept_form", 20_000
NOT_KEPT = ("csrfmiddlewaretoken", ONCE, "password", "code", "webhook_address")
KEYS_KEPT = timedelta(days=1)
ANSWER_WITHIN = 20.0  # seconds that a second click waits for the answer to the first
STATUSES: tuple[tuple[type[FriendlyError], int], ...] = (
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UnreachableError, 503),
    (BrokenError, 503),
)


def page(role: str = "viewer", *, acts: str = "") -> Callable[[View], View]:
    """A page for people with at least this role; `acts` is the role that may send its form, "" if it has none."""

    def wrap(view: View) -> View:
        @wraps(view)
        def shown(request: HttpRequest, *given: Any, **named: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _to_login(request, bool(acts))
            if request.method not in (*SAFE, *(("POST",) if acts else ())):
                return HttpResponseNotAllowed([*SAFE, *(["POST"] if acts else [])])
            needs = role if request.method in SAFE else acts
            if not may(request, needs):
                return refused(request, whose(needs))
            try:
                if request.method == "POST":
                    return _once(request, lambda: view(request, *given, **named))
                return view(request, *given, **named)
            except FriendlyError as error:
                return refused(request, error)

        shown.role, shown.acts = role, acts  # type: ignore[attr-defined]  # tests try every page as everybody
        return shown

    return wrap


def actor(request: HttpRequest) -> Actor:
    """Who acts: the person signed in."""
    person = cast(Person, request.user)
    return Actor(person.username, person.role)


def may(request: HttpRequest, role: str) -> bool:
    """The person signed in has this role, or a wider one."""
    return ROLES.index(cast(Person, request.user).role) >= ROLES.index(role)


def whose(role: str) -> ForbiddenError:
    words = {
        "researcher": _("Only a researcher or a site-admin of this hospital can do that."),
        "site-admin": _("Only a site-admin of this hospital can do that."),
    }
    return ForbiddenError("role", words.get(role, ""), who=f"a {role}")


def refused(request: HttpRequest, error: FriendlyError) -> HttpResponse:
    """A page that says what happened, what it means for the data and who acts; the code stands small at its end."""
    if isinstance(error, NotFoundError):
        raise Http404(error.message)
    status = next((number for kind, number in STATUSES if isinstance(error, kind)), 400)
    return render(request, "portal/refused.html", {"error": error}, status=status)


# --- forms ---


def form_of(request: HttpRequest, kind: type[Form], **given: Any) -> Form:
    """The form as it was sent; else empty, or with the answers that a person had given when the session ended."""
    if request.method == "POST":
        return kind(request.POST, request.FILES, **given)
    kept = _kept(request)
    if kept is not None:
        answers = {name: sent if len(sent) > 1 else sent[0] for name, sent in kept.lists()}
        given["initial"] = {**given.get("initial", {}), **answers}
    return kind(**given)


def _to_login(request: HttpRequest, keeps: bool) -> HttpResponse:
    """Ask who it is, and keep what was typed for after. A page that asks on by itself is told to load anew."""
    if "HX-Request" in request.headers:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if keeps and request.method == "POST":
        answers = request.POST.copy()
        for name in list(answers):
            if any(word in name for word in NOT_KEPT):
                del answers[name]
        if len(answers.urlencode()) <= KEPT_BYTES:
            request.session[KEPT_FORM] = [request.path, answers.urlencode()]
    return redirect_to_login(request.get_full_path())


def _kept(request: HttpRequest) -> QueryDict | None:
    path, answers = request.session.get(KEPT_FORM, ("", ""))
    if path != request.path:
        return None
    del request.session[KEPT_FORM]
    return QueryDict(answers)


def _once(request: HttpRequest, act: Callable[[], HttpResponse]) -> HttpResponse:
    """Act on one sending of a form. Sent again (a double click, Back and again), it leads where the first one led."""
    key = request.POST.get(ONCE, "")[:64]
    if not key:
        message = _("This form was incomplete. Open the page again and send it once more.")
        return refused(request, ConflictError("no_form_key", message))
    FormKey.objects.filter(at__lt=timezone.now() - KEYS_KEPT).delete()
    try:
        sending = FormKey.objects.create(key=key, person=cast(Person, request.user))
    except IntegrityError:
        return _answered(request, key)
    try:
        answer = act()
    except BaseException:
        sending.delete()
        raise
    if answer.status_code == 302:
        FormKey.objects.filter(pk=sending.pk).update(leads_to=answer["Location"])
    else:  # nothing was done: the form is shown again, with what is wrong
        sending.delete()
    return answer


def _answered(request: HttpRequest, key: str) -> HttpResponse:
    until = time.monotonic() + ANSWER_WITHIN
    while time.monotonic() < until:
        first = FormKey.objects.filter(key=key, person=cast(Person, request.user)).first()
        if first is None:
            break
        if first.leads_to:
            return redirect(first.leads_to)
        time.sleep(0.2)
    message = _("This was sent already and is still being done. Look at the page again in a moment.")
    return refused(request, ConflictError("sent_already", message))

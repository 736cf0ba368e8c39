"""The language of the pages: the account's, else the one chosen on this browser, else the one it asks for."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from friendlyfl.controller import actions
from friendlyfl.controller.portal.page import actor

KEPT_SECONDS = 365 * 24 * 3600


class PersonsLanguage:
    """After Django's own middleware has read the browser's wish: who is signed in may have chosen another one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        chosen = getattr(request.user, "language", "")
        if chosen and chosen in dict(settings.LANGUAGES):
            translation.activate(chosen)
            request.LANGUAGE_CODE = chosen
        return self.get_response(request)


def choices() -> list[dict[str, Any]]:
    """The languages to choose from, each in its own words; empty while there is but one."""
    if len(settings.LANGUAGES) < 2:
        return []
    now = translation.get_language()
    return [{"code": code, "name": name, "on": code == now} for code, name in settings.LANGUAGES]


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Choose one: kept with the account of who is signed in, and on this browser for the sign-in page."""
    chosen, back = request.POST.get("language", ""), request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
        back = reverse("portal:home")
    answer = redirect(back)
    if chosen in dict(settings.LANGUAGES):
        if request.user.is_authenticated:
            actions.set_language(actor(request), chosen)
        answer.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            chosen,
            max_age=KEPT_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return answer


urlpatterns = [path("language/", language, name="language")]

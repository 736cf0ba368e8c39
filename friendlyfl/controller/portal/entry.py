"""Coming in and going out: signing in, signing out, the first account."""

from typing import Any

from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from friendlyfl.controller import actions, here
from friendlyfl.controller.portal import language
from friendlyfl.controller.portal.forms import FirstPerson, SignIn
from friendlyfl.controller.portal.tries import forget, slow_down
from friendlyfl.core.errors import FriendlyError


class LogIn(LoginView):
    template_name = "portal/login.html"
    form_class = SignIn

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = slow_down(request.POST.get("username", ""), request.META.get("REMOTE_ADDR", ""))
        if wait:
            form = SignIn(request, initial={"username": request.POST.get("username", "")})
            context = self.get_context_data(form=form, problem=_wait(wait))
            return self.render_to_response(context, status=429)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        forget(form.cleaned_data["username"], self.request.META.get("REMOTE_ADDR", ""))
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        nobody = bool(here.identity().first_code)
        return super().get_context_data(**kwargs, nobody=nobody, languages=language.choices())


@require_http_methods(["GET", "HEAD", "POST"])
def first(request: HttpRequest) -> HttpResponse:
    """Make the first site-admin."""
    if request.method != "POST":
        return render(request, "portal/first.html", {"form": FirstPerson()})
    wait = slow_down("first", request.META.get("REMOTE_ADDR", ""))
    if wait:
        context = {
            "form": FirstPerson(initial={"name": request.POST.get("name", "")}),
            "problem": _wait(wait),
        }
        return render(request, "portal/first.html", context, status=429)
    form = FirstPerson(request.POST)
    if form.is_valid():
        try:
            person = actions.first_person(**form.cleaned_data)
        except FriendlyError as error:
            form.add_error(_field_of(error.code), error.message)
        else:
            login(request, person)
            return redirect("portal:home" if here.identity().name else "portal:setup")
    return render(request, "portal/first.html", {"form": form}, status=400)


def _wait(seconds: int) -> str:
    minutes = -(-seconds // 60)
    said = ngettext(
        "There were too many tries. Wait %(minutes)d minute, then try again. "
        "If you have forgotten your password, ask a site-admin of this hospital.",
        "There were too many tries. Wait %(minutes)d minutes, then try again. "
        "If you have forgotten your password, ask a site-admin of this hospital.",
        minutes,
    )
    return said % {"minutes": minutes}


def _field_of(code: str) -> str:
    """Which field of the form for the first account an error belongs to."""
    if code == "wrong_code":
        return "code"
    return code if code in FirstPerson.base_fields else "name"


urlpatterns = [
    path("login/", LogIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="portal:login"), name="logout"),
    path("first/", first, name="first"),
]

"""The pages of this version: signing in, the first account, and one page that says how things stand."""

from typing import Any

from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import Departure, Project, Run
from friendlyfl.controller.portal.tries import forget, slow_down
from friendlyfl.core.errors import FriendlyError

SHOWN_RUNS = 20


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What runs, what was asked of this hospital, what left it. Nothing can be changed here."""
    runs = Run.objects.select_related("project", "plan").exclude(state="").order_by("-pk")[:SHOWN_RUNS]
    context = {
        "projects": Project.objects.order_by("name"),
        "runs": [actions.overview(run) for run in runs],
        "left": Departure.objects.count(),
        "last": Departure.objects.order_by("-n").first(),
    }
    return render(request, "portal/home.html", context)


class LogIn(LoginView):
    template_name = "portal/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = slow_down(request.POST.get("username", ""), request.META.get("REMOTE_ADDR", ""))
        if wait:
            form = self.get_form()
            form.errors.clear()
            form.add_error(None, f"Too many wrong tries. Wait {wait} seconds, then try again.")
            return self.render_to_response(self.get_context_data(form=form), status=429)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        forget(form.cleaned_data["username"], self.request.META.get("REMOTE_ADDR", ""))
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, nobody=bool(here.identity().first_code))


class FirstPerson(forms.Form):
    code = forms.CharField(label="One-time code", help_text="As `friendlyfl controller init` printed it.")
    name = forms.CharField(label="User name", max_length=150)
    password = forms.CharField(
        label="Password", widget=forms.PasswordInput, help_text="At least 12 characters.", strip=False
    )


@require_http_methods(["GET", "HEAD", "POST"])
def first(request: HttpRequest) -> HttpResponse:
    """Make the first site-admin."""
    form = FirstPerson(request.POST or None)
    status = 200
    if request.method == "POST":
        wait = slow_down("first", request.META.get("REMOTE_ADDR", ""))
        status = 429 if wait else 400
        if wait:
            form.add_error(None, f"Too many tries. Wait {wait} seconds, then try again.")
        elif form.is_valid():
            try:
                person = actions.first_person(**form.cleaned_data)
            except FriendlyError as error:
                form.add_error("password" if error.code == "password" else "code", error.message)
            else:
                login(request, person)
                return redirect("portal:home")
    return render(request, "portal/first.html", {"form": form}, status=status)

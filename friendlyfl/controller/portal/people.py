"""People: who has an account here and with which role; and everybody's own account."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions
from friendlyfl.controller.models import ROLES, Person
from friendlyfl.controller.portal import language
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, page, refused
from friendlyfl.controller.portal.tries import forget, slow_down
from friendlyfl.core.errors import ConflictError, FriendlyError

A_PAGE = 25
MAY = {
    "viewer": gettext_lazy("viewer: looks at projects, runs, results and the ledger"),
    "researcher": gettext_lazy("researcher: also adds data, plans, starts runs, downloads results"),
    "site-admin": gettext_lazy("site-admin: also approves, verifies, and decides about rules and people"),
}


def _new_password(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=gettext_lazy("At least 12 characters. A few words in a row are easy to remember."),
        error_messages={"required": gettext_lazy("Choose a password.")},
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


def _role() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=[(role, MAY[role]) for role in ROLES],
        widget=forms.RadioSelect,
        error_messages={
            "required": gettext_lazy("Choose a role."),
            "invalid_choice": gettext_lazy("Choose a role from the list."),
        },
    )


class NewPerson(Plain):
    name = forms.CharField(
        label=gettext_lazy("User name"),
        help_text=gettext_lazy("What the person types to sign in. Every act here is noted under it."),
        error_messages={"required": gettext_lazy("Choose a user name.")},
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    role = _role()
    password = _new_password(gettext_lazy("First password"))


class NewRole(Plain):
    role = _role()


class NewPassword(Plain):
    password = _new_password(gettext_lazy("New password"))


class OwnPassword(Plain):
    password_now = forms.CharField(
        label=gettext_lazy("Password of now"),
        error_messages={"required": gettext_lazy("Enter the password of now.")},
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    password = _new_password(gettext_lazy("New password"))


@page("site-admin")
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account here."""
    rows = Person.objects.order_by("-is_active", "username")
    context = {"shown": Paginator(rows, A_PAGE).get_page(request.GET.get("page")), "may": MAY.values()}
    return render(request, "portal/settings/people.html", context)


@page("site-admin", acts="site-admin")
def person_add(request: HttpRequest) -> HttpResponse:
    """Give somebody an account."""
    form = form_of(request, NewPerson, initial={"role": "researcher"})
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.add_person(actor(request), **form.cleaned_data)
        except FriendlyError as error:
            form.add_error(error.code if error.code in form.fields else "name", error.message)
        else:
            said = _("%(name)s may sign in. Tell the first password in person, not by e-mail.")
            messages.success(request, said % {"name": made.username})
            return redirect("portal:people")
    return render(
        request, "portal/settings/person_add.html", {"form": form}, status=400 if form.errors else 200
    )


@page("site-admin", acts="site-admin")
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: the role, a new password, on and off. Each is a form of its own on the page."""
    row = get_object_or_404(Person, pk=pk)
    role, password = NewRole(initial={"role": row.role}), NewPassword()
    form: Plain | None = None
    if request.method == "POST":
        do = request.POST.get("do")
        try:
            if do == "role":
                form = role = NewRole(request.POST)
                if form.is_valid():
                    return _change_role(request, row, form.cleaned_data["role"])
            elif do == "password":
                form = password = NewPassword(request.POST)
                if form.is_valid():
                    return _set_password(request, row, form.cleaned_data["password"])
            elif do in ("on", "off"):
                return _switch(request, row, do)
            else:
                return redirect("portal:person", row.pk)
        except FriendlyError as error:
            if form is None:
                raise
            form.add_error(None if error.code not in form.fields else error.code, error.message)
    context = {"row": row, "role": role, "password": password, "form": form, "may": MAY[row.role]}
    return render(request, "portal/settings/person.html", context, status=400 if form is not None else 200)


def _change_role(request: HttpRequest, row: Person, role: str) -> HttpResponse:
    actions.change_role(actor(request), row, role)
    messages.success(request, _("%(name)s is a %(role)s now.") % {"name": row.username, "role": role})
    return redirect("portal:home" if row == request.user and role != row.role else "portal:people")


def _set_password(request: HttpRequest, row: Person, password: str) -> HttpResponse:
    changed = actions.set_password(actor(request), row, password)
    if row == request.user:
        update_session_auth_hash(request, changed)
    said = _("%(name)s has a new password. Tell it in person, not by e-mail.")
    messages.success(request, said % {"name": row.username})
    return redirect("portal:people")


def _switch(request: HttpRequest, row: Person, do: str) -> HttpResponse:
    if do == "on":
        actions.switch_on_person(actor(request), row)
        said = _("%(name)s may sign in again.")
    else:
        actions.switch_off_person(actor(request), row)
        said = _("%(name)s can sign in no more.")
    messages.success(request, said % {"name": row.username})
    return redirect("portal:people")


# --- the own account ---


@page(acts="viewer")
def account(request: HttpRequest) -> HttpResponse:
    """Who one is here, what one may do, another password, and the language."""
    row = cast(Person, request.user)
    form = form_of(request, OwnPassword)
    if request.method == "POST":
        place = request.META.get("REMOTE_ADDR", "")
        tried = f"{row.username} (own password)"
        if form.is_valid():
            if slow_down(tried, place):
                said = _("There were too many tries. Wait a quarter of an hour, then try again.")
                return refused(request, ConflictError("too_many_tries", said))
            try:
                changed = actions.change_own_password(
                    actor(request), form.cleaned_data["password_now"], form.cleaned_data["password"]
                )
            except FriendlyError as error:
                field = "password_now" if error.code == "not_the_old_one" else "password"
                form.add_error(field, error.message)
            else:
                forget(tried, place)
                update_session_auth_hash(request, changed)
                messages.success(request, _("Your password is changed."))
                return redirect("portal:account")
    context = {"row": row, "form": form, "may": MAY[row.role], "languages": language.choices()}
    return render(request, "portal/settings/own.html", context, status=400 if form.errors else 200)


urlpatterns = [
    path("settings/people/", people, name="people"),
    path("settings/people/add/", person_add, name="person_add"),
    path("settings/people/<int:pk>/", person, name="person"),
    path("settings/account/", account, name="account"),
]

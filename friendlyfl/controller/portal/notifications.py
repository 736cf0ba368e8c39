"""Notifications: whether word of the inbox goes out by e-mail or to a webhook, its settings, and a test of them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, word
from friendlyfl.controller.actions.notifications import Mail, kept_mail, webhook_trouble
from friendlyfl.controller.carriers import PLAIN, STARTTLS, TLS
from friendlyfl.controller.models import Way
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, page

SHORT_NUMBER = {"inputmode": "numeric", "class": "short"}
ON_OFF = (("no", gettext_lazy("No")), ("yes", gettext_lazy("Yes")))


def _switch(label: Any) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        choices=ON_OFF,
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), gettext_lazy("Choose Yes or No.")),
    )


def _line(label: Any, hint: Any = "", **attrs: str) -> forms.CharField:
    quiet = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", **attrs}
    return forms.CharField(
        label=label, help_text=hint, required=False, max_length=2000, widget=forms.TextInput(attrs=quiet)
    )


class Ways(Plain):
    """Both ways in one form, so that a wrong answer about one keeps those about the other."""

    mail = _switch(gettext_lazy("Send an e-mail"))
    mail_to = forms.CharField(
        label=gettext_lazy("To"),
        help_text=gettext_lazy("One e-mail address on each line, of people of this hospital."),
        required=False,
        max_length=6000,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )
    mail_sender = _line(
        gettext_lazy("From"), gettext_lazy("Leave it empty to send from the first address above.")
    )
    mail_host = _line(gettext_lazy("Mail server"), gettext_lazy("Such as mail.hospital.org; IT knows it."))
    mail_port = _line(
        gettext_lazy("Port"),
        gettext_lazy("587 with STARTTLS and 465 with TLS, as a rule."),
        **SHORT_NUMBER,
    )
    mail_security = forms.ChoiceField(
        label=gettext_lazy("Protection on the way to the mail server"),
        choices=(
            (STARTTLS, gettext_lazy("STARTTLS")),
            (TLS, gettext_lazy("TLS from the start")),
            (PLAIN, gettext_lazy("None: the mail server is on this machine")),
        ),
        required=False,
        widget=forms.RadioSelect,
        error_messages={
            "invalid_choice": gettext_lazy("Choose how the way to the mail server is protected.")
        },
    )
    mail_user = _line(
        gettext_lazy("User name"), gettext_lazy("Leave it empty if the mail server asks for none.")
    )
    mail_password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    webhook = _switch(gettext_lazy("Call a webhook"))
    webhook_address = _line(gettext_lazy("Address"), inputmode="url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = word.way(word.WEBHOOK)
        self.fields["mail_password"].help_text = (
            _("A password is kept. It is not shown; leave this empty to keep it.")
            if kept_mail() and word.secret(word.MAIL)
            else _("It is kept in a file that only this program can read, and not shown again.")
        )
        self.fields["webhook_address"].help_text = (
            _("An address at %(host)s is kept. It is not shown; leave this empty to keep it.")
            % {"host": held.given["host"]}
            if held.on
            else _("It begins with https://. It is kept like a password, since it often holds a key.")
        )

    @property
    def mail_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("mail")]

    @property
    def webhook_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("webhook")]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("mail") == "yes":
            found = self.said_mail().troubles(given.get("mail_password", ""), kept_mail())
            for name, sentence in found.items():
                if f"mail_{name}" not in self.errors:
                    self.add_error(f"mail_{name}", sentence)
        if given.get("webhook") == "yes" and "webhook_address" in given:
            trouble = webhook_trouble(given["webhook_address"])
            if trouble:
                self.add_error("webhook_address", trouble)
        return given

    def said_mail(self) -> Mail:
        """What was typed about e-mail."""
        given = {name: self.cleaned_data.get(f"mail_{name}", "") for name in Mail.__dataclass_fields__}
        port = given["port"]
        given["port"] = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
        given["to"] = given["to"].replace(",", " ").replace(";", " ").split()
        return Mail(**given)


def _of_now() -> dict[str, Any]:
    """The form as it stands, without a secret."""
    mail, hook = word.way(word.MAIL), word.way(word.WEBHOOK)
    held = {"port": 587, "security": STARTTLS, **mail.given}
    held["to"] = "\n".join(held.get("to", ()))
    return {
        "mail": "yes" if mail.on else "no",
        "webhook": "yes" if hook.on else "no",
        **{f"mail_{name}": value for name, value in held.items()},
    }


@page("site-admin", acts="site-admin")
def notifications(request: HttpRequest) -> HttpResponse:
    """On which ways word goes out, how it went last, and a test."""
    if request.method == "POST" and request.POST.get("do") == "test":
        return _tested(request)
    form = form_of(request, Ways, initial=_of_now())
    link = request.build_absolute_uri(reverse("portal:inbox"))
    if request.method == "POST" and form.is_valid():
        return _saved(request, form, link)
    ways = list(Way.objects.filter(on=True).order_by("name"))
    context = {"form": form, "ways": ways, "link": link, "kept_link": ways[0].link if ways else ""}
    return render(request, "portal/settings/notifications.html", context, status=400 if form.errors else 200)


def _saved(request: HttpRequest, form: Ways, link: str) -> HttpResponse:
    given = form.cleaned_data
    mail, hook = given["mail"] == "yes", given["webhook"] == "yes"
    if mail:
        actions.set_mail(actor(request), form.said_mail(), given["mail_password"], link=link)
    elif word.way(word.MAIL).on:
        actions.set_mail(actor(request), None)
    if hook or word.way(word.WEBHOOK).on:
        actions.set_webhook(actor(request), hook, given["webhook_address"] if hook else "", link=link)
    said = _("The notifications are changed. Send a test now.") if mail or hook else _("No word goes out.")
    messages.success(request, said)
    return redirect("portal:notifications")


def _tested(request: HttpRequest) -> HttpResponse:
    went = {
        word.MAIL: _("The mail server took the test. Look whether it arrives."),
        word.WEBHOOK: _("The webhook took the test."),
    }
    for name, trouble in actions.send_test(actor(request)).items():
        if trouble:
            words = _("E-mail: %(why)s") if name == word.MAIL else _("Webhook: %(why)s")
            messages.warning(request, words % {"why": trouble})
        else:
            messages.success(request, went[name])
    return redirect("portal:notifications")


urlpatterns = [path("settings/notifications/", notifications, name="notifications")]

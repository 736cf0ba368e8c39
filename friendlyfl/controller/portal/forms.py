"""The portal's forms: their fields, hints, and what is said when an answer is missing or wrong."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class Plain(forms.Form):
    """Ties what is wrong with a field, and its hint, to the field, for people who do not see the page."""

    def __getitem__(self, name: str) -> forms.BoundField:
        bound = super().__getitem__(name)
        about = [f"{bound.auto_id}-hint"] if bound.help_text else []
        found = getattr(self, "_errors", None)  # `errors` would begin to clean, and cleaning looks up fields
        if found and found.get(name):
            about.append(f"{bound.auto_id}-error")
        if about:
            bound.field.widget.attrs["aria-describedby"] = " ".join(about)
        return bound


class SignIn(Plain, AuthenticationForm):
    error_messages = {
        "invalid_login": _("The user name or the password is wrong. Check both and try again."),
        "inactive": _("This account was switched off. Ask a site-admin of this hospital."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("User name")
        self.fields["username"].error_messages["required"] = _("Enter your user name.")
        self.fields["password"].error_messages["required"] = _("Enter your password.")
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)


class FirstPerson(Plain):
    code = forms.CharField(
        label=_("One-time code"),
        help_text=_("Three groups of five, as it was printed when this site was made."),
        error_messages={"required": _("Enter the one-time code.")},
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )
    name = forms.CharField(
        label=_("User name"),
        help_text=_("You will sign in with it, and every act of yours here is noted under it."),
        error_messages={"required": _("Choose a user name.")},
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = forms.CharField(
        label=_("Password"),
        help_text=_("At least 12 characters. A few words in a row are easy to remember."),
        error_messages={"required": _("Choose a password.")},
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

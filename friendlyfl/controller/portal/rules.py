"""The rules of a run, in words and as a form: quorum, deadlines, what is shared. A verb changes them."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller import plans
from friendlyfl.controller.portal.forms import Plain

HOUR, MINUTE, DAY = 3600, 60, 86400


def rules_in_words(rules: dict[str, Any]) -> list[tuple[str, str]]:
    """Each rule with what holds, in the order of a run."""
    quorum = rules["quorum"]
    return [
        (
            _("Hospitals that must answer"),
            ngettext("at least %(n)d", "at least %(n)d", quorum) % {"n": quorum}
            if quorum
            else _("all of them"),
        ),
        (_("Time to check the data"), span(rules["prepare_deadline"])),
        (_("Time for each round"), span(rules["round_deadline"])),
        (_("A late answer"), _("is not used; that hospital is left out of the round")),
        (
            _("The result"),
            _("goes to every hospital that took part")
            if rules["share_result"]
            else _("stays with the coordinator"),
        ),
        (
            _("The coordinator's own data"),
            _("are part of the analysis") if rules["coordinator_data"] else _("are not part of the analysis"),
        ),
    ]


def span(seconds: float) -> str:
    """A deadline as people say it."""
    for size, one, many in (
        (DAY, "%(n)s day", "%(n)s days"),
        (HOUR, "%(n)s hour", "%(n)s hours"),
        (MINUTE, "%(n)s minute", "%(n)s minutes"),
    ):
        if seconds >= size and (seconds % size == 0 or size != DAY):
            n = seconds / size
            return ngettext(one, many, 1 if n == 1 else 2) % {"n": f"{n:g}"}
    return ngettext("%(n)s second", "%(n)s seconds", 1 if seconds == 1 else 2) % {"n": f"{seconds:g}"}


class Rules(Plain):
    quorum = forms.IntegerField(
        label=gettext_lazy("Hospitals that must answer"),
        help_text=gettext_lazy(
            "A run goes on when so many have answered. Usual: empty, which means all of them."
        ),
        required=False,
        min_value=1,
        error_messages={
            "invalid": gettext_lazy(
                "Hospitals that must answer: give a whole number, or leave it empty for all."
            ),
            "min_value": gettext_lazy(
                "Hospitals that must answer: give at least 1, or leave it empty for all."
            ),
        },
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )
    prepare_deadline = forms.FloatField(
        label=gettext_lazy("Hours to check the data"),
        help_text=gettext_lazy(
            "From the start until every hospital must be ready; people may have to approve. Usual: 24."
        ),
        min_value=0.001,
        error_messages={
            "required": gettext_lazy("Say how many hours hospitals have to check their data."),
            "invalid": gettext_lazy("Hours to check the data: give a number, such as 24."),
            "min_value": gettext_lazy("Hours to check the data: give more than 0."),
        },
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    round_deadline = forms.FloatField(
        label=gettext_lazy("Minutes for each round"),
        help_text=gettext_lazy("How long the run waits for hospitals in each exchange. Usual: 60."),
        min_value=0.01,
        error_messages={
            "required": gettext_lazy("Say how many minutes a round may take."),
            "invalid": gettext_lazy("Minutes for each round: give a number, such as 60."),
            "min_value": gettext_lazy("Minutes for each round: give more than 0."),
        },
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    share_result = forms.BooleanField(
        label=gettext_lazy("Share the result with every hospital that took part"),
        help_text=gettext_lazy("Usual: yes."),
        required=False,
    )
    coordinator_data = forms.BooleanField(
        label=gettext_lazy("This hospital brings patients of its own"),
        help_text=gettext_lazy("Its totals are then added like those of every other hospital. Usual: no."),
        required=False,
    )

    @staticmethod
    def answers(rules: dict[str, Any]) -> dict[str, Any]:
        """Rules as the form shows them."""
        return {
            **{name: rules[name] for name in ("share_result", "coordinator_data")},
            "quorum": rules["quorum"] or "",
            "prepare_deadline": f"{rules['prepare_deadline'] / HOUR:.6g}",
            "round_deadline": f"{rules['round_deadline'] / MINUTE:.6g}",
        }

    @property
    def rules(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            **{name: bool(given[name]) for name in ("share_result", "coordinator_data")},
            "quorum": given["quorum"] or 0,
            "prepare_deadline": round(given["prepare_deadline"] * HOUR, 3),
            "round_deadline": round(given["round_deadline"] * MINUTE, 3),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, size, words in (
            ("prepare_deadline", HOUR, _("Hours to check the data: give at most %(n)d.")),
            ("round_deadline", MINUTE, _("Minutes for each round: give at most %(n)d.")),
        ):
            most = plans.LONGEST_DEADLINE // size
            if cleaned.get(name) is not None and cleaned[name] > most:
                self.add_error(name, words % {"n": most})
        return cleaned

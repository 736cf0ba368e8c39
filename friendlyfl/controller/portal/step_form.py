"""The form of a step, made from the parameters that its task declares: no task is known here by name.

Every answer is read by the task's own parameters, so a form, the command line and a plan accept the same; what is
wrong is said at its field and every other answer is kept.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.steps import in_words
from friendlyfl.core.errors import UsageError
from friendlyfl.core.limits import NAME
from friendlyfl.tasks import catalogue, engine
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.cohort import LONGEST, Cohort
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary
from friendlyfl.tasks.params import Choice, Column, Columns, Flag, Number, Numbers, Parameter, Text
from friendlyfl.tasks.terms import factors_of

PREFIX, WITH, NARROW, WAS = "p-", "-with", "narrow-", "was-"
LONG_LIST = 12  # columns; a longer list gets a box to narrow it
FEW = 4  # options that are shown side by side
ONE_LINE = 200  # letters of a text
LEVELS = 4  # named one by one
DEFAULT, AGAIN = "default", ("narrow", "fields")


class StepForm(Plain):
    """`task` says what is asked; `narrowed` are the texts by which long lists are narrowed now."""

    title = forms.CharField(
        label=gettext_lazy("Name of this step"),
        help_text=gettext_lazy("Yours to choose; it heads the result. Leave it empty for the method's name."),
        required=False,
        max_length=NAME,
    )
    cohort = forms.CharField(
        label=gettext_lazy("Only these patients"),
        help_text=gettext_lazy(
            "Beside the plan's own criteria, for this step only. Write a comparison of columns, such as: age >= 18. "
            "Leave it empty for all patients of the plan."
        ),
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )

    def __init__(
        self,
        *given: Any,
        task: type[Task],
        dictionary: Dictionary,
        narrowed: Mapping[str, str] | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self.task, self.dictionary, self.narrowed = task, dictionary, dict(narrowed or {})
        self.values: dict[str, Any] = {}
        answers = self.data if self.is_bound else self.initial
        asked = task.asked({name: answers.get(PREFIX + name) for name in task.parameters})
        self.asked = dict(
            sorted(asked.items(), key=lambda item: (not item[1].required, not isinstance(item[1], Columns)))
        )
        own = {name: self.fields.pop(name) for name in ("title", "cohort")}
        for name, parameter in self.asked.items():
            self._add(name, parameter)
        self.fields |= own

    # What the page shows.

    @property
    def front(self) -> list[forms.BoundField]:
        """What has to be chosen, and columns."""
        return [self[name] for name in self.fields if not self._is_finer(name)]

    @property
    def finer(self) -> list[forms.BoundField]:
        """What has a usual value and may stay as it is."""
        return [self[name] for name in self.fields if self._is_finer(name)]

    @property
    def finer_open(self) -> bool:
        """Show them at once when one of them is wrong or is not as usual."""
        return any(bound.errors or self._unusual(bound) for bound in self.finer)

    @property
    def usual(self) -> str:
        """The usual values in a line."""
        said = []
        for name, parameter in self.asked.items():
            if self._is_finer(PREFIX + name) and parameter.default is not None:
                words = in_words(parameter, parameter.default, self.dictionary)
                said.append(f"{_(parameter.label)}: {words}")
        return " · ".join(said)

    def _is_finer(self, name: str) -> bool:
        parameter = self.asked.get(name.removeprefix(PREFIX))
        if parameter is None:
            return name in ("title", "cohort")
        if name.removeprefix(PREFIX) in self._turns:
            return False
        if isinstance(parameter, Column):  # a grouping changes the question; an offset or weights do not
            return not parameter.required and "group" not in parameter.kinds
        return isinstance(parameter, Choice | Flag | Number)

    def _unusual(self, bound: forms.BoundField) -> bool:
        parameter = self.asked.get(bound.name.removeprefix(PREFIX))
        value = bound.value()
        if parameter is None or isinstance(parameter, Flag):
            return bool(value) != bool(parameter and parameter.default)
        return value not in (None, "") and str(value) != _typed(parameter.default)

    @cached_property
    def _turns(self) -> set[str]:
        """Choices on which it hangs what else is asked for."""
        return {
            name
            for name, p in self.task.parameters.items()
            if isinstance(p, Choice)
            and len({tuple(self.task.asked({name: option})) for option in p.options}) > 1
        }

    def __getitem__(self, name: str) -> forms.BoundField:
        """A group of boxes is described as a whole, not box by box."""
        bound = super().__getitem__(name)
        if getattr(bound.field, "grouped", False):
            bound.described = bound.field.widget.attrs.pop("aria-describedby", "")  # type: ignore[attr-defined]
        return bound

    # Fields from declarations.

    def _add(self, name: str, parameter: Parameter[Any]) -> None:
        field = self._field(name, parameter)
        field.label, field.required = _(parameter.label), False  # the task itself says what is missing
        field.help_text = self._help(parameter)
        field.optional = not parameter.required and parameter.default in (None, (), "")  # type: ignore[attr-defined]
        field.turns = name in self._turns  # type: ignore[attr-defined]
        self.fields[PREFIX + name] = field
        if isinstance(parameter, Columns) and parameter.terms:
            self.fields[PREFIX + name + WITH] = forms.CharField(
                label=_("Effects that depend on each other"),
                help_text=_(
                    "Interactions: two columns with a colon between, as in age:sex. "
                    "Separate several by commas; leave it empty for none."
                ),
                required=False,
                widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
            )

    def _field(self, name: str, parameter: Parameter[Any]) -> forms.Field:
        if isinstance(parameter, Column):
            return self._column(name, parameter)
        if isinstance(parameter, Columns):
            return self._columns(name, parameter)
        if isinstance(parameter, Choice):
            return self._choice(parameter)
        if isinstance(parameter, Flag):
            return forms.BooleanField(initial=parameter.default)
        text = forms.CharField(initial=_typed(parameter.default), strip=True)
        if isinstance(parameter, Number):
            text.widget.attrs["inputmode"] = "decimal"
        elif isinstance(parameter, Text) and parameter.max > ONE_LINE:
            text.widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})
        return text

    def _column(self, name: str, parameter: Column[Any]) -> forms.Field:
        chosen = str(self._answer(name) or "")
        empty = _("Choose a column") if parameter.required else _("None")
        listed = self._narrowed(name, self._fitting(parameter), [chosen])
        options = [("", empty), *((column, self._words(column)) for column in listed)]
        if chosen and chosen not in dict(options):
            options.append((chosen, chosen))
        field = forms.CharField(widget=forms.Select(choices=options))
        self._box(field, name, self._fitting(parameter))
        return field

    def _columns(self, name: str, parameter: Columns) -> forms.Field:
        answer = self._answer(name) or []
        chosen = [answer] if isinstance(answer, str) else list(answer)
        fitting = self._fitting(parameter)
        listed = self._narrowed(name, fitting, chosen)
        order = [*chosen, *(column for column in listed if column not in chosen)]
        field = forms.Field(
            widget=forms.CheckboxSelectMultiple(choices=[(column, self._boxed(column)) for column in order])
        )
        field.grouped = True  # type: ignore[attr-defined]
        self._box(field, name, fitting)
        return field

    def _choice(self, parameter: Choice) -> forms.Field:
        options = [
            (
                option,
                _("%(option)s (usual)") % {"option": _(words)} if option == parameter.default else _(words),
            )
            for option, words in parameter.words.items()
        ]
        few = len(options) <= FEW
        widget = forms.RadioSelect(choices=options) if few else forms.Select(choices=options)
        field = forms.CharField(widget=widget, initial=parameter.default)
        field.grouped = few  # type: ignore[attr-defined]
        return field

    def _answer(self, name: str) -> Any:
        if isinstance(self.data, QueryDict) and self.is_bound:
            answers = self.data.getlist(PREFIX + name)
            return answers if len(answers) > 1 else (answers or [""])[0]
        return self.data.get(PREFIX + name) if self.is_bound else self.initial.get(PREFIX + name)

    def _help(self, parameter: Parameter[Any]) -> str:
        """The task's own help, what may be given, and what holds if nothing is."""
        said = [_(parameter.help).rstrip(".")] if parameter.help else []
        if isinstance(parameter, Number | Numbers):
            said.append(capfirst(ours(catalogue.takes(parameter))))
        if isinstance(parameter, Number | Flag) and parameter.default is not None:
            said.append(_("Usual: %(value)s") % {"value": _(catalogue.default(parameter))})
        return ". ".join(said) + "." if said else ""

    # Columns of the dictionary.

    def _fitting(self, parameter: Column[Any] | Columns) -> list[str]:
        """Only kinds that the parameter takes."""
        if isinstance(parameter, Columns) and parameter.terms:
            return [*(name for name, spec in self.dictionary.items() if spec.type != "text"), SITE]
        one = parameter.one if isinstance(parameter, Columns) else parameter
        return [name for name in (*self.dictionary, SITE) if _takes(one, name, self.dictionary)]

    def _narrowed(self, name: str, columns: list[str], chosen: list[str]) -> list[str]:
        text = self.narrowed.get(name, "").strip().casefold()
        if not text or len(columns) <= LONG_LIST:
            return columns
        return [
            column
            for column in columns
            if column in chosen or text in f"{column} {self._words(column)}".casefold()
        ]

    def _box(self, field: forms.Field, name: str, columns: list[str]) -> None:
        """The box by which a long list is narrowed."""
        if len(columns) <= LONG_LIST:
            return
        text = self.narrowed.get(name, "")
        count = len(self._narrowed(name, columns, []))
        field.narrow = {  # type: ignore[attr-defined]
            "name": NARROW + name,
            "was": WAS + name,
            "text": text,
            "said": ngettext("%(n)d column of %(all)d", "%(n)d columns of %(all)d", count)
            % {"n": count, "all": len(columns)}
            if text
            else "",
        }

    def _words(self, column: str) -> str:
        if column == SITE:
            return _("The hospital itself (.site)")
        spec = self.dictionary[column]
        name = f"{spec.label} ({column})" if spec.label and spec.label != column else column
        return f"{name} · {kind_words(spec)}"

    def _boxed(self, column: str) -> SafeString:
        if column not in self.dictionary:
            return format_html("{}", self._words(column) if column == SITE else column)
        spec = self.dictionary[column]
        return format_html(
            '{} <span class="hint">{}{}</span>',
            spec.label or column,
            f"{column} · " if spec.label and spec.label != column else "",
            kind_words(spec),
        )

    # Reading the answers.

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, parameter in self.asked.items():
            self._read(name, parameter)
        cohort = cleaned.get("cohort") or ""
        try:
            Cohort.read(cohort, self.dictionary)
        except UsageError as error:
            self.add_error("cohort", error.message)
        if not self.errors:
            self._whole()
        return cleaned

    def _read(self, name: str, parameter: Parameter[Any]) -> None:
        value = self.cleaned_data.get(PREFIX + name)
        if isinstance(parameter, Number) and isinstance(value, str):
            value = re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", value)  # as many people write half
        depend = self.cleaned_data.get(PREFIX + name + WITH) or ""
        if isinstance(parameter, Columns):
            value = [*(value or []), *depend.split(",")] if depend else value or ""
        try:
            parameter.validate("" if value is None else value, self.dictionary, 1)
        except UsageError as error:
            field = PREFIX + name + (WITH if depend else "")
            self.add_error(field, self._sentence(parameter, error, missing=value in (None, "")))
        self.values[name] = "" if value is None else value

    def _whole(self) -> None:
        """What the task says about all answers together, at the field that it names first."""
        try:
            engine.make_task(self.task, None, self.values, self.dictionary, 1)
        except UsageError as error:
            places = {
                name: place
                for name, p in self.asked.items()
                for place in [error.message.find(p.title), error.message.find(p.label)]
                if place >= 0
            }
            named = min(places, key=lambda name: places[name]) if places else None
            words = error.message
            for parameter in self.asked.values():
                words = words.replace(parameter.title, _(parameter.label))
            self.add_error(PREFIX + named if named else None, words)

    def _sentence(self, parameter: Parameter[Any], error: UsageError, *, missing: bool) -> str:
        label = _(parameter.label)
        if missing and parameter.required:
            return _("%(label)s: %(wanted)s.") % {"label": label, "wanted": _(parameter.wants())}
        return error.message.replace(parameter.title, label)


def _takes(parameter: Column[Any], column: str, dictionary: Dictionary) -> bool:
    try:
        parameter.check(column, dictionary)
    except UsageError:
        return False
    return True


def _typed(value: Any) -> str:
    return "" if value is None else catalogue.typed(value)


def kind_words(spec: ColumnSpec) -> str:
    """What a column holds: type, levels or range, unit."""
    words = {
        "integer": _("whole number"),
        "number": _("number"),
        "date": _("date"),
        "text": _("text"),
        "factor": _("%(n)d levels") % {"n": len(spec.levels)},
    }[spec.type]
    if spec.type == "factor" and len(spec.levels) <= LEVELS:
        words = _("one of %(levels)s") % {"levels": ", ".join(spec.levels)}
    elif spec.type == "integer" and (spec.low, spec.high) == (0, 1):
        words = _("0 or 1")
    elif spec.is_number and spec.low is not None and spec.high is not None:
        words = _("%(kind)s from %(low)s to %(high)s") % {
            "kind": words,
            "low": f"{spec.low:g}",
            "high": f"{spec.high:g}",
        }
    return f"{words}, {spec.unit}" if spec.unit else words


def answers_of(task: type[Task], values: Mapping[str, Any], dictionary: Dictionary) -> dict[str, Any]:
    """A step's parameters as the form shows them."""
    found: dict[str, Any] = {}
    for name, parameter in task.asked(values).items():
        value = values.get(name)
        if isinstance(parameter, Columns):
            terms = [value] if isinstance(value, str) and value else list(value or [])
            plain = [term for term in terms if len(factors_of(term, dictionary)) == 1]
            found[PREFIX + name] = plain if parameter.terms else terms
            if parameter.terms:
                found[PREFIX + name + WITH] = ", ".join(term for term in terms if term not in plain)
        elif isinstance(parameter, Flag):
            found[PREFIX + name] = bool(value)
        elif isinstance(value, list | tuple):
            found[PREFIX + name] = ", ".join(map(_typed, value))
        elif value is not None:
            found[PREFIX + name] = _typed(value)
    return found


def sent_again(data: QueryDict, task: type[Task]) -> dict[str, Any] | None:
    """The answers as they were, when a list is to be narrowed or other fields are to be shown; None to save."""
    act = data.get("act", "")
    changed = any(
        data.get(NARROW + key.removeprefix(WAS), "") != value
        for key, value in data.items()
        if key.startswith(WAS)
    )
    if act not in AGAIN and not (act == DEFAULT and changed):
        return None
    answers: dict[str, Any] = {key: values if len(values) > 1 else values[0] for key, values in data.lists()}
    asked = task.asked({name: answers.get(PREFIX + name) for name in task.parameters})
    for name, parameter in asked.items():  # a box without its mark is not sent
        if isinstance(parameter, Flag):
            answers.setdefault(PREFIX + name, False)
    return answers


def narrowing(data: QueryDict) -> dict[str, str]:
    """The texts in the boxes that narrow long lists."""
    return {key.removeprefix(NARROW): str(text) for key, text in data.items() if key.startswith(NARROW)}

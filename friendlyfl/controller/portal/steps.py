"""A step of a plan in words: the question it answers, what was chosen, what leaves, and what stands in its way.

Everything comes from the task's own declaration. Forms for a step are in step_form.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from friendlyfl.controller.models import Step
from friendlyfl.controller.plans import PlanStep
from friendlyfl.controller.portal.ours import called, ours
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import catalogue, disclosure, engine, registry
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.criteria import Condition, Joined, Not, bracketed
from friendlyfl.tasks.dictionary import SITE, Dictionary
from friendlyfl.tasks.params import Choice, Column, Columns, Number, Numbers, Parameter
from friendlyfl.tasks.terms import factors_of


@dataclass(frozen=True)
class Shown:
    """A step as a page shows it. `problem`: it cannot be computed; `refused`: hospitals with the usual rules refuse."""

    seq: int
    task: str
    title: str
    method: str
    question: str
    chosen: list[tuple[str, str]]
    usual: list[tuple[str, str]]
    patients: str
    leaves: list[str]
    rounds: int
    reader: str
    problem: str = ""
    refused: str = ""

    @property
    def named(self) -> bool:
        """Whether somebody gave it a name of its own."""
        return self.title != self.method


def shown(
    steps: Iterable[Step | PlanStep], dictionary: Mapping[str, Any], cohort: str = "", sites: int = 1
) -> list[Shown]:
    """Each step in words; one that does not fit the dictionary says so."""
    try:
        columns = Dictionary.parse(dictionary)
    except FriendlyError:
        columns = Dictionary({})
    return [_shown(step, columns, cohort, sites) for step in steps]


def _shown(step: Step | PlanStep, dictionary: Dictionary, cohort: str, sites: int) -> Shown:
    try:
        kind = registry.find(step.task, step.version)
    except FriendlyError as error:
        nothing: list[tuple[str, str]] = []
        name = called(step.title)
        return Shown(step.seq, step.task, name, name, name, nothing, [], "", [], 0, "", error.message)
    problem = refused = ""
    rounds = kind.max_rounds
    try:
        task = engine.make_task(kind, None, step.parameters, dictionary, sites, where=(cohort, step.cohort))
        rounds = task.most_rounds
        disclosure.check_plan(task, step.task, disclosure.Policy(tasks=tuple(registry.names())))
    except disclosure.Refused as error:
        refused = error.message
    except FriendlyError as error:
        problem = error.message
    chosen, usual = choices(kind, step.parameters, dictionary)
    return Shown(
        seq=step.seq,
        task=step.task,
        title=called(step.title),
        method=_(kind.title),
        question=asked(kind, step.parameters, dictionary),
        chosen=chosen,
        usual=usual,
        patients=patients(step.cohort, dictionary),
        leaves=leaves(kind),
        rounds=rounds,
        reader=_(catalogue.reader(kind)),
        problem=problem,
        refused=refused,
    )


def asked(task: type[Task], values: Mapping[str, Any], dictionary: Dictionary) -> str:
    """The question of a step with these parameters."""
    return catalogue.filled(_(catalogue.asks(task, values)), values, dictionary)


def leaves(task: type[Task]) -> list[str]:
    """The kinds of number that leave a hospital, in words."""
    return list(dict.fromkeys(_(kind.words) for kind in task.sends.values()))


def patients(cohort: str, dictionary: Dictionary) -> str:
    """Inclusion criteria in words; nothing for all patients."""
    try:
        read = Cohort.read(cohort, dictionary)
    except FriendlyError:
        return cohort
    return condition(read.condition) if read else ""


def condition(part: Condition) -> str:
    """A condition in words, part by part."""
    if isinstance(part, Not):
        return _("not (%(condition)s)") % {"condition": condition(part.part)}
    if isinstance(part, Joined):
        both = _("%(some)s and %(more)s") if part.word == "and" else _("%(some)s or %(more)s")
        said = [bracketed(one, condition(one), Joined) for one in part.parts]
        return functools.reduce(lambda some, more: both % {"some": some, "more": more}, said)
    text, values = part.phrase
    return _(text).format(**values)


def choices(
    task: type[Task], values: Mapping[str, Any], dictionary: Dictionary
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What was chosen, and what is left as usual: labels and values in words."""
    chosen: list[tuple[str, str]] = []
    usual: list[tuple[str, str]] = []
    for name, parameter in task.asked(values).items():
        value = values.get(name)
        given = tuple(value) if isinstance(value, list) else value
        if given in (None, "", ()) or (given == parameter.default and isinstance(parameter, Column)):
            continue
        row = (_(parameter.label), in_words(parameter, value, dictionary))
        (usual if given == parameter.default else chosen).append(row)
    return chosen, usual


def in_words(parameter: Parameter[Any], value: Any, dictionary: Dictionary) -> str:
    """A parameter's value as a page says it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(parameter, Choice):
        return _(parameter.words[value])
    if isinstance(parameter, Column | Columns):
        listed = [value] if isinstance(value, str) else value
        return ", ".join(term_words(term, dictionary) for term in listed)
    text = (
        catalogue.typed(value)
        if not isinstance(value, list | tuple)
        else ", ".join(map(catalogue.typed, value))
    )
    unit = parameter.unit if isinstance(parameter, Number | Numbers) else ""
    return f"{text} {unit}".strip()


def takes(parameter: Parameter[Any]) -> str:
    """What may be given. Here nothing is typed, so options are named by their words."""
    if isinstance(parameter, Choice):
        return _("one of %(options)s") % {
            "options": ", ".join(_(words) for words in parameter.words.values())
        }
    return ours(catalogue.takes(parameter))


def term_words(term: str, dictionary: Dictionary) -> str:
    """A column by its label; an interaction as the two with a cross between."""
    if term == SITE:
        return _("the hospital")
    if term in dictionary:
        return dictionary[term].label or term
    parts = factors_of(term, dictionary)
    return " × ".join(term_words(part, dictionary) for part in parts) if len(parts) > 1 else term

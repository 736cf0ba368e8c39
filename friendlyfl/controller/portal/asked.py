"""A plan as a hospital reads it before it decides, put into words: steps, what leaves, columns, and the dry check.

Everything comes from the tasks' declarations and from what was found on this hospital's data, so that the page cannot
say something else than the program does. Who may decide, and the forms, are in requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import plans
from friendlyfl.controller.portal.ours import called
from friendlyfl.controller.portal.steps import asked, choices, patients
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import catalogue, engine
from friendlyfl.tasks.base import Count, EachTask, Task
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary
from friendlyfl.tasks.disclosure import HIDDEN, Policy
from friendlyfl.tasks.engine import OWN

COLUMN = ("column_missing",)
VALUES = ("column_type", "level_unknown", "out_of_range", "data_problem", "entry_late", "time_not_positive")


@dataclass(frozen=True)
class Leaves:
    """Numbers of one kind that leave in a step. `many`: how many in the first round, as the dry check found; None
    before it is done, 0 for those that come in later rounds."""

    what: str
    small: str
    many: int | None


@dataclass
class Step:
    seq: int
    title: str
    question: str
    method: str
    chosen: list[tuple[str, str]] = field(default_factory=list)
    patients: str = ""
    leaves: list[Leaves] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    most: int = 0  # rounds
    amount: str = ""  # how many numbers leave in the first round, in later ones and in all
    reader: str = ""
    problem: str = ""
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)  # of its columns


@dataclass(frozen=True)
class Column:
    name: str
    words: str
    kind: str
    own: str
    steps: str


@dataclass(frozen=True)
class Finding:
    """A line of the dry check: a tick, or a sentence about what stands in the way."""

    good: bool
    what: str
    words: str


@dataclass(frozen=True)
class Checked:
    """What the dry check found for a step; step 0 is the plan as a whole."""

    seq: int
    title: str
    findings: list[Finding]

    @property
    def good(self) -> bool:
        return all(finding.good for finding in self.findings)


def steps(
    plan: plans.Content, coordinator: str, policy: Policy, found: Mapping[str, Any] | None
) -> list[Step]:
    """The plan's steps; `found` is what the dry check found, once it is there."""
    dictionary = Dictionary.parse(plan.dictionary)
    facts = found["steps"] if found else {}
    return [
        _step(step, plan, dictionary, coordinator, policy, facts.get(step.seq, {})) for step in plan.steps
    ]


def _step(
    step: plans.PlanStep,
    plan: plans.Content,
    dictionary: Dictionary,
    coordinator: str,
    policy: Policy,
    facts: Mapping[str, Any],
) -> Step:
    shown = Step(step.seq, called(step.title), "", f"{step.task} {step.version}", name=step.task)
    try:
        task = engine.make_task(
            step.task, step.version, step.parameters, dictionary, len(plan.seats), where=step.criteria
        )
    except FriendlyError as error:
        shown.problem = error.message
        return shown
    kind = type(task)
    shown.question = asked(kind, task.values, dictionary)
    shown.chosen = choices(kind, task.values, dictionary)[0]
    shown.patients = patients(step.cohort, dictionary)
    reads = (*task.columns, *(task.cohort.columns if task.cohort else ()))
    shown.columns = tuple(name for name in dict.fromkeys(reads) if name != SITE)
    shown.labels = {name: catalogue.label(name, dictionary) for name in shown.columns}
    shown.most = min(task.most_rounds, policy.rounds)
    shown.amount = _amount(sum(facts["numbers"].values()), facts["later"], shown.most) if facts else ""
    shown.reader = _reader(kind, plan, coordinator, policy)
    shown.leaves = _leaves(task, policy, facts.get("numbers", {}))
    return shown


def _leaves(task: Task, policy: Policy, numbers: Mapping[str, int]) -> list[Leaves]:
    """The kinds of number that the task declares, and the platform's own."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, kind in task.sends.items():
        names.setdefault((_(kind.words), _small(task, name)), []).append(name)
    if task.suppressible:
        names[(_("marks for the groups that are hidden"), "")] = [HIDDEN + name for name in task.sends]
    left_out = _("hidden if 1 to %(most)s are left out") % {"most": policy.cell - 1}
    names[(_("numbers of patients used, and left out for missing values"), left_out)] = list(OWN)
    return [
        Leaves(what, small, sum(numbers.get(name, 0) for name in group) if numbers else None)
        for (what, small), group in names.items()
    ]


def _amount(first: int, later: int | None, rounds: int) -> str:
    """How many numbers leave in a step; nothing is said where its first round could not be tried."""
    if not first:
        return ""
    if rounds == 1:
        return ngettext("%(first)s number, once.", "%(first)s numbers, once.", first) % {
            "first": f"{first:,}"
        }
    begin = ngettext("%(first)s number in the first round", "%(first)s numbers in the first round", first)
    if later is None:
        rest = _(
            "how many in a later round is not known before, since it follows from the sums of all hospitals"
        )
        return f"{begin % {'first': f'{first:,}'}}; {rest}."
    rest = _("at most %(later)s in each later round, and so at most %(all)s in %(rounds)s rounds")
    said = {"later": f"{later:,}", "all": f"{first + later * (rounds - 1):,}", "rounds": rounds}
    return f"{begin % {'first': f'{first:,}'}}, {rest % said}."


def _reader(task: type[Task], plan: plans.Content, coordinator: str, policy: Policy) -> str:
    if plan.rules["secure_sum"] and not issubclass(task, EachTask):
        return _("only the sum of at least %(number)s hospitals") % {"number": policy.sum_of_sites}
    if issubclass(task, EachTask):
        return _("%(site)s will receive this hospital's own results") % {"site": coordinator}
    return _("%(site)s will receive this hospital's own totals") % {"site": coordinator}


def _small(task: Task, name: str) -> str:
    if task.sends[name] is not Count:
        return ""
    return _("small groups are hidden") if name in task.suppressible else _("refused if a group is too small")


# --- columns ---


def columns(
    plan: plans.Content, shown: list[Step], mapping: Mapping[str, Any] | None, described: set[str]
) -> list[Column]:
    """The columns that the plan reads, and which of this hospital's own they are."""
    dictionary = Dictionary.parse(plan.dictionary)
    named = mapping["columns"] if mapping else {}
    used: dict[str, list[int]] = {}
    for step in shown:
        for name in step.columns:
            used.setdefault(name, []).append(step.seq)
    rows = []
    for name, seqs in used.items():
        spec = dictionary.spec(name)
        own = named[name]["column"] if name in named else name
        if name not in named and (mapping or name not in described):
            own = ""
        rows.append(
            Column(name, spec.label or name, kind_words(spec), own, ", ".join(str(seq) for seq in seqs))
        )
    return rows


def kind_words(spec: ColumnSpec) -> str:
    """What a column holds: levels, or a number with its range and unit."""
    if spec.type == "factor":
        return _("one of %(levels)s") % {"levels": ", ".join(spec.levels)}
    words = {
        "integer": _("whole number"),
        "number": _("number"),
        "date": _("date"),
        "text": _("text"),
    }[spec.type]
    if spec.low is not None and spec.high is not None and spec.type != "date":
        words = _("%(kind)s, %(low)s to %(high)s") % {
            "kind": words, "low": f"{spec.low:g}", "high": f"{spec.high:g}",
        }  # fmt: skip
    return f"{words} {spec.unit}".strip() if spec.unit else words


# --- the dry check ---


def checked(shown: list[Step], found: Mapping[str, Any], policy: Policy) -> list[Checked]:
    """Each step's findings, and those about the plan as a whole."""
    by_step: dict[int, list[Mapping[str, Any]]] = {}
    for problem in found["problems"]:
        by_step.setdefault(problem["step"], []).append(problem)
    rows = []
    if 0 in by_step:
        words = [Finding(False, _("The plan as a whole"), problem["sentence"]) for problem in by_step[0]]
        rows.append(Checked(0, "", words))
    if found["rows"] is None:
        return rows
    dictionary_of = {step.seq: step for step in shown}
    for seq, step in dictionary_of.items():
        facts = found["steps"].get(seq)
        rows.append(Checked(seq, step.title, _findings(by_step.get(seq, []), facts, policy, step)))
    return rows


def _findings(
    problems: list[Mapping[str, Any]], facts: Mapping[str, Any] | None, policy: Policy, step: Step
) -> list[Finding]:
    def of(*codes: str, begins: str = "") -> list[str]:
        return [
            problem["sentence"]
            for problem in problems
            if problem["code"] in codes or (begins and problem["code"].startswith(begins))
        ]

    rows: list[Finding] = []
    missing, values, refused = of(*COLUMN), of(*VALUES), of("task_not_allowed", begins="refused")
    other = [
        problem["sentence"]
        for problem in problems
        if problem["sentence"] not in (*missing, *values, *refused)
    ]
    rows += [Finding(False, _("Columns"), words) for words in missing]
    if not missing and not other:
        count = len(step.columns)
        words = ngettext("%(count)s column, and it is here.", "%(count)s columns, all of them here.", count)
        rows.append(Finding(True, _("Columns"), words % {"count": count}))
    rows += [Finding(False, _("Values and levels"), words) for words in values]
    if not missing and not other and not values:
        rows.append(Finding(True, _("Values and levels"), _("Every value fits the data dictionary.")))
    rows += [Finding(False, _("This step"), words) for words in other]
    if facts:
        rows.append(_rows_finding(facts, policy))
        if facts["smallest"]:
            rows.append(_smallest_finding(facts["smallest"], policy, step.labels))
    rows += [Finding(False, _("Rules"), words) for words in refused]
    if facts and not refused and not other:
        rows.append(Finding(True, _("Rules"), _("Every rule of this hospital is met.")))
    return rows


def _rows_finding(facts: Mapping[str, Any], policy: Policy) -> Finding:
    used, dropped = facts["rows"], facts["dropped"]
    words = ngettext("%(count)s patient", "%(count)s patients", used) % {"count": f"{used:,}"}
    if dropped:
        left_out = ngettext(
            "%(count)s is left out for missing values",
            "%(count)s are left out for missing values",
            dropped,
        )
        words += "; " + left_out % {"count": f"{dropped:,}"}
    return Finding(used >= policy.rows, _("Patients"), words + ".")


def _smallest_finding(smallest: Mapping[str, Any], policy: Policy, labels: Mapping[str, str]) -> Finding:
    count = smallest["n"]
    words = ngettext(
        "%(count)s patient, in a group of %(column)s.",
        "%(count)s patients, in a group of %(column)s.",
        count,
    )
    given = {"count": f"{count:,}", "column": labels.get(smallest["of"], f"“{smallest['of']}”")}
    return Finding(count >= policy.cell, _("Smallest group"), words % given)


def rules(policy: Policy, *, secure_sum: bool) -> list[tuple[str, str]]:
    """This hospital's own rules, as they bear on any plan."""
    found = [
        (_("Patients in a step"), _("at least %(number)s") % {"number": policy.rows}),
        (
            _("Patients in a group"),
            _("none, or at least %(number)s") % {"number": policy.cell},
        ),
        (
            _("Coefficients of a model"),
            _("at most %(number)s for 100 patients") % {"number": f"{100 * policy.ratio:.0f}"},
        ),
        (_("Rounds of a step"), _("at most %(number)s") % {"number": policy.rounds}),
        (
            _("Patients that tell two steps or plans apart"),
            _("none, or at least %(number)s") % {"number": policy.difference},
        ),
    ]
    if secure_sum:
        at_least = _("at least %(number)s") % {"number": policy.sum_of_sites}
        found.append((_("Hospitals in a secure sum"), at_least))
    return found

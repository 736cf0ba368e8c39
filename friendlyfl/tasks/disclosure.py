"""A hospital's rules: what may leave it. Checked before the first number, and again after every `local`.

The rules belong to the site. A refusal sends no number: only a rule's name and its fixed sentence. What is checked is
the Table's own record of rows, designs and groups, and the counts a task would send; how an Update travels is not here.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import RefusedError, UsageError
from friendlyfl.core.limits import ROUNDS
from friendlyfl.core.troubles import sentence
from friendlyfl.tasks import registry
from friendlyfl.tasks.base import Count, Task
from friendlyfl.tasks.dictionary import SITE, Floats, Integers
from friendlyfl.tasks.params import Column, Columns
from friendlyfl.tasks.table import Table

RULES = (
    "tasks",
    "sum_of_sites",
    "time",
    "rounds",
    "rows",
    "ratio",
    "extremes",
    "probes",
    "cell",
    "difference",
)
HIDDEN = ".hidden:"  # before the name of an array: 1 where its cell is hidden
USED, DROPPED, DROPPED_HIDDEN = ".used", ".dropped", ".dropped_hidden"
# How far an exception for one project may loosen a rule; the others have none. No exception shows a single patient.
LOOSEST: dict[str, float] = {
    "rows": 5,
    "cell": 2,
    "difference": 2,
    "ratio": 0.8,
    "rounds": 10 * ROUNDS,
    "probes": 100,
}
AT_MOST = ("ratio", "rounds", "probes")  # the larger their number, the looser
REFUSAL_LENGTH = 256  # of every refusal, so that its size does not tell which rule it was

Arrays = dict[str, npt.NDArray[np.float64]]


class Refused(RefusedError):
    """A rule says no. The sentence is the rule's own and the same whatever the data hold."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"refused_{rule}", sentence(f"refused_{rule}"))
        self.rule = rule


def refusal(rule: str) -> dict[str, str]:
    """What is sent instead of an Update: of the same length for every rule."""
    words = sentence(f"refused_{rule}")
    return {"rule": rule, "sentence": words, "padding": " " * (REFUSAL_LENGTH - len((rule + words).encode()))}


@dataclass(frozen=True)
class Policy:
    """One hospital's rules, as its site-admin edits them."""

    rows: int = 20
    cell: int = 5
    ratio: float = 0.33
    rounds: int = ROUNDS
    probes: int = 20
    time: int = 5
    sum_of_sites: int = 3
    difference: int = 5
    tasks: tuple[str, ...] = tuple(registry.BUILT_IN)

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "tasks": list(self.tasks)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Policy:
        """Rules as stored; what is not given keeps its default."""
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        for name, given in value.items():
            if name not in known:
                raise UsageError("policy_unknown", f"There is no rule “{name}”.")
            if name == "tasks":
                if not isinstance(given, (list, tuple)) or not all(isinstance(task, str) for task in given):
                    raise UsageError("policy_value", "The rule “tasks” must be a list of names of tasks.")
            elif isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < 1e9:
                raise UsageError("policy_value", f"The rule “{name}” must be a number above 0.")
            elif name != "ratio" and given != int(given):
                raise UsageError("policy_value", f"The rule “{name}” must be a whole number.")
        read: dict[str, Any] = {**value}
        if "tasks" in read:
            read["tasks"] = tuple(read["tasks"])
        return cls(**read)

    def is_looser(self, rule: str, value: float) -> bool:
        """Whether this value would let more pass than the rule does now."""
        held: float = getattr(self, rule)
        return value > held if rule in AT_MOST else value < held


def check_plan(task: Task, name: str, policy: Policy) -> None:
    """The rules that need no data."""
    others = [(other, registry.find(other).version) for other in task.other_tasks]
    for each, version in [(name, task.version), *others]:
        if each not in policy.tasks and f"{each} {version}" not in policy.tasks:
            raise Refused("tasks")
    if task.secure_sum and task.sites < policy.sum_of_sites:
        raise Refused("sum_of_sites")
    if task.by_time and not task.secure_sum:
        raise Refused("time")


def check_differences(cohorts: Sequence[npt.NDArray[np.bool_]], policy: Policy) -> None:
    """The rows of one plan's steps: where two steps differ by a few people, their numbers would tell of those few."""
    for one, other in itertools.combinations(cohorts, 2):
        if 0 < np.count_nonzero(one != other) < policy.difference:
            raise Refused("difference")


def check_before(task: Task, table: Table, policy: Policy) -> None:
    """What is known of the rows before the first number is computed."""
    _check_rows(task, table, policy)
    for terms in _declared_designs(task):
        _check_design(task, table, terms, policy)
    for column in _declared_classes(task):
        _check_cells(_class_counts(table, column), policy)
    for column in _declared_groups(task):
        _check_cells(table.group_counts(column), policy)


def groups(task: Task, table: Table) -> list[tuple[str, Integers | Floats]]:
    """The sizes of all groups that the step's declared columns make, for the hospital's own people."""
    terms = dict.fromkeys(term for design in _declared_designs(task) for term in design)
    found: list[tuple[str, Integers | Floats]] = [(term, table.term_cells(term)) for term in terms]
    found += [(column, _class_counts(table, column)) for column in _declared_classes(task)]
    return found + [(column, table.group_counts(column)) for column in _declared_groups(task)]


def check_after(task: Task, table: Table, counts: Arrays, policy: Policy, number: int) -> Arrays:
    """Check one round's Update; `counts` are its Count arrays, and come back with small cells hidden where allowed.

    `number` is the round. What the task really used is in the table's record, so the earlier checks run again on it.
    """
    if number > policy.rounds:
        raise Refused("rounds")
    check_before(task, table, policy)
    record = table.record
    record.count_probes()
    for terms in record.designs:
        _check_design(task, table, terms, policy)
    for column in record.columns:
        if column != SITE and 0 < table.present(column) < policy.rows:
            raise Refused("rows")
    if any(0 < rows < policy.rows for rows in record.described):
        raise Refused("rows")
    if record.probes and not task.secure_sum:
        raise Refused("extremes")
    if any(probes > policy.probes for probes in record.probes.values()):
        raise Refused("probes")
    return _check_counts(task, counts, policy)


def hide_dropped(dropped: int, policy: Policy | None) -> tuple[float, float]:
    """The count of dropped rows as it travels, and whether it is hidden: 1 to 4 never shows under rules."""
    if policy is not None and 0 < dropped < policy.cell:
        return 0.0, 1.0
    return float(dropped), 0.0


def _check_rows(task: Task, table: Table, policy: Policy) -> None:
    if len(table) < policy.rows:
        raise Refused("rows")


def _check_design(task: Task, table: Table, terms: tuple[str, ...], policy: Policy) -> None:
    columns = len(task.terms(terms))
    if columns >= len(table) or columns / len(table) > policy.ratio:
        raise Refused("ratio")
    for term in terms:
        _check_cells(table.term_cells(term), policy)


def _check_cells(counts: Integers | Floats, policy: Policy) -> None:
    if np.any((counts > 0) & (counts < policy.cell)):
        raise Refused("cell")


def _class_counts(table: Table, column: str) -> Integers:
    found = table.classes(column)
    return np.zeros(0, dtype=np.int64) if found is None else np.bincount(found[found >= 0])


def _declared_designs(task: Task) -> list[tuple[str, ...]]:
    return [
        task.values[name]
        for name, parameter in task.parameters.items()
        if isinstance(parameter, Columns) and parameter.terms and task.values[name]
    ]


def _declared_classes(task: Task) -> list[str]:
    """Outcome, weight, offset and the like: each single column of the step that the table holds."""
    return [column for column in _single_columns(task) if column != SITE]


def _declared_groups(task: Task) -> list[str]:
    return [column for column in _single_columns(task, kinds={"group"}) if column != SITE]


def _single_columns(task: Task, kinds: set[str] | None = None) -> list[str]:
    return [
        task.values[name]
        for name, parameter in task.parameters.items()
        if isinstance(parameter, Column)
        and task.values[name]
        and (kinds is None or kinds.intersection(parameter.kinds))
    ]


def _check_counts(task: Task, counts: Arrays, policy: Policy) -> Arrays:
    """Refuse small cells; hide them, and one more in the same row, where the task is a table that allows it."""
    checked: Arrays = {}
    for name, array in counts.items():
        checked[name] = array
        if name in task.suppressible:
            hidden = _hidden(np.atleast_1d(array), policy.cell).reshape(array.shape)
            checked[name] = np.where(hidden, 0.0, array)
            checked[HIDDEN + name] = hidden.astype(np.float64)
        else:
            _check_cells(array, policy)
    return checked


def _hidden(cells: Floats, smallest: int) -> npt.NDArray[np.bool_]:
    """Cells of 1 to 4, and in their row the smallest others until no total gives one away.

    A row's total may be known, so at least two cells are hidden and they hold at least 5 people together.
    """
    hidden = np.asarray((cells > 0) & (cells < smallest))
    for _ in range(cells.shape[-1]):
        together = np.where(hidden, cells, 0.0).sum(axis=-1)
        exposed = hidden.any(axis=-1) & ((hidden.sum(axis=-1) < 2) | (together < smallest))
        others = np.where(hidden | (cells == 0), np.inf, cells)
        more = np.expand_dims(exposed & np.isfinite(others.min(axis=-1)), -1)
        if not more.any():
            break
        second = np.expand_dims(np.argmin(others, axis=-1), -1)
        np.put_along_axis(hidden, second, np.take_along_axis(hidden, second, -1) | more, -1)
    return hidden


def hide_along(task: Task, parts: Sequence[Arrays], counts: Arrays) -> None:
    """Hide the numbers that would give a hidden cell away, cell by cell and in every part."""
    cells = {name: counts[HIDDEN + name] for name in task.suppressible if name in counts}
    for name, abouts in task.hidden_with.items():
        of = counts if name in counts else parts[0]
        if name not in of:
            continue
        shapes = {cells[about].shape if about in cells else None for about in abouts}
        if shapes != {of[name].shape}:
            listed = ", ".join(abouts)
            raise UsageError(
                "bad_update", f"{task.title} must send “{listed}” wherever it sends “{name}”, in one shape."
            )
        own = [cells[name]] if name in cells else []
        hidden = np.any([cells[about] for about in abouts] + own, axis=0)
        for part in [counts] if name in counts else parts:
            part[name] = np.asarray(np.where(hidden, 0.0, part[name]))
        counts[HIDDEN + name] = hidden.astype(np.float64)


def counts_of(task: Task, update: Mapping[str, Any]) -> Arrays:
    """The arrays of an Update that its class declares to be numbers of people."""
    return {name: array for name, array in update.items() if task.sends.get(name) is Count}

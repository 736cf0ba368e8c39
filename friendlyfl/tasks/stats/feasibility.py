"""How many patients could be studied? The flow of patients through conditions, one after the other, by group.

A site sends for each group how many leave at each condition and how many stay: cells that add up to its patients, so
that a small one can be hidden together with a second. The grammar of conditions lives in cohort and criteria.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks import Column, Count, Done, Table, Task, Text
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.cohort import conditions
from friendlyfl.tasks.criteria import Condition, Met
from friendlyfl.tasks.dictionary import SITE, Dictionary
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.inference import Row

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALL = "all"
MISSING = "(missing)"
NOT_ALONE = (
    "How many meet each condition alone is not counted under the hospitals' rules: two such numbers could differ by "
    "one person. Put a condition first to see it alone."
)
SMALL_CELLS = (
    "Steps at which only a few patients leave or stay at a hospital, or that would tell, are not shown."
)


class Feasibility(Task):
    """How many patients could we study? Numbers of patients who meet conditions, one after the other."""

    title: ClassVar[str] = "Feasibility"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "How many patients could we study?"
    topic: ClassVar[str] = "describe"
    example: ClassVar[Mapping[str, Any]] = {
        "conditions": "age >= 60; lvef <= 40; nyha in (II, III, IV)",
        "group": "sex",
    }
    row_additive: ClassVar[bool] = True
    complete_cases: ClassVar[bool] = False
    suppressible: ClassVar[tuple[str, ...]] = ("flow",)
    sends: ClassVar[Mapping[str, type[Kind]]] = {"rows": Count, "flow": Count, "alone": Count}

    conditions = Text(
        "Conditions",
        max=2000,
        help="One after the other, with semicolons between them: age >= 18; sex = female; missing never matches",
    )
    group = Column("Group", kinds=["group", SITE], optional=True, help="Numbers for each group too")

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        conditions(values["conditions"], dictionary)
        return values

    @cached_property
    def parts(self) -> tuple[Condition, ...]:
        return conditions(self.values["conditions"], self.dictionary)

    def extra_columns(self) -> Iterable[str]:
        return [name for part in self.parts for name in part.columns]

    @cached_property
    def labels(self) -> list[str]:
        """Groups, the last of patients without one."""
        if not self.group:
            return [ALL]
        return [*(f"{self.group}={name}" for name in self.group_names(self.group)), MISSING]

    def local(self, data: Table, state: State) -> Update:
        groups = self._groups_of(data)
        met = [part.met(data.__getitem__) for part in self.parts]
        steps = len(met)
        leaves = np.full(len(data), steps, dtype=np.int64)  # the first condition that is not met
        for step in reversed(range(steps)):
            leaves[~met[step].yes] = step
        flow = np.bincount(groups * (steps + 1) + leaves, minlength=len(self.labels) * (steps + 1))
        update: Update = {
            "rows": np.bincount(groups, minlength=len(self.labels)),
            "flow": flow.reshape(len(self.labels), steps + 1),
        }
        if not self.rules:
            update["alone"] = np.array([self._alone(groups, one) for one in met]).reshape(
                steps, len(self.labels), 3
            )
        return update

    def _groups_of(self, data: Table) -> Integers:
        if not self.group:
            return np.zeros(len(data), dtype=np.int64)
        codes = data.levels(self.group)
        return np.where(codes < 0, len(self.labels) - 1, codes)

    def _alone(self, groups: Integers, met: Met) -> Integers:
        """By group: who meets a condition, who does not, and of whom nobody knows."""
        answer = np.where(met.yes, 0, np.where(met.no, 1, 2))
        return np.bincount(groups * 3 + answer, minlength=len(self.labels) * 3).reshape(-1, 3)

    def combine(self, state: State, total: Update) -> Done:
        rows, flow = total["rows"], total["flow"]
        shown = [place for place, n in enumerate(rows) if n > 0]
        chosen = {ALL: list(range(len(rows)))}
        if self.group:
            chosen |= {self.labels[place]: [place] for place in shown}
        hidden = bool(np.isnan(flow).any())
        notes = [SMALL_CELLS] if hidden else []
        if self.rules and len(self.parts) > 1:
            notes.append(NOT_ALONE)
        tables = {
            "flow": [
                row
                for name, places in chosen.items()
                for row in self._flow(name, float(rows[places].sum()), flow[places].sum(axis=0))
            ]
        }
        if "alone" in total:
            tables["conditions"] = [
                {"condition": part.text, "group": name, **_counted(counts[places].sum(axis=0))}
                for part, counts in zip(self.parts, total["alone"], strict=True)
                for name, places in chosen.items()
            ]
        return Done(
            conventions={
                "conditions": [part.words for part in self.parts],
                "missing": "a condition on a missing value is not met",
            },
            tables=tables,
            figures=self._figures(),
            notes=notes,
            suppressed=["small steps of the flow"] if hidden else [],
            reproduce=self._calls(),
        )

    def _flow(self, name: str, n: float, left: Floats) -> list[Row]:
        """From all patients of a group to those who meet every condition; None where a hidden step hides it."""
        rows: list[Row] = [{"step": 0, "condition": "", "group": name, "n": int(n), "excluded": 0}]
        for step, part in enumerate(self.parts, start=1):
            from_start, from_end = n - left[:step].sum(), left[step:].sum()
            rows.append(
                {
                    "step": step,
                    "condition": part.text,
                    "group": name,
                    "n": _whole(from_end if np.isnan(from_start) else from_start),
                    "excluded": _whole(left[step - 1]),
                }
            )
        return rows

    # Words.

    def _figures(self) -> list[Figure]:
        by = f" by {self.group}" if self.group else ""
        text = f"Numbers of patients{by} who meet the conditions, one after the other."
        return [Figure("Bars", f"Flow of patients{by}", text, table="flow", axis="Patients")]

    def _calls(self) -> dict[str, str]:
        """The same numbers of one table in R and in Python."""
        every = " & ".join(f"({part.r})" for part in self.parts) or "TRUE"
        by = (
            f"table(subset(d, {every})${wording.r_name(self.group)})"
            if self.group
            else f"nrow(subset(d, {every}))"
        )
        return {
            "r": by,
            "python": f"# len(d), or by group, of the rows where {self.values['conditions'] or 'all'}",
        }


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _counted(counts: Floats) -> Row:
    met, not_met, missing = (int(value) for value in counts)
    return {"n": met, "not_met": not_met, "missing": missing}

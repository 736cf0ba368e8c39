"""ROC curves of one or more scores, from counts of cases and controls on each score's grid.

A site sends how many cases and controls have each value. With several scores a second round gives what DeLong's
covariance needs: the pooled placements of every value go out, and sums of their products over a site's patients come
back. Areas, points and tests live in roc_curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Choice, Column, Columns, Count, Cross, Done, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Curve, Exact, Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.roc_curve import RocCurve, area_row, covariance, equal_areas, pair_test

Floats = npt.NDArray[np.float64]

FINEST = 200_000  # values of a grid that are counted one by one
BINS = 10_000  # of the declared range, for a score without such a grid
POINTS = 2_000_000  # of all scores together
NO_CASES = "Nobody in this analysis is a {}, so there is nothing to tell apart."
NO_ERROR = "There is only one {}, so that the areas have no standard error."
PERFECT = "The area of {} is 0 or 1: DeLong's standard error is then 0, and the interval says nothing about the doubt."
BACKWARDS = (
    "The area of {} is below one half: with the direction stated ({} values mean a case), cases have the {} values. "
    "The direction is never chosen by the data."
)


class Roc(Task):
    """How well does a score tell cases from others? ROC curves and their areas as if all patients were in one table."""

    title: ClassVar[str] = "ROC curves"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 2
    question: ClassVar[str] = "How well does a score tell cases from others?"
    topic: ClassVar[str] = "prediction"
    asks: ClassVar[tuple[str, ...]] = (
        "How well does {markers} tell patients with {outcome} from others?",
        "How well do {markers} tell patients with {outcome} from others?",
    )
    example: ClassVar[Mapping[str, Any]] = {"outcome": "readmitted", "markers": "risk_score,age"}
    references: ClassVar[tuple[str, ...]] = (
        "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver operating "
        "characteristic curves: a nonparametric approach. Biometrics 1988;44:837-845.",
    )
    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("counts", "placements")
    sends: ClassVar[Mapping[str, type[Kind]]] = {"cases": Count, "controls": Count, "products": Cross}

    outcome = Column("Outcome", kinds=["yes/no"], help="1, or the second level of a factor, is a case")
    markers = Columns(
        "Scores",
        kinds=["number", "factor"],
        help="Numbers or ordered factors: one curve for each, compared in the same patients",
    )
    direction = Choice(
        "Direction",
        {"higher": "higher scores mean a case", "lower": "lower scores mean a case"},
        help="Which values of the scores mean a case",
    )

    # Values of all scores stand one after the other, each score from its own place on.

    def start(self) -> State:
        for spec in map(self.spec, self.markers):
            if spec.type == "factor" and not spec.ordered:
                raise UsageError(
                    "not_ordered",
                    f"“{spec.name}” is a factor and the dictionary does not say that its levels are in order: a score "
                    "is a number or an ordered factor.",
                )
        if self.places[-1] > POINTS:
            raise UsageError(
                "grid_too_fine",
                f"The scores of this step have {self.places[-1]:,} possible values, more than {POINTS:,}: give them "
                "larger steps in the dictionary, or compare fewer at once.",
            )
        return {"stage": "counts"}

    @cached_property
    def places(self) -> list[int]:
        return [0, *(int(place) for place in np.cumsum([self._size(marker) for marker in self.markers]))]

    def on_grid(self, marker: str) -> bool:
        """Whether each value is counted; otherwise the declared range is cut into bins."""
        spec = self.spec(marker)
        if spec.type == "factor":
            return True
        if spec.listed:
            return len(spec.listed) <= FINEST
        if spec.low is None or spec.high is None:
            raise UsageError(
                "no_grid", f"The dictionary must give “{marker}” a range before its values can be counted."
            )
        return spec.step is not None and (spec.high - spec.low) / spec.step < FINEST

    def _size(self, marker: str) -> int:
        if not self.on_grid(marker):
            return BINS
        spec = self.spec(marker)
        return len(spec.levels) if spec.type == "factor" else spec.grid_size

    def _index(self, data: Table, marker: str) -> npt.NDArray[np.int64]:
        if self.spec(marker).type == "factor":
            return np.asarray(data.levels(marker))
        if self.on_grid(marker):
            return np.asarray(data.grid(marker))
        low, width = self._bins(marker)
        return np.asarray(np.clip((data[marker] - low) // width, 0, BINS - 1), dtype=np.int64)

    def _bins(self, marker: str) -> tuple[float, float]:
        spec = self.spec(marker)
        assert spec.low is not None and spec.high is not None
        return spec.low, (spec.high - spec.low) / BINS or 1.0

    def _thresholds(self, marker: str) -> list[Any]:
        """What each place stands for: a value of the grid, a level, or the edge that all of a bin has reached."""
        spec = self.spec(marker)
        if spec.type == "factor":
            return list(spec.levels)
        if self.on_grid(marker):
            return list(spec.grid_values.tolist())
        low, width = self._bins(marker)
        first = 0 if self.sign > 0 else 1
        return [low + width * place for place in range(first, BINS + first)]

    @property
    def sign(self) -> int:
        return 1 if self.direction == "higher" else -1

    # Stage counts.

    def local_counts(self, data: Table, state: State) -> Update:
        yes = data.yes(self.outcome) > 0
        index = [
            place + self._index(data, marker)
            for place, marker in zip(self.places, self.markers, strict=False)
        ]
        return {
            "cases": np.bincount(np.concatenate([one[yes] for one in index]), minlength=self.places[-1]),
            "controls": np.bincount(np.concatenate([one[~yes] for one in index]), minlength=self.places[-1]),
        }

    def curves(self, cases: Floats, controls: Floats) -> list[RocCurve]:
        return [
            RocCurve(cases[start:end], controls[start:end], self.sign)
            for start, end in zip(self.places, self.places[1:], strict=False)
        ]

    def combine_counts(self, state: State, total: Update) -> State | Done:
        curves = self.curves(total["cases"], total["controls"])
        cases, controls = float(curves[0].cases.sum()), float(curves[0].controls.sum())
        if not cases or not controls:
            sentence = NO_CASES.format("control" if cases else "case")
            return Done(answer=sentence, events=cases)
        if len(curves) == 1:
            over_cases, over_controls = curves[0].variance()
            return self._result(
                curves, covariance(np.array([[over_cases]]), np.array([[over_controls]]), cases, controls)
            )
        return {
            "stage": "placements",
            "cases": total["cases"],
            "controls": total["controls"],
            "areas": np.array([curve.auc for curve in curves]),
            "over_controls": np.concatenate([curve.over_controls for curve in curves]),
            "under_cases": np.concatenate([curve.under_cases for curve in curves]),
        }

    # Stage placements.

    def local_placements(self, data: Table, state: State) -> Update:
        yes = data.yes(self.outcome) > 0
        index = [
            place + self._index(data, marker)
            for place, marker in zip(self.places, self.markers, strict=False)
        ]
        sums = []
        for placements, who in ((state["over_controls"], yes), (state["under_cases"], ~yes)):
            rows = np.column_stack([placements[one[who]] for one in index]) - state["areas"]
            sums.append(rows.T @ rows)
        return {"products": np.stack(sums)}

    def combine_placements(self, state: State, total: Update) -> Done:
        curves = self.curves(state["cases"], state["controls"])
        cases, controls = float(curves[0].cases.sum()), float(curves[0].controls.sum())
        over_cases, over_controls = np.asarray(total["products"])
        return self._result(curves, covariance(over_cases, over_controls, cases, controls))

    # The Result.

    def _result(self, curves: list[RocCurve], variance: Floats) -> Done:
        areas = np.array([curve.auc for curve in curves])
        rows = [
            area_row(marker, float(auc), float(square))
            for marker, auc, square in zip(self.markers, areas, np.diag(variance), strict=True)
        ]
        return Done(
            exact=self._exact(curves),
            events=curves[0].cases.sum(),
            conventions=self._conventions(),
            tables={"auc": rows},
            tests=self._tests(areas, variance),
            curves=[
                Curve("roc", marker, curve.points(self._thresholds(marker)))
                for marker, curve in zip(self.markers, curves, strict=True)
            ],
            figures=[
                Figure(
                    "Roc",
                    f"ROC curves for {self.outcome}"
                    if len(curves) > 1
                    else f"ROC curve of {self.markers[0]}",
                    "Sensitivity against 1 - specificity at every threshold; the diagonal tells nothing. "
                    + "; ".join(_in_words(row) for row in rows)
                    + ".",
                    curve="roc",
                )
            ],
            notes=self._notes(curves, areas),
            reproduce=self._calls(),
        )

    def _exact(self, curves: list[RocCurve]) -> bool | Exact:
        tied = [
            curve.tied for marker, curve in zip(self.markers, curves, strict=True) if not self.on_grid(marker)
        ]
        if not tied:
            return True
        return Exact(
            max(tied) / 2.0, "auc", f"scores without a step in the dictionary were cut into {BINS:,} bins"
        )

    def _tests(self, areas: Floats, variance: Floats) -> dict[str, Any]:
        pairs = {}
        for pair in combinations(range(len(areas)), 2):
            places = list(pair)
            names = [self.markers[place] for place in places]
            name = "delong" if len(areas) == 2 else f"delong_{names[0]}_{names[1]}"
            pairs[name] = pair_test(names, areas[places], variance[np.ix_(places, places)])
        return {"delong": equal_areas(areas, variance), **pairs} if len(areas) > 2 else pairs

    def _notes(self, curves: list[RocCurve], areas: Floats) -> list[str]:
        notes = [
            NO_ERROR.format(word)
            for word, people in (("case", curves[0].cases.sum()), ("control", curves[0].controls.sum()))
            if people == 1
        ]
        perfect = [marker for marker, auc in zip(self.markers, areas, strict=True) if auc in (0.0, 1.0)]
        below = [marker for marker, auc in zip(self.markers, areas, strict=True) if auc < 0.5]
        if perfect and not notes:
            notes.append(PERFECT.format(wording.listed(perfect)))
        if below:
            other = "lower" if self.direction == "higher" else "higher"
            notes.append(BACKWARDS.format(wording.listed(below), self.direction, other))
        return notes

    # Words.

    def _conventions(self) -> dict[str, Any]:
        sides = ("at or above", "higher") if self.sign > 0 else ("at or below", "lower")
        return {
            "direction": f"{sides[1]} values mean a case, as stated and not chosen by the data",
            "threshold": f"called a case: values {sides[0]} the threshold; without one nobody is",
            "ties": "a case and a control with the same value count one half",
            "se": "DeLong",
            "ci": "delong (area ± 1.96 standard errors, cut at 0 and 1)",
            "level": 0.95,
            "missing": "complete cases over the columns named",
        }

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        spec, outcome = self.spec(self.outcome), f"d${wording.r_name(self.outcome)}"
        factor = spec.type == "factor"
        levels = ", ".join(wording.quoted(level) for level in spec.levels) if factor else "0, 1"
        direction = "<" if self.sign > 0 else ">"
        scores = [self._score(marker) for marker in self.markers]
        curves = [
            f'pROC::roc({outcome}, {score}, levels = c({levels}), direction = "{direction}")'
            for score, _ in scores
        ]
        r = "; ".join(f"r{place} <- {curve}" for place, curve in enumerate(curves, start=1))
        r += "; " + "; ".join(
            f"pROC::ci.auc(r{place}); sqrt(pROC::var(r{place}))" for place in range(1, len(curves) + 1)
        )
        r += "".join(
            f'; pROC::roc.test(r{one}, r{two}, paired = TRUE, method = "delong")'
            for one, two in combinations(range(1, len(curves) + 1), 2)
        )
        happened = f"d[{self.outcome!r}]" + (f" == {spec.levels[1]!r}" if factor else "")
        minus = "" if self.sign > 0 else "-"
        held = ", ".join(f"{minus}{score}" for _, score in scores)
        python = (
            f"import numpy as np; y = np.asarray({happened}).astype(bool); x = np.array([{held}], dtype=float); "
            "wins = [(s[y][:, None] > s[~y]) + (s[y][:, None] == s[~y]) / 2 for s in x]; "
            "over = [np.cov([w.mean(axis=axis) for w in wins]).reshape(len(x), -1) for axis in (1, 0)]; "
            "cov = over[0] / y.sum() + over[1] / (~y).sum(); auc = np.array([w.mean() for w in wins]); "
            "auc; np.sqrt(np.diag(cov))"
        )
        if len(scores) > 1:
            python += (
                "; {(i, j): (auc[i] - auc[j]) / (cov[i, i] + cov[j, j] - 2 * cov[i, j]) ** 0.5 "
                "for i in range(len(x)) for j in range(i + 1, len(x))}  # z of each two"
            )
        return {"r": r, "python": python}

    def _score(self, marker: str) -> tuple[str, str]:
        """A score in R and in Python; the levels of an ordered factor in their order."""
        spec, column = self.spec(marker), f"d${wording.r_name(marker)}"
        if spec.type != "factor":
            return column, f"d[{marker!r}]"
        levels = ", ".join(wording.quoted(level) for level in spec.levels)
        return f"ordered({column}, c({levels}))", f"d[{marker!r}].map({list(spec.levels)!r}.index)"


def _in_words(row: Mapping[str, Any]) -> str:
    text = f"{row['marker']}: area {row['auc']:.3f}"
    return text if row["se"] is None else f"{text} (95% CI {row['ci_lower']:.3f} to {row['ci_upper']:.3f})"

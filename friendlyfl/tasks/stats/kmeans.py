"""Clusters by k-means: Lloyd's rounds from stated centres, as `kmeans(algorithm = "Lloyd")` of R.

A round sends, for each cluster, its patients, their sums and their squared distances; nobody learns who is in which.
What does not live here: pooled means and centred numbers (measurements).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Count, Dictionary, Done, Number, Sum, Table, Text
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import Integers
from friendlyfl.tasks.params import plain_number
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.measurements import FLAT, Measurements
from friendlyfl.tasks.stats.moments import Floats

COLUMNS = ("cluster", "n", "withinss")  # of the table of centres, beside one for each variable
NEAR = 0.5  # standard deviations: centres drawn near the middle share the patients out, far ones stay alone
EMPTY = "No patient is nearest to the centre of cluster {}. Choose other start centres, or fewer clusters."
DRAWN = (
    "The start centres were drawn about the pooled means and are in the table “start”; other start centres may end in "
    "other clusters. Give them as “start” to repeat this analysis elsewhere."
)
MOVING = "The centres were still moving after {} rounds; try other start centres, or fewer clusters."


class KMeans(Measurements):
    """Which groups of similar patients are there? Centres as if all patients were in one table."""

    name: ClassVar[str] = "kmeans"
    title: ClassVar[str] = "Clusters (k-means)"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which groups of similar patients are there?"
    topic: ClassVar[str] = "patterns"
    asks: ClassVar[tuple[str, ...]] = ("Which patients are alike in {variables}?",)
    example: ClassVar[Mapping[str, Any]] = {"variables": "age,sbp,lvef", "start": "60,120,50;75,140,35"}
    references: ClassVar[tuple[str, ...]] = (
        "Lloyd SP. Least squares quantization in PCM. IEEE Transactions on Information Theory 1982;28:129-137.",
    )
    max_rounds: ClassVar[int] = 100
    stages: ClassVar[tuple[str, ...]] = ("means", "spread", "lloyd")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Measurements.sends,
        "squares": Sum,
        "people": Count,
        "sums": Sum,
        "within": Sum,
    }

    k = Number(
        "Number of clusters", low=1, high=50, whole=True, help="Not needed where start centres are given"
    )
    centres = Text(
        "Start centres",
        name="start",
        help="One centre after another, values in the order of the variables: 2,1,1;7,6,6",
    )

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        if clash := [name for name in values["variables"] if name in COLUMNS]:
            raise UsageError(
                "variable_name",
                f"A variable of this analysis cannot be called “{clash[0]}”: its table of centres has a column of "
                "that name. Map your column to another name.",
            )
        if not values["start"] and values["k"] is None:
            raise UsageError(
                "clusters_missing", "Give the number of clusters (k) or the start centres (start)."
            )
        if values["start"]:
            found = len(read_centres(values["start"], values["variables"]))
            if values["k"] not in (None, found):
                raise UsageError(
                    "clusters_differ",
                    f"The number of clusters (k) is {values['k']}, but start has {found} centres.",
                )
        return values

    def most_numbers(self) -> dict[str, int]:
        size = len(self.variables)
        clusters = len(read_centres(self.centres, self.variables)) if self.centres else int(self.k or 0)
        return {"means": 1 + 2 * size, "spread": size, "lloyd": clusters * (1 + 2 * size)}

    # The start.

    def combine_means(self, state: State, total: Update) -> State | Done:
        moments = self.moments(total)
        if not self.centres:
            return {"stage": "spread", **moments}
        return self._begin(moments, read_centres(self.centres, self.variables))

    def local_spread(self, data: Table, state: State) -> Update:
        return {"squares": (self.centred(data, state) ** 2).sum(axis=0)}

    def combine_spread(self, state: State, total: Update) -> State | Done:
        squares = np.asarray(total["squares"])
        share = np.where(squares > FLAT * state["rows"], squares / max(float(state["rows"]) - 1.0, 1.0), 0.0)
        sd = np.sqrt(share) * state["unit"]
        assert self.k is not None
        drawn = self.rng(state).standard_normal((int(self.k), len(self.variables)))
        return self._begin(state, np.asarray(state["middle"]) + NEAR * sd * drawn)

    def _begin(self, state: Mapping[str, Any], start: Floats) -> State:
        known = {name: state[name] for name in ("rows", "middle", "unit")}
        return {"stage": "lloyd", **known, "start": start, "centres": start, "steps": 0}

    # Lloyd's rounds: every patient to the nearest centre, every centre to the mean of its patients.

    def local_lloyd(self, data: Table, state: State) -> Update:
        centres = np.asarray(state["centres"])
        nearest = nearest_to(centres, self.matrix(data))
        centred = self.centred(data, state)
        place = (centres - state["middle"]) / state["unit"]
        mine = np.arange(len(centres))[:, None] == nearest
        return {
            "people": mine.sum(axis=1),
            "sums": mine.astype(np.float64) @ centred,
            "within": np.stack(
                [((centred[rows] - at) ** 2).sum(axis=0) for rows, at in zip(mine, place, strict=True)]
            ),
        }

    def combine_lloyd(self, state: State, total: Update) -> State | Done:
        people = np.asarray(total["people"])
        if (people == 0).any():
            sentence = EMPTY.format(int(np.flatnonzero(people == 0)[0]) + 1)
            return Done(answer=sentence, notes=[sentence])
        shift = np.asarray(total["sums"]) / people[:, None]
        centres = state["middle"] + state["unit"] * shift
        if not np.array_equal(centres, state["centres"]):
            return {**state, "centres": centres, "steps": int(state["steps"]) + 1}
        unit = np.asarray(state["unit"])
        within = (np.asarray(total["within"]) * unit**2).sum(axis=1)
        between = float(people @ (((centres - state["middle"]) ** 2).sum(axis=1)))
        return self._result(state, people, within, between)

    def stuck(self, state: State) -> str:
        return MOVING.format(self.max_rounds)

    # The Result.

    def _result(self, state: State, people: Floats, within: Floats, between: float) -> Done:
        numbered = zip(people.tolist(), within.tolist(), np.asarray(state["centres"]).tolist(), strict=True)
        start = np.asarray(state["start"]).tolist()
        return Done(
            conventions={
                "algorithm": f"Lloyd, until no centre moved ({state['steps']} steps from the start centres)",
                "distance": "squared Euclidean in the units of the variables; of equal distances the first centre",
                "start": "as given"
                if self.centres
                else "pooled mean + SD × normal draws / 2 from the plan's seed",
                "missing": "complete cases over the columns named",
            },
            statistics={
                "tot_withinss": float(within.sum()),
                "betweenss": between,
                "totss": float(within.sum()) + between,
            },
            tables={
                "centres": [
                    {
                        "cluster": number,
                        "n": int(n),
                        "withinss": ss,
                        **dict(zip(self.variables, at, strict=True)),
                    }
                    for number, (n, ss, at) in enumerate(numbered, start=1)
                ],
                "start": [
                    {"cluster": number, **dict(zip(self.variables, at, strict=True))}
                    for number, at in enumerate(start, start=1)
                ],
            },
            figures=[
                Figure(
                    "Bars",
                    "Patients by cluster",
                    "Number of patients nearest to each centre.",
                    table="centres",
                )
            ],
            notes=[] if self.centres else [DRAWN],
            reproduce=self._calls(start),
        )

    def _calls(self, start: list[list[float]]) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        names = ", ".join(wording.quoted(name) for name in self.variables)
        values = ", ".join(repr(value) for row in start for value in row)
        return {
            "r": f"fit <- kmeans(d[c({names})], centers = matrix(c({values}), ncol = {len(self.variables)}, "
            f"byrow = TRUE), iter.max = {self.max_rounds}, algorithm = {wording.quoted('Lloyd')}); fit; "
            "fit[c('tot.withinss', 'betweenss', 'totss')]",
            "python": "from sklearn.cluster import KMeans; "
            f"fit = KMeans({len(start)}, init=np.array({start!r}), n_init=1, tol=0, max_iter={self.max_rounds})"
            f".fit(d[{list(self.variables)!r}]); fit.cluster_centers_; fit.inertia_",
        }


def read_centres(text: str, variables: tuple[str, ...]) -> Floats:
    """Centres as rows, or a sentence about what is wrong with them."""
    rows = [[part.strip() for part in row.split(",")] for row in text.split(";") if row.strip()]
    numbers = [[plain_number(part) for part in row] for row in rows]
    for row in numbers:
        if len(row) != len(variables) or None in row:
            raise UsageError(
                "start_form",
                "Start centres (start) must be numbers, one for each variable, with a comma between and a semicolon "
                f"after each centre; this analysis has {len(variables)} variables.",
            )
    if len({tuple(row) for row in numbers}) < len(numbers):
        raise UsageError("start_twice", "Start centres (start) must differ from each other.")
    return np.array(numbers, dtype=np.float64)


def nearest_to(centres: Floats, rows: Floats) -> Integers:
    """For each row the nearest centre, the first of equal ones; summed in the order of the columns, as R does."""
    distance = np.zeros((len(rows), len(centres)))
    for column, places in zip(rows.T, centres.T, strict=True):
        distance += (column[:, None] - places) ** 2
    return np.asarray(np.argmin(distance, axis=1), dtype=np.int64)

"""Cumulative incidence when several events compete, with Gray's test, from counts on the time column's grid.

A site sends, for every group and grid time, how many had each type of event and how many were censored (and how many
entered). Their sums hold all that one table would say. The estimates live in incidence_curve and gray.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks import Column, Count, Done, Number, Numbers, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Curve, Figure
from friendlyfl.tasks.stats import event_types, time_counts, wording
from friendlyfl.tasks.stats.event_types import EventColumn
from friendlyfl.tasks.stats.gray import gray, gray_test
from friendlyfl.tasks.stats.incidence_curve import IncidenceCurve

Floats = npt.NDArray[np.float64]

NO_EVENTS = "No event of any type happened during follow-up, so every curve stays at 0 and there is nothing to compare."
NO_TEST = "Gray's test is not given with entry times: it is defined for patients followed from time 0."


class CompetingRisks(Task):
    """What is the chance of each event when others compete? Cumulative incidence as if all were in one table."""

    title: ClassVar[str] = "Competing risks: cumulative incidence"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "What is the chance of each event when others compete?"
    topic: ClassVar[str] = "survival"
    asks: ClassVar[tuple[str, ...]] = ("How likely is each kind of {event} over time, by {group}?",)
    references: ClassVar[tuple[str, ...]] = (
        "Aalen OO, Johansen S (1978). Scandinavian Journal of Statistics 5:141-150.",
        "Gray RJ (1988). The Annals of Statistics 16:1141-1154.",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "time": "weeks",
        "event": "status",
        "group": "treatment",
        "times": "26,52,104",
    }
    row_additive: ClassVar[bool] = True
    sends: ClassVar[Mapping[str, type[Kind]]] = {"events": Count, "censored": Count, "entries": Count}

    time = Column(
        "Time", kinds=["number"], help="From the start of follow-up to the first event or the end of it"
    )
    event = EventColumn("Event")
    group = Column(
        "Group", kinds=["group", ".site"], optional=True, help="One curve for each group and type of event"
    )
    entry = Column(
        "Entry", kinds=["number"], optional=True, help="Time at which a patient came under observation"
    )
    times = Numbers("Times to report", low=0, help="Cumulative incidence at these times, such as 30,90,365")
    rho = Number(
        "Weight of early events", default=0, low=0, high=10, help="Of Gray's test: 0 weighs all alike"
    )

    @property
    def by_time(self) -> bool:
        return True

    # The shape of the counts: the same at every site, whatever its patients.

    def start(self) -> State:
        groups, types, points = self.shape
        time_counts.check_size(groups * ((types + 1) * points + self._entry_points()), self.time)
        return {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Groups, types of event, grid times."""
        groups = len(self.group_names(self.group)) if self.group else 1
        return groups, len(self.types), self.spec(self.time).grid_size

    @property
    def types(self) -> tuple[str, ...]:
        return event_types.types_of(self.spec(self.event))

    def _entry_points(self) -> int:
        return self.spec(self.entry).grid_size if self.entry else 0

    def local(self, data: Table, state: State) -> Update:
        groups, types, points = self.shape
        group = data.levels(self.group) if self.group else np.zeros(len(data), dtype=np.int64)
        ended = event_types.ended(data.levels(self.event), self.spec(self.event))
        place = data.grid(self.time)
        shape = (groups * (types + 1), points)
        counts = time_counts.count(group * (types + 1) + ended, place, shape).reshape(
            groups, types + 1, points
        )
        update = {"censored": counts[:, 0], "events": counts[:, 1:]}
        if self.entry:
            time_counts.check_entry(data, self.entry, self.time)
            update["entries"] = time_counts.count(
                group, data.grid(self.entry), (groups, self._entry_points())
            )
        return update

    def combine(self, state: State, total: Update) -> Done:
        grid = self.spec(self.time).grid_values
        events, censored = total["events"], total["censored"]
        left = events.sum(axis=1) + censored
        later = None
        if self.entry:
            later = time_counts.entered_later(total["entries"], self.spec(self.entry).grid_values, grid)
        risk = time_counts.at_risk(left, later)
        there = np.flatnonzero(left.sum(axis=1) > 0)
        events, censored, risk = events[there], censored[there], risk[there]
        names = time_counts.group_labels(self, self.group, there)
        happened = events.sum(axis=(0, 2)) > 0
        shown = np.flatnonzero(happened) if happened.any() else np.arange(len(self.types))
        curves = [
            (name, self.types[k], IncidenceCurve.of(grid, of[k], of.sum(axis=0) - of[k], gone, n))
            for k in shown
            for name, of, gone, n in zip(names, events, censored, risk, strict=True)
        ]
        tests = self._tests(events, risk, names, happened)
        return Done(
            events=float(events.sum()),
            conventions=self._conventions(),
            tests=tests,
            tables={
                "groups": [
                    {
                        "group": name,
                        "event": event,
                        "n": round(float(left[place].sum())),
                        "events": round(float(curve.event.sum())),
                    }
                    for (name, event, curve), place in zip(curves, np.tile(there, len(shown)), strict=True)
                ],
                "at_times": [
                    {"group": name, "event": event, **row}
                    for name, event, curve in curves
                    for row in curve.at(self.times)
                ],
            },
            curves=[Curve("cumulative_incidence", n, curve.points(), event) for n, event, curve in curves],
            figures=self._figures(),
            notes=[
                *self._notes(happened, len(names)),
                *time_counts.no_comparison("Gray's test", [*tests.values()]),
            ],
            reproduce=self._calls(),
        )

    def _tests(
        self, events: Floats, risk: Floats, names: list[str], happened: npt.NDArray[np.bool_]
    ) -> dict[str, Any]:
        """Gray's test for each type of event that happened, numbered as the dictionary orders the types."""
        if len(names) < 2 or self.entry:
            return {}
        every = events.sum(axis=1)
        return {
            f"gray_{k + 1}": gray_test(
                *gray(events[:, k], every - events[:, k], risk, float(self.rho)), self.types[k], names
            )
            for k in np.flatnonzero(happened)
        }

    def _notes(self, happened: npt.NDArray[np.bool_], groups: int) -> list[str]:
        notes = [NO_TEST] if self.entry and groups > 1 else []
        if not happened.any():
            return [NO_EVENTS, *notes]
        absent = [name for name, seen in zip(self.types, happened, strict=True) if not seen]
        if absent:
            notes.append(f"Nobody had the event {wording.listed(absent)}, so it has no curve.")
        return notes

    # Words.

    def _conventions(self) -> dict[str, Any]:
        spec = self.spec(self.event)
        said: dict[str, Any] = {
            "estimator": "Aalen-Johansen, events of all types at one time taken together",
            "censoring": f"“{event_types.censored_name(spec)}” of “{self.event}”",
            "se": "Aalen's variance by the delta method, hypergeometric at ties, as R's cmprsk::cuminc "
            "(survival::survfit prints the infinitesimal jackknife, which differs a little)",
            "ci": "log",
            "level": 0.95,
            "ties": "events before censorings at the same time",
            "missing": "complete cases over the columns named",
        }
        if self.group and not self.entry:
            weight = "" if not self.rho else f", weights (1 - F(t-))^{self.rho:g} of the pooled incidence"
            said["test"] = f"Gray's test for each type of event{weight}"
        return said

    def _figures(self) -> list[Figure]:
        by = f" by {self.group}" if self.group else ""
        return [
            Figure(
                "Curve",
                f"Cumulative incidence{by}",
                f"Share of patients who have had each type of event over time{by}, other events taken into account "
                "(Aalen-Johansen), with 95% confidence bands.",
                curve="cumulative_incidence",
                axis=self.spec(self.time).words,
            )
        ]

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        spec, r = self.spec(self.event), wording.r_name
        columns = [f"d${r(self.time)}", f"d${r(self.event)}", *([f"d${r(self.group)}"] if self.group else [])]
        censored = event_types.r_code(spec, event_types.censored_name(spec))
        times = ", ".join(f"{t:g}" for t in self.times)
        calls = [
            f"library(cmprsk); fit <- cuminc({', '.join(columns)}, rho = {self.rho:g}, cencode = {censored})",
            "fit",
        ]
        if times:
            calls.append(f"at <- timepoints(fit, c({times})); at$est; sqrt(at$var)")
        if self.group:
            calls.append("fit$Tests")
        if self.entry:  # cuminc takes no entry times
            levels = "" if spec.type == "factor" else f", 0:{max(spec.grid_values):g}"
            left = f"{r(self.entry)}, {r(self.time)}, factor({r(self.event)}{levels})"
            by = r(self.group) if self.group else "1"
            calls = [
                f"library(survival); fit <- survfit(Surv({left}) ~ {by}, d, id = seq_len(nrow(d)))",
                f"summary(fit, times = c({times}), extend = TRUE)" if times else "summary(fit)",
            ]
        return {"r": "; ".join(calls), "python": "; ".join(self._python())}

    def _python(self) -> list[str]:
        spec, groups = self.spec(self.event), wording.python_groups(self.group)
        codes = ".cat.codes.astype(int)" if spec.type == "factor" else ""
        ended = f"rows[{self.event!r}]{codes}"
        places = {
            name: k if spec.type == "factor" else int(name) for k, name in enumerate(self.types, start=1)
        }
        if self.entry:
            fit = "lifelines.AalenJohansenFitter(calculate_variance=False)"
            of = f"rows[{self.time!r}], {ended}, event_of_interest=k, entry=rows[{self.entry!r}]"
            return [
                "import lifelines",
                f"pd.concat({{(name, k): {fit}.fit({of}).cumulative_density_.iloc[:, 0] for name, rows in {groups} "
                f"for k in {list(places.values())}}}).to_string()  # it breaks ties at random",
            ]
        return [
            "from statsmodels.duration.survfunc import CumIncidenceRight",
            f"fits = {{name: CumIncidenceRight(rows[{self.time!r}], {ended}) for name, rows in {groups}}}",
            "pd.concat({name: pd.DataFrame(dict(enumerate(fit.cinc, start=1)), index=fit.times) "
            "for name, fit in fits.items()}).to_string()",
        ]

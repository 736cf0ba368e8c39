"""Kaplan-Meier curves with log-rank test and restricted mean, from counts on the time column's grid.

A site sends, for every stratum, group and grid time, how many had the event and how many were censored (and how
many entered). Their sums hold all that one table would say. The estimates live in survival_curve and log_rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks import Choice, Column, Count, Done, Number, Numbers, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Curve, Figure
from friendlyfl.tasks.stats import time_counts, wording
from friendlyfl.tasks.stats.inference import Row
from friendlyfl.tasks.stats.log_rank import log_rank
from friendlyfl.tasks.stats.survival_curve import SurvivalCurve

Floats = npt.NDArray[np.float64]

NO_EVENTS = "No event happened during follow-up, so every curve stays at 1 and there is nothing to compare."


class KaplanMeier(Task):
    """How long until the event, by group? Survival curves as if all patients were in one table."""

    title: ClassVar[str] = "Kaplan-Meier curves"
    version: ClassVar[str] = "1.0"
    max_rounds: ClassVar[int] = 1
    question: ClassVar[str] = "How long until the event, by group?"
    topic: ClassVar[str] = "survival"
    asks: ClassVar[tuple[str, ...]] = ("How long until {event}, by {group}?",)
    example: ClassVar[Mapping[str, Any]] = {
        "time": "weeks",
        "event": "dead",
        "group": "treatment",
        "tau": 104,
        "times": "26,52,104",
    }
    row_additive: ClassVar[bool] = True
    sends: ClassVar[Mapping[str, type[Kind]]] = {"events": Count, "censored": Count, "entries": Count}

    time = Column("Time", kinds=["number"], help="From the start of follow-up to the event or the end of it")
    event = Column("Event", kinds=["yes/no"], help="1 if the event happened at that time, 0 if censored")
    group = Column("Group", kinds=["group", ".site"], optional=True, help="One curve for each group")
    entry = Column(
        "Entry", kinds=["number"], optional=True, help="Time at which a patient came under observation"
    )
    strata = Column(
        "Strata", kinds=["group", ".site"], optional=True, help="The log-rank test compares within these"
    )
    ci = Choice(
        "Confidence limits",
        {"log": "on the log scale", "log-log": "on the log-log scale", "plain": "on the plain scale"},
        help="log is R's default, log-log is lifelines'",
    )
    rho = Number("Weight of early events", default=0, low=0, high=10, help="0 log-rank, 1 Peto-Peto")
    tau = Number("Restricted mean up to", low=0, help="Area under the curve up to this time")
    times = Numbers("Times to report", low=0, help="Survival at these times, such as 30,90,365")

    @property
    def by_time(self) -> bool:
        return True

    # The shape of the counts: the same at every site, whatever its patients.

    def start(self) -> State:
        cells = self.shape[0] * self.shape[1] * (2 * self.shape[2] + self._entry_points())
        time_counts.check_size(cells, self.time)
        return {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Strata, groups, grid times."""
        return self._size(self.strata), self._size(self.group), self.spec(self.time).grid_size

    def _size(self, column: str | None) -> int:
        return len(self.group_names(column)) if column else 1

    def _entry_points(self) -> int:
        return self.spec(self.entry).grid_size if self.entry else 0

    def local(self, data: Table, state: State) -> Update:
        strata, groups, points = self.shape
        cell = np.zeros(len(data), dtype=np.int64)
        if self.strata:
            cell = data.levels(self.strata) * groups
        if self.group:
            cell = cell + data.levels(self.group)

        def count(place: npt.NDArray[np.int64], size: int, which: Floats) -> Floats:
            return time_counts.count(cell, place, (strata * groups, size), which).reshape(
                strata, groups, size
            )

        happened, place = data.yes(self.event), data.grid(self.time)
        update = {
            "events": count(place, points, happened),
            "censored": count(place, points, 1.0 - happened),
        }
        if self.entry:
            time_counts.check_entry(data, self.entry, self.time)
            update["entries"] = count(data.grid(self.entry), self._entry_points(), np.ones(len(data)))
        return update

    def combine(self, state: State, total: Update) -> Done:
        grid = self.spec(self.time).grid_values
        event, censored = total["events"], total["censored"]
        later = None
        if self.entry:
            later = time_counts.entered_later(total["entries"], self.spec(self.entry).grid_values, grid)
        risk = time_counts.at_risk(event + censored, later)
        there = np.flatnonzero((event + censored).sum(axis=(0, 2)) > 0)
        event, censored, risk = event[:, there], censored[:, there], risk[:, there]
        names = time_counts.group_labels(self, self.group, there)
        sums = event.sum(axis=0), censored.sum(axis=0), risk.sum(axis=0)
        curves = {
            name: SurvivalCurve.of(grid, *counts)
            for name, counts in zip(names, zip(*sums, strict=True), strict=True)
        }
        groups = [self._group_row(name, curve) for name, curve in curves.items()]
        events = float(event.sum())
        tests = {"logrank": log_rank(event, risk, float(self.rho)).row(names)} if len(names) > 1 else {}
        return Done(
            events=events,
            conventions=self._conventions(),
            tests=tests,
            tables={
                "groups": groups,
                "at_times": [
                    {"group": name, **row}
                    for name, curve in curves.items()
                    for row in curve.at(self.times, self.ci)
                ],
            },
            curves=[Curve("survival", name, curve.points(self.ci)) for name, curve in curves.items()],
            figures=self._figures(),
            notes=[
                *([] if events else [NO_EVENTS]),
                *time_counts.no_comparison("The log-rank test", [*tests.values()] if events else []),
                *self._short(curves),
            ],
            reproduce=self._calls(),
        )

    def _group_row(self, name: str, curve: SurvivalCurve) -> Row:
        lower, upper = curve.median_limits(self.ci)
        mean, se = curve.restricted_mean(self.tau) if self.tau is not None else (None, None)
        return {
            "group": name,
            "n": round(float((curve.event + curve.censored).sum())),
            "events": round(float(curve.event.sum())),
            "median": curve.median(),
            "median_ci_lower": lower,
            "median_ci_upper": upper,
            "rmst": mean,
            "rmst_se": se,
            "rmst_tau": self.tau,
        }

    def _short(self, curves: Mapping[str, SurvivalCurve]) -> list[str]:
        """Groups whose follow-up ends before tau: their area rests on a curve held level."""
        tau = self.tau
        if tau is None:
            return []
        names = [name for name, c in curves.items() if c.time[-1] < tau and c.survival[-1] > 0]
        if not names:
            return []
        return [
            f"Follow-up of {wording.listed(names)} ends before {tau:g}: the restricted mean keeps the last value "
            "of the curve up to there. Choose a smaller tau."
        ]

    # Words.

    def _conventions(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "se": "Greenwood",
            "ci": self.ci,
            "level": 0.95,
            "ties": "events before censorings at the same time",
            "missing": "complete cases over the columns named",
        }
        if self.group:
            weight = "" if not self.rho else f", weights S(t-)^{self.rho:g} of the pooled curve"
            strata = f", stratified by {self.strata}" if self.strata else ""
            said["test"] = f"log-rank with hypergeometric variance{weight}{strata}"
        if self.tau is not None:
            said["rmst"] = f"area under the curve from 0 to {self.tau:g}"
        return said

    def _figures(self) -> list[Figure]:
        by = f" by {self.group}" if self.group else ""
        return [
            Figure(
                "Curve",
                f"Survival{by}",
                f"Share of patients without the event over time{by}, by Kaplan-Meier, with 95% confidence bands; "
                "small marks show when patients were last seen without the event.",
                curve="survival",
                axis=self.spec(self.time).words,
            )
        ]

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        r = wording.r_name
        event, happened = wording.happened(self.spec(self.event))
        left = ", ".join([*([r(self.entry)] if self.entry else []), r(self.time), event])
        by = r(self.group) if self.group else "1"
        mean = f"print(fit, rmean = {self.tau:g})" if self.tau is not None else "print(fit)"
        times = ", ".join(f"{time:g}" for time in self.times)
        calls = [
            f'library(survival); fit <- survfit(Surv({left}) ~ {by}, d, conf.type = "{self.ci}")',
            mean,
            f"summary(fit, times = c({times}), extend = TRUE)" if times else "summary(fit)",
        ]
        if self.group and not self.entry:  # survdiff takes no entry times
            strata = f" + strata({r(self.strata)})" if self.strata else ""
            calls.append(
                f"test <- survdiff(Surv({left}) ~ {by}{strata}, d, rho = {self.rho:g}); test; test$chisq"
            )
        return {"r": "; ".join(calls), "python": "; ".join(self._python(happened))}

    def _python(self, happened: str) -> list[str]:
        """By statsmodels, whose errors are Greenwood's; its curves have a row for each time of an event."""
        time, groups = f"d[{self.time!r}]", wording.python_groups(self.group)
        ended = happened.replace("d[", "rows[", 1)
        entry = f", entry=rows[{self.entry!r}]" if self.entry else ""
        calls = [
            "from statsmodels.duration.survfunc import SurvfuncRight, survdiff",
            f"fits = {{name: SurvfuncRight(rows[{self.time!r}], {ended}{entry}) for name, rows in {groups}}}",
            "[(name, fit.quantile(0.5)) for name, fit in fits.items()]",
            "pd.concat({name: fit.summary() for name, fit in fits.items()}).to_string()",
        ]
        if self.tau is not None:
            mean = "lifelines.utils.restricted_mean_survival_time"
            fit = f"lifelines.KaplanMeierFitter().fit(rows[{self.time!r}], {ended}{entry})"
            calls += [
                "import lifelines",
                f"[(name, float({mean}({fit}, t={self.tau:g}))) for name, rows in {groups}]",
            ]
        if self.group:
            entry = f", entry=d[{self.entry!r}]" if self.entry else ""
            weight = f", weight_type='fh', fh_p={self.rho:g}" if self.rho else ""
            strata = f", strata=d[{self.strata!r}].astype(str)" if self.strata else ""
            calls.append(
                f"survdiff({time}, {happened}, d[{self.group!r}].astype(str){strata}{entry}{weight})"
            )
        return calls

"""The fit of a partial likelihood over hospitals: parameters, moments, and rounds of Newton on sums.

With `strata=.site` every hospital's partial likelihood is its own, and sums of score and information suffice. Otherwise
sums over those at risk at each event time are added first. What does not live here: the arithmetic of those sums
(cox_risk), what follows the fit (cox), the search (likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.core.limits import RING_MAGNITUDE
from friendlyfl.tasks import Choice, Column, Columns, Count, Cross, Done, Flag, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS, SITE
from friendlyfl.tasks.stats import cox_report, time_counts, wording
from friendlyfl.tasks.stats.basis import Basis
from friendlyfl.tasks.stats.cox_risk import (
    Cells,
    Floats,
    Followed,
    Integers,
    OwnPartial,
    Partial,
    RiskSums,
    same_times,
    summed_by,
)
from friendlyfl.tasks.stats.likelihood import Likelihood
from friendlyfl.tasks.stats.newton import Bools, Search
from friendlyfl.tasks.values import DataError

FARTHEST = 1000.0  # powers of two between a cell's sum and 1 that a double can bridge
ENDLESS = 15.0  # a standardised estimate beyond this, while the log-likelihood rises, has no bound


class PartialLikelihood(Likelihood):
    """Hazards of patients who are at risk at the same time, compared at each event."""

    ratio: ClassVar[str] = "Hazard ratio"
    intercept: ClassVar[bool] = False
    row_additive: ClassVar[bool] = False  # clusters, ranks and people at risk need the whole table
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **Likelihood.sends,
        "events": Count,
        "event_time": Sum,
        "idle": Sum,
        "deaths_at": Count,
        "left_at": Count,
        "entered_at": Count,
        "at_risk": Cross,
        "tied": Cross,
        "event_columns": Sum,
    }

    time = Column("Time", kinds=["number"], help="From the start of follow-up to the event or the end of it")
    event = Column("Event", kinds=["yes/no"], help="1 if the event happened at that time, 0 if censored")
    entry = Column(
        "Entry",
        kinds=["number"],
        optional=True,
        help="Time at which a patient (or a row of one) came under observation: at risk when entry < time",
    )
    predictors = Columns(
        "Predictors",
        min=1,
        terms=True,
        help="Columns of the dictionary; a:b is an interaction, .site the hospital",
    )
    strata = Column(
        "Strata",
        kinds=["group", SITE],
        optional=True,
        help="Each has a baseline hazard of its own; with .site no numbers by time leave a hospital",
    )
    cluster = Column(
        "Cluster",
        kinds=["cluster"],
        optional=True,
        help="Rows that belong together, such as those of one patient; never across hospitals. Turns robust errors on",
    )
    ties = Choice(
        "Ties",
        {"efron": "by Efron's method", "breslow": "by Breslow's method"},
        help="How events at the same time are treated",
    )
    robust = Flag("Robust errors", help="Sandwich errors, by cluster if one is given")

    # What the parameters mean.

    @property
    def by_site(self) -> bool:
        """Whether every hospital is a stratum, so that its partial likelihood is its own."""
        return self.strata == SITE

    @property
    def by_time(self) -> bool:
        return not self.by_site

    @property
    def is_robust(self) -> bool:
        return bool(self.robust or self.cluster)

    @property
    def strata_count(self) -> int:
        return len(self.group_names(self.strata)) if self.strata else 1

    @property
    def shows_times(self) -> bool:
        """Whether counts by time may travel: always in sums by time, else only where no rules hold."""
        if not self.by_site:
            return True
        if self.rules:
            return False
        columns = [self.spec(name) for name in (self.time, self.entry) if name]
        if not all(spec.has_grid for spec in columns):
            return False
        try:
            return max(spec.grid_size for spec in columns) * self.strata_count <= GRID_POINTS
        except UsageError:  # a grid too fine to count on, which nothing else here needs
            return False

    # One site's rows.

    def codes(self, data: Table) -> Integers:
        return data.levels(self.strata) if self.strata else np.zeros(len(data), dtype=np.int64)

    def dead(self, data: Table) -> Bools:
        return data.yes(self.event) > 0

    def _times(self, data: Table) -> tuple[Floats, Floats | None]:
        """Times and entries; values that are the same but for rounding are made equal."""
        if self.entry:
            time_counts.check_entry(data, self.entry, self.time)
        if self.by_site:
            time, entry = same_times(data[self.time], data[self.entry] if self.entry else None)
        else:
            time = self.spec(self.time).grid_values[data.grid(self.time)]
            entry = self.spec(self.entry).grid_values[data.grid(self.entry)] if self.entry else None
        if entry is not None and (entry >= time).any():
            raise DataError("entry_late", cox_report.NO_LENGTH.format(self.entry, self.time))
        return time, entry

    def followed(self, data: Table, state: State) -> tuple[Followed, Cells]:
        time, entry = self._times(data)
        codes, dead = self.codes(data), self.dead(data)
        cells = Cells.of(codes[dead], time[dead], self.strata_count) if self.by_site else self.cells(state)
        return Followed.of(cells, codes, time, dead, entry), cells

    def cells(self, state: State) -> Cells:
        grid = self.spec(self.time).grid_values
        return Cells.of(state["cell_stratum"], grid[state["cell_place"]], self.strata_count)

    def columns_of(self, data: Table, state: State) -> Floats:
        """The columns of the fit; each stratum has its own middle, which changes nothing and keeps digits."""
        basis = Basis.from_state(state["basis"])
        middle = self.own_middle(data) if self.by_site else np.asarray(state["middles"])[self.codes(data)]
        found: Floats = (data.design(self.predictors)[:, 1:] - middle) @ basis.matrix[1:, 1:]
        return found

    def own_middle(self, data: Table) -> Floats:
        """The middle of a hospital that is a stratum: nobody else has to know it."""
        design, scales = data.design(self.predictors)[:, 1:], self.scales(self.predictors)[1:]
        return np.asarray((design / scales).sum(axis=0) / max(len(data), 1) * scales)

    # Stage moments.

    def start(self) -> State:
        if not self.by_site:
            if self.rules and self.secure_sum:
                raise UsageError("cox_times", cox_report.NEEDS_SITES)
            points = self.spec(self.time).grid_size
            time_counts.check_size(points * self.strata_count, self.time)
            if self.entry:
                time_counts.check_size(self.spec(self.entry).grid_size, self.entry)
        return {"stage": "moments"}

    def local_moments(self, data: Table, state: State) -> Update:
        design, scales = data.design(self.predictors)[:, 1:], self.scales(self.predictors)[1:]
        dead, strata = self.dead(data), 1 if self.by_site else self.strata_count
        codes = np.zeros(len(data), dtype=np.int64) if self.by_site else self.codes(data)
        time, _ = self._times(data)
        update: Update = {
            "rows": np.bincount(codes, minlength=strata),
            "sizes": np.abs(design).sum(axis=0) / scales,
            "events": np.bincount(codes[dead], minlength=strata),
            "event_time": time[dead].sum() / self.spec(self.time).scale,
        }
        if self.by_site:
            update["idle"] = float(len(data) > 0 and not dead.any())
        else:
            update["columns"] = summed_by(design / scales, codes, strata)
        if self.shows_times:
            points, place = self.spec(self.time).grid_size, data.grid(self.time)
            update["deaths_at"] = time_counts.count(codes[dead], place[dead], (strata, points))
            update["left_at"] = np.bincount(place, minlength=points)
            if self.entry:
                late = self.spec(self.entry).grid_size
                update["entered_at"] = np.bincount(data.grid(self.entry), minlength=late)
        return update

    def combine_moments(self, state: State, total: Update) -> State | Done:
        rows = total["rows"]
        count, events = float(rows.sum()), float(total["events"].sum())
        if count == 0:
            return self.no_answer(wording.NO_ROWS)
        if events == 0:
            return self.no_answer(cox_report.NO_EVENTS, events=0)
        scales = self.scales(self.predictors)[1:]
        sizes = np.append(1.0, total["sizes"] * scales / count)
        moments = {
            "rows": count,
            "events": events,
            "event_time": total["event_time"] * self.spec(self.time).scale / events,
            "idle": int(total["idle"] if self.by_site else ((rows > 0) & (total["events"] == 0)).sum()),
        }
        found: State = {
            "stage": "fit",
            "phase": "null",
            "moments": moments,
            "basis": Basis.begin(np.zeros(len(sizes)), sizes).to_state(),
            "search": Search.at(np.zeros(len(sizes))).to_state(),
        }
        if self.shows_times:
            found |= self._kaplan_meier(total)
        if not self.by_site:
            stratum, place = np.nonzero(total["deaths_at"])
            deaths = total["deaths_at"][stratum, place].astype(np.int64)
            sizes_sent = cox_report.numbers_at_times(deaths, len(sizes) - 1, self.ties == "efron")
            if sizes_sent > GRID_POINTS:
                return self.no_answer(
                    cox_report.too_large(sizes_sent, len(deaths), self.time), events=int(events)
                )
            found |= {
                "middles": total["columns"] * scales / np.maximum(rows, 1.0)[:, None],
                "cell_stratum": stratum.astype(np.int64),
                "cell_place": place.astype(np.int64),
                "cell_deaths": deaths,
                "shift": np.full(len(deaths), int(np.rint(np.log2(count))), dtype=np.int64),
            }
        return found

    def _kaplan_meier(self, total: Update) -> State:
        """One minus the pooled survival just before each event time, over all strata, as R's cox.zph transforms."""
        grid = self.spec(self.time).grid_values
        deaths = total["deaths_at"].sum(axis=0)
        late = None
        if self.entry:
            late = time_counts.entered_later(total["entered_at"], self.spec(self.entry).grid_values, grid)
        risk = time_counts.at_risk(total["left_at"], late)
        place = np.flatnonzero(deaths)
        survival = np.cumprod(1.0 - deaths[place] / risk[place])
        return {"km_place": place.astype(np.int64), "km": 1.0 - np.append(1.0, survival[:-1])}

    # Stage fit.

    def _ties(self, state: State) -> Bools:
        return np.asarray((state["cell_deaths"] > 1) & (self.ties == "efron"))

    def local_fit(self, data: Table, state: State) -> Update:
        rows, cells = self.followed(data, state)
        design, theta = self.columns_of(data, state), state["search"]["theta"][1:]
        update: Update
        if self.by_site:
            own = OwnPartial.of(rows, len(cells), design, theta, self.ties == "efron")
            update = {
                "loglik": own.loglik,
                "score": own.excess.sum(axis=0),
                "info": own.information(np.ones(len(cells))),
            }
        else:
            sums = RiskSums.of(rows, design, theta, self._ties(state), state["shift"])
            update = {"at_risk": sums.at, "tied": sums.tied, "event_columns": sums.events}
        if all((np.abs(value) < RING_MAGNITUDE).all() for value in update.values()):  # neither NaN nor inf
            return {**update, "overflow": 0.0}
        return {**{key: np.zeros_like(value) for key, value in update.items()}, "overflow": 1.0}

    def combine_fit(self, state: State, total: Update) -> State | Done:
        theta, events = state["search"]["theta"], float(state["moments"]["events"])
        own: dict[str, Any] = {"phase": state["phase"], "partial": None}
        overflow = float(total["overflow"])
        if self.by_site:
            loglik, score, info = total["loglik"], total["score"], total["info"]
        else:
            sums = RiskSums(total["at_risk"], total["tied"], total["event_columns"])
            ties, q = self._ties(state), len(theta) - 1
            partial = Partial(theta[1:], state["cell_deaths"], ties, state["shift"], sums)
            loglik, score, info = 0.0, np.zeros(q), np.zeros((q, q))
            if not overflow and partial.finite:
                loglik, score = partial.loglik, partial.excess.sum(axis=0)
                info = partial.information(np.ones(len(ties)))
                own["partial"] = partial
                level, slope = partial.levels
                state = {**state, "level": level, "slope": slope, "level_at": theta}
            overflow = float(own["partial"] is None or not np.isfinite(info).all())
        last = state["search"]["loglik"]
        rising = state["phase"] == "full" and not overflow and last is not None and loglik > last
        if rising and (far := self._far(state)):
            return self.no_answer(cox_report.endless(far), events=int(events))
        whole = np.zeros((len(theta), len(theta)))  # the place of the intercept, which a hazard ratio has not
        whole[0, 0], whole[1:, 1:] = events, info
        seen = {"loglik": loglik, "score": np.append(0.0, score), "info": whole, "overflow": overflow}
        answer = super().combine_fit(state, {**seen, **own})
        if isinstance(answer, Done) or answer["stage"] != "fit" or self.by_site:
            return answer
        return {
            **answer,
            "shift": self._shift(answer, state),
            "sums_null": {},
        }  # tables by time do not travel on

    def _far(self, state: State) -> list[str]:
        """Terms whose standardised estimate is beyond all that patients can differ by."""
        basis = Basis.from_state(state["basis"])
        names, raw = self.raw(basis)
        assert basis.gram is not None
        places = np.array(basis.kept[1:], dtype=np.int64)
        spread = np.sqrt(np.diag(basis.gram)[places - 1] / state["moments"]["events"]) * basis.unit[places]
        far = np.abs(raw @ state["search"]["theta"]) * spread > ENDLESS
        return [name for name, beyond in zip(names, far, strict=True) if beyond]

    def _shift(self, state: State, before: State) -> Integers:
        """Powers of two by which each cell's sums will be about 1 at the next point."""
        if "level" not in state:
            return np.asarray(state["shift"])
        level = state["level"]
        new, old = state["search"]["theta"], state["level_at"]
        if state["basis"]["matrix"] is before["basis"]["matrix"] and len(new) == len(old):
            level = level + state["slope"] @ (new - old)[1:]
        return np.asarray(np.clip(np.rint(level), -FARTHEST, FARTHEST), dtype=np.int64)

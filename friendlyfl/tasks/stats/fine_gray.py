"""Fine and Gray's regression of the cumulative incidence of one type of event. The search lives in likelihood.

First the hospitals' counts in time are merged, which gives the curve of censoring; then every round adds weighted sums
over those at risk at each event time; last each row's influence makes the standard errors. The arithmetic lives in
subdistribution and cox_risk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.core.limits import RING_MAGNITUDE
from friendlyfl.tasks import Choice, Column, Columns, Count, Cross, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import GRID_POINTS, Dictionary
from friendlyfl.tasks.stats import cox_report, event_types, time_counts, wording
from friendlyfl.tasks.stats.basis import Basis, View
from friendlyfl.tasks.stats.cox_report import numbers_at_times
from friendlyfl.tasks.stats.cox_risk import Partial
from friendlyfl.tasks.stats.event_types import EventCode, EventColumn
from friendlyfl.tasks.stats.likelihood import Fit, Likelihood
from friendlyfl.tasks.stats.newton import Bools, Floats
from friendlyfl.tasks.stats.subdistribution import (
    CENSORED,
    COMPETING,
    EVENT,
    Course,
    Influence,
    Integers,
    Rows,
    Sums,
    risk_sums,
)

NO_EVENT = "Nobody had the event “{}”, so there is nothing to explain."
NO_RIVAL = "Nobody had another event than “{}”: nothing competes, and the answer is that of Cox's model for this event."
TOO_MANY = (
    "The sums at {:,} event times are {:,} numbers, more than the {:,} that can be sent at once: give “{}” a larger "
    "step in the dictionary or use fewer predictors."
)
EFRON = "Ties (ties): efron goes with the convention finegray; R's crr has breslow."


class FineGray(Likelihood):
    """What changes the chance of this event when others compete? Subdistribution hazard ratios (Fine and Gray)."""

    title: ClassVar[str] = "Fine-Gray regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "What changes the chance of this event when others compete?"
    topic: ClassVar[str] = "survival"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the chance of {event} when other events compete?",
        "Do {predictors} change the chance of {event} when other events compete?",
    )
    references: ClassVar[tuple[str, ...]] = (
        "Fine JP, Gray RJ (1999). Journal of the American Statistical Association 94:496-509.",
        "Geskus RB (2011). Biometrics 67:39-49.",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "time": "weeks",
        "event": "status",
        "failcode": "cardiac",
        "predictors": "age,sex,nyha,treatment",
    }
    ratio: ClassVar[str] = "Subdistribution hazard ratio"
    intercept: ClassVar[bool] = False
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "influence")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "columns": Sum,
        "sizes": Sum,
        "counts": Count,
        "at": Cross,
        "tied": Cross,
        "events": Sum,
        "gone": Sum,
        "overflow": Sum,
        "meat": Cross,
    }

    time = Column(
        "Time", kinds=["number"], help="From the start of follow-up to the first event or the end of it"
    )
    event = EventColumn("Event")
    failcode = EventCode(
        "Event of interest", max=200, help="Its level or number; the first type of event unless given"
    )
    predictors = Columns(
        "Predictors",
        min=1,
        terms=True,
        help="Columns of the dictionary; a:b is an interaction, .site the hospital",
    )
    convention = Choice(
        "Convention",
        {
            "crr": "as R's cmprsk::crr",
            "finegray": "as R's survival::finegray and coxph, with robust errors",
        },
        help="The two give the same estimates and slightly different errors",
    )
    ties = Choice(
        "Ties",
        {"breslow": "by Breslow's method", "efron": "by Efron's method"},
        help="Efron's only with finegray, where it is R's default",
    )

    @property
    def by_time(self) -> bool:
        return True

    @property
    def crr(self) -> bool:
        return self.convention == "crr"

    @property
    def of_interest(self) -> int:
        """The place of the event of interest among the types of event; the first is 1."""
        return event_types.place_of(self.failcode, self.spec(self.event), type(self).failcode.title)

    @property
    def name_of_interest(self) -> str:
        return event_types.types_of(self.spec(self.event))[self.of_interest - 1]

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        event_types.place_of(values["failcode"], dictionary.spec(values["event"]), cls.failcode.title)
        if values["convention"] == "crr" and values["ties"] == "efron":
            raise UsageError("parameter", EFRON)
        return values

    def start(self) -> State:
        time_counts.check_size(3 * self.spec(self.time).grid_size, self.time)
        return super().start()

    # Stage moments: with the columns' middles, who was censored or had which event when.

    def _rows(self, data: Table | View, design: Floats) -> Rows:
        ended = event_types.ended(data.levels(self.event), self.spec(self.event))
        ended = np.where(ended == CENSORED, CENSORED, np.where(ended == self.of_interest, EVENT, COMPETING))
        return Rows(ended, data.grid(self.time), design)

    def sums(self, data: Table) -> Update:
        rows = self._rows(data, np.zeros((len(data), 0)))
        return {"counts": time_counts.count(rows.ended, rows.place, (3, self.spec(self.time).grid_size))}

    def begin(self, total: Mapping[str, Any]) -> Floats | Done:
        if not total["counts"][EVENT].any():
            return self.no_answer(NO_EVENT.format(self.name_of_interest), events=0)
        return np.zeros(1)

    def combine_moments(self, state: State, total: Update) -> State | Done:
        begun = super().combine_moments(state, total)
        if isinstance(begun, Done):
            return begun
        counts = begun["moments"].pop("counts")
        course = Course.of(counts, events_first=not self.crr)
        columns = len(begun["search"]["theta"]) - 1
        numbers = numbers_at_times(course.deaths, columns, self.ties == "efron")
        numbers += len(course.censorings) * (1 + columns) * self.crr
        if numbers > GRID_POINTS:
            said = TOO_MANY.format(len(course.cells), numbers, GRID_POINTS, self.time)
            return self.no_answer(said, events=int(course.deaths.sum()))
        begun["moments"] |= dict(
            zip(("censored", "events", "competing"), counts.sum(axis=1).tolist(), strict=True)
        )
        shift = np.full(len(course.cells), round(float(np.log2(counts.sum()))), dtype=np.int64)
        return {**begun, "course": course.to_state(), "shift": shift}

    # Stage fit: weighted sums at every event time, from which the partial likelihood is made.

    def _ties(self, course: Course) -> Bools:
        return (course.deaths > 1) & (self.ties == "efron")

    def _views(self, data: Table, state: State) -> list[Rows]:
        views = View.blocks(data, self.predictors, Basis.from_state(state["basis"]))
        return [self._rows(view, view.design(self.predictors)[:, 1:]) for view in views]

    def local_fit(self, data: Table, state: State) -> Update:
        course, theta = Course.from_state(state["course"]), state["search"]["theta"][1:]
        ties = self._ties(course)
        sums = Sums.none(course, ties, len(theta))
        with np.errstate(all="ignore"):
            for rows in self._views(data, state):
                sums.add(rows, theta, course, ties)
            update = sums.update(course, ties, state["shift"])
        if not self.crr:
            del update["gone"]
        if all((np.abs(value) < RING_MAGNITUDE).all() for value in update.values()):
            return {**update, "overflow": 0.0}
        return {**{key: np.zeros_like(value) for key, value in update.items()}, "overflow": 1.0}

    def _partial(self, total: Mapping[str, Any], theta: Floats, course: Course, shift: Integers) -> Partial:
        return Partial(theta, course.deaths, self._ties(course), shift, risk_sums(total))

    def combine_fit(self, state: State, total: Update) -> State | Done:
        course, shift, theta = Course.from_state(state["course"]), state["shift"], state["search"]["theta"]
        partial = self._partial(total, theta[1:], course, shift)
        size, overflow = len(theta), float(total["overflow"]) or not partial.finite
        seen: dict[str, Any] = {"loglik": 0.0, "score": np.zeros(size), "info": np.zeros((size, size))}
        if not overflow:
            seen["loglik"] = partial.loglik
            seen["score"][1:] = partial.excess.sum(axis=0)
            seen["info"][1:, 1:] = partial.spread.sum(axis=0)
            seen["info"][0, 0] = float(
                course.deaths.sum()
            )  # the intercept takes no part; this only anchors it
        pieces = {**total, "phase": state["phase"]}
        following = super().combine_fit(state, {**pieces, **seen, "overflow": float(overflow)})
        if isinstance(following, Done) or following["stage"] != "fit" or overflow:
            return following
        level, slope = partial.levels
        if len(following["search"]["theta"]) == size and state["phase"] in ("full", "limit"):
            level = level + slope @ (following["search"]["theta"] - theta)[1:]
        return {**following, "shift": np.clip(np.rint(level), -1000, 1000).astype(np.int64)}

    # Stage influence: what each row would move, of which the standard errors are made.

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if (
            fit.sums["phase"] == "null"
        ):  # the answer is the null model: look once more, in the basis of the fit
            return state
        course, shift = Course.from_state(state["course"]), state["shift"]
        partial = self._partial(fit.sums, fit.theta[1:], course, shift)
        gone = fit.sums["gone"] if self.crr else np.zeros((len(course.censorings), len(fit.theta)))
        influence = Influence.of(partial.steps, course, gone, shift, estimated=self.crr)
        kept = {name: value for name, value in vars(fit).items() if name != "sums"}
        return {
            **state,
            "stage": "influence",
            "fit": {**kept, "sums": {"hazard": partial.hazard}},
            "influence": influence.to_state(),
        }

    def local_influence(self, data: Table, state: State) -> Update:
        influence, course = Influence.from_state(state["influence"]), Course.from_state(state["course"])
        theta = state["fit"]["theta"][1:]
        meat = np.zeros((len(theta), len(theta)))
        for rows in self._views(data, state):
            scores = influence.scores(rows, theta, course)
            meat += scores.T @ scores
        return {"meat": meat}

    def combine_influence(self, state: State, total: Update) -> State | Done:
        fit = Fit(**state["fit"])
        meat = np.zeros((len(fit.theta), len(fit.theta)))
        meat[1:, 1:] = total["meat"]
        done = self.result(fit, state, robust=fit.inverse @ meat @ fit.inverse)
        if self.crr:  # its one standard error
            for row in done.pieces["coefficients"]:
                row["se"] = row.pop("se_robust")
        return done

    # The Result.

    def separated(self, lost: list[str], nothing_left: bool) -> str:
        return cox_report.monotone(lost, nothing_left)

    def left_out_notes(self, basis: Basis) -> list[str]:
        return cox_report.left_out(basis, self.terms(self.predictors))

    def own_statistics(self, fit: Fit, state: State) -> dict[str, float | None]:
        moments, fitted = state["moments"], len(fit.theta) - 1
        return {
            "bic": float(np.log(moments["events"])) * fitted - 2.0 * fit.loglik,
            "df_residual": None,
            "df_null": None,
            "n_events": moments["events"],
            "n_competing": moments["competing"],
            "n_censored": moments["censored"],
        }

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        moments = state["moments"]
        notes = [] if moments["competing"] else [NO_RIVAL.format(self.name_of_interest)]
        return [*notes, *wording.few_events(float(moments["events"]), len(fit.theta) - 1)]

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        course, basis = Course.from_state(state["course"]), Basis.from_state(state["basis"])
        at_zero = float(np.exp(-(basis.middle @ fit.theta)))  # the fit's columns are centred
        hazard = np.cumsum(fit.sums["hazard"]) * at_zero
        times = self.spec(self.time).grid_values[course.cells]
        rows = zip(times.tolist(), hazard.tolist(), strict=True)
        return {
            "events": int(state["moments"]["events"]),
            "tables": {"baseline_cumhaz": [{"stratum": "all", "time": t, "cumhaz": h} for t, h in rows]},
            "reproduce": self._calls(),
        }

    # Words.

    def said(self, robust: bool) -> dict[str, Any]:
        if self.crr:
            se = "sandwich that allows for the estimation of the censoring weights, as R's cmprsk::crr"
            censoring = "pooled Kaplan-Meier of censoring, events still at risk of it at ties"
        else:
            se = (
                "robust (sandwich by patient with the weights held, in se_robust, statistic, p, limits, vcov and the "
                "Wald test; se is the model's)"
            )
            censoring = "pooled Kaplan-Meier of censoring, events before censorings at ties, as R's survival::finegray"
        return {
            **wording.conventions(),
            "event": f"“{self.name_of_interest}” of “{self.event}”; all other events compete",
            "convention": self.convention,
            "ties": self.ties,
            "se": se,
            "weights": censoring,
            "loglik": "of the weighted partial likelihood (a pseudo-likelihood)",
        }

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        spec, r = self.spec(self.event), wording.r_name
        right = wording.r_formula("", self.predictors).partition("~")[2].strip()
        name = event_types.r_code(spec, self.name_of_interest)
        censored = event_types.r_code(spec, event_types.censored_name(spec))
        time, event = r(self.time), r(self.event)
        if self.crr:
            codes = f"failcode = {name}, cencode = {censored}, gtol = 1e-9, maxiter = 100"
            call = (
                "library(cmprsk); "
                f"x <- scale(model.matrix(~ {right}, d)[, -1, drop = FALSE], scale = FALSE); "
                "x <- x[, qr(x)$pivot[seq_len(qr(x)$rank)], drop = FALSE]; "
                f"fit <- crr(d${time}, d${event}, x, {codes}); summary(fit); fit$coef; sqrt(diag(fit$var)); fit$loglik"
            )
        else:
            ended, interest = event, wording.quoted(self.name_of_interest)
            if spec.type != "factor":
                ended = f"factor({event}, 0:{max(spec.grid_values):g})"
            call = (
                "library(survival); d$id <- seq_len(nrow(d)); "
                f"e <- finegray(Surv({time}, {ended}) ~ ., d, etype = {interest}); "
                f"summary(fit <- coxph(Surv(fgstart, fgstop, fgstatus) ~ {right}, e, weights = fgwt, cluster = id, "
                f'ties = "{self.ties}", control = coxph.control(eps = 1e-11, iter.max = 100))); logLik(fit)'
            )
        return {"r": call}

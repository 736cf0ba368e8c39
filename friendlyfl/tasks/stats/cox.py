"""Cox's proportional hazards regression over hospitals: what follows the fit.

Robust errors, concordance, the test of proportional hazards and the baseline hazard. With `strata=.site` each hospital
adds its own part in one round; else the ranks of the scores are found first. What does not live here: the fit
(partial_likelihood), the arithmetic (cox_risk, cox_concordance), tables and words of the Result (cox_report).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Count, Cross, Done, Sum, Table
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.stats import cox_report
from friendlyfl.tasks.stats.basis import Basis
from friendlyfl.tasks.stats.cox_concordance import (
    LOOKS,
    TABLE,
    Bins,
    Standing,
    codes_of,
    compared,
    scores_of,
    tables_of,
)
from friendlyfl.tasks.stats.cox_risk import (
    Cells,
    Floats,
    Followed,
    Integers,
    OwnPartial,
    Partial,
    Steps,
    summed_by,
)
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.partial_likelihood import PartialLikelihood


class Cox(PartialLikelihood):
    """What changes the hazard? Hazard ratios as if all patients were in one table."""

    title: ClassVar[str] = "Cox regression"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "What changes the hazard?"
    topic: ClassVar[str] = "survival"
    asks: ClassVar[tuple[str, ...]] = (
        "Does {predictors} change the hazard of {event}?",
        "Do {predictors} change the hazard of {event}?",
    )
    proposes: ClassVar[Mapping[str, str]] = {"strata": SITE}  # so that no numbers by time leave a hospital
    example: ClassVar[Mapping[str, Any]] = {
        "time": "weeks",
        "event": "dead",
        "predictors": "age,sex,nyha,treatment",
        "strata": SITE,
    }
    references: ClassVar[tuple[str, ...]] = (
        "Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.",
        "Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc 1977;72:557-565.",
        "Lin DY, Wei LJ. The robust inference for the Cox proportional hazards model. J Am Stat Assoc 1989;"
        "84:1074-1078.",
        "Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted residuals. "
        "Biometrika 1994;81:515-526.",
    )
    stages: ClassVar[tuple[str, ...]] = ("moments", "fit", "ranks", "pairs", "errors")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        **PartialLikelihood.sends,
        "look": Sum,
        "events_by_score": Count,
        "censored_by_score": Count,
        "entered_by_score": Count,
        "pairs": Sum,
        "influence": Cross,
        "ph_score": Sum,
        "ph_info": Cross,
        "hazard": Sum,
        "meat": Cross,
        "clusters": Sum,
    }

    @property
    def transforms(self) -> tuple[str, ...]:
        return ("km", "identity") if self.shows_times else ("identity",)

    def fitted(self, fit: Fit, state: State) -> State | Done:
        if (
            fit.sums["phase"] == "null"
        ):  # the answer is the null model: look once more, in the basis of the fit
            return state
        if len(fit.theta) == 1:
            return self.result(fit, state)
        kept = ("basis", "middles", "moments", "loglik_null", "score_test", "metric", "km_place", "km")
        places = ("cell_stratum", "cell_place", "cell_deaths")
        after: State = {key: state[key] for key in (*kept, *places) if key in state}
        after["fit"] = {key: value for key, value in vars(fit).items() if key != "sums"}
        if self.by_site:
            return {**after, "stage": "errors"}
        partial: Partial = fit.sums["partial"]
        if not fit.lost.shape[1]:
            tests = [partial.over_time(g) for g in self._transformed(self.cells(state), state)]
            after["ph_score"] = np.stack([score for score, _ in tests])
            after["ph_info"] = np.stack([info for _, info in tests])
            after["hazard"] = partial.hazard
            if self.is_robust:
                after["steps"] = partial.steps.to_state()
        return {**after, "stage": "ranks", "looks": 1, "bins": Bins.first().to_state(), "size": partial.size}

    def _transformed(self, cells: Cells, state: State) -> list[Floats]:
        """The functions of time of the proportional hazards tests, at each cell."""
        found = []
        for name in self.transforms:
            if name == "km":
                place, _ = self.spec(self.time).grid_index(cells.time)
                found.append(np.asarray(state["km"])[np.searchsorted(state["km_place"], place)])
            else:
                found.append((cells.time - state["moments"]["event_time"]) / self.spec(self.time).scale)
        return found

    # Stages ranks and pairs: which scores there are, and who has them when; only where hospitals share strata.

    def _scores(self, data: Table, state: State) -> Floats:
        return scores_of(data.design(self.predictors)[:, 1:], self.beta(state))

    def beta(self, state: State) -> Floats:
        """Coefficients of all columns in raw units, 0 for those left out."""
        basis = Basis.from_state(state["basis"])
        beta = np.zeros(len(basis.unit) - 1)
        _, raw = self.raw(basis)
        beta[np.array(basis.kept[1:], dtype=np.int64) - 1] = raw @ state["fit"]["theta"]
        return beta

    def _binned(self, data: Table, state: State) -> Integers:
        """The code of each row's score."""
        middle = float(scores_of(np.asarray(state["middles"])[:1], self.beta(state))[0])
        return codes_of(self._scores(data, state), middle, state["size"])

    def local_ranks(self, data: Table, state: State) -> Update:
        return {"look": Bins(**state["bins"]).look(self._binned(data, state))}

    def combine_ranks(self, state: State, total: Update) -> State | Done:
        look = total["look"]
        bins = Bins(**state["bins"]).seen(look)
        finer = bins.finer() if state["looks"] < LOOKS else None
        if finer is not None:
            return {**state, "bins": finer.to_state(), "looks": state["looks"] + 1}
        people = look[0][look[0] > 0]
        most = max(TABLE // (len(state["cell_deaths"]) + self.strata_count), 1)
        return {**state, "stage": "pairs", "bins": bins.joined(people, most).to_state()}

    def local_pairs(self, data: Table, state: State) -> Update:
        rows, cells = self.followed(data, state)
        bins = Bins(**state["bins"])
        tables = tables_of(rows, bins.of(self._binned(data, state)), cells, len(bins.edges))
        if not self.entry:
            del tables["entered_by_score"]
        return tables

    def combine_pairs(self, state: State, total: Update) -> State | Done:
        return {**state, "stage": "errors", "tables": dict(total)}

    # Stage errors: what each row adds to the errors of the concordance and, if wanted, of the coefficients.

    def local_errors(self, data: Table, state: State) -> Update:
        rows, cells = self.followed(data, state)
        design, theta = self.columns_of(data, state), state["fit"]["theta"][1:]
        cluster = np.unique(data[self.cluster], return_inverse=True)[1] if self.cluster else None
        update = self._concordance(data, state, rows, cells, cluster)
        if self.cluster:
            update["clusters"] = float(cluster.max(initial=-1) + 1) if cluster is not None else 0.0
        if state["fit"]["lost"].shape[1]:
            return update
        steps = Steps(**state["steps"]) if "steps" in state else None
        if self.by_site:
            own = OwnPartial.of(rows, len(cells), design, theta, self.ties == "efron")
            tests = [own.over_time(g) for g in self._transformed(cells, state)]
            update["ph_score"] = np.stack([score for score, _ in tests])
            update["ph_info"] = np.stack([info for _, info in tests])
            steps = own.steps
            if self.shows_times:
                hazard = np.zeros((self.strata_count, self.spec(self.time).grid_size))
                hazard[cells.stratum, self.spec(self.time).grid_index(cells.time)[0]] = own.hazard
                update["hazard"] = hazard
                update["columns"] = np.zeros((self.strata_count, len(self.beta(state))))
                update["columns"][data.site - 1] = self.own_middle(data) / self.scales(self.predictors)[1:]
        if self.is_robust and steps is not None:
            parts = summed_by(steps.residuals(rows, design, theta), cluster)
            update["meat"] = parts.T @ parts
        return update

    def _concordance(
        self, data: Table, state: State, rows: Followed, cells: Cells, cluster: Integers | None
    ) -> Update:
        """Pairs, those whose order bins hide, and products of what each row (or cluster) takes part in."""
        mixed = np.zeros(len(data), dtype=np.bool_)
        if self.by_site:
            _, score = np.unique(self._scores(data, state), return_inverse=True)
            everybody = Standing.listed(rows, score, self.entry is not None)
        else:
            bins, tables = Bins(**state["bins"]), state["tables"]
            score = bins.of(self._binned(data, state))
            mixed = bins.mixed[score] == 1
            everybody = Standing.tabled(
                tables["events_by_score"], tables["censored_by_score"], tables.get("entered_by_score"), cells
            )
        opened, taken = compared(rows, score, everybody, cells)
        good, all_ = taken[:, 0] + taken[:, 2] / 2.0, taken.sum(axis=1)
        parts = summed_by(np.column_stack([good, all_]) / state["moments"]["rows"], cluster)
        hidden = opened[mixed, 2].sum()
        return {"pairs": np.append(opened.sum(axis=0), hidden), "influence": parts.T @ parts}

    def combine_errors(self, state: State, total: Update) -> State | Done:
        fit = Fit(**state["fit"], sums={})
        robust = None
        if "meat" in total:
            robust = np.zeros_like(fit.inverse)
            inverse = fit.inverse[1:, 1:]
            robust[1:, 1:] = inverse @ total["meat"] @ inverse
        if self.by_site and "hazard" in total:
            stratum, place = np.nonzero(total["hazard"])
            total = {**total, "hazard": total["hazard"][stratum, place]}
            middles = total["columns"] * self.scales(self.predictors)[1:]
            state = {**state, "cell_stratum": stratum, "cell_place": place, "middles": middles}
        return self.result(fit, {**state, **total}, robust)

    # The Result.

    def separated(self, lost: list[str], nothing_left: bool) -> str:
        return cox_report.monotone(lost, nothing_left)

    def left_out_notes(self, basis: Basis) -> list[str]:
        return cox_report.left_out(basis, self.terms(self.predictors))

    def said(self, robust: bool) -> dict[str, Any]:
        return cox_report.conventions(self, robust)

    def result(self, fit: Fit, state: State, robust: Floats | None = None) -> Done:
        done = super().result(fit, state, robust)
        none = [row["term"] for row in done.pieces["coefficients"] if row["se"] is None]
        if none and not fit.lost.shape[1]:
            done.pieces["notes"].insert(0, cox_report.out_of_reach(none))
        return done

    def _statistics(self, fit: Fit, state: State, fitted: int, tested: int) -> dict[str, float | None]:
        events = float(state["moments"]["events"])
        return {
            "loglik": fit.loglik,
            "loglik_null": state["loglik_null"],
            "aic": 2.0 * fitted - 2.0 * fit.loglik,
            "bic": np.log(events) * fitted - 2.0 * fit.loglik,  # as R: a row without event counts for nothing
            **cox_report.concordance(state),
        }

    def own_notes(self, fit: Fit, state: State) -> list[str]:
        return cox_report.notes(self, fit, state)

    def own_pieces(self, fit: Fit, state: State) -> dict[str, Any]:
        return {
            "events": int(state["moments"]["events"]),
            "clusters": state.get("clusters"),
            "exact": cox_report.exact(state),
            "tables": cox_report.tables(self, fit, state),
            "reproduce": cox_report.calls(self),
        }

"""Does a model made elsewhere hold here? Calibration of fixed predictions, by sums and two small logistic fits.

Round one sums what the predictions themselves say, the later ones fit calibration in the large (slope held at 1) and
intercept and slope, side by side. What does not live here: how fixed coefficients are read (fixed_model).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from friendlyfl.tasks import Column, Count, Cross, Done, Number, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.report import Figure, Vcov
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.fixed_model import FIXED, FixedModel, Predicted
from friendlyfl.tasks.stats.inference import Row, chi_square, wald
from friendlyfl.tasks.stats.logistic_regression import bernoulli
from friendlyfl.tasks.stats.newton import Search, Seen, inverse_of, judge
from friendlyfl.tasks.values import DataError

Floats = npt.NDArray[np.float64]

TERMS = ("calibration_in_the_large", "calibration_intercept", "calibration_slope")
FITS = ([0], [1, 2])  # places of the parameters of the two fits
CONSTANT = 1e-22  # spread over size, squared: every prediction is the same

EDGES = (
    "{} exactly 0 or 1: such a prediction has no log odds, and is left out of calibration in the large, of intercept "
    "and of slope. It counts in all else."
)
IMPOSSIBLE = "The log loss is infinite: what was predicted as certain did not happen to {}."
ALL_ALIKE = "Everyone has the same outcome ({}), so that intercept and slope have no finite answer."
SAME = "Every prediction is the same, so that intercept and slope cannot be told apart."
PERFECT = (
    "Intercept and slope have no finite answer: the predictions tell those with and those without the outcome apart "
    "without a single exception."
)
EXTREME = (
    "{} no finite answer: too many predictions are 0 or 1, or so close to them that a change of their log odds says "
    "nothing, or all other patients have the same outcome."
)
HIDDEN = (
    "Groups of predictions with fewer than 5 patients with or without the outcome at a hospital are not shown, and "
    "others with them, so that no total gives them away."
)


class Calibration(Task):
    """Does a fixed model hold here? Predicted against observed, as if all patients were in one table."""

    title: ClassVar[str] = "Calibration"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Does a fixed model hold here?"
    topic: ClassVar[str] = "prediction"
    example: ClassVar[Mapping[str, Any]] = {"outcome": "readmitted", "predicted": "risk_score"}
    references: ClassVar[tuple[str, ...]] = (
        "Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562-565.",
        "Van Calster B, McLernon DJ, van Smeden M, Wynants L, Steyerberg EW. Calibration: the Achilles heel of "
        "predictive analytics. BMC Medicine 2019;17:230.",
    )
    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("sums", "fit")
    suppressible: ClassVar[tuple[str, ...]] = ("groups", "edges")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "events": Count,
        "groups": Count,
        "edges": Count,
        "expected": Sum,
        "squares": Sum,
        "log_loss": Sum,
        "log_odds": Sum,
        "sizes": Sum,
        "group_sums": Sum,
        "loglik": Sum,
        "score": Sum,
        "info": Cross,
    }

    outcome = Column("Outcome", kinds=["yes/no"], help="0 and 1, or a factor whose second level means yes")
    predicted = Predicted(
        "Prediction",
        help="A column of probabilities, or the log odds of a model: lp:-4+0.035*age+0.55*raceblack",
    )
    bins = Number("Groups", 10, low=2, high=100, whole=True, help="Equal parts of the range of probabilities")

    # What one row says.

    def predictions(self, data: Table) -> tuple[Floats, Floats]:
        """Probabilities and log odds."""
        if self.predicted.startswith(FIXED):
            eta = FixedModel.parse(self.predicted, self.dictionary).values(data)
            return np.asarray(expit(eta)), eta
        chance = np.asarray(data[self.predicted], dtype=np.float64)
        outside = int(((chance < 0) | (chance > 1)).sum())
        if outside:
            raise DataError(
                "out_of_range",
                f"“{self.predicted}” must hold probabilities from 0 to 1 and does not in {outside} rows.",
            )
        return chance, np.asarray(logit(chance))

    def places(self, chance: Floats) -> npt.NDArray[np.int64]:
        """The group of each prediction: closed above, as R's cut."""
        return np.searchsorted(self.borders[1:-1], chance, side="left").astype(np.int64)

    @property
    def borders(self) -> Floats:
        return np.arange(int(self.bins) + 1) / int(self.bins)

    # Stage sums.

    def local_sums(self, data: Table, state: State) -> Update:
        yes, (chance, eta) = data.yes(self.outcome), self.predictions(data)
        towards = np.where(yes > 0, eta, -eta)
        finite = np.isfinite(eta)
        wrong = expit(-towards)  # the distance from what happened
        place, size = self.places(chance), int(self.bins)
        return {
            "rows": len(data),
            "events": yes.sum(),
            "groups": np.stack([np.bincount(place[who], minlength=size) for who in (yes == 0, yes > 0)]),
            "edges": np.array([(~finite & (towards > 0)).sum(), (~finite & (towards < 0)).sum()]),
            "expected": chance.sum(),
            "squares": wrong @ wrong,
            "log_loss": np.logaddexp(0.0, -towards[finite]).sum(),
            "log_odds": eta[finite].sum(),
            "sizes": np.abs(eta[finite]).sum(),
        }

    def combine_sums(self, state: State, total: Update) -> State | Done:
        rows = float(total["rows"])
        size = float(total["sizes"]) / rows
        centre, unit = float(total["log_odds"]) / rows, size if size > 0 else 1.0
        share = float(total["events"]) / rows
        alike = share in (0.0, 1.0)
        start = np.array([0.0, 0.0 if alike else logit(share), 0.0])
        return {
            "stage": "fit",
            "sums": dict(total),
            "centre": centre,
            "unit": unit,
            "shown": np.isfinite(total["groups"]).all(axis=0),
            "searches": [Search.at(start[fit]).to_state() for fit in FITS],
            "verdicts": ["alike" if alike else "again"] * len(FITS),
            "ends": [None] * len(FITS),
            "fresh": True,
        }

    # Stage fit: both fits in every round, each until it has its answer.

    def local_fit(self, data: Table, state: State) -> Update:
        yes, (chance, eta) = data.yes(self.outcome), self.predictions(data)
        place, shown = self.places(chance), np.asarray(state["shown"])
        group_sums = np.bincount(place, weights=chance, minlength=len(shown)).astype(np.float64)
        finite = np.isfinite(eta)
        yes, eta = yes[finite], eta[finite]
        design = np.column_stack([np.ones(len(eta)), (eta - state["centre"]) / state["unit"]])
        large, both = (np.asarray(search["theta"]) for search in state["searches"])
        loglik, score, info = np.zeros(2), np.zeros(3), np.zeros((3, 3))
        for number, columns, log_odds in ((0, design[:, :1], eta + large[0]), (1, design, design @ both)):
            values, slope, curve = bernoulli(yes, log_odds)
            fit = FITS[number]
            loglik[number], score[fit] = values.sum(), columns.T @ slope
            info[np.ix_(fit, fit)] = columns.T @ (columns * curve[:, None])
        return {
            "loglik": loglik,
            "score": score,
            "info": info,
            "group_sums": np.where(shown, group_sums, 0.0),  # of groups whose counts every hospital showed
        }

    def combine_fit(self, state: State, total: Update) -> State | Done:
        info = np.asarray(total["info"])
        if state["fresh"]:
            large, both = state["verdicts"]
            spread = info[2, 2] - info[1, 2] ** 2 / info[1, 1] if info[1, 1] > 0 else 0.0
            same = both == "again" and not spread > CONSTANT * info[1, 1]
            state = {**state, "fresh": False, "verdicts": [large, "same" if same else both]}
        searches, verdicts, ends = list(state["searches"]), list(state["verdicts"]), list(state["ends"])
        for number, fit in enumerate(FITS):
            if verdicts[number] != "again":
                continue
            block = info[np.ix_(fit, fit)]
            inverse = inverse_of(block)
            loglik = float(total["loglik"][number])
            verdict, search = judge(
                Search.from_state(searches[number]), Seen(loglik, total["score"][fit], block), inverse
            )
            verdicts[number] = verdict
            if verdict == "again":
                searches[number] = search.to_state()
            elif verdict == "done":
                ends[number] = {"theta": search.theta, "loglik": loglik, "inverse": inverse}
        state = {**state, "searches": searches, "verdicts": verdicts, "ends": ends}
        return state if "again" in verdicts else self._result(state, np.asarray(total["group_sums"]))

    def stuck(self, state: State) -> str:
        return wording.no_convergence(self.max_rounds, state["searches"][1]["decrement"])

    # The Result.

    def _result(self, state: State, group_sums: Floats) -> Done:
        sums = state["sums"]
        estimates, vcov = self._estimates(state)
        rows, events, expected = float(sums["rows"]), float(sums["events"]), float(sums["expected"])
        certain = bool(sums["edges"][1] != 0)
        both = state["ends"][1]
        better = float("nan") if both is None else 2.0 * (both["loglik"] + float(sums["log_loss"]))
        return Done(
            events=events,
            coefficients=wald(TERMS, estimates, vcov),
            vcov=Vcov(TERMS, vcov.tolist()),
            statistics={
                "brier": float(sums["squares"]) / rows,
                "oe_ratio": events / expected if expected > 0 else None,
                "log_loss": None if certain else float(sums["log_loss"]) / rows,
            },
            tests={"perfect_calibration": chi_square(better, 2)},
            tables={"bins": self._bins(state, group_sums)},
            conventions=self._conventions(),
            figures=[
                Figure(
                    "Calibration",
                    f"Calibration for {self.outcome}",
                    f"Observed share of patients with the outcome against the mean prediction, in {self.bins} equal "
                    "parts of the range of probabilities; the diagonal is a model that holds perfectly.",
                    table="bins",
                )
            ],
            notes=self._notes(state),
            reproduce=self._calls(),
        )

    def _estimates(self, state: State) -> tuple[Floats, Floats]:
        """In raw units; NaN where there is no finite answer, and between the two fits."""
        estimates, vcov = np.full(3, np.nan), np.full((3, 3), np.nan)
        raw = np.array([[1.0, -state["centre"] / state["unit"]], [0.0, 1.0 / state["unit"]]])
        for fit, end, change in zip(FITS, state["ends"], (np.eye(1), raw), strict=True):
            if end is not None:
                estimates[fit] = change @ end["theta"]
                vcov[np.ix_(fit, fit)] = change @ end["inverse"] @ change.T
        return estimates, vcov

    def _bins(self, state: State, group_sums: Floats) -> list[Row]:
        rows: list[Row] = []
        for place, (lower, upper) in enumerate(zip(self.borders, self.borders[1:], strict=False)):
            without, events = (float(count) for count in np.asarray(state["sums"]["groups"])[:, place])
            shown = bool(state["shown"][place])
            rows.append(
                {
                    "bin": f"{'[' if place == 0 else '('}{lower:g},{upper:g}]",
                    "lower": float(lower),
                    "upper": float(upper),
                    "n": int(without + events) if shown else None,
                    "events": int(events) if shown else None,
                    "sum_p": float(group_sums[place]) if shown else None,
                }
            )
        return rows

    def _notes(self, state: State) -> list[str]:
        sums, (large, both), notes = state["sums"], state["verdicts"], []
        if large == "alike":
            notes.append(ALL_ALIKE.format("yes" if sums["events"] else "no"))
        elif large != "done":
            which = (
                "Calibration in the large has"
                if both == "done"
                else "Calibration in the large, intercept and slope have"
            )
            notes.append(EXTREME.format(which))
        elif both == "same":
            notes.append(SAME)
        elif both != "done":
            notes.append(PERFECT)
        edges, impossible = float(np.sum(sums["edges"])), float(sums["edges"][1])
        if edges != 0:  # or hidden
            several = "Some predictions are" if np.isnan(edges) else f"{edges:.0f} predictions are"
            notes.append(EDGES.format("1 prediction is" if edges == 1 else several))
        if impossible != 0:
            some = "some patients" if np.isnan(impossible) else f"{impossible:.0f} patients"
            notes.append(IMPOSSIBLE.format("1 patient" if impossible == 1 else some))
        return notes if all(state["shown"]) else [*notes, HIDDEN]

    # Words.

    def _conventions(self) -> dict[str, Any]:
        return {
            "calibration_in_the_large": "intercept of a logistic model, the predicted log odds as offset; 0 is perfect",
            "calibration_intercept": "intercept of a logistic model on the predicted log odds; 0 is perfect",
            "calibration_slope": "slope of that model; 1 is perfect, while statistic and p compare it with 0",
            "perfect_calibration": "likelihood ratio test of intercept 0 and slope 1 together",
            "oe_ratio": "observed over expected number of events",
            "bins": "equal parts of 0 to 1, each closed above as by R's cut",
            "se": "model (inverse information at the reported estimate)",
            "ci": "wald",
            "level": 0.95,
            "missing": "complete cases over the columns named",
        }

    def _calls(self) -> dict[str, str]:
        """The same analysis of one table in R and in Python."""
        spec = self.spec(self.outcome)
        yes, happened = f"d${wording.r_name(self.outcome)}", f"d[{self.outcome!r}]"
        if spec.type == "factor":
            yes = f"as.integer({yes} == {wording.quoted(spec.levels[1])})"
            happened = f"({happened} == {spec.levels[1]!r}).astype(int)"
        if self.predicted.startswith(FIXED):
            model = FixedModel.parse(self.predicted, self.dictionary)
            r = model.written(
                lambda name: self._grade(name, wording.r_name(name), "as.numeric(as.character({}))"),
                lambda name, level: f"({wording.r_name(name)} == {wording.quoted(level)})",
                self.dictionary,
            )
            python = model.written(
                lambda name: self._grade(name, f"d[{name!r}]", "{}.astype(float)"),
                lambda name, level: f"(d[{name!r}] == {level!r})",
                self.dictionary,
            )
            r, python = f"lp <- with(d, {r}); p <- plogis(lp)", f"lp = {python}; p = expit(lp)"
        else:
            name = wording.r_name(self.predicted)
            r, python = f"p <- d${name}; lp <- qlogis(p)", f"p = d[{self.predicted!r}]; lp = logit(p)"
        return {
            "r": f"y <- {yes}; {r}; summary(glm(y ~ 1, binomial, offset = lp)); summary(glm(y ~ lp, binomial)); "
            "c(brier = mean((p - y)^2), oe = sum(y) / sum(p), log_loss = -mean(dbinom(y, 1, p, log = TRUE))); "
            "better <- 2 * c(logLik(glm(y ~ lp, binomial)) - sum(dbinom(y, 1, p, log = TRUE))); "
            "c(statistic = better, p = pchisq(better, 2, lower.tail = FALSE)); "
            f"g <- cut(p, 0:{self.bins} / {self.bins}, include.lowest = TRUE); "
            "cbind(n = table(g), events = tapply(y, g, sum), sum_p = tapply(p, g, sum))",
            "python": "import numpy as np, pandas, statsmodels.api as sm; from scipy.special import expit, logit; "
            f"y = {happened}; {python}; "
            "sm.GLM(y, lp * 0 + 1, sm.families.Binomial(), offset=lp).fit().summary2().tables[1]; "
            "fit = sm.GLM(y, sm.add_constant(lp), sm.families.Binomial()).fit(); fit.summary2().tables[1]; "
            "log_loss = -np.log(np.where(y, p, 1 - p)).mean(); ((p - y) ** 2).mean(), y.sum() / p.sum(), log_loss; "
            "2 * (fit.llf + len(y) * log_loss); "
            f"pandas.DataFrame({{'n': 1, 'events': y, 'sum_p': p}}).groupby(np.ceil(p * {self.bins})).sum()",
        }

    def _grade(self, name: str, written: str, as_number: str) -> str:
        """A column of numbers, or a factor of numbers read as such."""
        return as_number.format(written) if self.spec(name).type == "factor" else written

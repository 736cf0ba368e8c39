"""Tables, notes and words of a Cox regression's Result, from sums that are already there.

What does not live here: any sum over rows (cox_risk, cox_concordance) and the order of rounds (cox).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.tasks.base import State
from friendlyfl.tasks.dictionary import GRID_POINTS, SITE
from friendlyfl.tasks.report import Exact
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.basis import Basis
from friendlyfl.tasks.stats.cox_risk import Floats, Integers
from friendlyfl.tasks.stats.inference import Row, chi_square
from friendlyfl.tasks.stats.likelihood import Fit
from friendlyfl.tasks.stats.newton import inverse_of
from friendlyfl.tasks.terms import design_columns

if TYPE_CHECKING:
    from friendlyfl.tasks.stats.cox import Cox

ROUNDING = 1e-13  # of the information: below this share a term says nothing about change over time

NO_EVENTS = "Nobody had the event, so there is nothing to explain."
NO_LENGTH = "“{}” and “{}” are the same but for rounding in some rows of this table."
NEEDS_SITES = (
    "Under hospitals' rules a Cox regression needs strata=.site: its sums at every event time would tell too much "
    "about single patients."
)
NO_BASELINE = (
    "The baseline hazard is not given: a hospital's own event times do not leave it under its rules."
)
NO_KM = (
    'The test of proportional hazards uses time as it is (R: transform = "identity"): R\'s default, the Kaplan-Meier '
    "transform, needs the event times of every hospital, which do not leave it under its rules."
)
NO_GRID = (
    "There is no test with the Kaplan-Meier transform and no baseline hazard: the times need a range and a step in the "
    "dictionary that make fewer different values."
)
NOT_INDEPENDENT = (
    "The likelihood ratio and score tests take rows to be independent; the Wald test, the intervals and p values "
    "of the terms do not."
)
HIDDEN_PAIRS = "patients with nearly the same score share a bin, and such pairs are counted as ties"


def numbers_at_times(deaths: Integers, columns: int, efron: bool) -> int:
    """How many numbers an Update with sums at every event time holds."""
    each = 1 + columns + columns * (columns + 1) // 2
    return int(len(deaths) * (each + columns) + (deaths > 1).sum() * efron * each)


def too_large(numbers: int, times: int, time: str) -> str:
    return (
        f"The sums at {times:,} event times are {numbers:,} numbers, more than the {GRID_POINTS:,} that can be sent at "
        f"once: give “{time}” a larger step in the dictionary, use fewer predictors, or choose strata=.site."
    )


def monotone(lost: Sequence[str], nothing_left: bool) -> str:
    """What R's user knows as “Loglik converged before variable ...; coefficient may be infinite”."""
    if len(lost) == 1:
        found = (
            f"Separation: the estimate of {wording.listed(lost)} grows without bound, because at every event time it "
            "sets the patients with the event apart from the others at risk. It has no standard error, and its value "
            "is only where the search stopped."
        )
    else:
        found = (
            f"Separation: the estimates of {wording.listed(lost)} grow without bound, because at every event time "
            "together they set the patients with the event apart from the others at risk. They have no standard "
            "errors, and their values are only where the search stopped."
        )
    others = "" if nothing_left else " The other terms are not affected."
    others += " Proportional hazards are not tested, and no baseline hazard is given."
    return f"{found}{others} Join rare levels, leave such terms out, or describe these groups in a table."


def endless(far: Sequence[str]) -> str:
    """When the search itself has to be given up."""
    of, grow = ("estimate of", "grows") if len(far) == 1 else ("estimates of", "grow")
    return (
        f"Separation: the {of} {wording.listed(far)} {grow} without bound, because the order of events "
        "follows from it: no coefficients are given. Leave such terms out, or describe these patients in a table."
    )


def out_of_reach(terms: Sequence[str]) -> str:
    return (
        f"The standard error of {wording.listed(terms)} is out of reach of numbers: give the column in another unit, "
        "with values that are not so extremely large or small."
    )


def left_out(basis: Basis, names: Sequence[str]) -> list[str]:
    """Why columns were left out: in a Cox model only patients at risk together are compared."""
    constant = [names[place] for place in basis.constant]
    said = wording.dropped([name for name in basis.left_out(names) if name not in constant], [])
    if constant:
        was, it = ("was", "it is") if len(constant) == 1 else ("were", "they are")
        same = f"{wording.listed(constant)} {was} left out: {it} the same for all patients who are at risk together."
        said = [same, *said]
    return said


# Numbers.


def concordance(state: State) -> dict[str, float | None]:
    """The share of pairs in the right order, and its error from what each row (or cluster) adds to it."""
    none: dict[str, float | None] = {"concordance": None, "concordance_se": None}
    if "pairs" not in state:
        return none
    good, bad, tied, _ = (float(value) for value in state["pairs"])
    every = good + bad + tied
    if every == 0:
        return none
    share = (good + tied / 2.0) / every
    weights = np.array([1.0, -share])
    variance = float(weights @ state["influence"] @ weights)
    return {
        "concordance": share,
        "concordance_se": math.sqrt(max(variance, 0.0)) * float(state["moments"]["rows"]) / every,
    }


def exact(state: State) -> bool | Exact:
    if "pairs" not in state or not state["pairs"][3]:
        return True
    bound = float(state["pairs"][3]) / (2.0 * float(np.sum(state["pairs"][:3])))
    return Exact(bound, "concordance", HIDDEN_PAIRS)


def tables(task: Cox, fit: Fit, state: State) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    if "ph_score" in state:
        names = {"km": "ph_test", "identity": "ph_test_identity"}
        for place, transform in enumerate(task.transforms):
            score, info = state["ph_score"][place], state["ph_info"][place]
            found[names[transform]] = _ph_test(task, fit, state, score, info)
    if "hazard" in state:
        found["baseline_cumhaz"] = _baseline(task, state)
    return found


def _ph_test(task: Cox, fit: Fit, state: State, score: Floats, info: Floats) -> list[Row]:
    """Score tests that a term's coefficient does not change with the function of time, and that none does."""
    basis = Basis.from_state(state["basis"])
    _, raw = task.raw(basis)
    back = np.linalg.inv(raw[:, 1:])
    crossed, own = info
    left = own - crossed.T @ fit.inverse[1:, 1:] @ crossed
    score, left = back.T @ score, back.T @ left @ back
    whole = back.T @ np.linalg.inv(fit.inverse[1:, 1:]) @ back
    unclear = np.diag(left) <= ROUNDING * np.diag(whole)  # the term's events are all at one time
    columns = design_columns(task.predictors, task.dictionary, task.sites)
    terms = [columns[place].term for place in basis.kept[1:]]
    rows = []
    for term in [*dict.fromkeys(terms), "GLOBAL"]:
        part = [place for place, name in enumerate(terms) if term in (name, "GLOBAL")]
        inverse = None if unclear[part].any() else inverse_of(left[np.ix_(part, part)])
        statistic = float("nan") if inverse is None else float(score[part] @ inverse @ score[part])
        rows.append({"term": term, **chi_square(statistic, len(part))})
    return rows


def _baseline(task: Cox, state: State) -> list[Row]:
    """The cumulative hazard of a patient whose columns are all 0, at every event time."""
    stratum, grid = np.asarray(state["cell_stratum"]), task.spec(task.time).grid_values
    names = task.group_names(task.strata) if task.strata else ("all",)
    with np.errstate(over="ignore"):
        step = state["hazard"] * np.exp(-(np.asarray(state["middles"]) @ task.beta(state))[stratum])
    rows = []
    for code in np.unique(stratum):
        here = stratum == code
        times, total = grid[np.asarray(state["cell_place"])[here]], np.cumsum(step[here])
        rows += [
            {"stratum": names[code], "time": float(time), "cumhaz": float(value)}
            for time, value in zip(times, total, strict=True)
        ]
    return rows


# Words.


def notes(task: Cox, fit: Fit, state: State) -> list[str]:
    said = wording.few_events(float(state["moments"]["events"]), len(fit.theta) - 1)
    idle = int(state["moments"]["idle"])
    if idle:
        strata, have, say = ("stratum", "has", "says") if idle == 1 else ("strata", "have", "say")
        said.append(f"{idle} {strata} {have} no event and {say} nothing about the coefficients.")
    if "ph_score" in state and not task.shows_times:
        said += [NO_KM, NO_BASELINE] if task.rules else [NO_GRID]
    if "meat" in state:
        said.append(NOT_INDEPENDENT)
    return said


def conventions(task: Cox, robust: bool) -> dict[str, Any]:
    """How the numbers are to be read, for a methods section."""
    said = wording.conventions()
    if robust:
        by = f"summed by {task.cluster}" if task.cluster else "of single rows"
        said["se"] = (
            f"robust (sandwich of score residuals {by}, n and not n - 1, in se_robust, statistic, p, limits, vcov and "
            "the Wald test; se is the model's)"
        )
    said |= {
        "ties": "Efron" if task.ties == "efron" else "Breslow",
        "at_risk": "entry < time of the event <= time" if task.entry else "time of the event <= time",
        "baseline": "cumulative hazard of a patient with 0 in every column",
        "ph_test": "score test by term with the Kaplan-Meier transform of time (ph_test) and with time itself "
        "(ph_test_identity), by the model's information",
        "concordance": "pairs of which the earlier time is an event and the other patient is then at risk; tied scores "
        "count one half; error by the infinitesimal jackknife",
    }
    if task.strata:
        said["strata"] = f"one baseline hazard for each {'hospital' if task.strata == SITE else task.strata}"
        said["concordance"] += "; pairs within strata only"
    return said


def calls(task: Cox) -> dict[str, str]:
    """The same analysis of one table in R and in Python."""
    r = wording.r_name
    event, happened = wording.happened(task.spec(task.event))
    times = ", ".join([*([r(task.entry)] if task.entry else []), r(task.time), event])
    sides = [":".join(r(part) for part in term.split(":")) for term in task.predictors]
    given = [f"strata({r(task.strata)})"] if task.strata else []
    formula = f"Surv({times}) ~ {' + '.join([*sides, *given])}"
    more = [f"cluster = {r(task.cluster)}"] if task.cluster else (["robust = TRUE"] if task.robust else [])
    if task.robust and task.entry and not task.cluster:  # of rows with entry times R asks who is who
        more = ["cluster = seq_len(nrow(d))"]
    fit = ", ".join([formula, "d", f'ties = "{task.ties}"', *more])
    control = (
        "control = coxph.control(eps = 1e-11, iter.max = 100)"  # smaller than R's own tolerance is a warning
    )
    table = f"d.assign(**{{{task.event!r}: {happened}}})" if task.spec(task.event).type == "factor" else "d"
    named = [
        f"duration_col={task.time!r}",
        f"event_col={task.event!r}",
        f"formula={wording.python_formula('y', task.predictors).split(' ~ ', 1)[1]!r}",
        *([f"entry_col={task.entry!r}"] if task.entry else []),
        *([f"strata=[{task.strata!r}]"] if task.strata else []),
        *([f"cluster_col={task.cluster!r}"] if task.cluster else []),
        *(["robust=True"] if task.is_robust else []),
    ]
    ties = "" if task.ties == "efron" else "  # lifelines has Efron's ties only"
    return {
        "r": f"library(survival); fit <- coxph({fit}, {control}); summary(fit); logLik(fit); cox.zph(fit); "
        "basehaz(fit, centered = FALSE)",
        "python": f"import lifelines; fit = lifelines.CoxPHFitter().fit({table}, {', '.join(named)}); "
        f"fit.summary.to_string(); fit.log_likelihood_; fit.concordance_index_{ties}",
    }

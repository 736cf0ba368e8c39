"""Sentences of the regressions: notes, conventions, figures and the same analysis in R and in Python.

Words only. What does not live here: any number that is not handed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from friendlyfl.tasks.dictionary import ColumnSpec
from friendlyfl.tasks.report import Figure

NO_ROWS = "No row has a value in every column of this step, so there is nothing to analyse."
NO_NULL = "Even a model without predictors has no finite answer: the outcome is the same for every patient."
UNIT_TOO_FAR = (
    "The outcome's values are too large or too close to 0 for sums of squares: choose another unit for it."
)
ALL_ZERO = (
    "The outcome is the same for every patient in this analysis: 0, or so close to 0 that it cannot be told from it. "
    "If it should vary, choose another unit for it."
)
EVENTS_PER_TERM = 10


def listed(items: Sequence[str]) -> str:
    """A list as people write it: “a”, “b” and “c”."""
    quoted = [f"“{item}”" for item in items]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def no_convergence(rounds: int | None, decrement: float | None) -> str:
    """Why there are no coefficients; the decrement is the squared distance from the answer in standard errors."""
    after = (
        "The search stopped" if rounds is None else f"The search did not reach an answer in {rounds} rounds"
    )
    last = "" if decrement is None else f" (the last decrement was {decrement:.2g})"
    return f"{after}{last}: no coefficients are given. Try fewer predictors, or join rare levels."


def separation(lost: Sequence[str], all_of_them: bool, alike: str = "all have the same outcome") -> str:
    """What R's user knows as “fitted probabilities numerically 0 or 1 occurred”, with the terms named."""
    if len(lost) == 1:
        found = (
            f"Separation: the estimate of {listed(lost)} grows without bound, because it marks patients who {alike}. "
            "It has no standard error, and its value is only where the search stopped."
        )
    else:
        found = (
            f"Separation: the estimates of {listed(lost)} grow without bound, because together they mark patients "
            f"who {alike}. They have no standard errors, and their values are only where the search stopped."
        )
    others = "" if all_of_them else " The other terms are not affected."
    return f"{found}{others} Join rare levels, leave such terms out, or describe these groups in a table."


def dropped(dependent: Sequence[str], constant: Sequence[str]) -> list[str]:
    """Why terms are missing from the coefficients."""
    notes = []
    if constant:
        was, it = ("was", "it is") if len(constant) == 1 else ("were", "they are")
        notes.append(f"{listed(constant)} {was} left out: {it} the same for every patient in this analysis.")
    if dependent:
        was = "was" if len(dependent) == 1 else "were"
        notes.append(f"{listed(dependent)} {was} left out: the terms before already say the same.")
    return notes


MUCH_DISPERSION = 1.5
NO_DISPERSION = (
    "There are as many terms as patients, so the dispersion cannot be estimated and there are no standard errors. "
    "Try fewer predictors."
)
FAR_FROM_FIT = (
    "Some patients are so far from what the model expects that Pearson's chi-square, and a dispersion by it, cannot be "
    "given: look at the offset and at extreme values."
)
NO_ROBUST_SEPARATED = "Robust errors are not given where a term has no finite estimate; se is the model's."


def no_robust(kind: str) -> str:
    """Why a sandwich has no filling."""
    if kind == "HC3":
        return (
            "HC3 errors cannot be computed: some patients alone decide their fitted value, as the only one of a level "
            "or hospital does. Choose HC0 or HC1, or join rare levels."
        )
    return f"{kind} errors cannot be computed: there are as many terms as patients. Try fewer predictors."


def overdispersed(ratio: float) -> str:
    """When a Poisson model's errors are too small."""
    return (
        f"The counts vary {ratio:.1f} times as much as a Poisson law says, so these errors are too small: use "
        "dispersion estimated, robust errors or negative binomial regression."
    )


def few_events(events: float, terms: int) -> list[str]:
    """A warning when the rarer outcome is too rare for so many terms."""
    if terms == 0 or events >= EVENTS_PER_TERM * terms:
        return []
    return [
        f"There are {events / terms:.1f} events for each term, fewer than {EVENTS_PER_TERM}: "
        "estimates may be too large and intervals too narrow."
    ]


def conventions(robust: str = "none", t: bool = False) -> dict[str, Any]:
    """How the numbers of a regression are to be read, for a methods section."""
    se = "model (inverse information at the reported estimate)"
    if t:
        se = "model (residual variance over n - p)"
    if robust != "none":
        se = f"robust ({robust} sandwich in se_robust, statistic, p, limits, vcov and the Wald test; se is the model's)"
    return {
        "se": se,
        "ci": "t" if t else "wald",
        "level": 0.95,
        "contrasts": "treatment, the first level of a factor is the reference",
        "missing": "complete cases over the columns named",
    }


def forest(title: str, ratio: str, any_terms: bool) -> list[Figure]:
    """The forest plot of a regression's coefficients."""
    if not any_terms:
        return []
    text = f"{ratio} with its 95% confidence interval for each term; the line at 1 means no difference."
    title = f"{title}: {ratio.lower().replace('ratio', 'ratios', 1)}"
    return [Figure("Forest", title, text, table="coefficients", axis=ratio, ratio=True)]


def forest_of_differences(title: str, axis: str) -> list[Figure]:
    """The forest plot of coefficients that are differences and no ratios."""
    text = f"{axis} with its 95% confidence interval for each term; the line at 0 means no difference."
    several = axis.replace("Difference", "differences", 1)
    return [Figure("Forest", f"{title}: {several}", text, table="coefficients", axis=axis)]


def r_name(name: str) -> str:
    """A column's name as R reads it in a formula."""
    plain = re.fullmatch(r"(?:[A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*", name)
    return name if plain else f"`{name}`"


def r_formula(outcome: str, terms: Sequence[str]) -> str:
    sides = [":".join(r_name(part) for part in term.split(":")) for term in terms]
    return f"{r_name(outcome)} ~ {' + '.join(sides) or '1'}"


def python_formula(outcome: str, terms: Sequence[str]) -> str:
    """A formula for statsmodels (patsy); names that are not Python's are quoted."""

    def name(text: str) -> str:
        return text if text.isidentifier() else f'Q("{text}")'

    sides = [":".join(name(part) for part in term.split(":")) for term in terms]
    return f"{name(outcome)} ~ {' + '.join(sides) or '1'}"


# R's glm also calls columns dependent by a thousandth of epsilon: below 1e-12 it misses them and its numbers are noise.
R_CONTROL = "control = glm.control(epsilon = 1e-10, maxit = 200)"
# Columns that the ones before already say, which statsmodels does not leave out by itself.
INDEPENDENT = (
    "z = (x / (x**2).sum() ** 0.5).fillna(0); "
    "ranks = [0, *(np.linalg.matrix_rank(z.iloc[:, : i + 1], tol=1e-7) for i in range(x.shape[1]))]; "
    "x = x.loc[:, np.diff(ranks) > 0]"
)


def python_fit(model: str, formula: str, options: Sequence[str], aliased: bool, how: str = "") -> str:
    """A fit by statsmodels, from a formula where that can do; `model` is its class, `how` what `fit` is given."""
    if not aliased:
        call = ", ".join([repr(formula), "d", *options])
        return f"import statsmodels.formula.api as smf; fit = smf.{model.lower()}({call}).fit({how})"
    call = ", ".join(["y", "x", *options])
    return (
        "import patsy; import numpy as np; import statsmodels.api as sm; "
        f"y, x = patsy.dmatrices({formula!r}, d, return_type='dataframe'); {INDEPENDENT}; "
        f"fit = sm.{model}({call}).fit({how})"
    )


def python_sandwich(kind: str) -> str:
    """Robust errors of a GLM fitted as `fit`: statsmodels' own do not tell HC0, HC1 and HC3 apart."""
    steps = [
        "x = fit.model.exog",
        "s = fit.model.score_factor(fit.params, scale=1.0)",
        "c = fit.model.hessian_factor(fit.params, scale=1.0, observed=False)",
        "v = np.linalg.inv((x.T * c) @ x)",
        *(["s = s / (1 - c * ((x @ v) * x).sum(axis=1))"] if kind == "HC3" else []),
        "cov = v @ (x.T * s**2) @ x @ v" + (" * len(s) / (len(s) - len(v))" if kind == "HC1" else ""),
        "pd.DataFrame({'estimate': fit.params, 'se_robust': np.sqrt(np.diag(cov))})",
    ]
    return "import numpy as np; import pandas as pd; " + "; ".join(steps)


def happened(spec: ColumnSpec) -> tuple[str, str]:
    """Whether the event happened, from a yes/no column: in R's formula, and from a data frame `d` of pandas."""
    name, column = r_name(spec.name), f"d[{spec.name!r}]"
    if spec.type != "factor":
        return name, column
    return f"{name} == {quoted(spec.levels[1])}", f"({column} == {spec.levels[1]!r}).astype(int)"


def python_groups(group: str | None) -> str:
    """Names and rows of each group in pandas."""
    return f"d.groupby({group!r}, observed=True)" if group else "[('all', d)]"


def quoted(text: str) -> str:
    """A text as R writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

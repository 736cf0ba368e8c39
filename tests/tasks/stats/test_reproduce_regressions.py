"""The regressions' calls for R and Python: the Python one is run here, of the R one what its author got wrong once.

The R calls were run with R 4.2.2 (MASS 7.3-58.2, survival 3.5-3, sandwich 3.0-2, lmtest 0.9-40, car 3.1-1, emmeans
1.8.4-1) on the data of test_r_regressions and printed the Result's numbers. What does not live here: the Results.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.publication import Step, in_python
from friendlyfl.testing.simulate import simulate

RNG = np.random.default_rng(11)
N = 160
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(20, 90, N),
        "arm": RNG.choice(["none", "low", "high"], N),
        "w": RNG.integers(0, 4, N) / 2.0,
        "o": np.round(RNG.normal(size=N) / 4, 2),
    }
)
TABLE["twice"] = 2 * TABLE.age + 7
TABLE["case"] = np.where(RNG.random(N) < 0.3 + 0.005 * (TABLE.age - 20), "ill", "well")
TABLE["count"] = RNG.poisson(RNG.gamma(1.5, np.exp(0.3 + 0.01 * TABLE.age)))
TABLE["cost"] = np.round(RNG.gamma(0.8, np.exp(6 + 0.02 * TABLE.age)), 2) + 0.01
TABLE["grade"] = RNG.choice(["mild", "fair", "bad"], N)
DICTIONARY = {
    **{name: {"type": "integer"} for name in ("age", "twice", "count")},
    **{name: {"type": "number"} for name in ("w", "o", "cost")},
    "arm": {"type": "factor", "levels": ["none", "low", "high"]},
    "case": {"type": "factor", "levels": ["well", "ill"]},
    "grade": {"type": "factor", "levels": ["mild", "fair", "bad"], "ordered": True},
}
PRIOR = {"weights": "w", "offset": "o"}
ALIASED = "age,twice,arm"
ROBUST = ("HC0", "HC1", "HC3")


def result(task, outcome, predictors="age,arm", **more):
    return simulate(task, [TABLE], DICTIONARY, rules="off", outcome=outcome, predictors=predictors, **more)


def variants():
    for robust in ("none", *ROBUST):
        yield "logistic_regression", "case", {"robust": robust, **PRIOR}
        yield "poisson_regression", "count", {"robust": robust, **PRIOR}
        yield "gamma_regression", "cost", {"robust": robust, **PRIOR}
        yield "linear_regression", "cost", {"robust": robust, **PRIOR}
    for dispersion in ("fixed", "estimated"):
        yield "poisson_regression", "count", {"dispersion": dispersion, "predictors": ALIASED}
        yield "gamma_regression", "cost", {"dispersion": dispersion, **PRIOR}
    yield "logistic_regression", "case", {"predictors": ALIASED}
    yield "linear_regression", "cost", {"predictors": ALIASED}
    yield "negative_binomial_regression", "count", {"offset": "o"}
    yield "negative_binomial_regression", "count", {"se": "joint", "predictors": ALIASED}
    yield "ordinal_logistic_regression", "grade", {"predictors": ALIASED}
    yield "censored_regression", "cost", {"lower": 50, "predictors": "age,arm"}


@pytest.mark.parametrize(("task", "outcome", "more"), list(variants()))
def test_the_python_script_prints_the_numbers_of_the_result(
    task, outcome, more, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("site_1.csv", index=False)
    (tmp_path / "dictionary.json").write_text(json.dumps(DICTIONARY))
    found = result(task, outcome, **more)
    parameters = {"outcome": outcome, "predictors": "age,arm", **more}
    script = in_python(Step(found, parameters), Dictionary.parse(DICTIONARY), 1)
    space = {}
    exec(compile(script, "analysis.py", "exec"), space)
    printed = np.array([float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", capsys.readouterr().out)])
    key = {"linear_regression": "se_robust", "negative_binomial_regression": "se_joint"}.get(
        task, "se_robust"
    )
    for row in found.coefficients:
        threshold = "|" in row["term"]  # statsmodels has errors of the logarithms of their distances
        wide = more.get("se") == "joint" or (more.get("robust", "none") != "none")
        for value in (row["estimate"], None if threshold else row[key] if wide else row["se"]):
            if value is not None:
                assert np.abs(printed - value).min() <= max(6e-4, 6e-4 * abs(value)), (row["term"], value)
    assert "fit" in space or "simulate" in script


@pytest.mark.parametrize("task", ["logistic_regression", "poisson_regression", "gamma_regression"])
def test_r_can_tell_dependent_columns(task):
    """glm's tolerance for them is a thousandth of epsilon: 1e-14 gave errors of 1e12 in R 4.2.2 where this says NA."""
    outcome = {"logistic_regression": "case", "poisson_regression": "count", "gamma_regression": "cost"}[task]
    found = result(task, outcome, ALIASED)
    assert found.aliased == ["twice"] and "epsilon = 1e-10" in found.reproduce.r


@pytest.mark.parametrize("robust", ROBUST)
def test_rows_of_weight_0_take_no_part_in_rs_sandwich(robust):
    """sandwich 3.0-2 divides by the number of all rows in one place and of those with a weight in another."""
    for task, outcome in (("logistic_regression", "case"), ("linear_regression", "cost")):
        assert 'd <- d[d[["w"]] > 0, ]' in result(task, outcome, robust=robust, weights="w").reproduce.r


def test_adjusted_means_have_the_robust_errors_and_all_digits_in_r():
    call = result("linear_regression", "cost", robust="HC3").reproduce.r
    assert 'cov.keep = NULL, vcov. = sandwich::vcovHC(fit, type = "HC3"))), digits = 7)' in call
    assert "car::Anova" not in result("linear_regression", "cost", "").reproduce.r  # it stops without a term


def test_r_has_the_level_that_means_below_its_limit():
    frame = TABLE.assign(low=np.where(TABLE.cost < 100, "yes", "no"))
    known = {**DICTIONARY, "low": {"type": "factor", "levels": ["no", "yes"]}}
    given = {"outcome": "cost", "predictors": "age", "censored": "low", "rules": "off"}
    assert 'low == "yes"' in simulate("censored_regression", [frame], known, **given).reproduce.r

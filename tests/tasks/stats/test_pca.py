"""Principal components over hospitals: scikit-learn, R's printed answers for USArrests, other cuts, odd data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.pca import Pca, components
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

RNG = np.random.default_rng(4)
TABLE = pd.DataFrame({"age": RNG.integers(20, 90, 200)})
TABLE["sbp"] = np.round(100 + 0.5 * TABLE.age + RNG.normal(size=200) * 12)
TABLE["bmi"] = np.round(25 + 0.05 * TABLE.sbp + RNG.normal(size=200) * 3, 1)
TABLE["cells"] = RNG.integers(1, 400, 200) * 1_000_000
TABLE["smoker"] = (RNG.random(200) < 0.3).astype(int)
NAMES = ["age", "sbp", "bmi", "cells"]


def of(frames, variables=NAMES, **more):
    return simulate(Pca, frames, rules="off", variables=variables, **more)


def loadings(result):
    rows = result.tables["loadings"]
    return np.array([[row[name] for name in row if name.startswith("PC")] for row in rows], dtype=float)


def variances(result):
    return np.array([row["variance"] for row in result.tables["variance"]], dtype=float)


def turned(vectors):
    """The largest of each column positive."""
    return vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])


@pytest.mark.parametrize("scale", [True, False])
def test_scikit_learn_says_the_same(scale):
    result = of(spread(TABLE, 4), scale=scale)
    x = TABLE[NAMES].to_numpy(float)
    x = StandardScaler().fit_transform(x) * np.sqrt(199 / 200) if scale else x - x.mean(axis=0)
    other = PCA(svd_solver="full").fit(x)
    assert variances(result) == pytest.approx(other.explained_variance_, rel=1e-9)
    assert loadings(result) == pytest.approx(turned(other.components_.T), abs=1e-8)
    shares = [row["proportion"] for row in result.tables["variance"]]
    assert shares == pytest.approx(other.explained_variance_ratio_, rel=1e-9) and sum(
        shares
    ) == pytest.approx(1)
    assert [row["component"] for row in result.tables["variance"]] == ["PC1", "PC2", "PC3", "PC4"]
    means = {row["variable"]: (row["mean"], row["sd"]) for row in result.tables["means"]}
    assert means["bmi"] == pytest.approx((TABLE.bmi.mean(), TABLE.bmi.std()), rel=1e-12)
    assert result.rounds == 2 and result.exact is True
    assert any("keep their units" in note for note in result.notes) is not scale


def test_the_answer_r_printed_for_iris():
    """prcomp(iris[, 1:4]) with R's own iris, which differs from Fisher's copy here in two rows of three values."""
    x = load_iris().data.copy()
    x[34, 3], x[37, 1], x[37, 2] = 0.2, 3.6, 1.4
    names = ["sl", "sw", "pl", "pw"]
    result = of(spread(pd.DataFrame(x, columns=names), 3), names)
    assert np.sqrt(variances(result)) == pytest.approx([2.0563, 0.49262, 0.2797, 0.15439], abs=6e-5)
    assert loadings(result)[:, 0] == pytest.approx(
        [0.36138659, -0.08452251, 0.85667061, 0.35828920], abs=6e-9
    )
    assert np.abs(loadings(result)[:, 1]) == pytest.approx(
        [0.65658877, 0.73016143, 0.17337266, 0.07548102], abs=6e-9
    )


@pytest.fixture(scope="module")
def whole():
    return of([TABLE], scale=True)


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    result = of(spread(TABLE, sites, seed), scale=True)
    assert variances(result) == pytest.approx(variances(whole), rel=1e-12)
    assert loadings(result) == pytest.approx(loadings(whole), abs=1e-11)


def test_one_row_at_a_site_and_the_order_of_sites():
    labels = np.where(TABLE.index == 3, 1, 2 + TABLE.smoker)
    one, two = of(cut(TABLE, labels)), of(cut(TABLE, labels)[::-1])
    assert one.tables == two.tables
    assert variances(one) == pytest.approx(variances(of([TABLE])), rel=1e-12)


def test_far_values_keep_their_spread():
    table = TABLE.assign(age=TABLE.age / 1000 + 2000.0, sbp=TABLE.sbp + 5e6)
    assert variances(of(spread(table, 3), scale=True)) == pytest.approx(
        variances(of([TABLE], scale=True)), rel=1e-7
    )


def test_dependent_columns_and_more_variables_than_rows():
    table = TABLE.assign(twice=TABLE.age * 2.0)
    assert variances(of(spread(table, 2), ["age", "sbp", "twice"]))[2] == pytest.approx(0, abs=1e-9)
    few = of([TABLE.iloc[:2], TABLE.iloc[2:3]])
    assert [row["component"] for row in few.tables["variance"]] == ["PC1", "PC2", "PC3"]


def test_a_constant_column():
    table = TABLE.assign(bmi=0.1)
    assert "“bmi” cannot be scaled" in of(spread(table, 2), scale=True).notes[0]
    assert of(spread(table, 2), scale=True).tables == {}
    plain = of(spread(table, 2), ["age", "bmi"])
    assert variances(plain)[1] == 0.0 and loadings(plain)[:, 0].tolist() == [1.0, 0.0]
    assert of(spread(table, 2), ["bmi"]).tables["variance"][0]["proportion"] is None


def test_one_row_and_text_are_sentences():
    assert "two" in of([TABLE.head(1)]).notes[0]
    with pytest.raises(UsageError, match="sex"):
        of([TABLE.assign(sex="f")], ["sex"])


def test_missing_values_drop_rows():
    table = TABLE.copy()
    table.loc[:4, "bmi"] = np.nan
    result = of(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (195, 5)
    assert variances(result) == pytest.approx(variances(of([TABLE.iloc[5:]])), rel=1e-12)


def test_rules_refuse_rare_values_and_too_many_variables():
    table = TABLE.assign(smoker=(TABLE.index < 3).astype(int))
    outcome = run(Pca, [table, TABLE], parameters={"variables": ["age", "smoker"]})
    assert [row["rule"] for row in outcome.result.privacy.refused] == ["cell"]
    wide = TABLE.head(25).assign(**{f"x{i}": RNG.normal(size=25) for i in range(10)})
    outcome = run(Pca, [wide, wide], parameters={"variables": [f"x{i}" for i in range(10)]})
    assert outcome.result.privacy.refused[0]["rule"] == "ratio"


def test_loadings_of_one_size_take_the_sign_of_the_first():
    for angle in (1.0, -1.0):
        _, vectors = components(np.array([[1.0, 0.3 * angle], [0.3 * angle, 1.0]]), np.ones(2))
        assert (vectors[0] > 0).all() and np.abs(vectors) == pytest.approx(np.sqrt(0.5))


def test_what_every_task_must_keep():
    check_task(Pca, spread(TABLE, 2), variables=["age", "sbp", "smoker"], scale=True)

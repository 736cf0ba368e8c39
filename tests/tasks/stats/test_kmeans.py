"""k-means over hospitals: scikit-learn and Lloyd's rounds by hand, other cuts of the rows, ties, odd data, rules."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import load_iris

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.kmeans import KMeans, nearest_to
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import run, simulate
from tests.tasks.stats.published import cut, spread

RNG = np.random.default_rng(4)
MIDDLES = np.array([[30.0, 110.0], [60.0, 150.0], [75.0, 120.0]])
WHICH = RNG.integers(0, 3, 240)
TABLE = pd.DataFrame(np.round(MIDDLES[WHICH] + RNG.normal(size=(240, 2)) * [6, 9], 1), columns=["age", "sbp"])
NAMES = ["age", "sbp"]
START = "20,100;50,160;80,110"


def of(frames, variables=NAMES, start=START, **more):
    return simulate(
        KMeans, frames, rules="off", variables=variables, **({"start": start} if start else {}), **more
    )


def centres(result, variables=NAMES):
    return np.array([[row[name] for name in variables] for row in result.tables["centres"]], dtype=float)


def lloyd(x, start):
    """By hand, on one table."""
    at = np.array(start, dtype=float)
    while True:
        near = np.argmin(((x[:, None] - at) ** 2).sum(axis=2), axis=1)
        new = np.array([x[near == j].mean(axis=0) for j in range(len(at))])
        if np.allclose(new, at, rtol=0, atol=1e-12):
            return at, near
        at = new


def test_scikit_learn_and_lloyd_by_hand():
    result, x = of(spread(TABLE, 4)), TABLE.to_numpy(float)
    start = [[20, 100], [50, 160], [80, 110]]
    at, near = lloyd(x, start)
    other = Reference(3, init=np.array(start), n_init=1, tol=0, max_iter=100, algorithm="lloyd").fit(x)
    assert centres(result) == pytest.approx(at, rel=1e-13)
    assert centres(result) == pytest.approx(other.cluster_centers_, rel=1e-12)
    rows = result.tables["centres"]
    assert [row["n"] for row in rows] == np.bincount(near).tolist() and sum(row["n"] for row in rows) == 240
    within = [((x[near == j] - at[j]) ** 2).sum() for j in range(3)]
    assert [row["withinss"] for row in rows] == pytest.approx(within, rel=1e-11)
    got = result.statistics
    assert got["tot_withinss"] == pytest.approx(other.inertia_, rel=1e-11)
    assert got["totss"] == pytest.approx(((x - x.mean(axis=0)) ** 2).sum(), rel=1e-11)
    assert got["betweenss"] == pytest.approx(got["totss"] - sum(within), rel=1e-10)
    assert [row["cluster"] for row in result.tables["start"]] == [1, 2, 3] and not result.notes


def test_the_answer_r_printed_for_iris():
    """kmeans(iris[, 1:4], 3) in its best solution: sizes 50, 62 and 38, sums of squares 15.15, 39.82 and 23.88."""
    x = load_iris().data.copy()
    x[34, 3], x[37, 1], x[37, 2] = 0.2, 3.6, 1.4  # R's iris
    names = ["sl", "sw", "pl", "pw"]
    result = of(spread(pd.DataFrame(x, columns=names), 3), names, "5,3.4,1.5,0.2;6,2.8,4.5,1.4;7,3.1,5.8,2.1")
    rows = result.tables["centres"]
    assert [row["n"] for row in rows] == [50, 62, 38]
    assert [row["withinss"] for row in rows] == pytest.approx([15.15100, 39.82097, 23.87947], abs=6e-6)
    assert centres(result, names)[1] == pytest.approx([5.901613, 2.748387, 4.393548, 1.433871], abs=6e-7)
    share = result.statistics["betweenss"] / result.statistics["totss"]
    assert share == pytest.approx(0.884, abs=5e-4)


@pytest.fixture(scope="module")
def whole():
    return of([TABLE])


@settings(max_examples=6, deadline=None)
@given(sites=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_any_cut_of_the_rows_gives_the_same_answer(whole, sites, seed):
    result = of(spread(TABLE, sites, seed))
    assert centres(result) == pytest.approx(centres(whole), rel=1e-13)
    assert result.statistics["tot_withinss"] == pytest.approx(whole.statistics["tot_withinss"], rel=1e-12)
    assert result.rounds == whole.rounds


def test_a_cluster_at_one_site_one_row_and_the_order_of_sites(whole):
    labels = np.where(TABLE.index == 3, 9, WHICH)
    one, two = of(cut(TABLE, labels)), of(cut(TABLE, labels)[::-1])
    assert one.tables == two.tables and one.statistics == two.statistics
    assert centres(one) == pytest.approx(centres(whole), rel=1e-13)


def test_far_and_small_values():
    table = TABLE.assign(age=TABLE.age * 1e-6, sbp=TABLE.sbp * 1e-6)
    small = of(spread(table, 2), start="2e-5,1e-4;5e-5,1.6e-4;8e-5,1.1e-4")
    assert centres(small) * 1e6 == pytest.approx(centres(of([TABLE])), rel=1e-10)


def test_the_first_of_equally_near_centres_takes_a_patient():
    assert nearest_to(np.array([[0.0], [2.0]]), np.array([[1.0], [0.9], [1.1]])).tolist() == [0, 0, 1]


def test_drawn_start_centres_are_told_and_give_the_same_answer_again():
    result = of(spread(TABLE, 3), start="", k=3)
    assert "drawn" in result.notes[0] and len(result.tables["centres"]) == 3
    told = ";".join(",".join(repr(row[name]) for name in NAMES) for row in result.tables["start"])
    again = of(spread(TABLE, 3), start=told)
    assert again.tables["centres"] == result.tables["centres"]
    other = of([TABLE], start="", k=3)
    assert centres(other) == pytest.approx(centres(result), rel=1e-12)


def test_one_cluster_is_the_mean_and_constant_columns_do_no_harm():
    one = of(spread(TABLE, 2), start="", k=1)
    assert centres(one)[0] == pytest.approx(TABLE.mean().to_numpy(), rel=1e-13)
    assert one.statistics["betweenss"] == pytest.approx(0, abs=1e-9)
    flat = of(spread(TABLE.assign(sbp=0.1), 2), start="30,0.1;70,0.1")
    assert [row["sbp"] for row in flat.tables["centres"]] == pytest.approx([0.1, 0.1], rel=1e-14)


def test_an_empty_cluster_is_a_sentence():
    result = of(spread(TABLE, 2), start="20,100;50,160;9000,9000")
    assert "cluster 3" in result.notes[0] and result.tables == {}


def test_wrong_arguments_are_sentences():
    for start, says in [("1,2,3", "2 variables"), ("1,x", "must be numbers"), ("1,2;1,2.0", "differ")]:
        with pytest.raises(UsageError, match=says):
            of([TABLE], start=start)
    with pytest.raises(UsageError, match="number of clusters"):
        of([TABLE], start="")
    with pytest.raises(UsageError, match="start has 3"):
        of([TABLE], k=2)
    with pytest.raises(UsageError, match="cannot be called “n”"):
        of([TABLE.assign(n=1)], ["n"], "1")


def test_missing_values_drop_rows():
    table = TABLE.copy()
    table.loc[:4, "sbp"] = np.nan
    result = of(spread(table, 3))
    assert (result.n.used, result.n.dropped) == (235, 5)
    assert centres(result) == pytest.approx(centres(of([TABLE.iloc[5:]])), rel=1e-13)


def test_few_patients_in_a_cluster_at_a_hospital_are_refused_under_rules():
    table = TABLE.copy()
    table.loc[:2] = 400.0
    outcome = run(KMeans, [table, TABLE], parameters={"variables": NAMES, "start": "60,120;400,400"})
    assert [row["rule"] for row in outcome.result.privacy.refused] == ["cell"]
    assert outcome.result.tables == {}


def test_what_every_task_must_keep():
    check_task(KMeans, spread(TABLE, 2), variables=NAMES, start=START)

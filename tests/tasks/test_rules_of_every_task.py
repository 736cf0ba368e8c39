"""Every task of the catalogue under every rule that can bear on it, on the data set that its own example uses.

One small group is planted, or one number made too large: a rule refuses, nothing but the rule's name and sentence is
sent, and two data sets that differ only in the forbidden number send the same bytes. That small cells which a table may
hide do not show is tested with Table 1 (stats/test_table_one.py) and in test_disclosure.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from friendlyfl import datasets
from friendlyfl.core.errors import RefusedError
from friendlyfl.tasks import Dictionary, EachTask, Task, disclosure, engine, registry
from friendlyfl.tasks.described import Rows, row_sets, too_close
from friendlyfl.tasks.disclosure import RULES, Policy, Refused, refusal
from friendlyfl.testing.simulate import run
from friendlyfl.wire import codec
from friendlyfl.wire.update import Update

TABLES = datasets.load("clinic")
DICTIONARY = Dictionary.parse(datasets.dictionary("clinic"))
NAMES = tuple(registry.BUILT_IN)

# Columns of each example in which a few people are the only ones of their kind: of a group, a class of the outcome, a
# level in a design, an event. None: the task sorts nobody into groups before its rounds.
SMALL: dict[str, tuple[str, ...]] = {
    "connection_check": (),
    "feasibility": ("sex",),
    "table_one": ("treatment",),
    "kaplan_meier": ("treatment", "dead"),
    "logistic_regression": ("readmitted", "treatment", "nyha"),
    "cox": ("dead", "treatment"),
    "linear_regression": ("treatment", "sex"),
    "t_test": ("treatment",),
    "anova": ("sex", "treatment"),
    "chi_square": ("treatment", "readmitted", "sex"),
    "rank_test": ("treatment", "nyha"),
    "correlation": (),
    "poisson_regression": ("treatment", "sex"),
    "gamma_regression": ("treatment", "nyha"),
    "negative_binomial_regression": ("treatment", "sex"),
    "roc": ("readmitted",),
    "calibration": ("readmitted",),
    "competing_risks": ("treatment", "status"),
    "fine_gray": ("status", "treatment"),
    "iptw": ("treatment", "diabetes"),
    "ordinal_logistic_regression": ("nyha", "sex"),
    "censored_regression": ("troponin_low", "sex"),
    "weibull_regression": ("dead", "treatment"),
    "pca": (),
    "kmeans": (),
    "meta_analysis": ("readmitted", "treatment"),
    "fedavg_sklearn": ("readmitted", "nyha"),
    "fedavg_torch": ("readmitted", "nyha"),
}
# A design whose number of coefficients the rule bounds; the others fit none.
FITTED = (
    "logistic_regression", "cox", "linear_regression", "poisson_regression", "gamma_regression",
    "negative_binomial_regression", "fine_gray", "iptw", "ordinal_logistic_regression", "censored_regression",
    "weibull_regression", "pca", "meta_analysis", "fedavg_sklearn", "fedavg_torch",
)  # fmt: skip
BY_TIME = ("kaplan_meier", "competing_risks", "fine_gray")
# These count people at every step of a grid, where nearly each cell is small: refused as they stand.
ON_A_GRID = (*BY_TIME, "roc")


def made(name: str, *, secure: bool | None = None, sites: int = 3, where: str = "") -> Task:
    """The example's task at site 2; what is by time is inside a secure sum, so that other rules are reached."""
    if name == "fedavg_torch":
        pytest.importorskip("torch")
    task = registry.find(name)
    secure = name in BY_TIME if secure is None else secure
    parameters = dict(task.example)
    return engine.make_task(name, None, parameters, DICTIONARY, sites, site=2, secure_sum=secure, where=where)


def said(task: Task, name: str, frame: pd.DataFrame, policy: Policy, number: int = 1) -> tuple[str, bytes]:
    """What a site answers in the round: the rule that refused, and the bytes that leave."""
    try:
        problems, table = engine.plan_check(task, name, frame, policy)
        for problem in problems:
            raise problem
        assert table is not None
        state = {**codec.decode(codec.encode(engine.begin(task)), limit=10**9), engine.ROUND: number}
        return "", Update.of(engine.local(task, table, state, policy)).to_bytes()
    except Refused as error:
        return error.rule, codec.encode(refusal(error.rule))


def small(column: str, count: int) -> pd.DataFrame:
    """Exactly so many people hold the rarest value of the column; the rest of those who held it have the commonest."""
    frame = TABLES[2].copy()
    values = frame[column].value_counts()
    held = np.flatnonzero(frame[column] == values.index[-1])
    frame.loc[frame.index[held[count:]], column] = values.index[0]
    assert (frame[column] == values.index[-1]).sum() == count
    return frame


def refused_alike(name: str, rule: str, answer: Callable[[int], tuple[str, bytes]], *counts: int) -> None:
    answers = [answer(count) for count in counts]
    assert answers == [(rule, codec.encode(refusal(rule)))] * len(counts), name


def test_the_tables_name_every_task_and_every_rule() -> None:
    assert tuple(sorted(SMALL)) == tuple(sorted(NAMES)) and set(FITTED) | set(BY_TIME) < set(NAMES)
    tested = {"tasks", "sum_of_sites", "time", "rounds", "rows", "ratio", "extremes", "probes", "cell"}
    assert {*tested, "difference"} == set(RULES)


def at_rest(name: str, **changed: Any) -> Policy:
    """Rules by which the example passes, and one changed."""
    return Policy(**{"cell": 1 if name in ON_A_GRID else 5, **changed})


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_allowed_by_all_rules_but_the_one_that_is_tested(name: str) -> None:
    """Else the refusals below would prove nothing."""
    assert said(made(name), name, TABLES[2], at_rest(name))[0] == ""
    assert said(made(name), name, TABLES[2], Policy())[0] == ("cell" if name in ON_A_GRID else "")


@pytest.mark.parametrize("name", NAMES)
def test_tasks(name: str) -> None:
    others = tuple(set(NAMES) - {name})
    refused_alike(
        name, "tasks", lambda n: said(made(name), name, TABLES[2].head(n), Policy(tasks=others)), 200
    )


@pytest.mark.parametrize("name", NAMES)
def test_rows(name: str) -> None:
    refused_alike(name, "rows", lambda n: said(made(name), name, TABLES[2].head(n), Policy()), 19, 7, 1)
    assert said(made(name), name, TABLES[2], Policy(rows=len(TABLES[2]) + 1))[0] == "rows"


@pytest.mark.parametrize(("name", "column"), [(name, column) for name in NAMES for column in SMALL[name]])
def test_cell(name: str, column: str) -> None:
    refused_alike(name, "cell", lambda n: said(made(name), name, small(column, n), Policy()), 1, 3, 4)
    assert said(made(name), name, small(column, 3), Policy(cell=1))[0] == ""


@pytest.mark.parametrize("name", FITTED)
def test_ratio(name: str) -> None:
    refused_alike(
        name, "ratio", lambda n: said(made(name), name, TABLES[2].head(n), Policy(ratio=0.001)), 200, 150
    )


@pytest.mark.parametrize("name", NAMES)
def test_rounds(name: str) -> None:
    if made(name).most_rounds < 2:
        pytest.skip("asks once")
    task = made(name)
    assert said(task, name, TABLES[2], at_rest(name, rounds=1), number=1)[0] == ""
    refused_alike(name, "rounds", lambda n: said(task, name, TABLES[2], at_rest(name, rounds=1), number=n), 2)


@pytest.mark.parametrize("name", BY_TIME)
def test_time(name: str) -> None:
    refused_alike(
        name, "time", lambda n: said(made(name, secure=False), name, TABLES[2].head(n), Policy()), 200, 3
    )


@pytest.mark.parametrize("name", NAMES)
def test_sum_of_sites(name: str) -> None:
    if issubclass(registry.find(name), EachTask):
        pytest.skip("is never inside a secure sum")
    task = made(name, secure=True, sites=2)
    refused_alike(name, "sum_of_sites", lambda n: said(task, name, TABLES[2].head(n), Policy()), 200, 3)


# --- what is only seen in a round ---


def planted(column: str, value: float, count: int) -> list[pd.DataFrame]:
    """Two hospitals, at one of which so many people alone hold a value."""
    frame = TABLES[2].copy()
    frame[column] = np.where(np.arange(len(frame)) < count, value, frame[column].median())
    return [TABLES[1], frame]


@pytest.mark.parametrize(
    ("name", "rule", "column", "value", "parameters"),
    [
        ("pca", "cell", "age", 90, {}),
        ("kmeans", "cell", "age", 90, {"variables": "age,sbp", "start": "60,120;900,900"}),
        ("calibration", "cell", "readmitted", 1, {}),
        ("meta_analysis", "cell", "readmitted", 1, {}),
    ],
)
def test_in_a_round(name: str, rule: str, column: str, value: float, parameters: dict[str, Any]) -> None:
    outcomes = []
    for count in (1, 4):
        frames = planted(column, value, count)
        if name == "kmeans":
            frames[1].loc[frames[1].index[:count], ["age", "sbp"]] = (110, 240)
        given = {**dict(registry.find(name).example), **parameters}
        outcome = run(name, frames, DICTIONARY, parameters=given)
        assert isinstance(outcome.error, RefusedError)
        assert {row["rule"] for row in outcome.result.privacy.refused} == {rule}
        assert all(sent[1] == codec.encode(refusal(rule)) for sent in outcome.sent[-1:])
        outcomes.append([sent[1] for sent in outcome.sent[-1:]])
    assert outcomes[0] == outcomes[1]


def asked_where(policy: Policy, *, secure: bool, times: int) -> list[str]:
    """Table 1 asks in each round where the values of a column lie."""
    task = made("table_one", secure=secure)
    table = engine.open_table(task, TABLES[2])
    rules = []
    for _ in range(times):
        table.below("age", [50.0])
        try:
            disclosure.check_after(task, table, {}, policy, 1)
            rules.append("")
        except Refused as error:
            rules.append(error.rule)
    return rules


def test_probes() -> None:
    assert asked_where(Policy(probes=2), secure=True, times=3) == ["", "", "probes"]


def test_extremes() -> None:
    """Outside a secure sum the answer to such a question may be one patient's value."""
    assert asked_where(Policy(), secure=False, times=1) == ["extremes"]


# --- between two questions ---


@pytest.mark.parametrize("name", NAMES)
def test_difference(name: str) -> None:
    """Between two steps of a plan, and between two plans."""
    frame = TABLES[2].copy()
    ages = np.sort(frame["age"].unique())
    everybody = made(name)

    def steps_and_plans(count: int) -> tuple[str, str]:
        frame["age"] = np.where(
            np.arange(len(frame)) < count, ages[-1], np.minimum(TABLES[2]["age"], ages[-2])
        )
        fewer = made(name, where=f"age < {ages[-1]}")
        now, then = (
            [Rows("one file", rows, {}) for rows in row_sets(task, frame)] for task in (fewer, everybody)
        )
        try:
            engine.plan_differences([everybody, fewer], frame, Policy())
            within = ""
        except Refused as error:
            within = error.rule
        return within, "difference" if too_close(now, [then], Policy().difference) else ""

    for count in (1, 2, 4):
        assert steps_and_plans(count) == ("difference", "difference")
    assert steps_and_plans(0) == ("", "")
    if not TABLES[2][[name for name in everybody.columns if name in TABLES[2]]].isna().any().any():
        assert steps_and_plans(5) == ("", "")

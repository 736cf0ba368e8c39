"""The Result: every key always there, nothing that JSON does not know, and the way back."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from friendlyfl.core.errors import WireError
from friendlyfl.tasks.report import (
    FIGURE_WORDS,
    Counts,
    Curve,
    Exact,
    Figure,
    Privacy,
    Reproduce,
    Result,
    Vcov,
    plain,
)
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import AML

KEYS = [
    "task",
    "version",
    "rounds",
    "schema",
    "exact",
    "conventions",
    "n",
    "coefficients",
    "aliased",
    "vcov",
    "statistics",
    "tests",
    "tables",
    "curves",
    "figures",
    "notes",
    "privacy",
    "reproduce",
]


def full():
    return Result(
        task="cox",
        version="1.0",
        rounds=6,
        exact=Exact(0.0005, "auc", "scores cut into 1,000 bins"),
        n=Counts(used=90, dropped=None, events=30, per_site=[{"site": 1, "used": 90, "dropped": 0}]),
        coefficients=[{"term": "age", "estimate": np.float64(0.5), "se": float("nan")}],
        vcov=Vcov(("age",), np.array([[np.inf]])),
        statistics={"loglik": np.float64(-3.5)},
        curves=[Curve("survival", "all", [{"time": np.int64(3)}])],
        figures=[Figure("Forest", "Hazard ratios", "One line a term.", table="coefficients")],
        privacy=Privacy(refused=[{"site": 2, "rule": "rows", "sentence": "Refused."}]),
        reproduce=Reproduce(r="coxph()"),
    )


def test_every_key_is_always_there():
    assert list(Result("x", "1").to_json()) == KEYS == list(full().to_json())
    assert set(Result("x", "1").to_json()["n"]) == {"used", "dropped", "events", "clusters", "per_site"}


def test_json_takes_it_as_it_is():
    text = json.dumps(full().to_json(), allow_nan=False)
    assert json.loads(text)["coefficients"][0]["se"] is None
    assert json.loads(text)["vcov"]["values"] == [[None]]


def test_there_and_back():
    values = full().to_json()
    again = Result.from_json(json.loads(json.dumps(values)))
    assert again.to_json() == values and again.exact == Exact(0.0005, "auc", "scores cut into 1,000 bins")
    assert again.curves[0].points == [{"time": 3}]


@pytest.mark.parametrize("change", [{"schema": 2}, {"extra": 1}, {"n": {"used": 1}}, {"vcov": 3}])
def test_what_is_no_result_is_a_sentence(change):
    with pytest.raises(WireError):
        Result.from_json({**full().to_json(), **change})
    with pytest.raises(WireError):
        Result.from_json({key: value for key, value in full().to_json().items() if key != "notes"})


def test_a_figure_is_one_of_a_few_words():
    with pytest.raises(ValueError, match="Pie"):
        Figure("Pie", "", "")


def test_what_json_does_not_know_is_an_error_of_the_author():
    with pytest.raises(TypeError, match="bytes"):
        plain(b"x")


SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "result.schema.json").read_text("utf-8"))


def test_the_schema_in_the_docs_describes_what_is_written():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    check = jsonschema.Draft202012Validator(SCHEMA).validate
    frames = [AML.iloc[::2].reset_index(drop=True), AML.iloc[1::2].reset_index(drop=True)]
    results = [
        Result("x", "1"),
        simulate(
            "kaplan_meier", frames, rules="off", time="time", event="status", group="x", tau=20, times=[10]
        ),
        simulate(
            "logistic_regression", frames, rules="off", outcome="status", predictors=["time"], robust="HC0"
        ),
        simulate("table_one", frames, rules="off", variables=["time", "status"], group="x"),
        simulate("logistic_regression", frames, outcome="status", predictors=["time"]),  # refused
    ]
    for result in results:
        check(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    figures = SCHEMA["properties"]["figures"]["items"]["properties"]["word"]["enum"]
    assert tuple(figures) == FIGURE_WORDS and set(SCHEMA["required"]) == set(KEYS)

"""Terms and designs carry R's names and coding."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary, Table
from friendlyfl.tasks.terms import design_columns, expand

D = Dictionary.parse(
    {
        "x": {"type": "number"},
        "z": {"type": "integer", "range": [0, 9]},
        "a": {"type": "factor", "levels": ["a1", "a2"]},
        "b": {"type": "factor", "levels": ["b1", "b2", "b3"], "ordered": True},
        "c": {"type": "factor", "levels": ["no", "yes"]},
        "p:q": {"type": "number"},
        "t": {"type": "text"},
    }
)


def names(*texts: str, sites: int = 1) -> list[str]:
    return [column.name for column in design_columns(expand(texts, D), D, sites)][1:]


@pytest.mark.parametrize(
    ("texts", "terms"),
    [
        (["x", "a"], ["x", "a"]),
        (["x:a", "x", "a"], ["x", "a", "x:a"]),
        (["a*b"], ["a", "b", "a:b"]),
        (["a*b*c"], ["a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"]),
        (["a*b", "x"], ["a", "b", "x", "a:b"]),
        (["x", "x", "a", "a:x", "x:a"], ["x", "a", "x:a"]),
        (["x:x"], ["x"]),
        (["b:a", "a", "b"], ["b:a", "a", "b"][1:] + ["b:a"]),
        (["p:q", "p:q"], ["p:q"]),
        ([".site", "x:.site"], [".site", ".site:x"]),
    ],
)
def test_terms_are_ordered_as_in_r(texts: list[str], terms: list[str]) -> None:
    assert list(expand(texts, D)) == terms


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # colnames(model.matrix(~ ...))[-1] of R
        (["x", "a", "b"], ["x", "aa2", "bb2", "bb3"]),
        (["a", "b", "a:b"], ["aa2", "bb2", "bb3", "aa2:bb2", "aa2:bb3"]),
        (["b", "a", "b:a"], ["bb2", "bb3", "aa2", "bb2:aa2", "bb3:aa2"]),
        (["b", "c", "b:c"], ["bb2", "bb3", "cyes", "bb2:cyes", "bb3:cyes"]),
        (["x", "x:b"], ["x", "x:bb2", "x:bb3"]),
        (["x:b"], ["x:bb1", "x:bb2", "x:bb3"]),
        (["a:b"], ["aa1:bb1", "aa2:bb1", "aa1:bb2", "aa2:bb2", "aa1:bb3", "aa2:bb3"]),
        (["a", "a:b"], ["aa2", "aa1:bb2", "aa2:bb2", "aa1:bb3", "aa2:bb3"]),
        (["x", "z", "x:z"], ["x", "z", "x:z"]),
    ],
)
def test_columns_are_named_and_coded_as_in_r(texts: list[str], expected: list[str]) -> None:
    assert names(*texts) == expected


def test_site_is_a_factor_of_numbers() -> None:
    assert names(".site", "x", sites=3) == [".site2", ".site3", "x"]
    assert names(".site", "x", sites=1) == ["x"]


@pytest.mark.parametrize("text", ["", "x:", "*", "w", "t", "x:w", "x+a", ":"])
def test_what_is_no_term_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError):
        expand([text], D)


@given(st.lists(st.sampled_from(["x", "z", "a", "b", "c"]), min_size=1, max_size=3), st.integers(1, 40))
def test_a_design_is_the_product_of_its_columns(parts: list[str], rows: int) -> None:
    """Against columns multiplied by hand, one row at a time."""
    rng = np.random.default_rng(rows)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "z": rng.integers(0, 9, rows),
            "a": rng.choice(["a1", "a2"], rows),
            "b": rng.choice(["b1", "b2", "b3"], rows),
            "c": rng.choice(["no", "yes"], rows),
        }
    )
    terms = expand(["*".join(parts)], D)
    design = Table.build(frame, D, list("xzabc")).design(terms)
    columns = design_columns(terms, D, 1)
    assert design.shape == (rows, len(columns))
    for place, column in enumerate(columns):
        for row in range(rows):
            value = 1.0
            for part in column.name.split(":") if place else []:
                name, level = part[0], part[1:]
                held = frame[name][row]
                value *= float(held == level) if level else float(held)
            assert design[row, place] == value


def test_agrees_with_statsmodels_formulas() -> None:
    """A second opinion on main effects and interactions with all margins present."""
    formulaic = pytest.importorskip("formulaic")
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=30), "a": rng.choice(["a1", "a2"], 30), "b": list("123") * 10})
    frame["b"] = "b" + frame["b"]
    ours = Table.build(frame, D, ["x", "a", "b"]).design(expand(["x*a*b"], D))
    theirs = np.asarray(formulaic.model_matrix("x*a*b", frame))
    assert ours.shape == theirs.shape
    assert np.array_equal(np.sort(ours, axis=1), np.sort(theirs, axis=1))

"""A site's own columns onto the dictionary: JSON there and back, every step of a mapping, and its sentences."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import mapping as m
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.mapping import ColumnMap, Mapping, apply, identity_mapping, problems
from friendlyfl.tasks.source import read_csv
from friendlyfl.tasks.values import DataError

DICTIONARY = Dictionary.parse(
    {
        "age": {"type": "integer", "range": [0, 120]},
        "crp": {"type": "number", "range": [0, 600], "step": 0.1},
        "sex": {"type": "factor", "levels": ["female", "male"]},
        "seen": {"type": "date", "range": ["2015-01-01", "2025-12-31"]},
        "ward": {"type": "text"},
    }
)


def made(entry, frame, **spec):
    """One column `x` of this kind, made by this entry."""
    return apply(Mapping({"x": entry}), pd.DataFrame(frame), Dictionary.parse({"x": spec}))["x"]


NAMES = st.text(min_size=1, max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def entries(draw):
    derive = draw(st.sampled_from(["", *m.DERIVATIONS]))
    return ColumnMap(
        column=draw(NAMES),
        missing=tuple(draw(st.lists(NAMES, max_size=3))),
        derive=derive,
        to=draw(NAMES) if derive in m.BETWEEN else "",
        bound=draw(FINITE) if derive in m.COMPARISONS else None,
        recode=draw(st.dictionaries(NAMES, st.none() | NAMES, max_size=3)),
        factor=draw(FINITE.filter(bool)),
        offset=draw(FINITE),
        decimals=draw(st.none() | st.integers(0, 15)),
    )


@settings(max_examples=100, deadline=None)
@given(columns=st.dictionaries(NAMES, entries(), max_size=4))
def test_json_there_and_back(columns):
    mapping = Mapping(columns)
    assert Mapping.from_json(json.loads(json.dumps(mapping.to_json()))) == mapping


WRONG = [
    ([], "keys “v” and “columns”"),
    ({"v": 1}, "keys “v” and “columns”"),
    ({"v": 2, "columns": {}}, "version"),
    ({"v": True, "columns": {}}, "version"),
    ("age", "needs the name of a column"),
    ({"column": ""}, "needs the name of a column"),
    ({"column": "a", "code": "x"}, "the key “code”, which is not known"),
    ({"column": "a", "recode": {"1": 2}}, "needs a level or null"),
    ({"column": "a", "missing": "NA"}, "missing codes as texts"),
    ({"column": "a", "factor": "2"}, "needs a number as its factor"),
    ({"column": "a", "offset": float("nan")}, "needs a number as its offset"),
    ({"column": "a", "factor": 0}, "other than 0"),
    ({"column": "a", "decimals": 1.0}, "0 to 15 decimals"),
    ({"column": "a", "derive": "sum"}, "can be derived by years_between"),
    ({"column": "a", "derive": 3}, "can be derived by years_between"),
    ({"column": "a", "derive": "days_between"}, "two date columns"),
    ({"column": "a", "to": "b"}, "two date columns"),
    ({"column": "a", "derive": "at_least"}, "needs a bound"),
    ({"column": "a", "bound": 3}, "needs a bound"),
]


@pytest.mark.parametrize(("value", "words"), WRONG)
def test_what_is_no_mapping_is_refused_by_a_sentence(value, words):
    whole = value if isinstance(value, list) or "v" in value else {"v": 1, "columns": {"x": value}}
    with pytest.raises(UsageError) as caught:
        Mapping.from_json(whole)
    assert words in caught.value.message and caught.value.message.endswith(".")


def test_identity_proposes_names_and_levels(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("AGE,crp,CRP,S e_x,Seen\n12,1.5,9,Male,2020-01-01\n30,,8,FEMALE,\n")
    source = read_csv(path)
    proposed = identity_mapping(DICTIONARY, source)
    assert {name: entry.column for name, entry in proposed.columns.items()} == {
        "age": "AGE",
        "crp": "crp",
        "sex": "S e_x",
        "seen": "Seen",
    }
    assert proposed.columns["sex"].recode == {"Male": "male", "FEMALE": "female"}
    assert proposed.unmapped(DICTIONARY) == ("ward",) and proposed.sources == ("AGE", "crp", "S e_x", "Seen")
    table = apply(proposed, source.frame, DICTIONARY)
    assert table["sex"].tolist() == ["male", "female"]
    assert [str(dtype) for dtype in table.dtypes] == ["Int64", "float64", "string", "datetime64[s]"]
    assert table["seen"].isna().tolist() == [False, True]
    assert identity_mapping(DICTIONARY, pd.DataFrame({"Age": [1], "AGE": [2]})).columns == {}


def test_levels_codes_and_gaps():
    entry = ColumnMap("g", missing=("9",), recode={"1": "male", "2": "female", "x": None})
    sex = {"type": "factor", "levels": ["female", "male"]}
    assert made(entry, {"g": [1.0, 2, None, 9]}, **sex).tolist() == ["male", "female", pd.NA, pd.NA]
    assert made(entry, {"g": ["1", "x", "female"]}, **sex).tolist() == ["male", pd.NA, "female"]
    with pytest.raises(DataError, match="“x” holds “3” in row 2") as caught:
        made(entry, {"g": [1, 3]}, **sex)
    assert caught.value.code == "level_unknown"


def test_numbers_units_and_rounding():
    pounds = ColumnMap("lb", factor=0.45359237, decimals=1)
    assert made(pounds, {"lb": [150, None, 200]}, type="number", step=0.1).tolist()[::2] == [68.0, 90.7]
    fahrenheit = ColumnMap("f", missing=("-9",), factor=5 / 9, offset=-160 / 9, decimals=1)
    assert made(fahrenheit, {"f": [98.6, -9]}, type="number").round(9).tolist()[0] == 37.0
    text = ColumnMap("n", missing=("NA", "."))
    assert made(text, {"n": ["1", "NA", ".", "2.5"]}, type="number").tolist()[::3] == [1.0, 2.5]
    untouched = [0.1, 1 / 3, 1e-300, 5e-324]
    assert made(ColumnMap("n"), {"n": untouched}, type="number").tolist() == untouched
    with pytest.raises(DataError, match="something other than a number in row 2"):
        made(pounds, {"lb": ["1", "heavy"]}, type="number")
    with pytest.raises(DataError, match="“a” holds something other than a number"):
        made(ColumnMap("a", factor=2), {"a": pd.to_datetime(["2020-01-01"])}, type="number")
    with pytest.raises(DataError, match="no number, so its unit"):
        made(pounds, {"lb": ["a"]}, type="factor", levels=["a"])
    with pytest.raises(DataError, match="it should be a whole number"):
        made(ColumnMap("n"), {"n": [1.5]}, type="integer")
    with pytest.raises(DataError, match="in rows 2 and 3: that is outside") as caught:
        made(ColumnMap("n"), {"n": [1, -1, 200]}, type="integer", range=[0, 120])
    assert caught.value.code == "out_of_range"


def test_derivations():
    frame = {
        "born": ["1980-02-29", "1980-03-01", "2000-12-31", "1999-01-01", None],
        "seen": pd.to_datetime(["2021-02-28", "2021-03-01", "2021-01-01", "2021-09-09", "2021-01-01"]),
        "temp": [38.5, 36.0, None, 40.0, -9],
    }
    years = ColumnMap("born", derive="years_between", to="seen", missing=("1999-01-01",))
    assert made(years, frame, type="integer").tolist() == [40, 41, 20, pd.NA, pd.NA]
    days = ColumnMap("born", derive="days_between", to="seen")
    assert made(days, frame, type="integer").tolist()[:2] == [14975, 14975]
    assert made(ColumnMap("seen", derive="year_of"), frame, type="integer").tolist() == [2021] * 5
    fever = ColumnMap("temp", derive="at_least", bound=38.5, missing=("-9",))
    assert made(fever, frame, type="integer").tolist() == [1, 0, pd.NA, 1, pd.NA]
    for derive, expected in (("above", [0, 0]), ("at_most", [1, 1]), ("below", [0, 1])):
        entry = ColumnMap("temp", derive=derive, bound=38.5, missing=("-9",))
        assert made(entry, frame, type="integer").tolist()[:2] == expected
    words = ColumnMap("temp", derive="at_least", bound=38.5, recode={"1": "yes", "0": "no"})
    assert made(words, frame, type="factor", levels=["no", "yes"]).tolist()[:2] == ["yes", "no"]
    with pytest.raises(DataError, match="“x”: “born” is before “seen” in rows"):
        made(ColumnMap("seen", derive="years_between", to="born"), frame, type="integer")
    with pytest.raises(DataError, match="“temp” holds something other than a date in rows"):
        made(ColumnMap("temp", derive="year_of"), frame, type="integer")


@settings(max_examples=60, deadline=None)
@given(born=st.dates(max_value=pd.Timestamp("2020-01-01").date()), days=st.integers(0, 40_000))
def test_whole_years_count_birthdays(born, days):
    seen = born + pd.Timedelta(days=days).to_pytimedelta()
    years = made(
        ColumnMap("born", derive="years_between", to="seen"), {"born": [born], "seen": [seen]}, type="integer"
    )
    had_birthday = (seen.month, seen.day) >= (born.month, born.day)
    assert years.tolist() == [seen.year - born.year - (not had_birthday)]


def test_missing_columns_have_sentences():
    frame = pd.DataFrame({"alter": [1], "x": ["a"]})
    mapping = Mapping({"age": ColumnMap("alters"), "sex": ColumnMap("x")})
    with pytest.raises(DataError, match="no column “alters”. Did you mean “alter”"):
        apply(mapping, frame, DICTIONARY)
    with pytest.raises(DataError, match="“crp” is not mapped"):
        apply(mapping, frame, DICTIONARY, columns=["crp"])
    with pytest.raises(UsageError, match="no column “crpp”"):
        apply(mapping, frame, DICTIONARY, columns=["crpp"])
    found = problems(mapping, frame, DICTIONARY)
    assert set(found) == set(DICTIONARY) and "none of its levels" in found["sex"]
    assert found["ward"] == "Choose a column of this hospital."
    assert (
        problems(Mapping({"age": ColumnMap("alter")}), frame, Dictionary.parse({"age": {"type": "integer"}}))
        == {}
    )

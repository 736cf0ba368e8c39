"""Inclusion criteria: what is read, what is met, how it is said, and the place that a sentence names."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary, engine
from friendlyfl.tasks.cohort import Cohort, conditions
from friendlyfl.tasks.criteria import Comparison, Joined, Not
from friendlyfl.tasks.disclosure import Policy, Refused
from friendlyfl.testing.simulate import simulate
from tests.tasks.mean import Mean

DICTIONARY = Dictionary.parse(
    {
        "age": {"type": "integer", "label": "Age at admission", "unit": "years", "range": [0, 120]},
        "crp": {"type": "number"},
        "ph.ecog": {"type": "integer"},
        "sex": {"type": "factor", "levels": ["male", "female"]},
        "stage": {"type": "factor", "levels": ["I", "II", "III"], "ordered": True},
        "care unit": {"type": "factor", "levels": ["Intensive care", "in", 'the "new" one', "it's", "1"]},
        "seen": {"type": "date"},
        "ward": {"type": "text"},
    }
)
FRAME = pd.DataFrame(
    {
        "age": [17, 18, 40, np.nan, 90, 65],
        "crp": [0.3, 1.0, np.nan, 2.5, 0.3, -1.5],
        "ph.ecog": [0, 1, 2, 3, np.nan, 1],
        "sex": ["male", "female", None, "female", "male", "female"],
        "stage": ["I", "II", "III", None, "II", "I"],
        "care unit": ["Intensive care", "in", 'the "new" one', "it's", None, "1"],
        "seen": ["2018-12-31", "2019-01-01", "2020-05-05", None, "2019-01-02", "2021-01-01"],
        "ward": list("abcdef"),
    }
)
# Which rows (counted from 0) meet what, in words of one hand-made table.
MET = {
    "age >= 18": [1, 2, 4, 5],
    "age>=18": [1, 2, 4, 5],
    "age ≥ 18": [1, 2, 4, 5],
    "age < 18": [0],
    "age = 18": [1],
    "age != 18": [0, 2, 4, 5],
    "not age = 18": [0, 2, 4, 5],
    "age in (17, 90, 91)": [0, 4],
    "age not in (17, 90, 91)": [1, 2, 5],
    "not not age <= 18": [0, 1],
    "crp > -1.5": [0, 1, 3, 4],
    "crp = 3e-1": [0, 4],
    "ph.ecog <= 1": [0, 1, 5],
    "sex = female": [1, 3, 5],
    "sex != female": [0, 4],
    "sex in (male)": [0, 4],
    'SEX = "x"': None,
    "stage >= II": [1, 2, 4],
    "stage < II": [0, 5],
    "stage > I and stage <= II": [1, 4],
    '"care unit" = "Intensive care"': [0],
    "'care unit' = 'Intensive care'": [0],
    '"care unit" = "in"': [1],
    '"care unit" in ("the ""new"" one", "it\'s", 1)': [2, 3, 5],
    "\"care unit\" = 'it''s'": [3],
    "seen >= 2019-01-01": [1, 2, 4, 5],
    "seen > 2019-01-01 AND seen < 2021-01-01": [2, 4],
    "seen in (2019-01-02, 2018-12-31)": [0, 4],
    "age >= 18 and sex = female or stage = I": [0, 1, 5],
    "age >= 18 and (sex = female or stage = III)": [1, 2, 5],
    "(age >= 18) and not (sex = female and stage = I)": [1, 2, 4],
    "not (age >= 18 and sex = female)": [0, 4],  # row 2 has no sex and row 3 no age: nobody knows
    "not (age < 18 or sex = male)": [1, 5],
    "age >= 18 or sex = female": [1, 2, 3, 4, 5],  # one that holds is enough
}


def rows(text, frame=FRAME):
    cohort = Cohort.read(text, DICTIONARY)
    task = engine.make_task(Mean, None, {"outcome": "crp"}, DICTIONARY, 1, where=text)
    task.complete_cases = False
    table = engine.open_table(task, frame)
    assert table.dropped == 0 and task.cohort == cohort
    return table._rows.tolist()


@pytest.mark.parametrize("text", [text for text, wanted in MET.items() if wanted is not None])
def test_who_is_in(text):
    assert rows(text) == MET[text]
    cohort = Cohort.read(text, DICTIONARY)
    again = Cohort.read(cohort.text, DICTIONARY)
    assert again.text == cohort.text and rows(cohort.text) == MET[text]


def test_no_criteria_are_no_cohort():
    assert Cohort.read("", DICTIONARY) is None and Cohort.of(["", "  "], DICTIONARY) is None
    assert rows("  ") == [0, 1, 2, 3, 4, 5]


WRONG = {
    "agee >= 18": "at “agee” (character 1): the dictionary has no column “agee”. Did you mean “age” or “stage”?",
    "18 <= age": "at “18” (character 1): the dictionary has no column “18”; write the column first",
    ".site = 1": "no column “.site”",
    "ward = a": "at “ward” (character 1): “ward” is text",
    "sex = femal": "at “femal” (character 7): “sex” has no level “femal”. Did you mean “female” or “male”?",
    "sex = Intensive": "There are male, female.",
    "sex >= female": "at “>=” (character 5): the levels of “sex” have no order",
    "age >= old": "at “old” (character 8): “age” is a whole number from 0 to 120, and this is no number",
    "age >= nan": "this is no number",
    "age >= 1_0": "this is no number",
    "seen >= 2019": "is a date; write a day such as 2024-12-31",
    "seen >= 2019-02-30": "is a date",
    "age": "at their end: after “age” expected one of",
    "age >=": "at their end: expected a value of “age”",
    "age >= and": "at “and” (character 8): expected a value",
    "age == 18": "at “=” (character 6): write one = for “is”",
    "age >= 18 &": "at “&” (character 11): write and or or",
    "age >= 18; sex = male": "at “;” (character 10): write and or or",
    "age >= 18 sex = male": "at “sex” (character 11): expected and, or, or the end",
    '"care unit" = Intensive care': "Did you mean “Intensive care”?",
    "(age >= 18": "at “(” (character 1): this bracket is not closed",
    "(age >= 18 sex = male)": "at “sex” (character 12): expected and",
    "age >= 18)": "at “)” (character 10): this bracket was never opened",
    "age in 18": "at “18” (character 8): after in expected values in brackets",
    "age in (18": "at their end: expected a comma or the closing bracket",
    "age in ()": "at “)” (character 9): expected a value",
    "sex = 'male": "at “'” (character 7): this quote is not closed",
    "age ! 18": "write != or not",
    "and age = 18": "at “and” (character 1): expected a column",
    "()": "at “)” (character 2): expected a column",
    "not": "at their end: expected a column",
    "not in (1)": "expected a column",
    "(" * 40 + "age = 1" + ")" * 40: "more than 30 brackets",
    "not " * 400 + "age = 1": "more than 30 brackets",
    "age = 1 or " * 300 + "age = 2": "at most 2,000 characters",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_sentence_names_the_place(text):
    with pytest.raises(UsageError) as caught:
        Cohort.read(text, DICTIONARY)
    assert WRONG[text] in caught.value.message and caught.value.code == "cohort"
    assert caught.value.message[-1] in ".?" and not caught.value.message.endswith("..")


def test_words_and_r():
    cohort = Cohort.read("age>=18 and (sex=female or not stage >= II) and seen < 2020-01-01", DICTIONARY)
    assert cohort.words == (
        "Age at admission is at least 18 years and (sex is female or not (stage is II or higher)) "
        "and seen is before 2020-01-01"
    )
    assert (
        cohort.r
        == 'age >= 18 & (sex == "female" | !(match(stage, c("I", "II", "III")) >= 2)) & seen < as.Date("2020-01-01")'
    )
    assert cohort.columns == ("age", "sex", "stage", "seen")
    cohort = Cohort.read("\"care unit\" in ('it''s', \"in\") and ph.ecog != 2", DICTIONARY)
    assert cohort.words == "care unit is it's or in and ph.ecog is not 2"
    assert cohort.r == '(`care unit` == "it\'s" | `care unit` == "in") & ph.ecog != 2'
    assert cohort.text == '"care unit" in ("it\'s", "in") and ph.ecog != 2'


def test_two_criteria_must_both_hold():
    both = Cohort.of(["age >= 18 or sex = male", "", "stage = I"], DICTIONARY)
    assert both.text == "(age >= 18 or sex = male) and stage = I"
    assert (
        Cohort.of(["age >= 18 and crp > 0", "stage = I"], DICTIONARY).text
        == "age >= 18 and crp > 0 and stage = I"
    )


def test_several_conditions():
    found = conditions("age >= 18; sex = female and stage = I ;", DICTIONARY)
    assert [part.text for part in found] == ["age >= 18", "sex = female and stage = I"]
    assert conditions(' "care unit" = "in" ', DICTIONARY)[0].columns == ("care unit",)
    assert conditions("  ", DICTIONARY) == ()
    with pytest.raises(UsageError, match="character 11"):
        conditions("age >= 18 sex = male; stage = I", DICTIONARY)
    with pytest.raises(UsageError, match="expected a column"):
        conditions("age >= 18;; stage = I", DICTIONARY)


comparisons = st.one_of(
    st.builds(
        lambda name, sign, value: Comparison(DICTIONARY[name], sign, (float(value),), (str(value),)),
        st.sampled_from(["age", "crp", "ph.ecog"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.integers(-9, 99),
    ),
    st.builds(
        lambda spec, codes: Comparison(
            spec,
            "in",
            tuple(float(code) for code in dict.fromkeys(codes)),
            tuple(spec.levels[code] for code in dict.fromkeys(codes)),
        ),
        st.sampled_from([DICTIONARY["care unit"], DICTIONARY["stage"]]),
        st.lists(st.integers(0, 2), min_size=1, max_size=4),
    ),
)
trees = st.recursive(
    comparisons,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(
            lambda word, parts: Joined(word, tuple(parts)),
            st.sampled_from(["and", "or"]),
            st.lists(part, min_size=2, max_size=3),
        ),
    ),
    max_leaves=8,
)


def kleene(tree, row):
    """One row, one condition, three values: an implementation of its own."""
    if isinstance(tree, Not):
        found = kleene(tree.part, row)
        return None if found is None else not found
    if isinstance(tree, Joined):
        found = [kleene(part, row) for part in tree.parts]
        decisive = tree.word == "or"
        return decisive if decisive in found else (None if None in found else not decisive)
    value = row[tree.spec.name]
    if value is None or value != value:
        return None
    if tree.sign == "in":
        return value in tree.texts
    wanted = float(tree.texts[0])
    answers = {"=": value == wanted, "!=": value != wanted, "<": value < wanted, "<=": value <= wanted}
    return {**answers, ">": value > wanted, ">=": value >= wanted}[tree.sign]


@settings(max_examples=200, deadline=None)
@given(trees)
def test_what_is_written_is_read_again(tree):
    cohort = Cohort(tree)
    again = Cohort.read(cohort.text, DICTIONARY)
    wanted = [place for place, row in enumerate(FRAME.to_dict("records")) if kleene(tree, row) is True]
    assert rows(cohort.text) == wanted
    assert again.text == Cohort.read(again.text, DICTIONARY).text


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="age sx=<>!()',\"1;and or not in", max_size=30))
def test_any_text_is_read_or_refused_in_a_sentence(text):
    try:
        Cohort.read(text, DICTIONARY)
    except UsageError as error:
        assert error.code == "cohort" and len(error.message) > 30


def people(n=120, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"age": rng.integers(0, 100, n), "sex": rng.choice(["male", "female"], n), "crp": rng.random(n)}
    )
    frame.loc[rng.random(n) < 0.1, "crp"] = np.nan
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    return frame


def test_rows_outside_are_not_there():
    frames = [people(seed=seed) for seed in (1, 2)]
    result = simulate(
        Mean, frames, DICTIONARY, rules="off", outcome="crp", where="age >= 18 and sex = female"
    )
    chosen = [frame[(frame.age >= 18) & (frame.sex == "female")] for frame in frames]
    wanted = simulate(Mean, chosen, DICTIONARY, rules="off", outcome="crp")
    assert result.n == wanted.n and result.statistics == wanted.statistics and result.n.dropped > 0
    assert result.conventions["cohort"] == "Age at admission is at least 18 years and sex is female"
    assert "where='age >= 18 and sex = female'" in result.reproduce.python
    assert "cohort" not in wanted.conventions


def test_a_cohort_too_small_is_refused_and_an_empty_one_has_no_answer():
    frames = [people(seed=seed) for seed in (1, 2)]
    small = simulate(Mean, frames, DICTIONARY, outcome="crp", where="age = 50")
    assert [row["rule"] for row in small.privacy.refused] == ["rows", "rows"] and small.statistics == {}
    nobody = simulate(Mean, frames, DICTIONARY, rules="off", outcome="crp", where="age > 100")
    assert nobody.statistics == {} and "inclusion criteria" in nobody.notes[0]
    with pytest.raises(UsageError, match="has no level"):
        simulate(Mean, frames, DICTIONARY, outcome="crp", where="sex = m")
    with pytest.raises(UsageError, match="no column “age”"):
        simulate(
            Mean, [frame.drop(columns="age") for frame in frames], DICTIONARY, outcome="crp", where="age > 1"
        )


def test_rows_keep_their_numbers_in_sentences():
    frame = people().assign(crp=lambda d: d.crp.astype(object))
    frame.loc[70, "crp"] = "high"
    with pytest.raises(UsageError, match="row 71"):
        simulate(Mean, [frame], DICTIONARY, rules="off", outcome="crp", where="age >= 50")


def test_two_steps_may_not_differ_by_a_few():
    frame = pd.DataFrame({"age": np.arange(100.0), "crp": 1.0, "sex": "male"})

    def refused(*cohorts):
        tasks = [
            engine.make_task(Mean, None, {"outcome": "crp"}, DICTIONARY, 1, where=text) for text in cohorts
        ]
        try:
            engine.plan_differences(tasks, frame, Policy(difference=5))
        except Refused as error:
            return error.rule
        return ""

    assert refused("age >= 20", "age >= 22") == refused("", "age > 0") == "difference"
    assert refused("age >= 20", "age >= 25", "age<30", "") == ""
    assert refused("age >= 20", "age>=20", "not age < 20") == ""
    assert refused("age >= 20", "age < 50", "age in (1, 2)", "age in (2, 3)") == "difference"


def test_what_the_page_writes_can_be_read():
    page = (Path(__file__).parents[2] / "docs" / "inclusion-criteria.md").read_text("utf-8")
    columns = {
        "age": {"type": "integer"},
        "sex": {"type": "factor", "levels": ["male", "female"]},
        "nyha": {"type": "factor", "levels": ["I", "II", "III", "IV"], "ordered": True},
    }
    written = re.findall(r'--where "([^"]+)"', page)
    assert len(written) == 3 and all(Cohort.read(text, Dictionary.parse(columns)) for text in written)

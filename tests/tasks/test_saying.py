"""What a Result says aloud and shows as tables: for every kind of Result of the catalogue."""

import functools
import math
import re

import pytest

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary, methods, registry
from friendlyfl.tasks.figures import drawings
from friendlyfl.tasks.report import Counts, Figure, Privacy, Result
from friendlyfl.tasks.saying import sentences
from friendlyfl.tasks.saying.grid import SMALL
from friendlyfl.tasks.saying.pieces import Num, digits, p_value, ratio
from friendlyfl.tasks.saying.study import Study
from friendlyfl.tasks.saying.tables import shown
from friendlyfl.testing.worked_example import worked

CLINIC = Dictionary.parse(datasets.dictionary("clinic"))
TASKS = [pytest.param(task, name, id=name) for name, task in registry.every() if not task.lacks()]
CODE = re.compile(r"\b[a-z]+_[a-z_]+\b|\b(nan|NaN|None|null|True|False)\b|\(Intercept\)|[{}]")
# Tasks whose Result has no interval: counts, and what is learned or found without one.
WITHOUT_INTERVAL = ("connection_check", "feasibility", "table_one", "pca", "kmeans", "rank_test")


@functools.cache
def result_of(name):
    return worked(registry.find(name), name).outcome.result


def said(name):
    return [str(one) for one in sentences(result_of(name), registry.find(name).example, CLINIC)]


def tables(name):
    return shown(Study(result_of(name), registry.find(name).example, CLINIC))


@pytest.mark.parametrize(("task", "name"), TASKS)
def test_every_kind_of_result_is_said_and_shown(task, name):
    lead, *more = said(name)
    assert lead[0].isupper() or lead[0] in "“0123456789"
    for sentence in (lead, *more):
        assert sentence.endswith(".") and not CODE.search(sentence), sentence
        assert "significan" not in sentence.lower()
    if name not in WITHOUT_INTERVAL and not name.startswith("fedavg"):
        assert "95% CI" in lead
    made = tables(name)
    assert not made[0].aside
    for table in made:
        cells = [str(h.words) for h in table.headings] + [str(c) for row in table.rows for c in row]
        assert table.rows and all(len(row) == len(table.headings) for row in table.rows)
        for text in [str(table.title), *cells, *map(str, table.under)]:
            assert not CODE.search(text), text
        assert "" not in [str(h.words) for h in table.headings]
        assert str(table.under[0]).startswith("n = ")
    figures = drawings(result_of(name), CLINIC)
    assert bool(figures) == bool(result_of(name).figures)
    assert all(drawing.title and drawing.description and drawing.table for drawing in figures)


def test_a_learned_model_is_judged_by_pairs_of_the_same_hospital():
    [lead, *_more] = said("fedavg_sklearn")
    assert "one without from the same hospital" in lead and "all pairs" not in lead
    assert "AUC: over pairs of patients of the same hospital." in methods.conventions(
        result_of("fedavg_sklearn")
    )


def test_numbers_are_those_of_the_result():
    [row] = [row for row in result_of("logistic_regression").coefficients if row["term"] == "nyhaIV"]
    expected = [f"{math.exp(row[name]):.2f}" for name in ("estimate", "ci_lower", "ci_upper")]
    assert (
        "Compared with “I”, patients with NYHA class “IV” had {} times the odds of “Back in hospital within 30 days” "
        "(95% CI {} to {}), all other factors being equal.".format(*expected)
        in said("logistic_regression")
    )
    table = tables("logistic_regression")[0]
    assert [str(h.words) for h in table.headings] == ["Factor", "Odds ratio", "95% CI", "p"]
    cells = {str(line[0]): [str(cell) for cell in line[1:]] for line in table.rows}
    assert cells["NYHA class: IV vs I"] == [expected[0], f"{expected[1]} to {expected[2]}", "<0.001"]


def test_a_factor_that_acts_together_with_another_says_where_its_effect_holds():
    age, *rest = said("logistic_regression")
    assert age.endswith("(95% CI 1.03 to 1.09), where Treatment is “control”.")
    assert "where “Age (years)” is 0" in rest[-2] and rest[-1].startswith("Where “Age (years)” and Treatment")


def test_differences_say_on_which_side_they_lie():
    [male] = [one for one in said("linear_regression") if "Sex “male”" in one and "Compared" in one]
    assert "0.6 lower in patients with Sex “male” (95% CI 3.4 lower to 2.1 higher)" in male


def test_a_chance_is_a_share_and_a_table_one_reads_as_in_a_paper():
    assert "21.5% would have had “Back in hospital within 30 days”, without it 33.3%" in said("iptw")[0]
    [table] = tables("table_one")
    cells = {str(line[0]): str(line[1]) for line in table.rows}
    assert cells["Age (years), mean (SD)"] == "68.1 (11.4)" and cells["Sex: female, n (%)"] == "313 (43.5%)"


def test_a_suppressed_number_reads_fewer_than_5_and_says_what_that_means():
    [table] = tables("feasibility")
    assert (
        table.hides
        and "fewer than 5" in str(SMALL)
        and str(table.under[-1]).startswith("Hidden: at a hospital")
    )
    hidden = Result("kaplan_meier", "1.0", n=Counts(used=40), tests={"x": {"statistic": 1, "df": 1, "p": 1}})
    assert any("fewer than 5" in str(part) for part in shown(Study(hidden, {}, CLINIC))[0].under)


def test_without_an_answer_the_first_sentence_says_so():
    refused = [{"site": 1, "rule": "rows", "sentence": "Refused."}]
    nothing = Result("cox", "1.0", privacy=Privacy(refused=refused))
    assert str(sentences(nothing, {}, CLINIC)[0]).startswith("There is no answer: a hospital’s rules")
    noted = Result("cox", "1.0", notes=["No row has a value in every column."])
    assert str(sentences(noted, {}, CLINIC)[0]) == "There is no answer. The note below says why."
    row = {"term": "age", "estimate": 25.0, "se": None, "statistic": None, "p": None}
    separated = Result(
        "logistic_regression", "1.0", coefficients=[{**row, "ci_lower": None, "ci_upper": None}]
    )
    asked = {"outcome": "readmitted", "predictors": "age"}
    assert "Age (years) has no finite estimate" in str(sentences(separated, asked, CLINIC)[0])
    assert [str(cell) for cell in shown(Study(separated, asked, CLINIC))[0].rows[0]][2:] == ["–", "–", "–"]


def test_an_estimate_far_out_of_range_breaks_nothing():
    row = {
        "term": "age",
        "estimate": 1.0,
        "se": 1e4,
        "statistic": 0.0,
        "p": 0.9999,
        "ci_lower": -2e4,
        "ci_upper": 2e4,
    }
    figures = [Figure("Forest", "Odds", "", table="coefficients", axis="Odds ratio", ratio=True)]
    far = Result("logistic_regression", "1.0", coefficients=[row], figures=figures)
    asked = {"outcome": "readmitted", "predictors": "age"}
    assert "2.72 times the odds" in str(sentences(far, asked, CLINIC)[0])
    assert [str(cell) for cell in shown(Study(far, asked, CLINIC))[0].rows[0]][1:] == [
        "2.72",
        "0 or more",
        ">0.99",
    ]


def test_a_task_of_another_package_is_said_by_the_shape_of_its_result():
    row = {"term": "sexmale", "estimate": 0.51234, "se": 0.1, "statistic": 5.1, "p": 1e-7}
    other = Result(
        "theirs", "1.0", n=Counts(used=30), coefficients=[{**row, "ci_lower": 0.31, "ci_upper": 0.71}],
        figures=[Figure("Forest", "Theirs", "", table="coefficients")],
    )  # fmt: skip
    assert [str(one) for one in sentences(other, {}, CLINIC)] == [
        "“Sex: male vs female” was estimated as 0.51 (95% CI 0.31 to 0.71)."
    ]
    plain = Result("theirs", "1.0", n=Counts(used=30), tables={"my_rows": [{"my_key": 1.5}]})
    assert str(sentences(plain, {}, CLINIC)[0]) == "The answer describes 30 patients."
    assert [str(h.words) for h in shown(Study(plain, {}, CLINIC))[0].headings] == ["My key"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Num(-0.004, 2), "0.00"), (Num(1234.5, 1), "1,234.5"), (Num(-2.5, 1), "−2.5"),
        (Num(0.125, 1, percent=True), "12.5%"), (digits(0.0), "0"), (digits(3e9), "3.0e+09"),
        (digits(-1.5e-9), "−1.5e−09"), (ratio(0.004), "0.0040"), (ratio(250.4), "250"),
        (p_value(0.0001), "<0.001"), (p_value(0.0049), "0.005"), (p_value(0.999), ">0.99"), (p_value(None), ""),
    ],
)  # fmt: skip
def test_digits_are_those_worth_showing(made, words):
    assert str(made) == words

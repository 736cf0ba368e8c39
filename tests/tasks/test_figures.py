"""Figures: every word drawn from a Result alone, the same bytes for the same numbers, and nobody alone in a picture."""

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary, registry
from friendlyfl.tasks.figures import drawings
from friendlyfl.tasks.figures.forest import limits, linear_ticks, mark
from friendlyfl.tasks.figures.lettering import Names, difference, p_value, plain, ratio, ticks
from friendlyfl.tasks.figures.sheet import DOUBLE, SINGLE, width_of, wrapped
from friendlyfl.tasks.report import FIGURE_WORDS, Counts, Curve, Figure, Privacy, Result
from friendlyfl.testing.simulate import simulate

CLINIC = Dictionary.parse(datasets.dictionary("clinic"))
LONG = (
    "a very long name that somebody gave a column without a thought of figures and of how wide they are, " * 2
)


def term(name, estimate, se):
    limits_ = (None, None) if se is None else (estimate - 1.96 * se, estimate + 1.96 * se)
    return {
        "term": name, "estimate": estimate, "se": se, "statistic": None, "p": None if se is None else 0.04,
        "ci_lower": limits_[0], "ci_upper": limits_[1],
    }  # fmt: skip


def forest(*rows, axis="Odds ratio", is_ratio=True):
    figure = Figure(
        "Forest", "Odds ratios", "One line a term.", table="coefficients", axis=axis, ratio=is_ratio
    )
    return Result("logistic_regression", "1.0", coefficients=rows, figures=[figure])


def survival(group, at_risk, times=(1.0, 2.0, 3.0, 4.0)):
    points = [
        {"time": t, "n_risk": n, "n_event": 1, "n_censor": 1, "survival": 1 - 0.2 * k, "se": 0.1,
         "ci_lower": 0.7 - 0.2 * k, "ci_upper": None if k == 3 else 1 - 0.1 * k}
        for k, (t, n) in enumerate(zip(times, at_risk, strict=False))
    ]  # fmt: skip
    return Curve("survival", group, points)


def curves(*made, rules="on", **more):
    figure = Figure("Curve", "Survival", "Share of patients.", curve="survival", axis="Days")
    return Result("kaplan_meier", "1.0", curves=made, figures=[figure], privacy=Privacy(rules=rules), **more)


def cif(group, event):
    points = [{"time": t, "n_risk": 90 - t, "n_event": 2, "n_censor": 0, "cif": t / 90} for t in (5, 10, 40)]
    return Curve("cif", group, points, event=event)


ROC = [{"threshold": t, "sensitivity": 1 - t, "specificity": math.sqrt(t)} for t in (0.0, 0.3, 0.6, 1.0)]
BINS = [{"n": 40, "events": 4 * k, "sum_p": 3.9 * k} for k in range(2, 9)]
LEVELS = [
    {"variable": v, "group": f"site={g}", "level": level, "n": n}
    for v in ("stage", LONG)
    for g in range(8)
    for level, n in (("I", 20), ("II", None), ("III", 3))
]


def one(word, **pieces):
    return Result(
        "x", "1.0", figures=[Figure(word, "Title & <more>", "It shows this.", **pieces.pop("of"))], **pieces
    )


EVERY = {
    "a forest of one": forest(term("age", 0.03, 0.01)),
    "a forest of 30": forest(*(term(f"{LONG}{k}", 0.1 * k, 0.2) for k in range(30))),
    "a forest with gaps": forest(
        term("(Intercept)", 3, 1), term("gone", 18, None), term("wide", 9, 300.0), term("$x_1^2$", -800.0, 1.0)
    ),
    "differences": forest(term("age", 0.0123, 0.004), term("sex", -4.0, 1.0), axis=LONG, is_ratio=False),
    "one curve": curves(survival("all", (90, 60, 30, 9))),
    "8 curves": curves(
        *(survival(f"stage={k}" if k else LONG, (90, 60, 30, 9)) for k in range(8)),
        tests={"logrank": {"statistic": 3.0, "df": 7, "p": 0.2}},
    ),
    "competing events": Result(
        "competing_risks", "1.0", curves=[cif(g, e) for g in ("a=1", "a=2") for e in ("cardiac", "other")],
        tests={"gray_cardiac": {"statistic": 1.0, "df": 1, "p": 0.0001}},
        figures=[Figure("Curve", "Incidence", "Chance.", curve="cif")],
    ),
    "a baseline": one(
        "Curve", of={"table": "baseline_cumhaz"},
        tables={"baseline_cumhaz": [{"stratum": "1", "time": t, "cumhaz": t / 9} for t in range(9)]},
    ),
    "a ROC": one(
        "Roc", of={"curve": "roc"}, curves=[Curve("roc", "risk_score", ROC), Curve("roc", LONG, ROC)],
        tables={"auc": [{"marker": "risk_score", "auc": 0.8, "se": 0.1, "ci_lower": 0.7, "ci_upper": 0.9}]},
    ),
    "a calibration": one(
        "Calibration", of={"table": "bins"}, tables={"bins": BINS},
        coefficients=[term("calibration_intercept", 0.1, 0.1), term("calibration_slope", 0.9, 0.1)],
    ),
    "bars": one("Bars", of={"table": "levels"}, tables={"levels": LEVELS}),
    "signed bars": one(
        "Bars", of={"table": "smd"}, tables={"smd": [{"variable": "age", "before": -0.3, "after": 0.01}]}
    ),
    "one bar": one("Bars", of={"table": "t"}, tables={"t": [{"condition": "age >= 18", "n": 900}]}),
    "learning": one(
        "Line", of={"table": "t"}, tables={"t": [{"round": k, "loss": 1 / k, "auc": 1 - 1 / k} for k in range(1, 9)]}
    ),
    "components": one("Line", of={"table": "t"}, tables={"t": [{"component": "PC1", "proportion": 0.5}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_each_is_drawn_in_a_journals_width_with_words_and_table(name):
    result = Result.from_json(EVERY[name].to_json())
    (drawing,) = drawings(result)
    assert drawing.title and drawing.description.startswith(result.figures[0].description) and drawing.table
    picture = ET.fromstring(drawing.svg())
    width = float(picture.get("width").removesuffix("pt")) / 72 * 25.4
    assert min(abs(width - SINGLE), abs(width - DOUBLE)) < 0.01
    said = {child.tag.rpartition("}")[2]: child.text for child in picture}
    assert said["title"] == drawing.title and said["desc"] == drawing.description
    assert picture.get("role") == "img"


def test_the_same_numbers_give_the_same_bytes_in_every_process():
    code = (
        "import sys, hashlib; sys.path.insert(0, '.')\n"
        "from tests.tasks.test_figures import EVERY, drawings\n"
        "d, = drawings(EVERY['8 curves'])\n"
        "print([hashlib.sha256(f()).hexdigest() for f in (d.svg, d.pdf, d.png)], 'matplotlib.pyplot' in sys.modules)"
    )
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in "12"
    }
    assert len(said) == 1 and said.pop().endswith("False\n")


def test_matplotlib_is_not_read_before_the_first_figure():
    code = "import sys, friendlyfl.tasks.figures, friendlyfl.cli.main; print('matplotlib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_no_file_holds_a_date_or_names_another_host():
    (drawing,) = drawings(EVERY["one curve"])
    svg, pdf = drawing.svg().decode(), drawing.pdf()
    assert not re.search(r"https?://(?!www\.w3\.org)", svg) and "metadata" not in svg
    assert b"CreationDate" not in pdf and pdf.startswith(b"%PDF")
    png = drawing.png()
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    width, per_metre = (
        int.from_bytes(png[16:20], "big"),
        int.from_bytes(png[png.index(b"pHYs") + 4 :][:4], "big"),
    )
    assert width == int(SINGLE / 25.4 * 300) and per_metre == 11811


def test_nothing_to_draw_is_no_figure():
    assert (
        drawings(Result("x", "1", figures=[Figure(word, "t", "d", table="none") for word in FIGURE_WORDS]))
        == []
    )


def test_whatever_settings_a_person_has_for_matplotlib():
    import matplotlib

    (drawing,) = drawings(EVERY["a ROC"])
    before = drawing.svg()
    with matplotlib.rc_context(
        {"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "none", "axes.grid": True}
    ):
        assert drawing.svg() == before and matplotlib.rcParams["font.size"] == 30


# Nobody alone in a picture.


def test_a_curve_ends_where_few_are_at_risk():
    (drawing,) = drawings(curves(survival("all", (90, 8, 4, 1))))
    assert [row["n_risk"] for row in drawing.table] == [90, 8]
    assert "fewer than 5 patients are at risk" in drawing.description
    (drawing,) = drawings(curves(survival("all", (90, 8, 4, 1)), rules="off"))
    assert [row["n_risk"] for row in drawing.table] == [90, 8, 4, 1]


def test_a_small_group_has_no_curve():
    (drawing,) = drawings(curves(survival("a=1", (90, 8)), survival("a=2", (4, 3))))
    assert {row["group"] for row in drawing.table} == {"a=1"}
    assert "Not drawn, with fewer than 5 patients: a=2." in drawing.description
    assert drawings(curves(survival("a=2", (4, 3)))) == []


def test_small_cells_have_no_bar_and_no_number():
    (drawing,) = drawings(EVERY["bars"])
    assert {row["n"] for row in drawing.table} == {20, None}
    assert "not shown" in drawing.description


def test_small_bins_and_classes_are_not_drawn():
    bins = [*BINS, {"n": 4, "events": 0, "sum_p": 1.0}, {"n": 50, "events": 2, "sum_p": 3.0}, {"n": None}]
    (drawing,) = drawings(one("Calibration", of={"table": "bins"}, tables={"bins": bins}))
    assert (
        len(drawing.table) == len(BINS)
        and "Not drawn, with fewer than 5 patients: 2 groups." in drawing.description
    )
    few = one("Roc", of={"curve": "roc"}, curves=[Curve("roc", "x", ROC)], n=Counts(used=90, events=3))
    assert drawings(few) == []


# What is drawn.


def test_ratios_are_exp_of_the_coefficients_and_the_intercept_is_left_out():
    (drawing,) = drawings(forest(term("(Intercept)", -2, 1), term("age", math.log(2), 0.1)))
    (row,) = drawing.table
    assert row["label"] == "age" and row["estimate"] == pytest.approx(2)
    assert "Odds ratio (95% CI): age: 2.00 (1.64 to 2.43)." in drawing.description
    (drawing,) = drawings(forest(term("age", math.log(2), 0.1), is_ratio=False))
    assert drawing.table[0]["estimate"] == pytest.approx(0.693, abs=1e-3)


def test_a_separated_term_has_no_mark():
    (drawing,) = drawings(EVERY["a forest with gaps"])
    assert "Without a finite estimate: gone." in drawing.description
    assert [row["estimate"] for row in drawing.table if row["label"] == "gone"] == [None]


def test_an_interval_can_come_from_a_standard_error():
    row = {"outcome": "y", "difference": 1.0, "se_hc0_weights_fixed": 9.0, "se_stacked": 0.5}
    made = mark(row, False, Names())
    assert (made.estimate, made.lower) == (1.0, pytest.approx(1 - 0.98, abs=1e-3))


def test_an_interval_far_out_leaves_the_others_readable():
    marks = [mark(term("a", 0.3, 0.1), True, Names()), mark(term("b", 2.0, 100.0), True, Names())]
    low, high, at = limits(marks, True, 1.0)
    assert low > 0.01 and high < 1000 and 1 in at and len(at) <= 8
    assert limits([mark(term("a", 500.0, 1.0), True, Names())], True, 1.0)[2]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 105), (-0.3, 0.02), (3, 3), (1e-9, 3e-9), (0, 1e12), (0, 0)]
)
def test_ticks_are_few_and_round(low, high):
    at = linear_ticks(low, high)
    assert at[0] <= low and at[-1] >= high - 1e-12 and 1 <= len(at) <= 6
    assert len(set(ticks(at))) == len(at)


def test_numbers_are_written_as_journals_do():
    assert [p_value(p) for p in (0.0004, 0.0042, 0.042, 0.5, 0.999, None)] == [
        "<0.001", "0.004", "0.04", "0.50", ">0.99", "–",
    ]  # fmt: skip
    assert [ratio(r) for r in (1.0, 0.0312, 12.345, 123.4, 1e9)] == ["1.00", "0.031", "12.35", "123", "1.0e9"]
    assert difference(-0.001, 2) == "0.00" and difference(-4.25, 1) == "−4.2" and plain(0) == "0"


def test_a_text_is_broken_to_a_width_and_ends_in_an_ellipsis():
    lines = wrapped(LONG, 40)
    assert len(lines) == 3 and lines[-1].endswith("…") and all(width_of(line) <= 40 for line in lines)
    assert all(width_of(line) <= 20 for line in wrapped("x" * 200, 20))
    assert wrapped("short", 40) == ["short"]


def test_names_come_from_the_dictionary():
    names = Names(CLINIC)
    said = {
        "age": "Age (years)",
        "sexmale": "Sex: male vs female",
        "age:treatmenttreated": "Age × Treatment: treated",
        ".site2": "Hospital 2 vs 1",
        "age:.site3": "Age × Hospital 3",
        "nobody knows": "nobody knows",
    }
    assert {name: names.term(name) for name in said} == said
    groups = {"sex=male": "male", "diabetes=1": "Diabetes: 1", ".site=2": "Hospital 2", "all": "All patients"}
    groups |= {"sex=male, diabetes=1": "male, Diabetes: 1"}
    assert {name: names.group(name) for name in groups} == groups
    odd = Names(
        Dictionary.parse({"a:b": {"type": "factor", "levels": ["x", "y:z"]}, "c": {"type": "number"}})
    )
    assert odd.term("a:by:z:c") == "a:b: y:z × c"


@pytest.mark.parametrize("name", [name for name, task in registry.every() if task.example])
def test_every_tasks_example_can_be_drawn(name):
    task = registry.find(name)
    if task.lacks():
        pytest.skip(task.lacks())
    result = simulate(name, list(datasets.load("clinic").values()), CLINIC, rules="off", **task.example)
    assert len(drawings(result, CLINIC)) == len(result.figures)
    for drawing in drawings(result, CLINIC):
        ET.fromstring(drawing.svg())

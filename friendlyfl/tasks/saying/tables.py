"""The tables of a Result as people read them: labels for codes, few digits, an interval in one cell, n underneath.

All digits are in the files (`publication`). A number of people that is hidden reads “fewer than 5 at a hospital”; what
is not defined is a dash. Nothing is computed but exp and percentages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from friendlyfl.tasks.figures.forest import ERRORS, NOT_DRAWN
from friendlyfl.tasks.figures.lettering import DASH, clean, first_of, is_number
from friendlyfl.tasks.report import MODEL, Result, Row, columns_of
from friendlyfl.tasks.saying import patients, pieces
from friendlyfl.tasks.saying.grid import SMALL, SMALL_NOTE, Heading, Shown
from friendlyfl.tasks.saying.headings import COUNTS, HEADINGS, NAMES, SHARES, STATISTICS, TABLES, TESTS
from friendlyfl.tasks.saying.pieces import (
    Num,
    Piece,
    Said,
    Writer,
    count,
    digits,
    fixed,
    p_value,
    percent,
    ratio,
    said,
    span,
    width,
)
from friendlyfl.tasks.saying.study import Study, joined

N_USED, N_EVENTS = Said("n = {n} patients"), Said("{n} events")
N_DROPPED = Said("{n} left out for missing values")
N_HIDDEN = Said("how many were left out for missing values is hidden: fewer than 5 at a hospital")
THRESHOLD = Said("Threshold {levels}")
INTERVAL = Said("{level} CI")
MEDIAN_INTERVAL = Said("{level} CI of the median")
LIMITS = ("ci_lower", "ci_upper", "median_ci_lower", "median_ci_upper")
IN_WORDS = (
    "term",
    "variable",
    "group",
    "row",
    "column",
    "marker",
    "outcome",
    "site",
    "stratum",
    "set",
    "label",
)
NOT_SHOWN = ("lower", "upper", "weight_fixed", "weight_random")
# What names a row, in this order; then numbers of people, what was found, and at last how it was tested.
NAMED = (
    *(
        "term",
        "variable",
        "test",
        "pair",
        "label",
        "outcome",
        "marker",
        "row",
        "column",
        "stratum",
        "cluster",
        "group",
    ),
    *("level", "event", "step", "condition", "component", "bin", "round", "set", "model", "time"),
)
TESTED = ("statistic", "df", "p")
THREE, THREE_DECIMALS = fixed(3), ("correlation", "loadings", "smd")


def shown(study: Study) -> list[Shown]:
    """The tables of a Result, the one that answers the question first."""
    result = study.result
    made = []
    if result.coefficients:
        made += _coefficients(study)
    if result.task == "table_one":
        made += patients.table_one(study)
    for name in result.tables:
        if name == MODEL or not result.tables[name] or _elsewhere(result, name):
            continue
        title = TABLES.get(name, _words(name))
        made.append(of_rows(study, name, title, study.rows(name), name in ASIDE))
    if result.tests:
        made.append(_tests(study))
    if result.statistics:
        made.append(_statistics(study))
    if all(table.aside for table in made):  # of a learned model: how good it is
        made = [replace(table, aside=table.name != "statistics") for table in made]
    made.sort(key=lambda table: (table.aside, _place(result, table.name)))
    return [_footed(study, table) for table in made]


# In the order in which people ask; what is not named comes after, as it comes.
FIRST = (
    "effects",
    "groups",
    "table_one",
    "auc",
    "centres",
    "cells",
    "coefficients",
    "flow",
    "tests",
    "at_times",
)
ASIDE = ("baseline_cumhaz", "anova_type1", "start", "means", "features", "linear_predictor", "metrics")


def _place(result: Result, name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _elsewhere(result: Result, name: str) -> bool:
    """Tables that are shown as another one, or as a figure with its numbers."""
    if result.task == "table_one" and name in ("groups", "numeric", "categorical", "smd"):
        return True
    return name == "pooled" or name.startswith("forest:")


def n_under(result: Result) -> list[Piece]:
    """Whom a table describes."""
    n, made = result.n, []
    if n.used is not None:
        made.append(said(N_USED, n=count(n.used)))
    if n.events is not None:
        made.append(said(N_EVENTS, n=count(n.events)))
    if n.used is not None and n.dropped is None:
        made.append(N_HIDDEN)
    elif n.dropped:
        made.append(said(N_DROPPED, n=count(n.dropped)))
    return list(made)


def _footed(study: Study, table: Shown) -> Shown:
    under = [*n_under(study.result), *table.under, *([SMALL_NOTE] if table.hides else [])]
    return Shown(table.name, table.title, table.headings, table.rows, under, table.aside)


# Coefficients.


def _coefficients(study: Study) -> list[Shown]:
    """What each factor does, and apart from it what belongs to the model itself."""
    figure = next((f for f in study.result.figures if f.word == "Forest" and f.table == "coefficients"), None)
    exp = figure.ratio if figure else any(f.ratio for f in study.result.figures if f.word == "Forest")
    axis = next((f.axis for f in study.result.figures if f.word == "Forest" and f.axis), "")
    rows = [dict(row) for row in study.result.coefficients]
    own = [row for row in rows if row["term"] in NOT_DRAWN or "|" in row["term"]]
    factors = [row for row in rows if row not in own]
    if study.result.task == "iptw":  # its question is answered by another table
        return [
            _estimates(study, "coefficients", Said("Model of the treatment"), rows, "", exp=False, aside=True)
        ]
    made = []
    if factors:
        title = figure.title if figure else HEADINGS["coefficients"]
        made.append(_estimates(study, "coefficients", title, factors, axis, exp=exp))
    if own:
        words = Said("Other parameters of the model")
        made.append(_estimates(study, "coefficients", words, own, "", exp=False, aside=True))
    return made


def _estimates(
    study: Study, name: str, title: Piece, rows: Sequence[Row], axis: str, *, exp: bool, aside: bool = False
) -> Shown:
    error = None if exp else first_of(rows[0], ERRORS)
    headings = [Heading(HEADINGS["term"]), Heading(axis or HEADINGS["estimate"], True)]
    if error:
        headings.append(Heading(HEADINGS["se"], True))
    headings += [Heading(said(INTERVAL, level=study.level), True), Heading(HEADINGS["p"], True)]
    return Shown(name, title, headings, [_estimate(study, row, exp, error) for row in rows], (), aside)


def _estimate(study: Study, row: Row, exp: bool, error: str | None) -> list[Piece]:
    turn: Callable[[Any], float | None] = (
        pieces.exp if exp else lambda value: value if is_number(value) else None
    )
    estimate, lower, upper = (turn(row.get(key)) for key in ("estimate", "ci_lower", "ci_upper"))
    write = ratio if exp else width(lower, upper, estimate)
    cells: list[Piece] = [_named(study, "term", row["term"]), DASH if estimate is None else write(estimate)]
    if error:
        cells.append(digits(row[error]) if is_number(row.get(error)) else DASH)
    return [*cells, span(lower, upper, write) or DASH, p_value(row.get("p")) or DASH]


# Any other table.


def of_rows(study: Study, name: str, title: Piece, rows: Sequence[Row], aside: bool = False) -> Shown:
    """Rows as they stand, with words for keys and codes."""
    given = [column for column in columns_of(rows) if column not in NOT_SHOWN and column not in LIMITS]
    columns = [
        column
        for column in sorted(given, key=_order)
        if column in COUNTS or any(row.get(column) not in (None, "") for row in rows)
    ]
    spans = [
        prefix
        for prefix in ("", "median_")
        if any(is_number(row.get(f"{prefix}ci_{side}")) for row in rows for side in ("lower", "upper"))
    ]
    before = [column for column in columns if column not in TESTED]
    after = [column for column in TESTED if column in columns]
    headings = [Heading(_heading(study, column), not _is_words(rows, column)) for column in before]
    headings += [Heading(said(MEDIAN_INTERVAL if s else INTERVAL, level=study.level), True) for s in spans]
    headings += [Heading(HEADINGS[column], True) for column in after]
    cells = []
    for row in rows:
        write = THREE if name in THREE_DECIMALS else _writer(row)
        line = [_cell(study, row, column, write) for column in before]
        line += [
            span(row.get(f"{s}ci_lower"), row.get(f"{s}ci_upper"), whole if s else write) or DASH
            for s in spans
        ]
        cells.append([*line, *(_cell(study, row, column, write) for column in after)])
    return Shown(name, title, headings, cells, (), aside)


def _order(column: str) -> int:
    if column in NAMED:
        return NAMED.index(column)
    return len(NAMED) + (0 if column in COUNTS else 1)


def whole(value: float, wanted: int = 3) -> Num:
    """A whole number without decimals, any other with so many digits."""
    return Num(float(value)) if float(value).is_integer() and abs(value) < 1e7 else digits(value, wanted)


def _is_words(rows: Sequence[Row], column: str) -> bool:
    return column in IN_WORDS or all(isinstance(row.get(column), str | None) for row in rows)


def _heading(study: Study, column: str) -> Piece:
    if column in HEADINGS:
        return HEADINGS[column]
    return study.label(column) if column in study.dictionary else _words(column)


def _words(name: str) -> str:
    """A name that no list knows, as words."""
    return re.sub(r"[_:]+", " ", name).strip().capitalize() if "_" in name or ":" in name else clean(name)


def _writer(row: Mapping[str, Any]) -> Writer:
    """How a row's estimate and its interval are written."""
    if any(name in row for name in ("survival", "cif")):
        return percent
    return width(row.get("ci_lower"), row.get("ci_upper"))


ESTIMATES = ("estimate", "mean", "difference", "diff", "auc", "mean_treated", "mean_control")


def _cell(study: Study, row: Row, column: str, write: Writer) -> Piece:
    value = row.get(column)
    if value is None:
        hidden = column in COUNTS and (study.result.privacy.suppressed or study.result.privacy.rules != "off")
        return SMALL if hidden else DASH
    if column == "condition":
        return _condition(study, row)
    if column in IN_WORDS or column == "model":
        return _named(study, column, str(value))
    if column == "p":
        return p_value(value) or DASH
    if isinstance(value, bool) or not is_number(value):
        return clean(value if not isinstance(value, list) else ", ".join(map(str, value)))
    if column in COUNTS:
        return count(value) if float(value).is_integer() else digits(value)
    if column in SHARES:
        return percent(value)
    if column in ESTIMATES and is_number(row.get("ci_lower")):
        return write(value)
    return write(value) if write is THREE and not float(value).is_integer() else whole(value)


def _named(study: Study, column: str, value: str) -> Piece:
    if value in NAMES:
        return NAMES[value]
    if "|" in value and column == "term":
        return said(THRESHOLD, levels=clean(value.replace("|", " | ")))
    if column in ("group", "stratum"):
        return study.names.group(value)
    return study.names.any(value)


def _condition(study: Study, row: Row) -> Piece:
    """The words of a step of the flow of patients."""
    words = study.result.conventions.get("conditions") or []
    step = int(row.get("step") or 0)
    if step == 0:
        return Said("All patients")
    return clean(words[step - 1]) if step <= len(words) else clean(row["condition"])


# Tests and statistics.


def _tests(study: Study) -> Shown:
    rows = []
    for name, test in study.result.tests.items():
        write = width(test.get("ci_lower"), test.get("ci_upper"), test.get("estimate"))
        estimate, df = test.get("estimate"), test.get("df")
        freedom = df if isinstance(df, list | tuple) else [df]
        rows.append(
            [
                _test_words(study, name, test),
                digits(test["statistic"]) if is_number(test.get("statistic")) else DASH,
                joined(whole(one, 4) for one in freedom if is_number(one)) or DASH,
                p_value(test.get("p")) or DASH,
                write(estimate) if is_number(estimate) else DASH,
                span(test.get("ci_lower"), test.get("ci_upper"), write) or DASH,
            ]
        )
    headings = [Heading(HEADINGS["test"])]
    headings += [Heading(HEADINGS[name], True) for name in ("statistic", "df", "p", "estimate")]
    headings.append(Heading(said(INTERVAL, level=study.level), True))
    kept = [
        place for place in range(len(headings)) if place == 0 or any(str(row[place]) != DASH for row in rows)
    ]
    return Shown(
        "tests",
        HEADINGS["tests"],
        [headings[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        (),
        bool(study.result.coefficients),
    )


PAIR = Said("{test}: {pair}")


def _test_words(study: Study, name: str, test: Mapping[str, Any]) -> Piece:
    columns = test.get("variables") or (test.get("groups") if name == "delong" else None)
    if columns:
        words = TESTS.get(name.partition("_")[0], TESTS.get(name, _words(name)))
        return said(PAIR, test=words, pair=", ".join(map(study.label, columns)))
    if test.get("event"):
        return said(PAIR, test=TESTS.get(name.partition("_")[0], _words(name)), pair=clean(test["event"]))
    return TESTS.get(name, _words(name))


def _statistics(study: Study) -> Shown:
    rows = [
        [
            STATISTICS.get(name, _words(name)),
            whole(value, 4),
        ]
        for name, value in study.result.statistics.items()
        if is_number(value)
    ]
    headings = [Heading(HEADINGS["name"]), Heading(HEADINGS["value"], True)]
    return Shown("statistics", HEADINGS["statistics"], headings, rows, (), True)

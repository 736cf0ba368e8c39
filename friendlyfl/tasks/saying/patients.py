"""Table 1 as a paper prints it: a row for each measurement and each level, a column for each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from friendlyfl.tasks.figures.lettering import DASH, clean, is_number
from friendlyfl.tasks.saying.grid import SMALL, Heading, Shown
from friendlyfl.tasks.saying.headings import HEADINGS, TABLES
from friendlyfl.tasks.saying.pieces import Num, Piece, Said, count, digits, fixed, percent, said
from friendlyfl.tasks.saying.study import Study

MEAN_SD, N_PERCENT = Said("{mean} ({sd})"), Said("{n} ({share})")
WITH_N = Said("{group}, n\u00a0=\u00a0{n}")
OF_NUMBER, OF_LEVEL = Said("{column}, mean (SD)"), Said("{column}: {level}, n (%)")
OF_MISSING, OF_QUARTILES = Said("{column}, missing"), Said("{column}, median (quartiles)")
QUARTILES = Said("{median} ({low} to {high})")


def table_one(study: Study) -> list[Shown]:
    """A row for each measurement and each level, a column for each group."""
    numeric, levels = study.rows("numeric"), study.rows("categorical")
    sizes = {row["group"]: row.get("n") for row in study.rows("groups")}
    groups = [group for group in sizes if group != "(missing)"] + [g for g in sizes if g == "(missing)"]
    differences = {row["variable"]: row.get("smd") for row in study.rows("smd")}
    headings = [Heading(HEADINGS["variable"])]
    for group in groups:
        n = count(sizes[group]) if is_number(sizes[group]) else SMALL
        headings.append(Heading(said(WITH_N, group=study.names.group(group), n=n), True))
    if differences:
        headings.append(Heading(HEADINGS["smd"], True))
    lines: list[list[Piece]] = []
    order = study.columns("variables") or list(dict.fromkeys(r["variable"] for r in [*numeric, *levels]))
    for variable in order:
        block = _measured(study, variable, groups) or _counted(study, variable, groups)
        for place, line in enumerate(block):
            value = differences.get(variable)
            smd: Piece = Num(value, 2) if place == 0 and is_number(value) else ""
            lines.append([*line, smd] if differences else line)
    return [Shown("table_one", TABLES["table_one"], headings, lines)]


def _measured(study: Study, variable: str, groups: Sequence[str]) -> list[list[Piece]]:
    rows = {row["group"]: row for row in study.rows("numeric") if row["variable"] == variable}
    if not rows:
        return []
    column = study.label(variable)
    cells = [rows.get(group, {}) for group in groups]
    lines: list[list[Piece]] = [[said(OF_NUMBER, column=column), *map(_mean_sd, cells)]]
    if any(is_number(row.get("median")) for row in rows.values()):
        lines.append([said(OF_QUARTILES, column=column), *map(_quartiles, cells)])
    if any(row.get("missing") != 0 for row in rows.values()):
        missing = [count(row["missing"]) if is_number(row.get("missing")) else SMALL for row in cells]
        lines.append([said(OF_MISSING, column=column), *missing])
    return lines


def _mean_sd(row: Mapping[str, Any]) -> Piece:
    if not is_number(row.get("mean")) or not is_number(row.get("sd")):
        return DASH
    write = fixed(digits(row["sd"]).places)
    return said(MEAN_SD, mean=write(row["mean"]), sd=write(row["sd"]))


def _quartiles(row: Mapping[str, Any]) -> Piece:
    if not all(is_number(row.get(name)) for name in ("median", "q25", "q75")):
        return DASH
    return said(QUARTILES, median=digits(row["median"]), low=digits(row["q25"]), high=digits(row["q75"]))


def _counted(study: Study, variable: str, groups: Sequence[str]) -> list[list[Piece]]:
    rows = [row for row in study.rows("categorical") if row["variable"] == variable]
    by = {(row["group"], row["level"]): row.get("n") for row in rows}
    names = list(dict.fromkeys(row["level"] for row in rows))
    lines = []
    for level in names:
        line: list[Piece] = [said(OF_LEVEL, column=study.label(variable), level=clean(level))]
        for group in groups:
            n = by.get((group, level))
            of = [by.get((group, other)) for other in names if other != "(missing)"]
            if not is_number(n):
                line.append(SMALL if (group, level) in by else DASH)
            elif level != "(missing)" and all(map(is_number, of)) and sum(map(float, of)):  # type: ignore[arg-type]
                line.append(said(N_PERCENT, n=count(n), share=percent(n / sum(map(float, of)))))  # type: ignore[arg-type]
            else:
                line.append(count(n))
        lines.append(line)
    return lines

"""Bars: numbers or shares by category, one bar a group, the number beside each; a heading for each variable.

From the rows of a table of a Result to what is drawn. A cell that is hidden or small says so instead of a bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from friendlyfl.tasks.figures import lettering
from friendlyfl.tasks.figures.forest import linear_ticks
from friendlyfl.tasks.figures.lettering import Names, is_number
from friendlyfl.tasks.figures.sheet import DOUBLE, INK, LINE, MUTED, Sheet, bar_look, style, width_of, wrapped
from friendlyfl.tasks.figures.smallest import Smallest
from friendlyfl.tasks.report import Figure, Result, Row

PEOPLE = ("n", "count", "observed")
VALUES = (*PEOPLE, "estimate", "mean", "proportion", "share", "difference", "withinss")
AXES = {"n": "Patients", "count": "Patients", "observed": "Patients", "mean": "Mean", "proportion": "Share"}
SERIES, HEADING = ("group", "column", "set"), "variable"
BESIDE = ("ci_lower", "ci_upper", "se", "p", "df", "statistic", "expected", "missing", "sd", "cluster")
ALL = "all"
HIDDEN = "not shown"
ALONE = "All patients"
LABEL, RIGHT, HIGHEST = 58.0, 24.0, 235.0  # millimetres


@dataclass(frozen=True)
class Cell:
    """One bar."""

    heading: str
    category: str
    series: str
    value: float | None
    share: float | None = None  # of its group, where the table says so


class Bars:
    """What a figure of bars shows of a Result."""

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure, self.names, self.smallest = figure, names, Smallest(result)
        table = result.tables.get(figure.table or "", ())
        self.people = False
        self.value = ""
        self.cells = self._cells(table)
        self.headings = list(dict.fromkeys(cell.heading for cell in self.cells))
        self.series = list(dict.fromkeys(cell.series for cell in self.cells))
        self.places = {(c.heading, c.category, c.series): c for c in self.cells}
        self.decimals = lettering.places_for([max((abs(c.value or 0.0) for c in self.cells), default=1.0)])
        self.signed = any((cell.value or 0.0) < 0 for cell in self.cells)

    def _cells(self, table: Sequence[Row]) -> list[Cell]:
        if not table:
            return []
        columns = list(dict.fromkeys(name for row in table for name in row))
        words = [c for c in columns if any(isinstance(row.get(c), str) for row in table)]
        numbers = [c for c in columns if c not in words and c not in BESIDE]
        key = self.figure.column or next((name for name in VALUES if name in columns), None)
        values = [key] if key else [c for c in numbers if any(is_number(row.get(c)) for row in table)]
        labels = [
            c for c in columns if c not in values and c in (*words, "cluster", "component", "bin", "level")
        ]
        by = next((c for c in SERIES if c in labels), None)
        if by and len({row.get(by) for row in table}) > 1:
            table = [row for row in table if row.get(by) != ALL]
        if labels == [by]:
            by = None  # the groups themselves are what is counted
        heading = (
            HEADING if HEADING in labels and labels != [HEADING] and len(labels) > (2 if by else 1) else None
        )
        rest = [c for c in labels if c not in (by, heading)]
        self.people, self.value = key in PEOPLE, key or ""
        return [
            Cell(
                self.names.column(str(row.get(heading))) if heading else "",
                ", ".join(self._label(c, row[c]) for c in rest if row.get(c) is not None) or ALONE,
                self.names.group(str(row.get(by))) if by else (value if len(values) > 1 else ""),
                self._shown(row.get(value)),
                row["row_share"] if is_number(row.get("row_share")) else None,
            )
            for row in table
            for value in values
        ]

    def _label(self, column: str, value: Any) -> str:
        if is_number(value):
            return f"{column.capitalize()} {lettering.tick(value)}"
        return self.names.any(value) if value else ALONE

    def _shown(self, value: Any) -> float | None:
        if not is_number(value) or (self.people and not self.smallest.allows(value)):
            return None
        return float(value)

    @property
    def empty(self) -> bool:
        return all(cell.value is None for cell in self.cells)

    @property
    def rows(self) -> list[Row]:
        return [
            ({"variable": c.heading} if c.heading else {})
            | {"category": c.category}
            | ({"group": c.series} if c.series else {})
            | {self.value or "value": int(c.value) if self.people and c.value is not None else c.value}
            for c in self.cells
        ]

    @property
    def sentences(self) -> list[str]:
        hidden = sum(cell.value is None for cell in self.cells)
        if not hidden:
            return []
        return ["1 number is not shown." if hidden == 1 else f"{hidden} numbers are not shown."]

    def words(self, cell: Cell) -> str:
        """The number beside a bar; of people also its share of the group, where all cells are known."""
        if cell.value is None:
            return HIDDEN
        if not self.people:
            return lettering.difference(cell.value, self.decimals)
        text = lettering.count(cell.value)
        whole = [c.value for c in self.cells if (c.heading, c.series) == (cell.heading, cell.series)]
        total = sum(value for value in whole if value is not None)
        levels = (
            cell.heading and len(whole) > 1 and None not in whole and total
        )  # of a variable: they do not overlap
        share = cell.value / total if levels else cell.share
        return text if share is None else f"{text} ({100 * share:.0f}%)"

    # The page.

    def paint(self) -> Sheet:
        pitch = self._pitch()
        gap = 1.4
        blocks: list[tuple[float, list[str], str, str]] = []  # top, lines of the label, heading, category
        y = 0.0
        titles: list[tuple[float, list[str]]] = []
        for heading in self.headings:
            if heading:
                lines = wrapped(heading, DOUBLE / 2, 2)
                titles.append((y + 0.8, lines))
                y += LINE * len(lines) + 1.6
            for category in dict.fromkeys(c.category for c in self.cells if c.heading == heading):
                lines = wrapped(category, LABEL, 2)
                blocks.append((y, lines, heading, category))
                y += max(pitch * len(self.series), LINE * len(lines)) + gap
            y += 1.2
        named = [name for name in self.series if name]
        legend = self._legend(named) if len(named) > 1 else []
        top = 1.5 + len(legend) * (LINE * 1.3)
        left = 3.0 + max(width_of(line) for _, lines, *_ in blocks for line in lines) + 2.0
        left = max(left, 22.0)
        sheet = Sheet(DOUBLE, top + y + 10.0)
        axes = sheet.axes(left, top, DOUBLE - left - RIGHT, y)
        self._axis(axes, y)
        for row, items in enumerate(legend):
            x = left
            for place, words, taken in items:
                middle = 1.8 + row * LINE * 1.3
                sheet.patch(x, middle, 5.0, 2.0, style(place))
                sheet.text(x + 6.2, middle, words)
                x += taken
        for start, lines in titles:
            sheet.lines(0.5, top + start + LINE * len(lines) / 2, lines, bold=True)
        for start, lines, heading, category in blocks:
            height = max(pitch * len(self.series), LINE * len(lines))
            sheet.lines(3.0 if heading else 0.5, top + start + height / 2, lines)
            offset = (height - pitch * len(self.series)) / 2
            for place, series in enumerate(self.series):
                if cell := self.places.get((heading, category, series)):
                    self._bar(axes, cell, start + offset + pitch * (place + 0.5), pitch, place)
        return sheet

    def _pitch(self) -> float:
        """Millimetres from one bar to the next: room for its number, as long as the page is long enough."""
        roomy = 4.4 if len(self.series) == 1 else 3.2
        bars = len(self.cells)
        return roomy if bars * roomy <= HIGHEST else max(1.3, HIGHEST / bars)

    def _legend(self, named: list[str]) -> list[list[tuple[int, str, float]]]:
        lists: list[list[tuple[int, str, float]]] = []
        width = used = DOUBLE - 40.0
        for place, name in enumerate(named):
            words = wrapped(name, 60.0, 1)[0]
            taken = 6.2 + width_of(words) + 5.0
            if used + taken > width:
                lists.append([])
                used = 0.0
            lists[-1].append((place, words, taken))
            used += taken
        return lists

    def _axis(self, axes: Any, height: float) -> None:
        known = [cell.value for cell in self.cells if cell.value is not None] or [1.0]
        ticks = linear_ticks(min(0.0, *known), max(0.0, *known) or (0.0 if self.signed else 1.0))
        low, high = min(0.0, min(known) * 1.04), max(0.0, max(known) * 1.04) or 1.0
        axes.set_xlim(low, high)
        inside = [tick for tick in ticks if low <= tick <= high]
        axes.set_xticks(inside, lettering.ticks(inside))
        axes.set_ylim(height, 0.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(self.signed)
        axes.spines["left"].set_position(("data", 0.0))
        axes.set_xlabel(self.figure.axis or AXES.get(self.value, self.value.replace("_", " ").capitalize()))

    def _bar(self, axes: Any, cell: Cell, y: float, pitch: float, place: int) -> None:
        size = pitch * (0.72 if len(self.series) == 1 else 0.84)
        if cell.value is not None:
            axes.barh([y], [cell.value], height=size, **bar_look(style(place)))
        if pitch < 2.6:
            return
        value = cell.value or 0.0
        axes.annotate(
            self.words(cell),
            (value if value > 0 else 0.0, y),
            xytext=(2.5, 0),
            textcoords="offset points",
            va="center_baseline",
            ha="left",
            color=MUTED if cell.value is None else INK,
            annotation_clip=False,
        )

"""Lines over rounds or other whole steps: learning curves, the variance of components. One panel a measure.

From the rows of a table of a Result to what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from friendlyfl.tasks.figures import lettering
from friendlyfl.tasks.figures.forest import linear_ticks
from friendlyfl.tasks.figures.lettering import Names, is_number
from friendlyfl.tasks.figures.sheet import DOUBLE, LINE, SINGLE, Sheet, style, wrapped
from friendlyfl.tasks.report import Figure, Result, Row

STEPS = ("round", "epoch", "iteration", "step", "component", "k", "time", "x")
SERIES = ("series", "set", "group", "metric", "site", "name")
ABBREVIATIONS = ("auc", "aic", "bic", "mse", "rmse", "mae")
PANEL = 46.0  # millimetres
MARKED = 40  # points up to which each has its mark


class Line:
    """What a figure of lines shows of a Result."""

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure, self.names = figure, names
        self.table = list(result.tables.get(figure.table or "", ()))
        columns = list(dict.fromkeys(name for row in self.table for name in row))
        self.step = next((name for name in STEPS if name in columns), columns[0] if columns else "")
        self.by = next((c for c in SERIES if any(isinstance(row.get(c), str) for row in self.table)), None)
        self.measures = [
            c
            for c in columns
            if c not in (self.step, self.by) and any(is_number(row.get(c)) for row in self.table)
        ]
        self.series = list(dict.fromkeys(str(row.get(self.by)) for row in self.table)) if self.by else [""]

    @property
    def empty(self) -> bool:
        return not self.measures

    @property
    def rows(self) -> list[Row]:
        kept = [self.step, *([self.by] if self.by else []), *self.measures]
        return [{name: row.get(name) for name in kept} for row in self.table]

    @property
    def sentences(self) -> list[str]:
        said = []
        for measure in self.measures:
            for series in self.series:
                points = self._points(measure, series)
                if points:
                    (_, first), (_, last) = points[0], points[-1]
                    name = f"{self._title(measure)}{', ' + self.names.any(series) if series else ''}"
                    said.append(f"{name}: from {lettering.plain(first)} to {lettering.plain(last)}.")
        return said

    def _title(self, measure: str) -> str:
        return measure.upper() if measure in ABBREVIATIONS else measure.replace("_", " ").capitalize()

    def _points(self, measure: str, series: str) -> list[tuple[float, float]]:
        """Step and value in order; a step that is a word, such as PC1, has its place in the table."""
        places: dict[str, int] = {}
        points = []
        for row in self.table:
            if self.by and str(row.get(self.by)) != series:
                continue
            step = row.get(self.step)
            x = step if is_number(step) else places.setdefault(str(step), len(places) + 1)
            if is_number(row.get(measure)):
                points.append((float(x), float(row[measure])))
        return points

    def _ticks(self, points: Sequence[tuple[float, float]]) -> tuple[list[float], list[str]]:
        if any(isinstance(row.get(self.step), str) for row in self.table):
            words = list(dict.fromkeys(str(row.get(self.step)) for row in self.table))
            every = max(1, -(-len(words) // 8))
            return [float(k + 1) for k in range(0, len(words), every)], words[::every]
        low, high = min(x for x, _ in points), max(x for x, _ in points)
        ticks = [tick for tick in linear_ticks(low, high, 7) if low <= tick <= high and tick == round(tick)]
        if low not in ticks and (not ticks or ticks[0] - low > 0.12 * (high - low)):
            ticks = [low, *ticks]
        return ticks, lettering.ticks(ticks)

    # The page.

    def paint(self) -> Sheet:
        columns = 1 if len(self.measures) == 1 else 2
        width = SINGLE if columns == 1 else DOUBLE
        down = -(-len(self.measures) // columns)
        legend = [
            (self.names.any(series), style(place)) for place, series in enumerate(self.series) if series
        ]
        top = 3.0 + (LINE * 1.4 * len(legend) + 1.0 if len(legend) > 1 else 0.0)
        each = width / columns
        sheet = Sheet(width, top + down * (PANEL + 13.0) - 1.0)
        if len(legend) > 1:
            for row, (words, look) in enumerate(legend):
                y = 2.5 + row * LINE * 1.4
                sheet.rule(15.0, 22.0, y, colour=look.colour, width=1.0, dash=look.dash)
                sheet.mark(18.5, y, look, 3.0)
                sheet.text(23.5, y, wrapped(words, width - 26.0, 1)[0])
        for place, measure in enumerate(self.measures):
            row, column = divmod(place, columns)
            axes = sheet.axes(each * column + 15.0, top + row * (PANEL + 13.0), each - 19.0, PANEL)
            self._panel(axes, measure)
        return sheet

    def _panel(self, axes: Any, measure: str) -> None:
        drawn: list[tuple[float, float]] = []
        for place, series in enumerate(self.series):
            points, look = self._points(measure, series), style(place)
            drawn += points
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.0,
                marker=look.mark if len(points) <= MARKED else None,
                markersize=2.8,
                markeredgewidth=0,
                clip_on=False,
            )
        heights = linear_ticks(min(y for _, y in drawn), max(y for _, y in drawn))
        axes.set_ylim(heights[0], heights[-1])
        axes.set_yticks(heights, lettering.ticks(heights))
        ticks, words = self._ticks(drawn)
        span = (max(x for x, _ in drawn) - min(x for x, _ in drawn)) or 1.0
        axes.set_xlim(min(x for x, _ in drawn) - 0.03 * span, max(x for x, _ in drawn) + 0.03 * span)
        axes.set_xticks(ticks, words)
        axes.set_xlabel(self.figure.axis or self.step.replace("_", " ").capitalize())
        axes.set_ylabel(self._title(measure))

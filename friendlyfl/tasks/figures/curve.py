"""Step curves over time: survival with its band, censor marks and numbers at risk; cumulative incidence; hazard.

From curves or a table of a Result to what is drawn. Under rules a curve ends where fewer than 5 are at risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from friendlyfl.tasks.figures import lettering
from friendlyfl.tasks.figures.forest import linear_ticks
from friendlyfl.tasks.figures.lettering import Names, is_number
from friendlyfl.tasks.figures.sheet import DOUBLE, LINE, SINGLE, Sheet, Style, style, width_of, wrapped
from friendlyfl.tasks.figures.smallest import Smallest
from friendlyfl.tasks.report import Figure, Result, Row

MEASURES = {
    "survival": "Survival probability",
    "cif": "Cumulative incidence",
    "cumhaz": "Cumulative hazard",
}
GROUPS = ("group", "stratum")
BANDS = 4  # lines that may each have a band; more of them hide each other
FEW = 2  # lines that fit into one column of a journal
KEY = 5.0  # millimetres of a line's sample


@dataclass(frozen=True)
class Line:
    """One step function: where it jumps, and what is known there."""

    group: str
    event: str | None
    points: Sequence[Row]
    start: float
    cut: bool  # whether rules ended it early


class Curve:
    """What a figure of curves shows of a Result."""

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure, self.result, self.names = figure, result, names
        self.smallest = Smallest(result)
        given = _given(result, figure)
        self.measure = next(
            (m for m in MEASURES if any(m in row for _, _, rows in given for row in rows)), "survival"
        )
        self.title = MEASURES[self.measure]
        drawn = [self._line(group, event, rows) for group, event, rows in given]
        self.drawn = [line for line in drawn if line.points]
        self.left_out = [line for line in drawn if not line.points]
        self.groups = list(dict.fromkeys(line.group for line in self.drawn))
        self.events = list(dict.fromkeys(line.event for line in self.drawn if line.event))
        self.at_risk = all("n_risk" in row for line in self.drawn for row in line.points)
        every = [float(row["time"]) for line in self.drawn for row in line.points]
        self.ticks = linear_ticks(min([0.0, *every]), max(every, default=1.0), 6 if len(drawn) <= FEW else 9)
        self.end = max(every, default=1.0)

    def _line(self, group: str, event: str | None, rows: Sequence[Row]) -> Line:
        points = [row for row in rows if is_number(row.get("time")) and is_number(row.get(self.measure))]
        shown = [row for row in points if self.smallest.allows(row.get("n_risk"))]
        first = 1.0 if self.measure == "survival" else 0.0
        return Line(group, event, shown, first, len(shown) < len(points))

    @property
    def empty(self) -> bool:
        return not self.drawn

    def label(self, line: Line) -> str:
        group = self.names.group(line.group)
        if not line.event:
            return group
        return line.event if self.groups == ["all"] else f"{group}, {line.event}"

    def look(self, line: Line) -> Style:
        """Of one group all events have its colour; each line has its own dash."""
        place = self.drawn.index(line)
        return style(place, self.groups.index(line.group) if len(self.groups) > 1 else place)

    @property
    def rows(self) -> list[Row]:
        kept = ("n_event", "n_censor", self.measure, "ci_lower", "ci_upper")
        return [
            {"group": self.label(line), "time": row["time"]}
            | ({"n_risk": row["n_risk"]} if "n_risk" in row else {})
            | {key: row[key] for key in kept if key in row}
            for line in self.drawn
            for row in line.points
        ]

    @property
    def sentences(self) -> list[str]:
        """Where each curve ends, the test beside them, and what rules left out."""
        ends = [
            f"{self.label(line)} {lettering.plain(line.points[-1][self.measure])} "
            f"at {lettering.tick(line.points[-1]['time'])}"
            for line in self.drawn
        ]
        said = [f"{self.title} at the end of each curve: {'; '.join(ends)}."]
        if test := self.test():
            said.append(f"{test}.")
        if len(self.drawn) > BANDS and any("ci_lower" in row for line in self.drawn for row in line.points):
            said.append("Confidence limits of so many curves are in the table, not in the picture.")
        if any(line.cut for line in self.drawn):
            said.append("Curves end where fewer than 5 patients are at risk.")
        if self.left_out:
            names = ", ".join(self.label(line) for line in self.left_out)
            said.append(f"Not drawn, with fewer than 5 patients: {names}.")
        return said

    def test(self) -> str:
        """The test that belongs beside the curves."""
        tests = self.result.tests
        if self.measure == "survival" and is_number((tests.get("logrank") or {}).get("p")):
            return f"Log-rank test: {lettering.p_equals(tests['logrank']['p'])}"
        gray = {name.removeprefix("gray_"): test for name, test in tests.items() if name.startswith("gray_")}
        found = {self._event(name): test for name, test in gray.items() if is_number(test.get("p"))}
        if self.measure == "cif" and found:
            each = [
                f"{event + ', ' if len(found) > 1 else ''}{lettering.p_equals(test['p'])}"
                for event, test in found.items()
            ]
            return f"Gray’s test: {'; '.join(each)}"
        return ""

    def _event(self, name: str) -> str:
        """The event that a test is about; R counts them."""
        place = int(name) - 1 if name.isdigit() else -1
        return self.events[place] if name not in self.events and 0 <= place < len(self.events) else name

    # The page.

    def paint(self) -> Sheet:
        labels = {line.group: self.names.group(line.group) for line in self.drawn}
        longest = max(map(width_of, labels.values()))
        narrow = len(self.drawn) <= FEW and longest <= 24.0
        width = SINGLE if narrow else DOUBLE
        one_a_group = not self.events or len(self.events) == 1
        table = self.at_risk
        legend = [] if table and one_a_group else [(self.label(line), self.look(line)) for line in self.drawn]
        room = (20.0 if narrow else 45.0) if table else 0.0
        wide = min(longest, room)
        tick_room = 13.0
        left = max(tick_room, wide + (KEY + 2.0 if one_a_group else 0.0) + 4.5) if table else tick_room
        plot, height = width - left - 4.0, (52.0 if narrow else 80.0)
        test = self.test()
        lists = self._legend(legend, plot)
        top = 3.0 + LINE * 1.25 * len(lists) + (1.5 if lists else 0.0)
        rows = [wrapped(labels[group], room, 2) for group in self.groups] if table else []
        tall = [max(3.7, 0.7 + LINE * len(row)) for row in rows]
        sheet = Sheet(width, top + height + 10.0 + (5.0 + sum(tall) + 1.0 if table else 0.0))
        axes = sheet.axes(left, top, plot, height)
        self._axes(axes)
        for line in self.drawn:
            self._draw(axes, line)
        for row, items in enumerate(lists):
            x = left + 1.0
            for words, look, taken in items:
                y = 2.5 + row * LINE * 1.25
                sheet.rule(x, x + KEY, y, colour=look.colour, width=1.1, dash=look.dash)
                sheet.text(x + KEY + 1.2, y, words)
                x += taken
        if test:
            self._write_test(axes, test, (width_of(test) + 4.0) / plot, 5.0 / height)
        if table:
            self._table(sheet, rows, tall, top + height + 10.0, left, plot, one_a_group)
        return sheet

    def _legend(
        self, entries: Sequence[tuple[str, Style]], width: float
    ) -> list[list[tuple[str, Style, float]]]:
        """Samples of the lines, as many to a row as fit."""
        lists: list[list[tuple[str, Style, float]]] = []
        used = width
        for words, look in entries:
            words = wrapped(words, width - KEY - 2.0, 1)[0]
            taken = KEY + 1.2 + width_of(words) + 4.0
            if used + taken - 4.0 > width or not lists:
                lists.append([])
                used = 0.0
            lists[-1].append((words, look, taken))
            used += taken
        return lists

    def _axes(self, axes: Any) -> None:
        low = min(0.0, self.ticks[0])
        axes.set_xlim(
            low, max(self.ticks[-1] if self.ticks[-1] <= 1.08 * self.end else self.end, self.end) or 1.0
        )
        self.ticks = [tick for tick in self.ticks if tick <= axes.get_xlim()[1]]
        axes.set_xticks(self.ticks, lettering.ticks(self.ticks))
        axes.set_xlabel(self.figure.axis or "Time")
        if self.measure == "survival":
            heights = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
            axes.set_ylim(0.0, 1.015)
        else:
            tops = [
                float(row[key])
                for line in self.drawn
                for row in line.points
                for key in (self.measure, "ci_upper")
                if is_number(row.get(key))
            ]
            highest = max([0.05 if self.measure == "cif" else 0.0, *tops]) or 1.0
            heights = linear_ticks(0.0, min(highest, 1.0) if self.measure == "cif" else highest)
            axes.set_ylim(0.0, heights[-1] * 1.015)
        axes.set_yticks(heights, lettering.ticks(heights))
        axes.set_ylabel(self.title)

    def _draw(self, axes: Any, line: Line) -> None:
        look = self.look(line)
        start = min(0.0, float(line.points[0]["time"]))
        times = [start, *(float(row["time"]) for row in line.points)]
        heights = [line.start, *(float(row[self.measure]) for row in line.points)]
        axes.step(
            times, heights, where="post", color=look.colour, linestyle=look.dash, linewidth=1.1, zorder=3
        )
        band = [
            (float(row["time"]), float(row["ci_lower"]), float(row["ci_upper"]))
            for row in line.points
            if is_number(row.get("ci_lower")) and is_number(row.get("ci_upper"))
        ]
        if band and len(self.drawn) <= BANDS:
            x = [start, *(point[0] for point in band)]
            lower, upper = ([line.start, *(point[k] for point in band)] for k in (1, 2))
            if len(band) < len(line.points) and (after := line.points[len(band)]["time"]) > x[-1]:
                x, lower, upper = [*x, float(after)], [*lower, lower[-1]], [*upper, upper[-1]]
            axes.fill_between(
                x, lower, upper, step="post", color=look.colour, alpha=0.16, linewidth=0, zorder=1
            )
        if self.measure == "survival":
            censored = [row for row in line.points if is_number(row.get("n_censor")) and row["n_censor"] > 0]
            axes.plot(
                [row["time"] for row in censored],
                [row[self.measure] for row in censored],
                linestyle="none",
                marker="|",
                markersize=3.4,
                markeredgewidth=0.55,
                color=look.colour,
                zorder=4,
                clip_on=False,
            )

    def _write_test(self, axes: Any, words: str, wide: float, high: float) -> None:
        """In the first corner where no curve runs through the words."""
        corners = [(0.03, 0.04), (0.97, 0.96)] if self.measure == "survival" else [(0.03, 0.96), (0.97, 0.04)]
        free = [corner for corner in corners if not self._crossed(axes, corner, wide, high)]
        x, y = (free or corners)[0]
        axes.text(
            x, y, words, transform=axes.transAxes, zorder=5,
            ha="left" if x < 0.5 else "right", va="bottom" if y < 0.5 else "top",
        )  # fmt: skip

    def _crossed(self, axes: Any, corner: tuple[float, float], wide: float, high: float) -> bool:
        x0 = 0.0 if corner[0] < 0.5 else 1.0 - wide
        y0 = 0.0 if corner[1] < 0.5 else 1.0 - high - 0.04
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        low, limit = (bottom + (top - bottom) * y for y in (y0, y0 + high + 0.04))
        x0, x1 = left + (right - left) * x0, left + (right - left) * (x0 + wide)
        for line in self.drawn:
            time, height = left, line.start
            for row in line.points:
                below, above = sorted((height, float(row[self.measure])))
                level = time <= x1 and row["time"] >= x0 and low <= height <= limit
                drop = x0 <= row["time"] <= x1 and below <= limit and above >= low
                if level or drop:
                    return True
                time, height = row["time"], float(row[self.measure])
        return False

    def _table(
        self,
        sheet: Sheet,
        rows: list[list[str]],
        tall: list[float],
        top: float,
        left: float,
        plot: float,
        keys: bool,
    ) -> None:
        """Numbers at risk under the ticks, each row with the sample of its line."""
        sheet.text(0.5, top + 1.5, "Number at risk", bold=True)
        low, high = sheet.figure.axes[0].get_xlim()
        y = top + 5.0
        for group, words, high_row in zip(self.groups, rows, tall, strict=True):
            line = next(line for line in self.drawn if line.group == group)
            middle = y + high_row / 2 - 0.4
            if keys:
                look = self.look(line)
                sheet.rule(0.5, 0.5 + KEY, middle, colour=look.colour, width=1.1, dash=look.dash)
            sheet.lines(0.5 + (KEY + 1.4 if keys else 0.0), middle, words)
            for tick in self.ticks:
                x = left + plot * (tick - low) / (high - low)
                sheet.text(x, middle, self._risk(line, tick), align="center")
            y += high_row

    def _risk(self, line: Line, time: float) -> str:
        """People at risk just before a time: those of the first jump at or after it."""
        found = next((row["n_risk"] for row in line.points if row["time"] >= time), None)
        if found is not None:
            return lettering.count(found)
        return "<5" if line.cut else "0"


def _given(result: Result, figure: Figure) -> list[tuple[str, str | None, Sequence[Row]]]:
    """Group, event and points of each curve the figure names."""
    if figure.table:
        found: dict[str, list[Row]] = {}
        for row in result.tables.get(figure.table, ()):
            key = lettering.first_of(row, GROUPS)
            label = str(row[key]) if key else "all"
            found.setdefault(f"Stratum {label}" if label.isdigit() else label, []).append(row)
        return [(group, None, rows) for group, rows in found.items()]
    return [
        (curve.group, curve.event, curve.points)
        for curve in result.curves
        if figure.curve in (None, curve.name)
    ]

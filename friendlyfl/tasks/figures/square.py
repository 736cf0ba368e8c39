"""Square figures of a score: ROC curves with their area in words, and calibration with bins and the ideal line.

From curves and tables of a Result to what is drawn. The limits of a bin's share are Wilson's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from friendlyfl.tasks.figures import lettering
from friendlyfl.tasks.figures.lettering import Names, is_number
from friendlyfl.tasks.figures.sheet import LINE, MUTED, SINGLE, Sheet, Style, style, wrapped
from friendlyfl.tasks.figures.smallest import Smallest
from friendlyfl.tasks.report import Figure, Result, Row

LEFT, TOP, SIDE = 13.0, 2.5, 67.0
KEY = 6.0
TICKS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
CRITICAL = 1.959963984540054
PRECISE = 200  # points of a smooth line


class Square:
    """A unit square with a diagonal, and what each line means written below it."""

    figure: Figure
    across: str
    upwards: str

    def legend(self) -> list[tuple[str, Style | None]]:
        """What is written below the square; None for a line that is explained without a sample."""
        raise NotImplementedError

    def draw(self, axes: Any) -> None:
        raise NotImplementedError

    def sample(self, sheet: Sheet, look: Style, y: float) -> None:
        sheet.rule(LEFT, LEFT + KEY, y, colour=look.colour, width=1.1, dash=look.dash)

    def paint(self) -> Sheet:
        entries = [(wrapped(words, SINGLE - LEFT - KEY - 3.0, 3), look) for words, look in self.legend()]
        foot = sum(LINE * len(words) + 1.0 for words, _ in entries)
        sheet = Sheet(SINGLE, TOP + SIDE + 11.0 + foot)
        axes = sheet.axes(LEFT, TOP, SIDE, SIDE)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.0)
        axes.set_xticks(TICKS, lettering.ticks(TICKS))
        axes.set_yticks(TICKS, lettering.ticks(TICKS))
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.upwards)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.6, linestyle=(0, (3, 2)), zorder=0)
        self.draw(axes)
        y = TOP + SIDE + 11.0
        for words, look in entries:
            middle = y + LINE * len(words) / 2
            if look is not None:
                self.sample(sheet, look, middle)
            sheet.lines(LEFT + KEY + 1.5 if look is not None else LEFT, middle, words)
            y += LINE * len(words) + 1.0
        return sheet


class Roc(Square):
    """What a ROC figure shows of a Result."""

    across, upwards = "1 − specificity", "Sensitivity"

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure, self.names = figure, names
        events, used = result.n.events, result.n.used
        others = None if events is None or used is None else used - events
        allowed = all(Smallest(result).allows(number) for number in (events, others))
        curves = [curve for curve in result.curves if figure.curve in (None, curve.name)]
        self.curves = [(curve.group, corners(curve.points)) for curve in curves] if allowed else []
        self.areas = {str(row.get("marker", row.get("group"))): row for row in result.tables.get("auc", ())}
        level = result.conventions.get("level", 0.95)
        self.interval = f"{float(level) * 100:g}% CI" if is_number(level) else "95% CI"

    @property
    def empty(self) -> bool:
        return not any(points for _, points in self.curves)

    @property
    def rows(self) -> list[Row]:
        return [
            {"marker": self.names.any(group), "one_minus_specificity": x, "sensitivity": y}
            for group, points in self.curves
            for x, y in points
        ]

    @property
    def sentences(self) -> list[str]:
        return [f"{'; '.join(self.words(group) for group, _ in self.curves)}.", "The diagonal is chance."]

    def words(self, group: str) -> str:
        row = self.areas.get(group, {})
        label = self.names.any(group)
        if not is_number(row.get("auc")):
            return label
        area = f"{row['auc']:.2f}"
        if is_number(row.get("ci_lower")) and is_number(row.get("ci_upper")):
            area += f" ({self.interval} {row['ci_lower']:.2f} to {row['ci_upper']:.2f})"
        return f"{label}: AUC {area}"

    def legend(self) -> list[tuple[str, Style | None]]:
        return [(self.words(group), style(place)) for place, (group, _) in enumerate(self.curves)]

    def draw(self, axes: Any) -> None:
        for place, (_, points) in enumerate(self.curves):
            look = style(place)
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.1,
                solid_joinstyle="miter",
                zorder=3,
                clip_on=False,
            )


def corners(points: Sequence[Row]) -> list[tuple[float, float]]:
    """The curve from (0, 0) to (1, 1), in rising order."""
    known = [
        (1.0 - float(row["specificity"]), float(row["sensitivity"]))
        for row in points
        if is_number(row.get("specificity")) and is_number(row.get("sensitivity"))
    ]
    return sorted({(0.0, 0.0), (1.0, 1.0), *known}) if known else []


class Calibration(Square):
    """What a calibration figure shows of a Result."""

    across, upwards = "Predicted probability", "Observed share"

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure = figure
        smallest = Smallest(result)
        given = [row for row in result.tables.get(figure.table or "bins", ()) if _is_bin(row)]
        people = [(row["n"], row["events"], row["n"] - row["events"]) for row in given]
        self.bins = [
            _bin(row) for row, cells in zip(given, people, strict=True) if all(map(smallest.allows, cells))
        ]
        self.left_out = len(given) - len(self.bins)
        self.found = {str(row.get("term")): row for row in result.coefficients}

    @property
    def empty(self) -> bool:
        return not self.bins

    @property
    def rows(self) -> list[Row]:
        return [dict(row) for row in self.bins]

    @property
    def sentences(self) -> list[str]:
        pairs = [f"{row['predicted']:.2f} and {row['observed']:.2f}" for row in self.bins]
        said = [f"Predicted and observed in {len(pairs)} groups of patients: {'; '.join(pairs)}."]
        said += [f"{words}." for words in self._found()]
        if self.left_out:
            groups = "1 group" if self.left_out == 1 else f"{self.left_out} groups"
            said.append(f"Not drawn, with fewer than 5 patients: {groups}.")
        return said

    def _found(self) -> list[str]:
        terms = {
            "calibration_slope": "Slope",
            "calibration_intercept": "Intercept",
            "calibration_in_the_large": "In the large",
        }
        said = []
        for term, words in terms.items():
            row = self.found.get(term, {})
            numbers = [row.get(key) for key in ("estimate", "ci_lower", "ci_upper")]
            if all(is_number(value) for value in numbers):
                value, lower, upper = (lettering.difference(float(v or 0.0), 2) for v in numbers)
                said.append(f"{words} {value} (95% CI {lower} to {upper})")
        return said

    @property
    def line(self) -> tuple[float, float] | None:
        """Intercept and slope of the fitted calibration curve."""
        a, b = (self.found.get(f"calibration_{word}", {}).get("estimate") for word in ("intercept", "slope"))
        return (float(a), float(b)) if is_number(a) and is_number(b) else None

    def legend(self) -> list[tuple[str, Style | None]]:
        entries: list[tuple[str, Style | None]] = [("Groups of patients with 95% CI", style(0))]
        if self.line:
            entries.append(("Fitted calibration curve", style(1)))
        return [*entries, *((words, None) for words in self._found())]

    def sample(self, sheet: Sheet, look: Style, y: float) -> None:
        if look == style(0):
            sheet.mark(LEFT + KEY / 2, y, look)
        else:
            super().sample(sheet, look, y)

    def draw(self, axes: Any) -> None:
        look = style(0)
        for row in self.bins:
            x, low, high = row["predicted"], row["ci_lower"], row["ci_upper"]
            axes.plot([x, x], [low, high], color=look.colour, linewidth=0.8, zorder=3)
            axes.plot(
                [x], [row["observed"]], marker=look.mark, color=look.colour, markersize=4, markeredgewidth=0,
                zorder=4, clip_on=False,
            )  # fmt: skip
        if self.line:
            second, (a, b) = style(1), self.line
            inside = [k / PRECISE for k in range(1, PRECISE)]
            low, high = min(row["predicted"] for row in self.bins), max(row["predicted"] for row in self.bins)
            inside = [x for x in inside if low - 0.02 <= x <= high + 0.02]
            heights = [
                1.0 / (1.0 + math.exp(-max(min(a + b * math.log(x / (1 - x)), 700), -700))) for x in inside
            ]
            axes.plot(inside, heights, color=second.colour, linestyle=second.dash, linewidth=1.0, zorder=2)


def _is_bin(row: Row) -> bool:
    return all(is_number(row.get(key)) for key in ("n", "events", "sum_p")) and row["n"] > 0


def _bin(row: Row) -> Row:
    n, events = float(row["n"]), float(row["events"])
    share, z = events / n, CRITICAL
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return {
        "n": row["n"],
        "events": row["events"],
        "predicted": float(row["sum_p"]) / n,
        "observed": share,
        "ci_lower": max(0.0, middle - half),
        "ci_upper": min(1.0, middle + half),
    }

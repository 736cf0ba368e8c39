"""Forest plots: an estimate and its interval a row, the numbers beside the marks, a logarithmic axis for ratios.

From rows of a Result to what is drawn. The fits are the tasks'; nothing is computed but exp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from friendlyfl.tasks.figures import lettering
from friendlyfl.tasks.figures.lettering import Names, is_number
from friendlyfl.tasks.figures.sheet import COLOURS, DOUBLE, INK, LINE, MUTED, Sheet, width_of, wrapped
from friendlyfl.tasks.report import Figure, Result

LABELS = ("term", "outcome", "variable", "site", "study", "pair", "group", "level", "marker", "name")
ESTIMATES = ("estimate", "difference", "diff", "mean", "auc", "smd")
ERRORS = ("se_stacked", "se_joint", "se_robust", "se", "se_hc0_weights_fixed")
NOT_DRAWN = ("(Intercept)", "Log(scale)")
POOLED_AS = {"fixed": "Fixed effect", "random": "Random effects", "common": "Common effect"}
POOLED = ("pooled", "fixed", "random", "fixed effect", "random effects", "common", "common effect", "all")
CRITICAL = 1.959963984540054
TICKS = ((1, 2, 5), (1, 1.5, 2, 3, 5, 7))
FURTHEST = 40.0  # times the estimates, beyond which an interval ends in an arrow
GAP, PLOT, P_WIDE = 3.0, 56.0, 11.0


@dataclass(frozen=True)
class Mark:
    """One row. The numbers are as drawn: of a ratio exp was taken."""

    label: str
    estimate: float | None
    lower: float | None
    upper: float | None
    p: float | None
    pooled: bool


class Forest:
    """What a forest plot shows of a Result."""

    def __init__(self, result: Result, figure: Figure, names: Names) -> None:
        self.figure = figure
        rows = (
            result.coefficients
            if figure.table in (None, "coefficients")
            else result.tables.get(figure.table, ())
        )
        terms = figure.table in (None, "coefficients")
        self.marks = [
            mark(row, figure.ratio, names)
            for row in rows
            if not (terms and (row.get("term") in NOT_DRAWN or "|" in str(row.get("term"))))
        ]
        # A mean has no value at which nothing is going on; a difference and a ratio have.
        means = bool(rows) and lettering.first_of(rows[0], ESTIMATES) == "mean"
        self.nothing = None if means else 1.0 if figure.ratio else 0.0
        level = result.conventions.get("level", 0.95)
        self.interval = f"{float(level) * 100:g}% CI" if is_number(level) else "95% CI"
        self.axis = figure.axis or ("Ratio" if figure.ratio else "Estimate")

    @property
    def empty(self) -> bool:
        return not self.marks

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [
            {"label": m.label, "estimate": m.estimate, "ci_lower": m.lower, "ci_upper": m.upper, "p": m.p}
            for m in self.marks
        ]

    @property
    def sentences(self) -> list[str]:
        """What the picture shows, for those who do not see it."""
        shown = [m for m in self.marks if m.estimate is not None and m.lower is not None]
        said = [f"{m.label}: {self.numbers(m)}" for m in shown]
        lost = [m.label for m in self.marks if m not in shown]
        return [
            *([f"{self.axis} ({self.interval}): {'; '.join(said)}."] if said else []),
            *([f"Without a finite estimate: {', '.join(lost)}."] if lost else []),
        ]

    def numbers(self, m: Mark) -> str:
        if m.estimate is None:
            return "no finite estimate"
        if self.figure.ratio:
            write = lettering.ratio
        else:
            widths = [m.upper - m.lower] if m.lower is not None and m.upper is not None else [m.estimate]
            places = lettering.places_for(widths)
            write = lambda value: lettering.difference(value, places)  # noqa: E731  # as wide as it is used
        if m.lower is None or m.upper is None:
            return write(m.estimate)
        return f"{write(m.estimate)} ({write(m.lower)} to {write(m.upper)})"

    # The page.

    def paint(self) -> Sheet:
        with_p = any(m.p is not None for m in self.marks)
        head = f"{self.axis} ({self.interval})"
        texts = [self.numbers(m) for m in self.marks]
        p_wide = P_WIDE if with_p else 0.0
        right = max(*map(width_of, texts), min(width_of(head, bold=True) + 2.0, 38.0)) + GAP + p_wide
        widest = max(width_of(m.label, bold=m.pooled) for m in self.marks)
        room = DOUBLE - right - PLOT - 2 * GAP
        labels = [wrapped(m.label, room) for m in self.marks]
        left = min(widest, room) + GAP
        heights = [max(4.4, 1.5 + LINE * len(lines)) for lines in labels]
        head_lines = [head]
        if width_of(head, bold=True) > right - GAP - p_wide - 2.0:
            head_lines = [
                *wrapped(self.axis, right - GAP - p_wide - 4.0),
                f"({self.interval})",
            ]
        top = 1.5 + LINE * len(head_lines) + 1.2
        body = sum(heights)
        sheet = Sheet(DOUBLE, top + body + 10.5)
        plot = DOUBLE - left - right - GAP
        axes = sheet.axes(left, top, plot, body)
        middles = [sum(heights[:place]) + heights[place] / 2 for place in range(len(heights))]
        self._axis(axes, body)
        for m, lines, text, middle in zip(self.marks, labels, texts, middles, strict=True):
            y = top + middle
            sheet.lines(0.5, y, lines, bold=m.pooled)
            end = DOUBLE - 0.5 - p_wide
            sheet.text(
                end, y, text, align="right", bold=m.pooled, colour=INK if m.lower is not None else MUTED
            )
            if with_p:
                sheet.text(DOUBLE - 0.5, y, lettering.p_value(m.p), align="right", bold=m.pooled)
            self._mark(axes, m, middle)
        last = DOUBLE - 0.5 - p_wide
        sheet.lines(last, top - 1.2 - LINE * len(head_lines) / 2, head_lines, align="right", bold=True)
        if with_p:
            sheet.text(DOUBLE - 0.5, top - 1.2 - LINE / 2, "p", align="right", bold=True)
        sheet.rule(0.5, DOUBLE - 0.5, top - 0.6, width=0.5)
        return sheet

    def _axis(self, axes: Any, body: float) -> None:
        low, high, ticks = limits(self.marks, self.figure.ratio, self.nothing)
        self._limits = low, high
        if self.figure.ratio:
            axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(body, 0)
        axes.set_yticks([])
        write = [lettering.tick(value) for value in ticks] if self.figure.ratio else lettering.ticks(ticks)
        axes.set_xticks(ticks, write)
        axes.minorticks_off()
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(self.axis + (" (log scale)" if self.figure.ratio else ""))
        if self.nothing is not None:
            axes.axvline(self.nothing, color=MUTED, linewidth=0.6, linestyle=(0, (3, 2)), zorder=0)
        axes.patch.set_visible(False)

    def _mark(self, axes: Any, m: Mark, y: float) -> None:
        low, high = self._limits
        if m.estimate is None or m.lower is None or m.upper is None:
            return
        colour = INK if m.pooled else COLOURS[0]
        inside = min(max(m.lower, low), high), min(max(m.upper, low), high)
        if m.pooled:
            axes.fill(
                [m.lower, m.estimate, m.upper, m.estimate],
                [y, y - 1.2, y, y + 1.2],
                color=colour,
                linewidth=0,
            )
            return
        axes.plot(inside, [y, y], color=colour, linewidth=0.9, zorder=2)
        for end, edge, arrow in ((m.lower, low, "<"), (m.upper, high, ">")):
            if end < low or end > high:
                axes.plot(
                    [edge], [y], marker=arrow, color=colour, markersize=3.2, markeredgewidth=0, clip_on=False
                )
        if low <= m.estimate <= high:
            axes.plot(
                [m.estimate], [y], marker="s", color=colour, markersize=4.0, markeredgewidth=0, zorder=3
            )


def mark(row: Mapping[str, Any], ratio: bool, names: Names) -> Mark:
    """A row of a table as it is drawn; an estimate without an interval has not been found and is left open."""
    words = [str(row[key]) for key in LABELS if isinstance(row.get(key), (str, int)) and row.get(key) != ""]
    if "site" in row:
        words = [
            f"{lettering.HOSPITAL} {row['site']}" if is_number(row["site"]) else str(row["site"]),
            *words[:0],
        ]
    label = (
        POOLED_AS.get(words[0].lower() if words else "", "")
        or ", ".join(map(names.any, words))
        or lettering.DASH
    )
    key = lettering.first_of(row, ESTIMATES)
    value = row.get(key) if key else None
    lower, upper = row.get("ci_lower"), row.get("ci_upper")
    error = row.get(lettering.first_of(row, ERRORS) or "")
    if "ci_lower" not in row and is_number(value) and is_number(error):
        lower, upper = value - CRITICAL * error, value + CRITICAL * error
    p = row.get("p")
    pooled = bool(row.get("pooled")) or (words[:1] != [] and words[0].lower() in POOLED)
    if not (is_number(value) and is_number(lower) and is_number(upper)):
        return Mark(label, None, None, None, None, pooled)
    scale = _exp if ratio else float
    return Mark(label, scale(value), scale(lower), scale(upper), p if is_number(p) else None, pooled)


def _exp(value: float) -> float:
    return math.exp(min(max(value, -300.0), 300.0))


def limits(marks: Sequence[Mark], ratio: bool, nothing: float | None) -> tuple[float, float, list[float]]:
    """Where the axis begins and ends, and its ticks; intervals far out do not flatten all others."""
    drawn = [m for m in marks if m.estimate is not None and m.lower is not None and m.upper is not None]
    points = [m.estimate for m in drawn if m.estimate is not None] + ([] if nothing is None else [nothing])
    points = points or [0.0]
    low = min([*points, *(m.lower for m in drawn if m.lower is not None)])
    high = max([*points, *(m.upper for m in drawn if m.upper is not None)])
    if not ratio:
        span = (high - low) or 1.0
        ticks = linear_ticks(low, high)
        return min(low - 0.03 * span, ticks[0]), max(high + 0.03 * span, ticks[-1]), ticks
    typical = sorted(points)[len(points) // 8], sorted(points)[-1 - len(points) // 8]
    low, high = max(low, typical[0] / FURTHEST), min(high, typical[1] * FURTHEST)
    low, high = min(low / 1.06, 0.8), max(high * 1.06, 1.25)
    return low, high, _log_ticks(low, high)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis: the first kind of which enough fit, and never more than 8."""
    powers = [[10.0**power for power in range(-160, 161, step)] for step in (40, 10, 4, 2, 1)]
    steps = [[round(m * 10.0**power, 9) for power in range(-6, 7) for m in kind] for kind in TICKS]
    even = [[round(k * step, 10) for k in range(1, 200)] for step in (0.5, 0.25, 0.2, 0.1, 0.05)]
    for kinds, fewest in ((powers, 3), ([*steps, *even], 4), ([*steps, *even], 2)):
        for kind in kinds:
            inside = [value for value in kind if low <= value <= high]
            if fewest <= len(inside) <= 8:
                return inside
    return [1.0]


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from the first at or below `low` to the last at or above `high`, no more than `most`."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 2.5, 5, 10, 20):
        first, last = math.floor(low / (step * factor) + 1e-9), math.ceil(high / (step * factor) - 1e-9)
        if last - first + 1 <= most:
            break
    return [float(f"{k * step * factor:.12g}") for k in range(first, last + 1)]

"""The small picture of a run's rounds, as SVG by hand: how far each was from the answer, or how long each took.

It holds no style, so that the strict policy of the pages has nothing to forbid. What is drawn comes from `watch`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.portal.standing import many, power_of_ten, short

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 40
INK, MUTED, HAIR, ACCENT = "#1f2a30", "#4a5b65", "#d5dcdf", "#00606b"
MARKED = 60  # rounds up to which each has its mark
SMALLEST = 1e-12  # below it a distance is rounding


@dataclass(frozen=True)
class Point:
    """A round. `distance`: from the answer, in standard errors, where the method knows it."""

    step: int
    number: int
    seconds: float | None
    distance: float | None
    joined: bool  # with the round before it: the same search goes on

    @property
    def shown(self) -> str:
        return short(self.distance)


@dataclass(frozen=True)
class Chart:
    """A picture with the words that replace it."""

    title: str
    alt: str
    svg: str
    converges: bool


def chart(points: Sequence[Point], title: str) -> Chart | None:
    """The picture of a step's rounds; None while there is nothing to show."""
    distances = [point for point in points if point.distance is not None]
    if len(distances) >= 2:
        return _of_distances(points, distances, title)
    timed = [point for point in points if point.seconds is not None]
    return _of_times(timed, title) if timed else None


def _of_distances(points: Sequence[Point], shown: Sequence[Point], title: str) -> Chart:
    values = [max(point.distance or 0.0, SMALLEST) for point in shown]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    every = max(1, -(-(high - low) // 4))
    ticks = [(power, power_of_ten(power)) for power in range(low, high + 1, every)]
    paper = _Paper(_("Distance from the answer, in standard errors"), points, float(low), float(high), ticks)
    before: tuple[float, float] | None = None
    for point, value in zip(shown, values, strict=True):
        here = paper.place(point.number, math.log10(value))
        if before is not None and point.joined:
            paper.line(before, here)
        if len(shown) <= MARKED:
            paper.dot(here)
        before = here
    alt = _(
        "The estimates were %(first)s standard errors from the answer after round %(begin)s, "
        "and %(last)s after round %(round)s."
    )
    words = alt % {
        "round": shown[-1].number,
        "last": short(shown[-1].distance),
        "begin": shown[0].number,
        "first": short(shown[0].distance),
    }
    head = _("%(step)s: how near the answer is") % {"step": title}
    return Chart(head, words, paper.svg(head, words), True)


def _of_times(shown: Sequence[Point], title: str) -> Chart:
    seconds = [point.seconds or 0.0 for point in shown]
    top = _nice(max(seconds))
    ticks = [(0.0, "0"), (top / 2, f"{top / 2:g}"), (top, f"{top:g}")]
    paper = _Paper(_("Seconds for each round"), shown, 0.0, top, ticks)
    for point, value in zip(shown, seconds, strict=True):
        paper.bar(point.number, value)
    words = ngettext(
        "One round, which took %(longest)s seconds.",
        "%(many)s rounds; the shortest took %(shortest)s seconds, the longest %(longest)s.",
        len(seconds),
    ) % {
        "many": many(len(seconds)).capitalize(),
        "shortest": f"{min(seconds):.1f}",
        "longest": f"{max(seconds):.1f}",
    }
    head = _("%(step)s: how long each round took") % {"step": title}
    return Chart(head, words, paper.svg(head, words), False)


def _nice(value: float) -> float:
    """The next round number above."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= value)


class _Paper:
    """Axes, and what is drawn inside them."""

    def __init__(
        self,
        label: str,
        points: Sequence[Point],
        low: float,
        high: float,
        ticks: Sequence[tuple[float, str]],
    ) -> None:
        self.label, self.low, self.high, self.ticks = label, low, high, ticks
        self.first, self.last = points[0].number, points[-1].number
        self.drawn: list[str] = []

    @property
    def _each(self) -> float:
        return (WIDTH - LEFT - RIGHT) / (self.last - self.first + 1)

    def place(self, number: int, value: float) -> tuple[float, float]:
        share = (value - self.low) / (self.high - self.low)
        return LEFT + (number - self.first + 0.5) * self._each, HEIGHT - BOTTOM - share * (
            HEIGHT - TOP - BOTTOM
        )

    def line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._stroke(*start, *end, ACCENT, 2)

    def dot(self, at: tuple[float, float]) -> None:
        self.drawn.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="4" fill="{ACCENT}"/>')

    def bar(self, number: int, value: float) -> None:
        x, y = self.place(number, value)
        wide = min(self._each * 0.7, 40.0)
        height = max(HEIGHT - BOTTOM - y, 1.0)
        self.drawn.append(
            f'<rect x="{x - wide / 2:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" '
            f'width="{wide:.1f}" height="{height:.1f}" fill="{ACCENT}"/>'
        )

    def _stroke(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> None:
        self.drawn.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def _text(self, x: float, y: float, words: str, anchor: str, colour: str = MUTED) -> None:
        self.drawn.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="14" '
            f'font-family="system-ui, Segoe UI, Arial, sans-serif">{escape(words)}</text>'
        )

    def svg(self, title: str, description: str) -> str:
        inside, self.drawn = self.drawn, []
        for value, words in self.ticks:
            y = self.place(self.first, value)[1]
            self._stroke(LEFT, y, WIDTH - RIGHT, y, HAIR, 1)
            self._text(LEFT - 8, y + 4, words, "end")
        count = self.last - self.first + 1
        every = max(1, -(-count // 8))
        for number in range(self.first, self.last + 1, every):
            self._text(self.place(number, self.low)[0], HEIGHT - BOTTOM + 18, str(number), "middle")
        self._text(LEFT - 8 if LEFT < 8 else 4, 18, self.label, "start", INK)
        self._text(WIDTH - RIGHT, HEIGHT - 6, _("Round"), "end", INK)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
            f"{''.join(self.drawn)}{''.join(inside)}</svg>"
        )

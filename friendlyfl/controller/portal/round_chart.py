"""The small picture of a run's rounds, as SVG by hand, with its words and what its table says: how far each round was
from the answer, how good its model was, or how long it took.

It holds no style, so that the strict policy of the pages has nothing to forbid. What is drawn comes from `watch`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.portal.standing import many, power_of_ten, short
from friendlyfl.tasks.base import Quality

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 40
KEY = 24  # height of the row that says which line is which
INK, MUTED, HAIR, ACCENT = "#1f2a30", "#4a5b65", "#d5dcdf", "#00606b"
LOOKS = ((ACCENT, ""), ("#b35c00", "6 3"), ("#6a4c93", "2 3"))  # colour and dashes of a line
LETTER = 7.2  # width of one at most, on average
MARKED = 60  # rounds up to which each has its mark
SMALLEST = 1e-12  # below it a distance is rounding
Place = tuple[float, float]


@dataclass(frozen=True)
class Point:
    """A round. `distance`: from the answer, in standard errors, where the method knows it; `quality`: of its model."""

    step: int
    number: int
    seconds: float | None
    distance: float | None
    joined: bool  # with the round before it: the same search goes on
    quality: Quality | None = None
    beginning: int = 1  # its step had begun so often; no round of an earlier beginning counts


@dataclass(frozen=True)
class Chart:
    """A picture with the words that replace it. `rows` is its table: each round with its cells under `heads`."""

    title: str
    alt: str
    svg: str
    note: str  # how it is to be read
    heads: Sequence[str]
    rows: Sequence[tuple[Point, Sequence[str]]]


def chart(points: Sequence[Point], title: str) -> Chart | None:
    """The picture of a step's rounds; None while there is nothing to show."""
    distances = [point for point in points if point.distance is not None]
    if len(distances) >= 2:
        return _of_distances(points, distances, title)
    told = [(point, point.quality) for point in points if point.quality is not None]
    if len(told) >= 2:
        return _of_quality(points, told, title)
    timed = [point for point in points if point.seconds is not None]
    return _of_times(points, timed, title) if timed else None


def _of_distances(points: Sequence[Point], shown: Sequence[Point], title: str) -> Chart:
    values = [max(point.distance or 0.0, SMALLEST) for point in shown]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    every = max(1, -(-(high - low) // 4))
    ticks = [(power, power_of_ten(power)) for power in range(low, high + 1, every)]
    label = _("Distance from the answer, in standard errors")
    paper = _Paper(label, points, float(low), float(high), ticks)
    places = [
        (paper.place(point.number, math.log10(value)), point.joined)
        for point, value in zip(shown, values, strict=True)
    ]
    paper.course(places, 0)
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
    note = _("The search ends when it is next to nothing.")
    rows = [(point, [short(point.distance)]) for point in points]
    return Chart(head, words, paper.svg(head, words), note, [label], rows)


# --- how good the models are ---


def _best(told: Sequence[tuple[Point, Quality]], beginning: int) -> tuple[Point, Quality] | None:
    """The round that its task takes for the best so far: the first with the least figure since its step last began."""
    chosen_by = told[-1][1].chosen_by
    able = [
        (quality.values[chosen_by], point.number, place)
        for place, (point, quality) in enumerate(told)
        if point.beginning == beginning and chosen_by in quality.values
    ]
    return told[min(able)[2]] if able else None


def _of_quality(points: Sequence[Point], told: Sequence[tuple[Point, Quality]], title: str) -> Chart:
    last = told[-1][1]
    label, names = _(last.name), list(dict.fromkeys(name for _point, each in told for name in each.values))
    every = [value for _point, each in told for value in each.values.values()]
    marks = _even(min(every), max(every))
    paper = _Paper(label, points, marks[0], marks[-1], [(mark, _tick(mark)) for mark in marks], KEY)
    paper.keys([_(name) for name in names])
    sentences = []
    for look, name in enumerate(names):
        shown = [(point, each.values[name]) for point, each in told if name in each.values]
        paper.course([(paper.place(point.number, value), point.joined) for point, value in shown], look)
        words = _("%(figure)s of %(whose)s: %(first)s in round %(begin)s, %(last)s in round %(round)s.")
        sentences.append(
            words
            % {
                "figure": label,
                "whose": _(name),
                "first": figure(shown[0][1]),
                "begin": shown[0][0].number,
                "last": figure(shown[-1][1]),
                "round": shown[-1][0].number,
            }
        )
    chosen = _best(told, points[-1].beginning)
    if chosen is not None:
        value = chosen[1].values[last.chosen_by]
        paper.ring(paper.place(chosen[0].number, value), _("best"))
        words = _("Of %(whose)s round %(round)s has the least, %(value)s, and is the best so far.")
        said = {"whose": _(last.chosen_by), "round": chosen[0].number, "value": figure(value)}
        sentences.append(words % said)
    alt = " ".join(sentences)
    head = _("%(step)s: how good the model is") % {"step": title}
    note = _("Less is better. It is over all hospitals together, of the model that each round received.")
    counted, number = (chosen or told[-1])[1].counted, (chosen or told[-1])[0].number
    if counted is not None:
        words = _("The result counts round %(round)s as round %(counted)s.")
        note += " " + words % {"round": number, "counted": counted}
    heads, rows = _quality_table(points, names, label, chosen[0] if chosen else None)
    return Chart(head, alt, paper.svg(head, alt), note, heads, rows)


def _quality_table(
    points: Sequence[Point], names: Sequence[str], label: str, chosen: Point | None
) -> tuple[list[str], list[tuple[Point, list[str]]]]:
    numbered = any(point.quality and point.quality.counted is not None for point in points)
    heads = [_("%(figure)s of %(whose)s") % {"figure": label, "whose": _(name)} for name in names]
    rows: list[tuple[Point, list[str]]] = []
    for point in points:
        told = point.quality
        cells = [figure(told.values[name]) if told and name in told.values else "" for name in names]
        if point is chosen and told:
            place = list(names).index(told.chosen_by)
            cells[place] = _("best: %(value)s") % {"value": cells[place]}
        if numbered:
            cells.append("" if told is None or told.counted is None else str(told.counted))
        rows.append((point, cells))
    return [*heads, *([_("Round in the result")] if numbered else [])], rows


def figure(value: float) -> str:
    """A figure with the digits that tell two rounds apart."""
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-4:
        digits, _separator, power = f"{value:.3e}".partition("e")
        return f"{digits} × {power_of_ten(int(power))}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}"


def _tick(value: float) -> str:
    """A round number, as short as it is."""
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        digits, _separator, power = f"{value:.3e}".partition("e")
        return f"{float(digits):g} × {power_of_ten(int(power))}"
    return f"{value:.10g}"


def _even(low: float, high: float) -> list[float]:
    """Three to six marks at round numbers, from at most `low` to at least `high`."""
    if high <= low:
        low, high = low - abs(low) / 10 - SMALLEST, high + abs(high) / 10 + SMALLEST
    step = _nice((high - low) / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


# --- how long the rounds take ---


def _of_times(points: Sequence[Point], shown: Sequence[Point], title: str) -> Chart:
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
    note = _("This method tells no distance from its answer, so only times are shown.")
    return Chart(head, words, paper.svg(head, words), note, [], [(point, []) for point in points])


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
        key: int = 0,
    ) -> None:
        self.top = TOP + key
        self.label, self.low, self.high, self.ticks = label, low, high, ticks
        self.first, self.last = points[0].number, points[-1].number
        self.drawn: list[str] = []

    @property
    def _each(self) -> float:
        return (WIDTH - LEFT - RIGHT) / (self.last - self.first + 1)

    def place(self, number: int, value: float) -> Place:
        share = (value - self.low) / (self.high - self.low)
        x = LEFT + (number - self.first + 0.5) * self._each
        return x, HEIGHT - BOTTOM - share * (HEIGHT - self.top - BOTTOM)

    def course(self, places: Sequence[tuple[Place, bool]], look: int) -> None:
        """A line through rounds, each joined to the one before it or not, with their marks while these are few."""
        starts = [place for place, (_at, joined) in enumerate(places) if not (joined and place)]
        for begin, end in pairwise([*starts, len(places)]):
            self._line([at for at, _joined in places[begin:end]], look)
        if len(places) <= MARKED:
            for at, _joined in places:
                self._mark(at, look)

    def _line(self, through: Sequence[Place], look: int) -> None:
        if len(through) > 1:
            colour, dashes = LOOKS[look % len(LOOKS)]
            dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in through)
            self.drawn.append(
                f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
            )

    def _mark(self, at: Place, look: int) -> None:
        """A dot, a square or a triangle."""
        (x, y), colour = at, LOOKS[look % len(LOOKS)][0]
        self.drawn.append(
            (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>',
                f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}"/>',
                f'<path d="M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z" fill="{colour}"/>',
            )[look % len(LOOKS)]
        )

    def keys(self, names: Sequence[str]) -> None:
        """Which line is which."""
        x = 4.0
        for look, name in enumerate(names):
            self._line([(x, TOP), (x + 24, TOP)], look)
            self._mark((x + 12, TOP), look)
            self._text(x + 30, TOP + 5, name, "start", INK)
            x += 30 + LETTER * len(name) + 18

    def ring(self, at: Place, words: str) -> None:
        """Point out a round."""
        x, y = at
        self.drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{INK}" stroke-width="2"/>'
        )
        above = y - 13 > self.top + 10
        self._text(x, y - 13 if above else y + 23, words, "middle", INK)

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

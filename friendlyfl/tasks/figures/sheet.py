"""The paper a figure is drawn on: millimetres, type, ink, and its three files. The place that knows matplotlib.

Nothing here is global: no pyplot, no current figure. Type is measured with the font that matplotlib itself carries, so
that the same numbers give the same bytes on every machine.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from friendlyfl.tasks.figures.lettering import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SINGLE, DOUBLE = 85.0, 175.0  # millimetres: one column of a journal, and two
SIZE = 7.0  # points
INK, MUTED, HAIR = "#1f2a30", "#4a5b65", "#b9c3c8"
COLOURS = ("#00606b", "#b35c00", "#6a4c93", "#2f6db5", "#a0305f")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.6)),
    (0, (1.3, 1.3)),
    (0, (6, 1.5, 1.3, 1.5)),
    (0, (9, 2)),
    (0, (4, 1.2, 1.2, 1.2, 1.2, 1.2)),
    (0, (2.5, 1.5)),
    (0, (9, 1.5, 3, 1.5)),
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<")
HATCHES = ("", "/////", ".....", "xxxxx", "\\\\\\\\\\", "|||||", "-----", "+++++")
PER_INCH = 25.4
LINE = 3.1  # millimetres from one line of type to the next

_RC: dict[Any, Any] = {
    "svg.hashsalt": "friendlyfl",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # names of columns may hold a dollar sign
    "font.size": SIZE,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 2.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.2,
    "ytick.major.size": 2.2,
    "xtick.major.pad": 1.8,
    "ytick.major.pad": 1.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.45,
    "lines.solid_capstyle": "butt",
}
_LOCK = threading.Lock()  # matplotlib's settings belong to the process


@dataclass(frozen=True)
class Style:
    """How one group looks: its colour, and never the colour alone."""

    colour: str
    dash: Any
    mark: str
    hatch: str


def style(place: int, colour: int | None = None) -> Style:
    """The look of the group in this place; `colour` gives related lines the same colour."""
    mark, dash, hatch = (kind[place % len(kind)] for kind in (MARKS, DASHES, HATCHES))
    return Style(COLOURS[(place if colour is None else colour) % len(COLOURS)], dash, mark, hatch)


@cache
def _font(bold: bool) -> str:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


@lru_cache(maxsize=10_000)
def width_of(text: str, size: float = SIZE, bold: bool = False) -> float:
    """Millimetres a line of type takes."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(_font(bold))
    font.set_size(size, 72)
    with _no_complaints():
        font.set_text(clean(text), 0.0)
    return float(font.get_width_height()[0]) / 64.0 / 72.0 * PER_INCH


@contextmanager
def _no_complaints() -> Iterator[None]:
    """A letter that the font lacks is drawn as a box, without a word on the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def wrapped(text: str, width: float, lines: int = 3) -> list[str]:
    """A text broken to a width in millimetres; what does not fit in so many lines ends in an ellipsis."""
    made = [""]
    for word in clean(text).split():
        longer = f"{made[-1]} {word}".strip()
        if width_of(longer) <= width:
            made[-1] = longer
            continue
        if made[-1]:
            made.append("")
        while width_of(word) > width and len(made) <= lines:
            fit = _longest(word, width)
            made[-1] = word[:fit]
            word = word[fit:]
            made.append("")
        made[-1] = word
    if len(made) > lines:
        last = made[lines - 1]
        while last and width_of(last + "…") > width:
            last = last[:-1]
        made = [*made[: lines - 1], last.rstrip() + "…"]
    return made


def _longest(word: str, width: float) -> int:
    fit = 1
    while fit < len(word) and width_of(word[: fit + 1]) <= width:
        fit += 1
    return fit


class Sheet:
    """A page of so many millimetres; places are counted from its left and from its top."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / PER_INCH, height / PER_INCH), facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        box = (left, self.height - top - height, width, height)
        whole = (self.width, self.height, self.width, self.height)
        x, y, w, h = (a / b for a, b in zip(box, whole, strict=True))
        return self.figure.add_axes((x, y, w, h))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        align: str = "left",
        colour: str = INK,
        bold: bool = False,
        size: float = SIZE,
        turned: bool = False,
    ) -> None:
        """One line of type; `y` is its middle."""
        self.figure.text(
            x / self.width,
            1.0 - y / self.height,
            clean(words),
            ha=align,
            va="center_baseline" if not turned else "center",
            color=colour,
            fontsize=size,
            fontweight="bold" if bold else "normal",
            rotation=90 if turned else 0,
        )

    def lines(self, x: float, y: float, words: Sequence[str], **more: Any) -> None:
        """Several lines of type around the middle `y`."""
        first = y - LINE * (len(words) - 1) / 2
        for place, line in enumerate(words):
            self.text(x, first + place * LINE, line, **more)

    def rule(
        self, x0: float, x1: float, y: float, *, colour: str = INK, width: float = 0.5, dash: Any = "solid"
    ) -> None:
        from matplotlib.lines import Line2D

        xs, ys = [x0 / self.width, x1 / self.width], [1.0 - y / self.height] * 2
        self.figure.add_artist(Line2D(xs, ys, color=colour, linewidth=width, linestyle=dash))

    def mark(self, x: float, y: float, look: Style, size: float = 3.6) -> None:
        from matplotlib.lines import Line2D

        place = [x / self.width], [1.0 - y / self.height]
        self.figure.add_artist(
            Line2D(
                *place,
                marker=look.mark,
                color=look.colour,
                markersize=size,
                linestyle="none",
                markeredgewidth=0,
            )
        )

    def patch(self, x: float, y: float, width: float, height: float, look: Style) -> None:
        from matplotlib.patches import Rectangle

        corner = (x / self.width, 1.0 - (y + height / 2) / self.height)
        self.figure.add_artist(Rectangle(corner, width / self.width, height / self.height, **bar_look(look)))


def bar_look(look: Style) -> dict[str, Any]:
    """The first kind of bar is filled, the others hatched on a tint of their colour."""
    face = look.colour if not look.hatch else _tint(look.colour)
    return {"facecolor": face, "edgecolor": look.colour, "hatch": look.hatch or None, "linewidth": 0.5}


def _tint(colour: str) -> str:
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - 0.16 * (255 - part)):02x}" for part in parts)


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib as it comes, whatever this machine's own settings are, with ours; one drawing at a time."""
    import matplotlib

    with _LOCK, matplotlib.rc_context(), _no_complaints():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def rendered(paint: Callable[[], Sheet], kind: str, title: str, description: str) -> bytes:
    """The file of a drawing: svg, pdf, or png of 300 dots an inch. No date, so the same numbers give the same bytes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

    title, description = clean(title), clean(description)
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {
            "CreationDate": None,
            "Creator": None,
            "Producer": None,
            "Title": title,
            "Subject": description,
        },
        "png": {"Software": None, "Title": title, "Description": description},
    }
    out = io.BytesIO()
    with settings():
        figure = paint().figure
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            bold = text.get_fontweight() == "bold"
            text.set_fontproperties(FontProperties(fname=_font(bold), size=text.get_fontsize()))
        figure.savefig(out, format=kind, dpi=300, metadata=metadata[kind])
    return _accessible(out.getvalue(), title, description) if kind == "svg" else out.getvalue()


def _accessible(svg: bytes, title: str, description: str) -> bytes:
    """The title and the description inside the picture, and no address of another host."""
    text = svg.decode("utf-8")
    text = re.sub(r"<!DOCTYPE[^>]*>\n?", "", text)
    text = re.sub(r" *<metadata>.*?</metadata>\n?", "", text, flags=re.DOTALL)
    said = f"\n <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>"
    start = text.index(">", text.index("<svg "))
    return (text[:start] + ' role="img">' + said + text[start + 1 :]).encode()

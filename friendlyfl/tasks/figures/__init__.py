"""Figures of a Result for pages and papers: each with its title, a description in sentences and its data table.

    for drawing in drawings(result, dictionary):
        drawing.svg(), drawing.pdf(), drawing.png(), drawing.title, drawing.description, drawing.table

Everything comes from the Result; the dictionary only gives labels. matplotlib is used in this package alone, and read
when the first figure is drawn. What is shown is decided in forest, curve, square, bars and line, the paper is `sheet`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.figures.bars import Bars
from friendlyfl.tasks.figures.curve import Curve
from friendlyfl.tasks.figures.forest import Forest
from friendlyfl.tasks.figures.lettering import Names
from friendlyfl.tasks.figures.line import Line
from friendlyfl.tasks.figures.sheet import Sheet, rendered
from friendlyfl.tasks.figures.square import Calibration, Roc
from friendlyfl.tasks.report import Figure, Result, Row


class Picture(Protocol):
    """What each word of `report.FIGURE_WORDS` knows to do."""

    @property
    def empty(self) -> bool: ...
    @property
    def rows(self) -> list[Row]: ...
    @property
    def sentences(self) -> list[str]: ...
    def paint(self) -> Sheet: ...


@dataclass(frozen=True)
class Drawing:
    """One figure: its words, its data table, and its three files."""

    name: str  # of a file, without its ending
    title: str
    description: str
    table: Sequence[Row]
    picture: Picture

    def svg(self) -> bytes:
        return rendered(self.picture.paint, "svg", self.title, self.description)

    def pdf(self) -> bytes:
        return rendered(self.picture.paint, "pdf", self.title, self.description)

    def png(self) -> bytes:
        """300 dots an inch."""
        return rendered(self.picture.paint, "png", self.title, self.description)


def _picture(result: Result, figure: Figure, names: Names) -> Picture:
    kinds: dict[str, type[Forest | Curve | Roc | Calibration | Bars | Line]] = {
        "Forest": Forest,
        "Curve": Curve,
        "Roc": Roc,
        "Calibration": Calibration,
        "Bars": Bars,
        "Line": Line,
    }
    return kinds[figure.word](result, figure, names)


def drawings(result: Result, dictionary: Dictionary | None = None) -> list[Drawing]:
    """Every figure of a Result that has something to show, in its order."""
    names = Names(dictionary)
    made = []
    for number, figure in enumerate(result.figures, start=1):
        picture = _picture(result, figure, names)
        if picture.empty:
            continue
        words = re.sub(r"[^a-z0-9]+", "-", figure.title.lower()).strip("-")[:50].rstrip("-")
        description = " ".join([figure.description, *picture.sentences])
        made.append(Drawing(f"figure-{number}-{words}", figure.title, description, picture.rows, picture))
    return made

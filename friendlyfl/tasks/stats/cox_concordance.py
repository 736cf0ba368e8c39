"""Concordance of a risk score with survival: pairs counted exactly, and what each row adds to its standard error.

Of two rows, the one with the earlier event is compared with the other if that is still at risk then; ties of the
event time are not compared (R's concordance). Counts come from rows of one hospital, or from tables of people by
place in time and bin of the score that are added over hospitals. Who sends which is decided in cox.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from friendlyfl.tasks.stats.cox_risk import Cells, Floats, Followed, Integers

FINE = 2**40  # codes of a score
BINS = 2**16  # at first; and the parts of a bin that the check for one value can tell apart
FINER = 2**18  # bins into which mixed ones are cut, all together
LOOKS = 4  # at the distribution of the scores
TABLE = 1_000_000  # numbers in a table of times and bins


class Below(Protocol):
    """People by place and score."""

    def below(self, place: Integers, score: Integers) -> Integers:
        """How many are at a smaller place and have a smaller score, for each pair asked about."""
        ...


class Listed:
    """People one by one: places sorted once, scores kept bit by bit (a wavelet matrix), so a count takes few steps."""

    def __init__(self, place: Integers, score: Integers, scores: int) -> None:
        order = np.argsort(place, kind="stable")
        self.place, left = place[order], score[order]
        self.bits = range(int(scores).bit_length() - 1, -1, -1)
        self.zeros: list[Integers] = []
        for bit in self.bits:
            one = (left >> bit) & 1
            self.zeros.append(np.concatenate([[0], np.cumsum(1 - one)]))
            left = np.concatenate([left[one == 0], left[one == 1]])

    def below(self, place: Integers, score: Integers) -> Integers:
        high = np.searchsorted(self.place, place, side="left").astype(np.int64)
        low, found = np.zeros_like(high), np.zeros_like(high)
        for bit, zeros in zip(self.bits, self.zeros, strict=True):
            one = ((score >> bit) & 1) == 1
            zero_low, zero_high = zeros[low], zeros[high]
            found += np.where(one, zero_high - zero_low, 0)
            low = np.where(one, zeros[-1] + low - zero_low, zero_low)
            high = np.where(one, zeros[-1] + high - zero_high, zero_high)
        return found


class Tabled:
    """People counted in a table (places, scores)."""

    def __init__(self, table: Floats) -> None:
        self.sums = np.zeros((table.shape[0] + 1, table.shape[1] + 1), dtype=np.int64)
        self.sums[1:, 1:] = np.cumsum(np.cumsum(np.rint(table).astype(np.int64), axis=0), axis=1)

    def below(self, place: Integers, score: Integers) -> Integers:
        return np.asarray(self.sums[place, score])


@dataclass(frozen=True)
class Standing:
    """Everybody: by the place at which they leave, at which they enter (None: all from the start), and the events.

    Places of leaving alternate: 2(cell + stratum) after the events of a cell, one less at them.
    """

    leaving: Below
    entering: Below | None
    events: Below
    scores: int

    @classmethod
    def listed(cls, rows: Followed, score: Integers, late: bool) -> Standing:
        scores = int(score.max(initial=-1)) + 1
        return cls(
            Listed(leaves(rows), score, scores),
            Listed(enters(rows), score, scores) if late else None,
            Listed(rows.cell, score[rows.dead], scores),
            scores,
        )

    @classmethod
    def tabled(cls, events: Floats, censored: Floats, entered: Floats | None, cells: Cells) -> Standing:
        leaving = np.zeros((2 * len(censored), events.shape[1]))
        leaving[0::2] = censored
        place = np.arange(len(events)) + cells.stratum
        leaving[2 * place + 1] = events
        late = None if entered is None else Tabled(entered)
        return cls(Tabled(leaving), late, Tabled(events), events.shape[1])


def leaves(rows: Followed) -> Integers:
    return 2 * (rows.stop + rows.stratum) - rows.dead


def enters(rows: Followed) -> Integers:
    return rows.first + rows.stratum


def tables_of(rows: Followed, score: Integers, cells: Cells, scores: int) -> dict[str, Floats]:
    """One hospital's part of the tables."""
    slots = len(cells) + len(cells.starts) - 1
    alive = ~rows.dead

    def count(place: Integers, at: Integers, size: int) -> Floats:
        found = np.bincount(place * scores + at, minlength=size * scores)
        return found.reshape(size, scores).astype(np.float64)

    return {
        "events_by_score": count(rows.cell, score[rows.dead], len(cells)),
        "censored_by_score": count((rows.stop + rows.stratum)[alive], score[alive], slots),
        "entered_by_score": count(enters(rows), score, slots),
    }


def compared(rows: Followed, score: Integers, everybody: Standing, cells: Cells) -> tuple[Floats, Floats]:
    """For each row the pairs it opens by its own event, and all pairs it is in: concordant, discordant, tied in score.

    A higher score and an earlier event are concordant.
    """
    opened = np.zeros((len(score), 3))
    dead = rows.dead
    stratum, stop = rows.stratum[dead], rows.stop[dead]
    end = cells.starts[stratum + 1] + stratum + 1
    own = score[dead]

    def partners(at: Integers) -> Integers:
        later = everybody.leaving.below(2 * end, at) - everybody.leaving.below(2 * (stop + stratum), at)
        if everybody.entering is None:
            return later
        not_yet = everybody.entering.below(end, at) - everybody.entering.below(stop + stratum, at)
        return later - not_yet

    less, upto, whole = partners(own), partners(own + 1), partners(np.full_like(own, everybody.scores))
    opened[dead] = np.column_stack([less, whole - upto, upto - less])
    first, last = rows.first, rows.stop - dead

    def deaths(at: Integers) -> Integers:
        return everybody.events.below(np.maximum(last, first), at) - everybody.events.below(first, at)

    less, upto, whole = deaths(score), deaths(score + 1), deaths(np.full_like(score, everybody.scores))
    return opened, opened + np.column_stack([whole - upto, less, upto - less])


@dataclass(frozen=True)
class Bins:
    """Bins of codes of the score, from `edges` up to before `ends`; `mixed` marks those that hold several values."""

    edges: Integers
    ends: Integers
    mixed: Integers

    @classmethod
    def first(cls) -> Bins:
        edges = np.arange(BINS, dtype=np.int64) * (FINE // BINS)
        return cls(edges, edges + FINE // BINS, np.zeros_like(edges))

    def to_state(self) -> dict[str, Integers]:
        return dict(vars(self))

    def of(self, code: Integers) -> Integers:
        return np.searchsorted(self.edges, code, side="right") - 1

    def look(self, code: Integers) -> Floats:
        """By bin: people, and the sum and the sum of squares of their place in it, by which one value is known."""
        place = self.of(code)
        part = np.maximum((self.ends - self.edges) // BINS, 1)
        within = ((code - self.edges[place]) // part[place]).astype(np.float64)
        weights = (np.ones_like(within), within, within**2)
        return np.stack([np.bincount(place, weights=w, minlength=len(self.edges)) for w in weights])

    def seen(self, look: Floats) -> Bins:
        """Only bins that hold anybody, with those that are mixed marked."""
        held = look[0] > 0
        people, within, squares = ([int(value) for value in row] for row in look[:, held])
        mixed = [n * s2 != s1 * s1 for n, s1, s2 in zip(people, within, squares, strict=True)]
        return Bins(self.edges[held], self.ends[held], np.array(mixed, dtype=np.int64))

    def finer(self) -> Bins | None:
        """The mixed bins cut up; None if there are none or too many."""
        wrong = self.mixed == 1
        if not wrong.any() or wrong.sum() > FINER // 8:
            return None
        parts = min(BINS, FINER // int(wrong.sum()))
        cuts = np.linspace(self.edges[wrong], self.ends[wrong], parts + 1).astype(np.int64)
        edges = np.concatenate([self.edges[~wrong], cuts[:-1].ravel()])
        ends = np.concatenate([self.ends[~wrong], cuts[1:].ravel()])
        kept = np.flatnonzero(ends > edges)
        kept = kept[np.argsort(edges[kept])]
        return Bins(edges[kept], ends[kept], np.zeros_like(kept))

    def joined(self, people: Floats, most: int) -> Bins:
        """At most so many bins, with about as many people in each; those joined are mixed."""
        if len(self.edges) <= most:
            return self
        before = np.cumsum(people) - people
        group = np.floor(before / people.sum() * most).astype(np.int64)
        start = np.flatnonzero(np.diff(group, prepend=-1))
        size = np.diff(np.append(start, len(group)))
        mixed = np.maximum.reduceat(self.mixed, start) | (size > 1)
        ends = self.ends[np.append(start[1:], len(group)) - 1]
        return Bins(self.edges[start], ends, mixed.astype(np.int64))


def scores_of(columns: Floats, beta: Floats) -> Floats:
    """The linear predictor, added in one order, so that equal rows have equal scores at every hospital."""
    found = np.zeros(len(columns))
    for column, value in zip(columns.T, beta, strict=True):
        found = found + column * value
    return found


def codes_of(score: Floats, middle: float, size: float) -> Integers:
    """Scores as whole numbers in the same order."""
    away = score - middle
    share = away / (size + np.abs(away)) if size > 0 else np.zeros_like(away)
    return np.clip(np.floor((1.0 + share) / 2.0 * FINE), 0, FINE - 1).astype(np.int64)

"""Cox's partial likelihood as arithmetic: who is at risk when, sums over them, and what follows from the sums.

A cell is one event time of one stratum. Rows give sums for each cell; sums may be added over hospitals; from the
total come log-likelihood, score, information, hazard and, row by row again, score residuals. What does not live
here: who computes which part (cox), the search (newton), ranks of the scores (cox_concordance).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BLOCK = 4096  # rows whose products stay within a processor's cache
LOG2 = float(np.log(2.0))


@dataclass(frozen=True)
class Cells:
    """The event times of every stratum, strata in order and times rising within them."""

    stratum: Integers
    time: Floats
    starts: Integers  # where each stratum begins, and the end of the last

    @classmethod
    def of(cls, stratum: Integers, time: Floats, strata: int) -> Cells:
        """From the strata and times of events, in any order and as often as they come."""
        order = np.lexsort((time, stratum))
        stratum, time = stratum[order], time[order]
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (np.diff(stratum) != 0) | (np.diff(time) != 0)
        stratum, time = stratum[new], time[new]
        return cls(stratum, time, np.searchsorted(stratum, np.arange(strata + 1)).astype(np.int64))

    def __len__(self) -> int:
        return len(self.time)

    def upto(self, value: Floats, stratum: Integers) -> Integers:
        """The place after the last cell of each row's stratum with a time of at most `value`."""
        place = np.zeros(len(value), dtype=np.int64)
        for code in np.unique(stratum):
            start, end = self.starts[code], self.starts[code + 1]
            here = stratum == code
            place[here] = start + np.searchsorted(self.time[start:end], value[here], side="right")
        return place


@dataclass(frozen=True)
class Followed:
    """For each row the cells at which it is at risk, `first` up to before `stop`; with an event the last of them."""

    stratum: Integers
    first: Integers
    stop: Integers
    dead: Bools

    @classmethod
    def of(cls, cells: Cells, stratum: Integers, time: Floats, dead: Bools, entry: Floats | None) -> Followed:
        first = cells.starts[stratum] if entry is None else cells.upto(entry, stratum)
        return cls(stratum, first, cells.upto(time, stratum), dead)

    @property
    def cell(self) -> Integers:
        """The cell of each event."""
        return self.stop[self.dead] - 1

    def deaths(self, cells: int) -> Integers:
        return np.bincount(self.cell, minlength=cells)


def pairs_of(columns: int) -> tuple[Integers, Integers]:
    """The upper triangle of a square matrix: products of columns are sent once."""
    rows, others = np.triu_indices(columns)
    return rows.astype(np.int64), others.astype(np.int64)


@dataclass(frozen=True)
class RiskSums:
    """Sums at each cell: of risk, risk times columns, risk times products, over those at risk (`at`) and, where
    several have the event at once, over those (`tied`). `events` are sums of the columns over the events.

    `at` and `tied` are divided by 2^shift of their cell, so that what is added keeps its digits. Products are there
    only where they have to be added by cell.
    """

    at: Floats  # (cells, 1 + columns + products)
    tied: Floats  # (cells with ties, the same)
    events: Floats  # (cells, columns)

    @classmethod
    def of(
        cls,
        rows: Followed,
        design: Floats,
        theta: Floats,
        ties: Bools,
        shift: Integers,
        products: bool = True,
    ) -> RiskSums:
        """`ties` marks the cells of which Efron's rule needs the sums over events."""
        sums = products_of if products else _weighted
        cells = len(ties)
        risk = np.exp(design @ theta)
        size = 1 << max(cells - 1, 0).bit_length()
        nodes = _nodes(rows.first, rows.stop, size)
        tree = np.zeros((2 * size, sums(design[:0], risk[:0]).shape[1]))
        for start in range(0, len(design), BLOCK):
            part = slice(start, start + BLOCK)
            tree += nodes[part].T @ sums(design[part], risk[part])
        level = 1
        while level < size:
            below = np.arange(2 * level, 4 * level)
            tree[below] += tree[below // 2]
            level *= 2
        scale = np.ldexp(1.0, -shift)[:, None]
        dying = np.flatnonzero(rows.dead)
        events = by_cell(rows.cell, cells) @ design[dying]
        place = np.cumsum(ties) - 1
        dying = dying[ties[rows.cell]]
        tied = by_cell(place[rows.stop[dying] - 1], int(ties.sum())) @ sums(design[dying], risk[dying])
        return cls(tree[size : size + cells] * scale, tied * scale[ties], events)

    @property
    def finite(self) -> bool:
        return all(bool(np.isfinite(getattr(self, field.name)).all()) for field in fields(self))


def by_cell(cell: Integers, cells: int) -> sparse.csr_matrix:
    from scipy import sparse  # slow to load, and pages that list tasks do without

    ones = np.ones(len(cell))
    return sparse.csr_matrix((ones, (cell, np.arange(len(cell)))), shape=(cells, len(cell)))


def _weighted(design: Floats, risk: Floats) -> Floats:
    return np.hstack([risk[:, None], design * risk[:, None]])


def products_of(design: Floats, risk: Floats) -> Floats:
    one, other = pairs_of(design.shape[1])
    weighted = _weighted(design, risk)
    return np.hstack([weighted, weighted[:, 1 + one] * design[:, other]])


def _nodes(first: Integers, stop: Integers, size: int) -> sparse.csr_matrix:
    """Which nodes of a binary tree over the cells make up each row's time at risk.

    A row is added to a few nodes and every node is passed down to its cells, so that nothing is ever subtracted:
    a difference of two running sums would lose its digits where few remain.
    """
    from scipy import sparse

    rows: list[Integers] = []
    nodes: list[Integers] = []
    who = np.flatnonzero(first < stop)
    low, high = first[who] + size, stop[who] + size
    while len(who):
        odd = low % 2 == 1
        rows.append(who[odd])
        nodes.append(low[odd])
        low = low + odd
        odd = high % 2 == 1
        high = high - odd
        rows.append(who[odd])
        nodes.append(high[odd])
        low, high = low // 2, high // 2
        left = low < high
        who, low, high = who[left], low[left], high[left]
    place, node = np.concatenate([*rows, who]), np.concatenate([*nodes, who])
    return sparse.csr_matrix((np.ones(len(place)), (place, node)), shape=(len(first), 2 * size))


@dataclass(frozen=True)
class Partial:
    """What the total sums say: all of it on the scale of the columns and `theta` at which they were made."""

    theta: Floats
    deaths: Integers  # in each cell
    ties: Bools
    shift: Integers
    sums: RiskSums

    @property
    def finite(self) -> bool:
        return self.sums.finite and bool((self.sums.at[:, 0] > 0).all())

    @cached_property
    def _tied(self) -> Floats:
        """Sums over the events of a cell, zero where Efron's rule needs none."""
        whole = np.zeros_like(self.sums.at)
        whole[self.ties] = self.sums.tied
        return whole

    @cached_property
    def _steps(self) -> tuple[Integers, Floats]:
        """Efron's steps: for each event its cell, and the share of the tied sums that is taken off for it."""
        cell = np.repeat(np.arange(len(self.deaths)), self.deaths)
        step = np.arange(len(cell)) - np.repeat(np.cumsum(self.deaths) - self.deaths, self.deaths)
        return cell, np.where(self.ties[cell], step / self.deaths[cell], 0.0)

    @cached_property
    def _rates(self) -> Floats:
        """One over the sum at risk of each step, on the shifted scale."""
        cell, share = self._steps
        return np.asarray(1.0 / (self.sums.at[cell, 0] - share * self._tied[cell, 0]))

    def _moment(self, shares: int, rates: int) -> Floats:
        """Sums over a cell's steps of share^a times rate^b."""
        cell, share = self._steps
        weights = share**shares * self._rates**rates
        return np.asarray(np.bincount(cell, weights=weights, minlength=len(self.deaths)), dtype=np.float64)

    @cached_property
    def loglik(self) -> float:
        cell, _ = self._steps
        risks = LOG2 * self.shift[cell] - np.log(self._rates)
        return float(self.sums.events.sum(axis=0) @ self.theta - risks.sum())

    @cached_property
    def expected(self) -> Floats:
        """By cell: the sum over steps of the weighted mean of the columns."""
        q = len(self.theta)
        at, tied = self.sums.at[:, 1 : q + 1], self._tied[:, 1 : q + 1]
        return at * self._moment(0, 1)[:, None] - tied * self._moment(1, 1)[:, None]

    @cached_property
    def excess(self) -> Floats:
        """By cell: the events' columns minus what was expected; their sum is the score."""
        return self.sums.events - self.expected

    @cached_property
    def spread(self) -> Floats:
        """By cell: the sum over steps of the weighted covariance of the columns."""
        q = len(self.theta)
        one, other = pairs_of(q)
        at, tied = self.sums.at, self._tied
        products = (
            at[:, 1 + q :] * self._moment(0, 1)[:, None] - tied[:, 1 + q :] * self._moment(1, 1)[:, None]
        )
        upper = products - (
            at[:, 1 + one] * at[:, 1 + other] * self._moment(0, 2)[:, None]
            - (at[:, 1 + one] * tied[:, 1 + other] + tied[:, 1 + one] * at[:, 1 + other])
            * self._moment(1, 2)[:, None]
            + tied[:, 1 + one] * tied[:, 1 + other] * self._moment(2, 2)[:, None]
        )
        whole = np.zeros((len(at), q, q))
        whole[:, one, other] = whole[:, other, one] = upper
        return whole

    def information(self, weight: Floats) -> Floats:
        """Information of the cells, each with its weight."""
        return np.asarray(np.tensordot(weight, self.spread, axes=1))

    @property
    def hazard(self) -> Floats:
        """The step of the cumulative hazard at each cell, where the columns are 0."""
        return np.ldexp(self._moment(0, 1), -self.shift)

    def over_time(self, transform: Floats) -> tuple[Floats, Floats]:
        """For columns times a function of time: their score, and their information with the columns and themselves."""
        info = [self.information(transform), self.information(transform**2)]
        return transform @ self.excess, np.stack(info)

    @property
    def steps(self) -> Steps:
        """What a hospital needs for its rows' residuals."""
        q = len(self.theta)
        at, tied = self.sums.at[:, 1 : q + 1], self._tied[:, 1 : q + 1]
        whole = at * self._moment(0, 2)[:, None] - tied * self._moment(1, 2)[:, None]
        part = at * self._moment(1, 2)[:, None] - tied * self._moment(2, 2)[:, None]
        back = np.ldexp(1.0, -self.shift)
        return Steps(
            self.hazard,
            whole * back[:, None],
            self._moment(1, 1) * back,
            part * back[:, None],
            self.expected / np.maximum(self.deaths, 1)[:, None],
        )

    @property
    def levels(self) -> tuple[Floats, Floats]:
        """Logarithms to base 2 of the sums at risk, and how they move with theta."""
        q = len(self.theta)
        mean = self.sums.at[:, 1 : q + 1] / self.sums.at[:, :1]
        return np.log2(self.sums.at[:, 0]) + self.shift, mean / LOG2

    @property
    def size(self) -> float:
        """How far the linear predictors of those at risk typically are from 0."""
        one, other = pairs_of(len(self.theta))
        weights = self.theta[one] * self.theta[other] * np.where(one == other, 1.0, 2.0)
        squares = self.sums.at[:, 1 + len(self.theta) :] @ weights / self.sums.at[:, 0]
        return float(np.sqrt(max(squares.mean(), 0.0)))


@dataclass(frozen=True)
class Steps:
    """By cell: the hazard's step and the same times the mean of the columns; how much less of both falls to those
    with the event (`off`, by Efron's rule); and the mean of the columns that an event is compared with."""

    hazard: Floats
    weighted: Floats
    off: Floats
    weighted_off: Floats
    mean: Floats

    def residuals(self, rows: Followed, design: Floats, theta: Floats) -> Floats:
        """Each row's part of the score, by which it would move the answer."""
        hazard, weighted = (running(values) for values in (self.hazard, self.weighted))
        total = hazard[rows.stop] - hazard[rows.first]
        moved = weighted[rows.stop] - weighted[rows.first]
        cell = rows.cell
        total[rows.dead] -= self.off[cell]
        moved[rows.dead] -= self.weighted_off[cell]
        found = -np.exp(design @ theta)[:, None] * (design * total[:, None] - moved)
        found[rows.dead] += design[rows.dead] - self.mean[cell]
        return np.asarray(found)

    def to_state(self) -> dict[str, Floats]:
        return dict(vars(self))


def running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


@dataclass(frozen=True)
class OwnPartial(Partial):
    """The partial likelihood of rows that are all here: products are summed over rows at once, not by cell."""

    rows: Followed
    design: Floats

    @classmethod
    def of(cls, rows: Followed, cells: int, design: Floats, theta: Floats, efron: bool) -> OwnPartial:
        deaths = rows.deaths(cells)
        ties = (deaths > 1) & efron
        shift = np.zeros(cells, dtype=np.int64)
        sums = RiskSums.of(rows, design, theta, ties, shift, products=False)
        return cls(theta, deaths, ties, shift, sums, rows, design)

    def information(self, weight: Floats) -> Floats:
        hazard = running(weight * self._moment(0, 1))
        total = hazard[self.rows.stop] - hazard[self.rows.first]
        total[self.rows.dead] -= (weight * self._moment(1, 1))[self.rows.cell]
        total *= np.exp(self.design @ self.theta)
        at, tied = self.sums.at[:, 1:], self._tied[:, 1:]
        crossed = tied.T @ (at * (weight * self._moment(1, 2))[:, None])
        means = at.T @ (at * (weight * self._moment(0, 2))[:, None]) - crossed - crossed.T
        means += tied.T @ (tied * (weight * self._moment(2, 2))[:, None])
        info: Floats = self.design.T @ (self.design * total[:, None]) - means
        return (info + info.T) / 2.0


def same_times(time: Floats, entry: Floats | None) -> tuple[Floats, Floats | None]:
    """Times that differ by rounding only are made equal, as R does."""
    values = np.unique(time if entry is None else np.concatenate([time, entry]))
    if not len(values):
        return time, entry
    gap, tolerance = np.diff(values), float(np.finfo(float).eps) ** 0.5
    new = np.append(True, (gap > tolerance) & (gap > tolerance * np.abs(values).mean()))
    first = values[new]

    def place(given: Floats) -> Floats:
        return np.asarray(first[np.searchsorted(first, given, side="right") - 1])

    return place(time), None if entry is None else place(entry)


def summed_by(values: Floats, cluster: Integers | None, clusters: int | None = None) -> Floats:
    """Rows added up within clusters."""
    if cluster is None:
        return values
    count = int(cluster.max(initial=-1)) + 1 if clusters is None else clusters
    return np.asarray(by_cell(cluster, count) @ values)

"""Fisher's exact test: of a table with fixed margins, how likely is one at least as unlikely as that observed?

Two by two with the conditional odds ratio and its exact interval; larger tables by walking a network of margins,
within a bound on the work. What does not live here: who counts (chi_square) and other tests (contingency).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

AS_LIKELY = 1e-7  # tables this close in probability count as equally likely, as in R
WORK = 5_000_000  # ways to fill a column, over all that is left of the rows; and paths held at once


@dataclass(frozen=True)
class TwoByTwo:
    """The first cell of a table whose margins are fixed: its possible values, and their log weights at odds ratio 1."""

    observed: int
    support: Floats
    weights: Floats

    @classmethod
    def of(cls, table: Floats) -> TwoByTwo:
        (a, b), (c, d) = table.tolist()
        low, high = max(0.0, a - d), min(a + b, a + c)
        x = np.arange(low, high + 1)
        cells = np.stack([x, a + b - x, a + c - x, d - a + x])
        return cls(int(a - low), x, -special.gammaln(cells + 1.0).sum(axis=0))

    def chances(self, log_odds: float = 0.0) -> Floats:
        """How likely each value is under this odds ratio."""
        logs = self.weights + log_odds * (self.support - self.support[self.observed])
        weight = np.exp(logs - logs.max())
        return np.asarray(weight / weight.sum())

    @property
    def p(self) -> float:
        chances = self.chances()
        return min(float(chances[chances <= chances[self.observed] * (1.0 + AS_LIKELY)].sum()), 1.0)

    def odds_ratio(self) -> float:
        """The conditional maximum likelihood estimate: where the cell's mean is what was observed."""
        x = self.support[self.observed]
        return self._root(lambda log_odds: float(self.chances(log_odds) @ self.support) - x, *self._ends)

    def limits(self, level: float) -> tuple[float, float]:
        """The interval of odds ratios that two one-sided exact tests leave."""
        tail = (1.0 - level) / 2.0
        lowest, highest = self._ends

        def below(log_odds: float) -> float:
            return math.log(tail) - _log(self.chances(log_odds)[: self.observed + 1].sum())

        def above(log_odds: float) -> float:
            return _log(self.chances(log_odds)[self.observed :].sum()) - math.log(tail)

        return self._root(above, lowest, False), self._root(below, False, highest)

    @property
    def _ends(self) -> tuple[bool, bool]:
        """Whether the observed value is the smallest possible, and whether the largest."""
        return self.observed == 0, self.observed == len(self.support) - 1

    @staticmethod
    def _root(rising: Callable[[float], float], zero: bool, infinite: bool) -> float:
        """exp of the log odds where a rising function crosses 0."""
        if zero or infinite:
            return 0.0 if zero else math.inf
        low, high = -1.0, 1.0
        while rising(low) > 0:
            low *= 2.0
        while rising(high) < 0:
            high *= 2.0
        from scipy import optimize  # slow to load, and pages that list tasks do without

        return math.exp(optimize.brentq(rising, low, high, xtol=1e-14, rtol=1e-15))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


class TooLarge(Exception):
    """The table has more fellows with its margins than the bound on the work allows."""


def larger_table_p(table: Floats) -> float | None:
    """The exact p of a table of any size, or None where that would take too long.

    The network algorithm of Mehta and Patel (1983): columns are filled one after the other, and what is left of the
    rows is a node. From each node the likeliest and the unlikeliest way on is known, so that most paths need not be
    walked to their end: all of what follows counts, or nothing.
    """
    if table.shape[0] > table.shape[1]:
        table = table.T
    columns = -np.sort(-table.sum(axis=0)).astype(np.int64)
    rows = np.sort(table.sum(axis=1)).astype(np.int64)
    try:
        stages = _network(rows, columns)
        return _walk(stages, columns, -float(special.gammaln(table + 1.0).sum()) + AS_LIKELY)
    except TooLarge:
        return None


@dataclass
class _Stage:
    """The nodes before a column is filled, and the ways on: `start` (one a node, rising) into `target` and `term`."""

    nodes: Integers
    start: Integers
    target: Integers
    term: Floats
    longest: Floats
    shortest: Floats


def _network(rows: Integers, columns: Integers) -> list[_Stage]:
    stages: list[_Stage] = []
    places = _places(len(rows), int(rows.sum()) + 1)
    nodes: Integers = rows[None, :].astype(np.int32)  # half the memory of what is held most
    work = 0
    for column in columns:
        source, left, term = _fillings(nodes, int(column), WORK - work)
        work += len(source)
        following, target = _distinct(left, places)
        start = np.searchsorted(source, np.arange(len(nodes) + 1))
        empty = np.zeros(0)
        stages.append(_Stage(nodes, start, target, term, empty, empty))
        nodes = following
    longest = shortest = np.zeros(len(nodes))
    for stage in reversed(stages):
        stage.longest = longest = np.maximum.reduceat(stage.term + longest[stage.target], stage.start[:-1])
        stage.shortest = shortest = np.minimum.reduceat(stage.term + shortest[stage.target], stage.start[:-1])
    return stages


def _places(size: int, radix: int) -> Integers:
    """What makes one whole number of the rows of a node."""
    if radix**size >= 2**62:
        raise TooLarge
    return np.array([radix**place for place in range(size)], dtype=np.int64)


def _distinct(left: Integers, places: Integers) -> tuple[Integers, Integers]:
    """The different nodes and where each row of `left` is among them; the order of a table's rows does not matter."""
    left.sort(axis=1)
    key = np.zeros(len(left), dtype=np.int64)
    for row, place in enumerate(places):
        key += left[:, row] * place
    _key, first, target = np.unique(key, return_index=True, return_inverse=True)
    return left[first], target.reshape(-1)


def _fillings(nodes: Integers, column: int, bound: int) -> tuple[Integers, Integers, Floats]:
    """All ways to fill a column from each node, row by row: the node, what is left of its rows, -Σ log x!."""
    later = np.concatenate(
        [np.cumsum(nodes[:, ::-1], axis=1)[:, ::-1][:, 1:], np.zeros((len(nodes), 1), dtype=np.int64)], axis=1
    )
    source = np.arange(len(nodes))
    left = nodes.copy()
    rest, term = np.full(len(nodes), column, dtype=np.int64), np.zeros(len(nodes))
    for row in range(nodes.shape[1]):
        low = np.maximum(0, rest - later[source, row])
        ways = np.minimum(nodes[source, row], rest) - low + 1
        total = int(ways.sum())
        if total * max(nodes.shape[1], 4) > 4 * bound:
            raise TooLarge
        parent = np.repeat(np.arange(len(source)), ways)
        value = low[parent] + np.arange(total) - np.repeat(np.cumsum(ways) - ways, ways)
        source, left, term = source[parent], left[parent], term[parent] - special.gammaln(value + 1.0)
        rest = rest[parent] - value
        left[:, row] -= value.astype(np.int32)
    return source, left, term


def _walk(stages: list[_Stage], columns: Integers, observed: float) -> float:
    """The chance of all tables whose log weight is at most `observed`."""
    norm = _log_total(stages[0].nodes, columns)[0]
    node: Integers = np.zeros(1, dtype=np.int64)
    past, times = np.zeros(1), np.ones(1)
    found = []
    for number, stage in enumerate(stages):
        ways = stage.start[node + 1] - stage.start[node]
        total = int(ways.sum())
        if total > WORK:
            raise TooLarge
        parent = np.repeat(np.arange(len(node)), ways)
        edge = stage.start[node][parent] + np.arange(total) - np.repeat(np.cumsum(ways) - ways, ways)
        node, past, times = stage.target[edge], past[parent] + stage.term[edge], times[parent]
        last = number + 1 == len(stages)
        longest = 0.0 if last else stages[number + 1].longest[node]
        shortest = 0.0 if last else stages[number + 1].shortest[node]
        whole = past + longest <= observed
        if whole.any():
            on = (
                np.zeros(whole.sum())
                if last
                else _log_total(stages[number + 1].nodes, columns[number + 1 :])[node[whole]]
            )
            found.append(float((times[whole] * np.exp(past[whole] + on - norm)).sum()))
        open_ = ~whole & (past + shortest <= observed)
        node, past, times = _joined(node[open_], past[open_], times[open_])
        if not len(node):
            break
    return min(math.fsum(found), 1.0)


def _log_total(nodes: Integers, columns: Integers) -> Floats:
    """The log of the summed weights of all tables with these rows left and these columns to fill."""
    total = special.gammaln(columns.sum() + 1.0) - special.gammaln(columns + 1.0).sum()
    return np.asarray(total - special.gammaln(nodes + 1.0).sum(axis=1))


def _joined(node: Integers, past: Floats, times: Floats) -> tuple[Integers, Floats, Floats]:
    """Paths that are at the same node with the same weight behind them, made one."""
    rounded = np.rint(past * 1e9)
    order = np.lexsort((rounded, node))
    node, past, times, rounded = node[order], past[order], times[order], rounded[order]
    if not len(node):
        return node, past, times
    first = np.flatnonzero(np.append(True, (node[1:] != node[:-1]) | (rounded[1:] != rounded[:-1])))
    return node[first], past[first], np.add.reduceat(times, first)

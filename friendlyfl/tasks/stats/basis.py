"""The basis in which a fit runs: pooled-centred columns, made orthogonal once, so that units never matter.

Which columns are kept, which are constant, which depend on others: decided on the pooled information and never
at one hospital. What does not live here: the search itself (newton) and what the columns mean (likelihood).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from friendlyfl.tasks import Table
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.stats.newton import Bools, Floats
from friendlyfl.tasks.values import DataError

ALIASED = 1e-14  # R's tolerance 1e-7, on squared lengths of centred columns
SUSPECT = 1e-8  # a share of unexplained length that the first look cannot tell from rounding
BLOCK = 4096  # rows; a design of 20 columns is then 640 KiB
FLAT, VARIES = 1e-4, 0.1  # spread over size
BLURRED = 3e-9  # spread over size of which a sum shows next to nothing
NEAR = 1e-6  # a share of unexplained length that needs all digits
CONSTANT = 1e-22  # spread over size, squared: the column has one value


@dataclass(frozen=True)
class Basis:
    """Design columns in, columns of the fit out: `(design - centre) @ matrix`. Column 0 is the intercept.

    `unit` is each column's size, `kept` the columns that take part, `constant` those with one value; `gram` is
    the first information about the columns, and `share` what of a kept column the earlier ones do not explain.
    """

    centre: Floats
    unit: Floats
    matrix: Floats
    kept: list[int]
    constant: list[int]
    gram: Floats | None = None
    share: Floats | None = None

    @classmethod
    def begin(cls, centre: Floats, size: Floats) -> Basis:
        """Columns centred and divided by their pooled size, still dependent as they come."""
        unit = np.where(size > 0, size, 1.0)
        return cls(centre, unit, np.diag(1.0 / unit), list(range(len(unit))), [])

    def to_state(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Basis:
        return cls(**state)

    def sorted_out(self, info: Floats, free: Bools) -> Basis:
        """After the first evaluation: constant and dependent columns out, the others orthogonal.

        `info` is the information at the null model's estimate and `free` marks that model's parameters.
        """
        gram = unexplained(info, free)
        spread = np.diag(gram) > CONSTANT * info[0, 0]
        kept = np.flatnonzero(spread)
        share = pivots(gram[np.ix_(kept, kept)])
        clear = share > np.finfo(float).eps
        constant = [int(place) + 1 for place in np.flatnonzero(~spread)]
        return replace(self, constant=constant, gram=gram)._over(kept[clear], share[clear])

    def finer(self, info: Floats, free: Bools) -> Basis | None:
        """The basis to begin with in finer units, if columns vary too little beside their size for what is asked.

        Sums have a last bit. A column that varies by 1e-4 of its size, or less than a tenth of it where another nearly
        depends on it, comes too near to it.
        """
        gram = unexplained(info, free)
        spread = np.sqrt(np.maximum(np.diag(gram), 0.0) / info[0, 0])
        alive = np.flatnonzero(spread > BLURRED)
        near = pivots(gram[np.ix_(alive, alive)]).min(initial=1.0) < NEAR
        flat = alive[spread[alive] < (VARIES if near else FLAT)]
        if len(flat) == 0:
            return None
        unit = self.unit.copy()
        unit[1 + flat] *= np.exp2(np.ceil(np.log2(spread[flat])))
        return Basis.begin(self.centre, unit)

    @property
    def doubtful(self) -> bool:
        """Whether rounding could hide that a column depends on others: then one more look is needed."""
        return self.share is not None and bool((self.share < SUSPECT).any())

    def looked_at(self, info: Floats, free: Bools) -> Basis:
        """After an evaluation in an orthogonal basis, where a dependent column has no length left."""
        assert self.share is not None
        gram = unexplained(info, free)
        share = self.share * pivots(gram) * np.diag(gram)
        alive = share >= ALIASED
        if alive.all():
            return replace(self, share=np.ones(len(share)))
        places = np.array(self.kept[1:], dtype=np.int64)[alive] - 1
        return self._over(places, share[alive])

    def _over(self, places: npt.NDArray[np.int64], share: Floats) -> Basis:
        assert self.gram is not None
        matrix = np.zeros((len(self.unit), 1 + len(places)))
        matrix[0, 0] = 1.0
        change = orthogonal(self.gram[np.ix_(places, places)])
        matrix[1 + places, 1:] = change / self.unit[1 + places, None]
        return replace(self, matrix=matrix, kept=[0, *(int(p) + 1 for p in places)], share=share)

    @property
    def middle(self) -> Floats:
        """The pooled middle of the columns as a point of the fit."""
        return self.centre[self.kept] @ self.matrix[self.kept]

    @property
    def raw(self) -> Floats:
        """The matrix from the parameters of the fit to the coefficients of the kept columns in raw units."""
        raw = self.matrix[self.kept]
        raw[0] -= self.middle
        return raw

    def left_out(self, names: Sequence[str]) -> list[str]:
        return [name for place, name in enumerate(names) if place not in self.kept]

    def notes(self, names: Sequence[str]) -> list[str]:
        """Why columns were left out."""
        constant = [names[place] for place in self.constant]
        return wording.dropped([name for name in self.left_out(names) if name not in constant], constant)

    def from_first(self, extra: int) -> Floats:
        """The matrix from this basis' parameters to those of the basis it began with (`extra` stay as they are)."""
        columns = self.unit[:, None] * self.matrix
        return linalg.block_diag(columns, np.eye(extra)) if extra else columns


class View:
    """Some rows of a site's table, with a design in the basis of the fit. Everything else is the table's own."""

    def __init__(
        self, table: Table, terms: Sequence[str], basis: Basis, rows: slice, read: dict[Any, Any]
    ) -> None:
        self.table, self._terms, self._basis = table, tuple(terms), basis
        self._rows, self._read = rows, read
        self._design: Floats | None = None

    @classmethod
    def blocks(cls, table: Table, terms: Sequence[str], basis: Basis) -> Iterator[View]:
        """The table in pieces that fit a processor's cache, which makes every pass over them faster.

        What is made of a small table serves every round in the same basis, and is gone once there is another one.
        """
        read = table.kept((tuple(terms), basis.centre.tobytes(), basis.matrix.tobytes()))
        starts = range(0, max(len(table), 1), BLOCK)
        return (cls(table, terms, basis, slice(start, start + BLOCK), read) for start in starts)

    def design(self, terms: Sequence[str]) -> Floats:
        if tuple(terms) != self._terms:
            raise ValueError("A likelihood has one design: that of its predictors.")
        if self._design is None:
            self._design = self._read.get(self._rows.start)
        if self._design is None:
            centred = self.table.design(terms)[self._rows] - self._basis.centre
            place = self._place() if self.table.lasts else None
            self._design = np.matmul(centred, self._basis.matrix, out=place)
            if self.table.lasts:
                self._read[self._rows.start] = self._design
        return self._design

    def _place(self) -> Floats:
        """Where this block's design goes: all blocks of all bases share the table's room."""
        return self.table.room(self._basis.matrix.shape[1])[self._rows]

    def yes(self, column: str) -> Floats:
        return np.asarray(self._once(self.table.yes, column))

    def levels(self, column: str) -> npt.NDArray[np.int64]:
        return np.asarray(self._once(self.table.levels, column))

    def grid(self, column: str) -> npt.NDArray[np.int64]:
        return np.asarray(self._once(self.table.grid, column))

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        return self.table[column][self._rows]

    def __len__(self) -> int:
        return len(range(*self._rows.indices(len(self.table))))

    def _once(self, read: Callable[[str], npt.NDArray[Any]], column: str) -> npt.NDArray[Any]:
        """What the table makes of a whole column, made once for all its blocks."""
        key = (read.__name__, column)
        if key not in self._read:
            self._read[key] = read(column)
        whole: npt.NDArray[Any] = self._read[key]
        return whole[self._rows]


def prior_weights(data: Table | View, column: str | None) -> Floats | None:
    """Weights of the rows, None if all count alike."""
    if not column:
        return None
    weight = np.asarray(data[column], dtype=np.float64)
    if (weight < 0).any():
        raise DataError("weights_negative", f"“{column}” holds weights below 0.")
    return weight


def unexplained(info: Floats, free: Bools) -> Floats:
    """Information about the columns that the intercept (the first parameter) does not already explain.

    Other parameters of the null model, such as a scale, say nothing about which columns depend on each other.
    """
    others = ~free
    across = info[0, others]
    gram: Floats = info[np.ix_(others, others)] - np.outer(across, across) / info[0, 0]
    return (gram + gram.T) / 2.0


def pivots(gram: Floats) -> Floats:
    """Per column, in order: the share of its squared length that the columns before it do not explain.

    A column that is explained to rounding takes no part in explaining later ones.
    """
    size = len(gram)
    lower = np.zeros_like(gram)
    share = np.zeros(size)
    for j in range(size):
        rest = gram[j, j] - lower[j, :j] @ lower[j, :j]
        share[j] = max(rest, 0.0) / gram[j, j] if gram[j, j] > 0 else 0.0
        if share[j] > np.finfo(float).eps:
            lower[j, j] = np.sqrt(rest)
            lower[j + 1 :, j] = (gram[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    return share


def orthogonal(gram: Floats) -> Floats:
    """The matrix M that makes M' gram M the identity, columns in order; `gram` has passed `pivots`."""
    size = len(gram)
    if size == 0:
        return np.zeros((0, 0))
    scale = 1.0 / np.sqrt(np.diag(gram))
    scaled = gram * np.outer(scale, scale)
    lower = np.zeros_like(gram)
    for j in range(size):
        rest = scaled[j, j] - lower[j, :j] @ lower[j, :j]
        lower[j, j] = np.sqrt(max(rest, np.finfo(float).eps))
        lower[j + 1 :, j] = (scaled[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    basis: Floats = scale[:, None] * linalg.solve_triangular(lower, np.eye(size), lower=True).T
    return basis

"""A model that learns, whatever its library: named arrays in, named arrays out.

What the libraries need lives in sklearn_learner and torch_learner; how sites learn together in fedavg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks.dictionary import Floats, Integers

Weights = dict[str, Floats]
Row = dict[str, Any]


class DivergedError(FriendlyError):
    """Training left the numbers: caught by the task, which says it in its own words."""

    def __init__(self) -> None:
        super().__init__("diverged", "Training diverged: lower the learning rate.")


@dataclass(frozen=True)
class Course:
    """How a site trains in one round. `before` are the rows it has gone through in earlier rounds."""

    epochs: int
    batch_size: int
    rate: float | None  # None: the model's own
    pull: float  # mu of FedProx; 0 for none
    before: int = 0


class Learner(Protocol):
    """Pure but for its own buffers: the same arguments give the same arrays."""

    def start(self) -> Weights:
        """The weights before the first round."""
        ...

    def train(
        self, x: Floats, y: Floats, weights: Weights, course: Course, rng: np.random.Generator
    ) -> Weights:
        """The weights after the course, or DivergedError."""
        ...

    def predict(self, x: Floats, weights: Weights) -> Floats:
        """The chance of yes, or the number in the units of training."""
        ...

    def rate(self) -> float | None:
        """The model's own learning rate, if it has one that can be told."""
        ...

    def layers(self) -> list[Row] | None:
        """What the arrays do, layer by layer: {weights, bias, across, activation}; None if it cannot be told so.

        Applied to a row, `across` True means x @ weights and False weights @ x.
        """
        ...

    def words(self) -> Row:
        """{library, version, architecture} of the model, for people."""
        ...

    def logit_or_line(self) -> bool:
        """Whether a single layer is the log odds or the predicted number, so that it has coefficients."""
        ...


def batches(rows: int, size: int, rng: np.random.Generator) -> Iterator[Integers]:
    """All rows in a new order, cut into batches; a last batch of one row joins the one before."""
    order = rng.permutation(rows).astype(np.int64)
    cuts = list(range(size, rows, size))
    if len(cuts) and rows - cuts[-1] == 1 and size > 1:
        cuts.pop()
    yield from (part for part in np.split(order, cuts) if len(part))


def flat(weights: Mapping[str, Floats]) -> Floats:
    """All arrays as one, in the order of their names."""
    return np.concatenate([np.ravel(weights[name]) for name in sorted(weights)])


def shaped(values: Floats, like: Mapping[str, Floats]) -> Weights:
    """The arrays again."""
    found, at = {}, 0
    for name in sorted(like):
        shape = np.shape(like[name])
        size = int(np.prod(shape))
        found[name] = np.asarray(values[at : at + size], dtype=np.float64).reshape(shape)
        at += size
    return found

"""Newton's method on sums: from where we are and what the hospitals' total says to what to do next.

One round is one evaluation, so the search is a state that travels and a `judge` that reads it. What does not
live here: the basis of the columns (basis), what parameters mean and how rows make a log-likelihood (likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CONVERGED = 1e-18  # of the decrement: squared distance from the answer, in standard errors
ROUNDING = 1e-13  # below this a decrement that no longer falls is rounding, and the answer is reached
RUNAWAY = 1e-4  # a step that keeps its length below this decrement leads to infinity
HALVINGS = 20
CLOSE = 1e-8  # a step of a smaller decrement cannot lead astray, and what falls after it is rounding
SLACK = 1e-10  # relative fall of a log-likelihood that is taken for rounding
SINGULAR = 1e-13  # relative pivot below which an information matrix counts as singular
INDEFINITE = 1e-6  # relative curvature below minus this is a wrong sign and not rounding
VANISHED = 1e-11  # share of its first information below which a direction has none left


@dataclass(frozen=True)
class Search:
    """Where the search stands: `theta` is the point asked about, reached by `step` from the last good one."""

    theta: Floats
    step: Floats
    loglik: float | None = None  # of the last good point
    length: float = 0.0  # of the last full step, in the metric of the first information
    decrement: float | None = None
    halvings: int = 0

    @classmethod
    def at(cls, theta: Floats) -> Search:
        return cls(theta=theta, step=np.zeros_like(theta))

    def to_state(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Search:
        return cls(**{name: state[name] for name in cls.__dataclass_fields__})


def distance(search: Mapping[str, Any] | None) -> float | None:
    """How far from the answer the last point was, in standard errors, of a search as it stands in a State."""
    decrement = search.get("decrement") if search else None
    return None if decrement is None else math.sqrt(max(float(decrement), 0.0))


@dataclass(frozen=True)
class Seen:
    """The total of one evaluation. `finite` is false when a link function overflowed somewhere."""

    loglik: float
    score: Floats
    info: Floats
    finite: bool = True


def judge(
    search: Search,
    seen: Seen,
    inverse: Floats | None,
    metric: Floats | None = None,
    precision: float = CONVERGED,
) -> tuple[str, Search]:
    """What to do next; `inverse` is that of the information over the parameters that may move.

    again     ask about the new point
    done      the answer is reached, and `seen` belongs to it
    runaway   the log-likelihood rises for ever in the direction of `step`
    stuck     halving the step does not help; nothing more can be done
    """
    close = search.decrement is not None and search.decrement <= CLOSE
    if not seen.finite or (not close and search.loglik is not None and _fell(seen.loglik, search.loglik)):
        if search.loglik is None or search.halvings >= HALVINGS:
            return "stuck", search
        half = search.step / 2.0
        return "again", replace(search, theta=search.theta - half, step=half, halvings=search.halvings + 1)
    if inverse is None:
        return ("runaway" if search.loglik is not None else "stuck"), replace(search, loglik=seen.loglik)
    step = inverse @ seen.score
    decrement = float(step @ seen.score)
    here = replace(search, decrement=decrement, loglik=seen.loglik)
    if decrement <= precision:
        return "done", here
    if (
        decrement <= ROUNDING * precision / CONVERGED
        and search.decrement is not None
        and decrement >= search.decrement / 4
    ):
        return "done", here
    length = float(np.linalg.norm(step if metric is None else metric * step))
    if decrement <= RUNAWAY and search.length > 0 and search.halvings == 0 and length > search.length / 2:
        return "runaway", replace(here, step=step)
    return "again", Search(search.theta + step, step, seen.loglik, length, decrement, 0)


def _fell(now: float, before: float) -> bool:
    return now < before - SLACK * (abs(before) + 1.0)


def inverse_of(info: Floats) -> Floats | None:
    """The inverse of an information matrix; None if it is singular or indefinite.

    By a Cholesky of the diagonal-scaled matrix, so that the size of a parameter's information never matters.
    """
    diagonal = np.diag(info)
    if not (np.isfinite(info).all() and (diagonal > 0).all()):
        return None
    scale = 1.0 / np.sqrt(diagonal)
    try:
        lower = linalg.cholesky(info * np.outer(scale, scale), lower=True)
    except linalg.LinAlgError:
        return None
    if (np.diag(lower) ** 2 < SINGULAR).any():
        return None
    half: Floats = linalg.solve_triangular(lower, np.diag(scale), lower=True)
    return half.T @ half


def uphill(info: Floats) -> Floats | None:
    """In place of an inverse where the information is indefinite, as an observed one may be far from the answer.

    Curvatures keep their size and lose their sign, so that the step still goes uphill. None if it is only singular.
    """
    diagonal = np.diag(info)
    if not (np.isfinite(info).all() and (diagonal != 0).all()):
        return None
    scale = 1.0 / np.sqrt(np.abs(diagonal))
    values, vectors = linalg.eigh(info * np.outer(scale, scale))
    if values.min() > -INDEFINITE:
        return None
    turned = scale[:, None] * vectors
    return np.asarray((turned / np.maximum(np.abs(values), INDEFINITE)) @ turned.T)


def inverse_at_limit(info: Floats, metric: Floats) -> tuple[Floats, Floats]:
    """The inverse over the directions that still hold information, and those (columns) that do not."""
    values, vectors = linalg.eigh(info / np.outer(metric, metric))
    alive = values > VANISHED
    kept = vectors[:, alive] / metric[:, None]
    return (kept / values[alive]) @ kept.T, vectors[:, ~alive] / metric[:, None]

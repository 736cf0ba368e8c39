"""How well predictions do, as sums that may be added over hospitals; and which patients are held back for it.

What does not live here: when a model is good enough (fedavg).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.dictionary import Floats

Bools = npt.NDArray[np.bool_]
SURE = 1e-15  # nearest a chance comes to 0 or 1 in the log loss
SMALLEST = 20  # patients held back at a hospital, and patients it trains on: fewer are not told apart
CLASS = 5  # patients of a class among those held back, if any
YES_NO = ("log_loss", "brier", "concordant", "pairs")
NUMBER = ("squares", "absolute", "values", "squared_values")


def sums(y: Floats, predicted: Floats, yes_no: bool) -> Floats:
    """What is added: under YES_NO or NUMBER, in that order.

    Pairs are of a yes and a no of the same hospital, divided by its rows, so that large hospitals do not drown others.
    """
    if not len(y):
        return np.zeros(len(YES_NO))
    if not yes_no:
        wrong = y - predicted
        return np.array([(wrong**2).sum(), np.abs(wrong).sum(), y.sum(), (y**2).sum()])
    from scipy.stats import rankdata  # slow to load, and pages that list tasks do without

    chance = np.clip(predicted, SURE, 1.0 - SURE)
    yes = y > 0.5
    loss = -np.log(np.where(yes, chance, 1.0 - chance)).sum()
    ones, zeros = float(yes.sum()), float((~yes).sum())
    above = float(rankdata(predicted)[yes].sum()) - ones * (ones + 1.0) / 2.0
    return np.array([loss, ((y - predicted) ** 2).sum(), above / len(y), ones * zeros / len(y)])


def correct(y: Floats, predicted: Floats) -> int:
    """Patients of whom yes or no is foretold at a chance of one half."""
    return int(((predicted >= 0.5) == (y > 0.5)).sum())


def told(total: Floats, right: float, rows: float, sd: float, yes_no: bool) -> dict[str, float]:
    """The metrics of all hospitals; NaN where there are none. `sd` is the unit of the outcome."""
    if not rows > 0:
        names = ("log_loss", "auc", "brier", "accuracy") if yes_no else ("mse", "rmse", "mae", "r2")
        return dict.fromkeys(names, math.nan)
    if yes_no:
        loss, brier, concordant, pairs = total.tolist()
        auc = concordant / pairs if pairs > 0 else math.nan
        return {"log_loss": loss / rows, "auc": auc, "brier": brier / rows, "accuracy": right / rows}
    squares, absolute, values, squared = total.tolist()
    spread = squared - values**2 / rows
    mse = squares / rows * sd**2
    r2 = 1.0 - squares / spread if spread > 0 else math.nan
    return {"mse": mse, "rmse": math.sqrt(mse), "mae": absolute / rows * sd, "r2": r2}


def held_back(y: Floats, yes_no: bool, share: float, rng: np.random.Generator) -> Bools:
    """Which of a hospital's rows are held back: the same share of those with and without the event.

    Nobody, where that would describe few: fewer than 20 on either side, or 1 to 4 of a class.
    """
    classes = y if yes_no else np.zeros(len(y))
    mask = np.zeros(len(y), dtype=bool)
    for value in (0.0, 1.0):
        rows = rng.permutation(np.flatnonzero(classes == value))
        count = math.floor(share * len(rows) + 0.5)
        mask[rows[: count if count >= CLASS else 0]] = True
    count = int(mask.sum())
    return mask if min(count, len(y) - count) >= SMALLEST else np.zeros(len(y), dtype=bool)


def loss_of(metrics: Mapping[str, Any]) -> float:
    """What the best round has least of."""
    return float(metrics["log_loss"] if "log_loss" in metrics else metrics["mse"])

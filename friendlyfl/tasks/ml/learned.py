"""From the last State of a learned model to its Result: metrics by round, coefficients, words, the model itself.

Nothing is trained or measured here, and no file is written (model_file).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.tasks import Done
from friendlyfl.tasks.ml import model_file
from friendlyfl.tasks.ml.learner import Learner
from friendlyfl.tasks.report import MODEL, Figure
from friendlyfl.tasks.stats import wording
from friendlyfl.tasks.terms import design_columns

if TYPE_CHECKING:
    from friendlyfl.tasks.ml.fedavg import FedAvg

HELD_BACK, TRAIN = "held-back", "train"
NONE_HELD_BACK = (
    "Nobody was held back, so the metrics are those of patients the model was trained on: they flatter it. "
    "A hospital holds patients back where there are at least 20 of them, and none or at least 5 of a class."
)
NO_BETTER = (
    "No round was better than the untrained model, which is what is given: try another learning rate, or more "
    "rounds."
)
STILL_BETTER = "The last round was the best, so that more rounds may give a better model."
CHOSEN = (
    "The best round was chosen by the held-back patients, so that their metrics are a little too good: judge the model "
    "on patients of another hospital or year."
)


def result(task: FedAvg, state: Mapping[str, Any], total: Mapping[str, Any]) -> Done:
    """The model of the best round and how it got there."""
    learner = task.learner(dict(state))
    history = np.asarray(state["history"])
    names = ("log_loss", "auc", "brier", "accuracy") if task.yes_no else ("mse", "rmse", "mae", "r2")
    best, held = int(state["best_turn"]), float(total["held_back_rows"])
    rows = [
        {"round": turn, "set": which, **dict(zip(names, values.tolist(), strict=True))}
        for turn, both in enumerate(history)
        for which, values in zip((TRAIN, HELD_BACK), both, strict=True)
        if which == TRAIN or held > 0
    ]
    told = {row["set"]: row for row in rows if row["round"] == best}
    chosen = told[HELD_BACK if held > 0 else TRAIN]
    coded = design_columns(task.features, task.dictionary, task.sites)[1:]
    kept = [int(place) for place in state["kept"]]
    constant = [column.name for place, column in enumerate(coded) if place not in kept]
    statistics = {name: chosen[name] for name in names}
    statistics |= {f"train_{name}": told[TRAIN][name] for name in names}
    statistics |= {
        "best_round": best,
        "n_train": total["rows"],
        "n_held_back": held,
        "n_weights": sum(np.size(array) for array in state["best"].values()),
    }
    tables: dict[str, Any] = {
        "metrics": rows,
        "features": [
            {"term": coded[place].name, "mean": float(state["mean"][place]), "sd": float(state["sd"][place])}
            for place in kept
        ],
    }
    if linear := raw_coefficients(task, learner, state, [coded[place].name for place in kept]):
        tables["linear_predictor"] = linear
    tables[MODEL] = model_file.rows(task, learner, state)
    return Done(
        exact=False,
        conventions=conventions(task, learner, state, held > 0),
        events=state["events"] if task.yes_no else None,
        statistics=statistics,
        tables=tables,
        figures=[
            Figure(
                "Line",
                "Learning curves",
                "Metrics of the common model after each round, over all hospitals; round 0 is the untrained model.",
                table="metrics",
            )
        ],
        notes=[*wording.dropped([], constant), *_notes(state, held)],
    )


def _notes(state: Mapping[str, Any], held: float) -> list[str]:
    if not held > 0:
        return [NONE_HELD_BACK]
    best, last = int(state["best_turn"]), int(state["turn"])
    if best == 0:
        return [NO_BETTER]
    return [CHOSEN, *([STILL_BETTER] if best == last else [])]


def raw_coefficients(
    task: FedAvg, learner: Learner, state: Mapping[str, Any], terms: list[str]
) -> list[dict[str, Any]]:
    """Log odds, or the outcome in its unit, per unit of each term; none where the model is more than that."""
    layers = learner.layers() if learner.logit_or_line() else None
    if not layers:
        return []
    kept = np.asarray(state["kept"], dtype=np.int64)
    mean, sd = np.asarray(state["mean"]), np.asarray(state["sd"])
    unit, middle = (1.0, 0.0) if task.yes_no else (float(sd[-1]), float(mean[-1]))
    slopes = np.ravel(state["best"][layers[0]["weights"]]) / sd[kept] * unit
    bias = float(np.ravel(state["best"][layers[0]["bias"]])[0]) * unit + middle
    values = [bias - float(slopes @ mean[kept]), *slopes.tolist()]
    return [
        {"term": term, "estimate": value} for term, value in zip(["(Intercept)", *terms], values, strict=True)
    ]


def conventions(task: FedAvg, learner: Learner, state: Mapping[str, Any], held: bool) -> dict[str, Any]:
    """How it was learned, for a methods section."""
    words = learner.words()
    rate = task.learning_rate if task.learning_rate is not None else learner.rate()
    epochs = "1 local epoch" if task.local_epochs == 1 else f"{task.local_epochs:g} local epochs"
    steps = f"{epochs} a round, batches of {task.batch_size:g}"
    steps += f", learning rate {rate:g}" if rate is not None else ", the model’s own learning rate"
    said = {
        "model": f"{words['architecture']} ({words['library']} {words['version']})",
        "algorithm": f"{task.algorithm}: {steps}; weights averaged by patients",
        "scaling": "features by pooled means and standard deviations"
        + ("" if task.yes_no else ", the outcome too"),
        "contrasts": "treatment, the first level of a factor is the reference",
        "missing": "complete cases over the columns named",
    }
    if task.algorithm == "FedProx":
        said["proximal_term"] = f"mu {task.mu:g}"
    if task.algorithm == "FedAdam":
        said["server_steps"] = (
            f"learning rate {task.server_learning_rate:g}, beta1 {task.beta1:g}, beta2 {task.beta2:g}, tau 0.001"
        )
    if held:
        said["held_back"] = f"{task.held_back:.0%} of each hospital’s patients, drawn once within each class"
        said["best_round"] = "least loss on held-back patients"
    else:
        said["best_round"] = "the last, since nobody was held back"
    if task.yes_no:
        said["auc"] = "over pairs of patients of the same hospital"
        said["accuracy"] = "yes from a chance of one half"
    return said

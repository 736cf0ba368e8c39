"""A learned model as others can use it: rows of a Result, and from these `model.json`, `model.npz` and `predict.py`.

Arrays and words only, nothing that runs when it is loaded. What does not live here: how the model was learned.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.tasks.dictionary import SITE
from friendlyfl.tasks.report import MODEL, Result
from friendlyfl.tasks.terms import design_columns

if TYPE_CHECKING:
    from friendlyfl.tasks.ml.fedavg import FedAvg
    from friendlyfl.tasks.ml.learner import Learner

FOLDER = "model/"  # in a publication pack
WORDS = {
    f"{FOLDER}model.json": "The learned model: what it is, its columns, their coding and scaling.",
    f"{FOLDER}model.npz": "The learned model: its arrays.",
    f"{FOLDER}predict.py": "Predictions of the learned model for a table, in plain Python.",
}


def rows(task: FedAvg, learner: Learner, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model as rows of one table, each with its `part`: model, feature, layer or array."""
    coded = design_columns(task.features, task.dictionary, task.sites)[1:]
    mean, sd = np.asarray(state["mean"]).tolist(), np.asarray(state["sd"]).tolist()
    levels = {name: list(task.spec(name).levels) for name in task.columns if task.spec(name).levels}
    yes = levels[task.outcome][1] if task.yes_no and task.outcome in levels else "1"
    found: list[dict[str, Any]] = [
        {
            "part": "model",
            **learner.words(),
            "task": task.name,
            "task_version": task.version,
            "outcome": task.outcome,
            "output": "chance" if task.yes_no else "number",
            "yes": yes if task.yes_no else None,
            "outcome_mean": 0.0 if task.yes_no else mean[-1],
            "outcome_sd": 1.0 if task.yes_no else sd[-1],
        }
    ]
    for place in (int(place) for place in state["kept"]):
        parts = coded[place].parts
        found.append(
            {
                "part": "feature",
                "name": coded[place].name,
                "mean": mean[place],
                "sd": sd[place],
                "columns": [name for name, _ in parts],
                "levels": [None if code is None else task.spec(name).levels[code] for name, code in parts],
            }
        )
    for name in dict.fromkeys(name for column in coded for name, _ in column.parts):
        spec = task.spec(name)
        found.append(
            {
                "part": "column",
                "name": name,
                "type": spec.type,
                "levels": list(spec.levels) if spec.levels else None,
            }
        )
    found += [{"part": "layer", **layer} for layer in learner.layers() or []]
    found += [
        {"part": "array", "name": name, "shape": list(np.shape(array)), "values": np.ravel(array).tolist()}
        for name, array in sorted(state["best"].items())
    ]
    return found


def files(result: Result) -> dict[str, bytes]:
    """The model's files by their place in a publication pack; none of a Result without a model."""
    given = result.tables.get(MODEL, ())
    if not given:
        return {}
    arrays = {
        row["name"]: np.array(row["values"], dtype=np.float64).reshape(row["shape"])
        for row in given
        if row["part"] == "array"
    }
    described: dict[str, Any] = {}
    for row in given:
        kept = {name: value for name, value in row.items() if name != "part"}
        if row["part"] == "model":
            described |= kept
        elif row["part"] != "array":
            described.setdefault(f"{row['part']}s", []).append(kept)
    described["arrays"] = {name: list(array.shape) for name, array in arrays.items()}
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    words = json.dumps(described, ensure_ascii=False, allow_nan=False, indent=1)
    return {
        f"{FOLDER}model.json": words.encode() + b"\n",
        f"{FOLDER}model.npz": packed.getvalue(),
        f"{FOLDER}predict.py": script(described).encode(),
    }


def script(described: Mapping[str, Any]) -> str:
    """Python that anyone can run: the model's predictions for a table, without FriendlyFL."""
    network = (
        LAYERS if described.get("layers") else MODULE if described["library"] == "PyTorch" else ESTIMATOR
    )
    needs = {
        LAYERS: "numpy and pandas",
        MODULE: "numpy, pandas and torch",
        ESTIMATOR: "scikit-learn and pandas",
    }
    site = f" The column {SITE} holds the hospital's number in the plan." if SITE in _names(described) else ""
    return SCRIPT.format(needs=needs[network], site=site) + network + END


def _names(described: Mapping[str, Any]) -> list[str]:
    return [column["name"] for column in described.get("columns", ())]


SCRIPT = '''"""Predictions of the model in model.json and model.npz. Needs {needs}.{site}

    python predict.py patients.csv
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
MODEL = json.loads((HERE / "model.json").read_text("utf-8"))
ARRAYS = np.load(HERE / "model.npz", allow_pickle=False)
COLUMNS = {{column["name"]: column for column in MODEL["columns"]}}


def read(file):
    return pd.read_csv(file, dtype={{name: str for name, column in COLUMNS.items() if column["levels"]}})


def values(table, name, level):
    """A number, a date in days since 1970-01-01, or whether a factor has this level."""
    cells = table[name]
    if COLUMNS[name]["type"] == "date":
        days = (pd.to_datetime(cells) - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
        return days.to_numpy(dtype=float)
    if level is None:
        return cells.to_numpy(dtype=float)
    words = cells.astype(str)
    if not (cells.isna() | words.isin(COLUMNS[name]["levels"])).all():
        raise ValueError(f"{{name}} must be one of {{COLUMNS[name]['levels']}}")
    return np.where(cells.isna(), np.nan, (words == level).astype(float))


def inputs(table):
    """The model's columns: coded, centred and scaled as in training."""
    found = []
    for feature in MODEL["features"]:
        column = np.ones(len(table))
        for name, level in zip(feature["columns"], feature["levels"]):
            column = column * values(table, name, level)
        found.append((column - feature["mean"]) / feature["sd"])
    return np.column_stack(found)

'''
LAYERS = """
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0 * z),
    "tanh": np.tanh,
    "logistic": lambda z: 0.5 * (1 + np.tanh(z / 2)),
}


def output(x):
    for layer in MODEL["layers"]:
        weights = ARRAYS[layer["weights"]]
        x = x @ (weights if layer["across"] else weights.T) + ARRAYS[layer["bias"]]
        x = ACTIVATIONS[layer["activation"]](x)
    return x.reshape(len(x))


def chance(x):
    return ACTIVATIONS["logistic"](output(x))

"""
MODULE = """
import torch

MODULE = None  # put here an untrained module, made as the task's model() makes it: see MODEL["architecture"]


def output(x):
    MODULE.load_state_dict({name: torch.as_tensor(ARRAYS[name]).to(value.dtype)
                            for name, value in MODULE.state_dict().items()})
    dtype = next(MODULE.parameters()).dtype
    with torch.no_grad():
        return MODULE.eval()(torch.as_tensor(x).to(dtype)).reshape(len(x)).double().numpy()


def chance(x):
    return 0.5 * (1 + np.tanh(output(x) / 2))

"""
ESTIMATOR = '''
ESTIMATOR = None  # put here an untrained model, made as the task's model() makes it: see MODEL["architecture"]


def fitted(classes):
    """The model with its arrays in place."""
    first = np.zeros((1, len(MODEL["features"])))
    ESTIMATOR.partial_fit(first, [0], classes=[0, 1]) if classes else ESTIMATOR.partial_fit(first, [0])
    ESTIMATOR.coef_, ESTIMATOR.intercept_ = ARRAYS["coef"], ARRAYS["intercept"]
    return ESTIMATOR


def output(x):
    return fitted(False).predict(x)


def chance(x):
    return fitted(True).predict_proba(x)[:, 1]

'''
END = '''
def predict(table):
    """The chance of yes, or the outcome in its unit, for each row; nan where a feature is missing."""
    x = inputs(table)
    whole = ~np.isnan(x).any(axis=1)
    found = np.full(len(x), np.nan)
    if MODEL["output"] == "chance":
        found[whole] = chance(x[whole])
    else:
        found[whole] = MODEL["outcome_mean"] + MODEL["outcome_sd"] * output(x[whole])
    return found


if __name__ == "__main__":
    print(*predict(read(sys.argv[1])), sep="\\n")
'''

"""The model's files: anyone's Python makes the same predictions from them, without FriendlyFL."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss, mean_squared_error

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary
from friendlyfl.tasks.ml import FedAvg, model_file
from friendlyfl.tasks.publication import Publication, Step, tables_of
from friendlyfl.tasks.report import Result
from friendlyfl.testing import simulate

FRAMES = list(datasets.load("clinic").values())
CLINIC = Dictionary.parse(datasets.dictionary("clinic"))
TORCH = pytest.param("fedavg_torch", marks=pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install 'friendlyfl[torch]'"
))  # fmt: skip


def learned(task, **given):
    chosen = {"outcome": "readmitted", "features": "age,sex*nyha,lvef", "rounds": 3, **given}
    result = simulate(task, FRAMES, CLINIC, rules="off", **chosen)
    return Result.from_json(json.loads(json.dumps(result.to_json()))), chosen


def predictions(result, folder):
    """What predict.py prints for all rows, run where FriendlyFL cannot be imported."""
    for path, content in model_file.files(result).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    pd.concat(FRAMES).to_csv(folder / "patients.csv", index=False)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import sys, runpy; sys.modules['friendlyfl'] = None; sys.argv = ['predict.py', 'patients.csv']; "
    code += "runpy.run_path('model/predict.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.array([float(line) for line in done.stdout.split()])


def held(result, name):
    """A metric over all patients, from the Result."""
    s = result.statistics
    return (s[f"train_{name}"] * s["n_train"] + s[name] * s["n_held_back"]) / (
        s["n_train"] + s["n_held_back"]
    )


@pytest.mark.parametrize("kind", ["regression", "mlp"])
@pytest.mark.parametrize("task", ["fedavg_sklearn", TORCH])
def test_the_script_gives_the_predictions_that_were_measured(task, kind, tmp_path):
    result, _ = learned(task, kind=kind)
    found, d = predictions(result, tmp_path), pd.concat(FRAMES)
    there = ~np.isnan(found)
    assert there.sum() == result.n.used
    assert log_loss(d["readmitted"][there], found[there]) == pytest.approx(
        held(result, "log_loss"), rel=1e-12
    )
    number, _ = learned(task, kind=kind, outcome="sbp", features="age,sex,bmi", learning_rate=0.01)
    found = predictions(number, tmp_path)
    there = ~np.isnan(found) & d["sbp"].notna().to_numpy()
    assert there.sum() == number.n.used
    assert mean_squared_error(d["sbp"][there], found[there]) == pytest.approx(held(number, "mse"), rel=1e-12)


class Huber(FedAvg):
    """Chances that are no log odds."""

    title, version = "Huber", "1.0"

    def model(self):
        return SGDClassifier(loss="modified_huber", eta0=0.01, learning_rate="constant")


def test_a_model_without_layers_needs_its_library(tmp_path):
    result, _ = learned(Huber)
    for path, content in model_file.files(result).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    spec = importlib.util.spec_from_file_location("predict", tmp_path / "model/predict.py")
    predict = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(predict)
    predict.ESTIMATOR = SGDClassifier(loss="modified_huber")
    d = pd.concat(FRAMES, ignore_index=True)
    found = predict.predict(d)
    there = ~np.isnan(found)
    brier = ((d["readmitted"][there] - found[there]) ** 2).mean()
    assert brier == pytest.approx(held(result, "brier"), rel=1e-12)
    with pytest.raises(ValueError, match="must be one of"):
        predict.predict(d.assign(sex="unknown"))


def test_the_pack_holds_the_model_and_no_table_of_its_arrays():
    result, given = learned("fedavg_sklearn")
    study = Publication([Step(result, given)], CLINIC, 3)
    pack = zipfile.ZipFile(io.BytesIO(study.zipped()))
    assert study.zipped() == study.zipped()
    assert {"model/model.json", "model/model.npz", "model/predict.py"} <= set(pack.namelist())
    assert "tables/model.csv" not in pack.namelist() and "model" not in tables_of(result)
    described = json.loads(pack.read("model/model.json"))
    assert described["outcome"] == "readmitted" and described["library"] == "scikit-learn"
    assert [feature["name"] for feature in described["features"]][:2] == ["age", "sexmale"]
    arrays = np.load(io.BytesIO(pack.read("model/model.npz")), allow_pickle=False)
    assert {name: list(arrays[name].shape) for name in arrays} == described["arrays"]
    assert "The learned model: its arrays." in pack.read("README.txt").decode()
    assert any(name.startswith("figures/") and name.endswith(".svg") for name in pack.namelist())
    assert model_file.files(Result("cox", "1.0")) == {}

"""The same of PyTorch's modules. Skipped where PyTorch is not installed, which the pins leave out for its size."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Dictionary
from friendlyfl.tasks.ml import FedAvg, model_file
from friendlyfl.tasks.ml.fedavg_torch import FedAvgTorch
from friendlyfl.testing import simulate
from friendlyfl.testing.simulate import run

FRAMES = list(datasets.load("clinic").values())[:2]
CLINIC = Dictionary.parse(datasets.dictionary("clinic"))
FEW = {"outcome": "readmitted", "features": "age,sex,bnp", "rounds": 3}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: pip install 'friendlyfl[torch]'",
)


def learn(task="fedavg_torch", frames=FRAMES, **given):
    return simulate(task, frames, CLINIC, rules="off", **{**FEW, **given})


def test_without_pytorch_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the package torch.*pip install 'friendlyfl\[torch\]'"):
        FedAvgTorch.validate(FEW, CLINIC)


@needs_torch
def test_the_same_input_gives_the_same_bytes_whatever_else_was_drawn():
    import torch

    first = run("fedavg_torch", FRAMES, CLINIC, rules="off", parameters={**FEW, "kind": "mlp"})
    torch.manual_seed(5)
    before = torch.random.get_rng_state().clone(), torch.get_num_threads()
    second = run("fedavg_torch", FRAMES, CLINIC, rules="off", parameters={**FEW, "kind": "mlp"})
    assert first.sent == second.sent and first.result == second.result
    assert torch.equal(before[0], torch.random.get_rng_state()) and torch.get_num_threads() == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


@needs_torch
def test_fedprox_without_its_term_is_fedavg_bit_for_bit():
    plain, proximal, drawn = (
        run("fedavg_torch", FRAMES, CLINIC, rules="off", parameters={**FEW, **more})
        for more in ({}, {"algorithm": "FedProx", "mu": 0}, {"algorithm": "FedProx", "mu": 5})
    )
    assert plain.sent == proximal.sent and plain.sent != drawn.sent


@needs_torch
def test_full_batches_of_one_hospital_are_gradient_descent():
    """One step a round from the task's own start, by hand in numpy."""
    result = learn(
        frames=FRAMES[:1], kind="regression", rounds=5, batch_size=65536, learning_rate=0.5, held_back=0
    )
    start = learn(
        frames=FRAMES[:1], kind="regression", rounds=1, batch_size=65536, learning_rate=1e-9, held_back=0
    )
    d = FRAMES[0].dropna(subset=["age", "sex", "bnp", "readmitted"])
    x = np.column_stack([d["age"], d["sex"] == "male", d["bnp"]]).astype(float)
    x, y = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1), d["readmitted"].to_numpy(float)
    arrays = [
        {row["name"]: np.array(row["values"]) for row in each.tables["model"] if row["part"] == "array"}
        for each in (start, result)
    ]
    w, b = arrays[0]["0.weight"], arrays[0]["0.bias"]
    for _ in range(5):
        p = 1 / (1 + np.exp(-(x @ w + b)))
        w, b = w - 0.5 * x.T @ (p - y) / len(y), b - 0.5 * (p - y).mean()
    assert np.allclose(arrays[1]["0.weight"], w, atol=1e-8) and np.allclose(arrays[1]["0.bias"], b, atol=1e-8)


@needs_torch
def test_diverged_is_a_sentence_and_no_number():
    result = learn(outcome="sbp", features="age,bnp", learning_rate=500, kind="mlp", rounds=20)
    assert "Training diverged in round" in result.notes[0] and not result.statistics and not result.tables


@needs_torch
def test_an_authors_module_loss_and_optimizer(tmp_path):
    import torch
    from torch import nn

    class Gate(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.norm, self.one, self.two = nn.BatchNorm1d(inputs), nn.Linear(inputs, 4), nn.Linear(inputs, 4)
            self.out, self.drop = nn.Linear(4, 1), nn.Dropout(0.1)

        def forward(self, x):
            x = self.norm(x)
            return self.out(self.drop(torch.tanh(self.one(x)) * torch.sigmoid(self.two(x))))

    class Gated(FedAvg):
        """Chance of coming back, by gates."""

        title, version, needs = "Gated", "1.0", ("torch",)

        def model(self):
            return Gate(self.inputs)

        def loss(self, out, y):
            return nn.functional.binary_cross_entropy_with_logits(out, y, pos_weight=torch.tensor(2.0))

        def optimizer(self, parameters, rate):
            return torch.optim.Adam(parameters, lr=rate or 0.01)

    result, again = learn(Gated, rounds=6), learn(Gated, rounds=6)
    assert result == again and result.statistics["auc"] > 0.55
    assert "learning rate 0.01" in result.conventions["algorithm"]
    for path, content in model_file.files(result).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    spec = importlib.util.spec_from_file_location("predict_gated", tmp_path / "model/predict.py")
    predict = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(predict)
    predict.MODULE = Gate(3)
    d = pd.concat(FRAMES, ignore_index=True)
    brier, s = ((d["readmitted"] - predict.predict(d)) ** 2).mean(), result.statistics
    expected = (s["train_brier"] * s["n_train"] + s["brier"] * s["n_held_back"]) / result.n.used
    assert brier == pytest.approx(expected, rel=1e-6)

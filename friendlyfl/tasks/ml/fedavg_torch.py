"""A regression or a small neural network of PyTorch, learned by FedAvg.

What does not live here: everything but the model (fedavg).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from friendlyfl.tasks import Choice, Number
from friendlyfl.tasks.ml.fedavg import FedAvg


class FedAvgTorch(FedAvg):
    """Which model foretells the outcome? A regression or a small neural network of PyTorch, learned together."""

    name: ClassVar[str] = "fedavg_torch"
    title: ClassVar[str] = "Learned model (PyTorch)"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which model foretells the outcome, learned by all hospitals together?"
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "readmitted",
        "features": "age,sex,nyha,bnp,lvef",
        "kind": "mlp",
        "rounds": 20,
        "learning_rate": 0.1,
    }

    kind = Choice(
        "Model",
        {"regression": "regression", "mlp": "a neural network (mlp)"},
        help="Regression is logistic for a yes/no outcome and linear for a number",
    )
    hidden = Number("Hidden units", 8, 1, 512, whole=True, help="Of the one hidden layer of mlp")

    def model(self) -> Any:
        from torch import nn

        if self.kind == "regression":
            return nn.Sequential(nn.Linear(self.inputs, 1)).double()
        hidden = int(self.hidden)
        return nn.Sequential(nn.Linear(self.inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1)).double()

    def uses_torch(self) -> bool:
        return True

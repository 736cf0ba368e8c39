"""A regression or a small neural network of scikit-learn, learned by FedAvg.

What does not live here: everything but the model (fedavg).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from friendlyfl.tasks import Choice, Number
from friendlyfl.tasks.ml.fedavg import FedAvg


class FedAvgSklearn(FedAvg):
    """Which model foretells the outcome? A regression or a small neural network of scikit-learn, learned together."""

    name: ClassVar[str] = "fedavg_sklearn"
    title: ClassVar[str] = "Learned model (scikit-learn)"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Which model foretells the outcome, learned by all hospitals together?"
    needs: ClassVar[tuple[str, ...]] = ("sklearn",)
    example: ClassVar[Mapping[str, Any]] = {
        "outcome": "readmitted",
        "features": "age,sex,nyha,bnp,lvef",
        "rounds": 20,
    }

    kind = Choice(
        "Model",
        {"regression": "regression", "mlp": "a neural network (mlp)"},
        help="Regression is logistic for a yes/no outcome and linear for a number",
    )
    hidden = Number("Hidden units", 8, 1, 512, whole=True, help="Of the one hidden layer of mlp")
    penalty = Number("Penalty", 0.0001, 0, 1000, help="L2, scikit-learn’s alpha")

    def model(self) -> Any:
        from sklearn.linear_model import SGDClassifier, SGDRegressor
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        penalty = float(self.penalty)
        if self.kind == "mlp":
            network = MLPClassifier if self.yes_no else MLPRegressor
            return network(
                hidden_layer_sizes=(int(self.hidden),),
                solver="sgd",
                momentum=0.0,
                learning_rate_init=0.05,
                alpha=penalty,
            )
        if self.yes_no:
            return SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, alpha=penalty)
        return SGDRegressor(learning_rate="constant", eta0=0.01, alpha=penalty)

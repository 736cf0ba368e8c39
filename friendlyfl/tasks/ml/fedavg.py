"""Federated averaging: hospitals train a model on their own patients, and its weights are averaged by patients.

The base of every task that learns. What does not live here: the libraries' models (sklearn_learner, torch_learner),
how well a model does (metrics), the Result and the model's file (learned, model_file).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.core.texts import translatable
from friendlyfl.tasks import (
    Choice,
    Column,
    Columns,
    Count,
    Dictionary,
    Done,
    Number,
    Quality,
    Sum,
    Table,
    Task,
    Weights,
)
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import Floats
from friendlyfl.tasks.ml import learned, metrics
from friendlyfl.tasks.ml.learner import Course, DivergedError, Learner, flat, shaped
from friendlyfl.tasks.ml.sklearn_learner import SklearnLearner
from friendlyfl.tasks.ml.torch_learner import TorchLearner
from friendlyfl.tasks.stats.measurements import FLAT
from friendlyfl.tasks.stats.moments import unit_near

FARTHEST = 1e6  # a weight of standardised columns; beyond it, training has diverged
ADAPTIVITY = 1e-3  # tau of FedAdam
ALL_ALIKE = "The outcome is the same for every patient in this analysis, so there is nothing to learn."
NO_FEATURE = (
    "Every feature is the same for every patient in this analysis, so there is nothing to learn from."
)
LOG_LOSS, SQUARED_ERROR = translatable("Log loss"), translatable("Mean squared error")
TRAINED_ON = translatable("patients trained on")
HELD_BACK = translatable("patients held back")
DIVERGED = "Training diverged in round {}: no numbers are given. Lower the learning rate{}."


class FedAvg(Task):
    """A model learned by all hospitals together. Subclasses give `model()`, and need nothing else:

        from sklearn.linear_model import SGDClassifier
        from friendlyfl.tasks.ml import FedAvg


        class Readmission(FedAvg):
            \"\"\"Chance of coming back within 30 days of going home.\"\"\"

            title, version = "Readmission within 30 days", "1.0"

            def model(self):
                return SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02)

    A scikit-learn model must have `partial_fit` and linear or MLP weights. A PyTorch model is a module that takes
    `self.inputs` standardised columns and gives one number a row: log odds of a yes/no outcome, or the standardised
    outcome. `loss(self, out, y)` and `optimizer(self, parameters, rate)` may be written as well:

        class Visits(FedAvg):
            \"\"\"How many visits to expect.\"\"\"

            title, version, needs = "Visits", "1.0", ("torch",)

            def model(self):
                from torch import nn
                return nn.Sequential(nn.Linear(self.inputs, 8), nn.ReLU(), nn.Linear(8, 1))

            def loss(self, out, y):
                from torch.nn import functional
                return functional.huber_loss(out, y)

    Chance comes from the plan's seed only: `model()` must not seed anything.
    """

    max_rounds: ClassVar[int] = 100
    stages: ClassVar[tuple[str, ...]] = ("moments", "spread", "train", "evaluate")
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "events": Count,
        "values": Sum,
        "sizes": Sum,
        "squares": Sum,
        "weights": Weights,
        "diverged": Sum,
        "train": Sum,
        "train_correct": Count,
        "held_back_rows": Count,
        "held_back_events": Count,
        "held_back": Sum,
        "held_back_correct": Count,
    }
    suppressible: ClassVar[tuple[str, ...]] = ("train_correct", "held_back_correct")
    references: ClassVar[tuple[str, ...]] = (
        "McMahan B, Moore E, Ramage D, Hampson S, Agüera y Arcas B. Communication-efficient learning of deep networks "
        "from decentralized data. Proceedings of AISTATS 2017;54:1273-1282.",
        "Li T, Sahu AK, Zaheer M, Sanjabi M, Talwalkar A, Smith V. Federated optimization in heterogeneous networks. "
        "Proceedings of Machine Learning and Systems 2020;2:429-450.",
        "Reddi SJ, Charles Z, Zaheer M, et al. Adaptive federated optimization. ICLR 2021.",
    )

    topic: ClassVar[str] = "learning"
    asks: ClassVar[tuple[str, ...]] = (
        "How well does {features} foretell {outcome}?",
        "How well do {features} foretell {outcome}?",
    )

    outcome = Column("Outcome", kinds=["yes/no", "number"], help="Yes/no, or a number")
    features = Columns("Features", terms=True, help="What the model sees; a:b is an interaction")
    algorithm = Choice(
        "Algorithm",
        {
            "FedAvg": "FedAvg: the hospitals' models are averaged",
            "FedProx": "FedProx: each hospital is drawn towards the common model",
            "FedAdam": "FedAdam: the coordinator takes adaptive steps",
        },
        help="FedProx and FedAdam may do better where hospitals differ much",
    )
    rounds = Number("Rounds", 30, 1, 97, whole=True, help="Rounds of training, each followed by averaging")
    local_epochs = Number(
        "Local epochs", 1, 1, 1000, whole=True, help="Passes over a hospital’s rows in a round"
    )
    batch_size = Number("Batch size", 32, 1, 65536, whole=True, unit="rows")
    learning_rate = Number(
        "Learning rate", None, 1e-9, 1000, help="Of local steps; without it the model’s own"
    )
    mu = Number("Proximal term", 0.1, 0, 1000, help="mu of FedProx; 0 is FedAvg")
    server_learning_rate = Number("Server learning rate", 0.05, 1e-9, 1000, help="Of FedAdam")
    beta1 = Number("Momentum", 0.9, 0, 0.999999, help="beta1 of FedAdam")
    beta2 = Number("Memory of squares", 0.99, 0, 0.999999, help="beta2 of FedAdam")
    held_back = Number(
        "Held-back share",
        0.2,
        0,
        0.5,
        help="Of each hospital’s rows: not trained on, they show how good the model is. 0 holds nobody back",
    )
    patience = Number(
        "Patience",
        10,
        0,
        1000,
        whole=True,
        unit="rounds",
        help="Stop after so many rounds without a better loss on held-back rows; 0 never stops early",
    )

    inputs: int = 0  # columns the model sees: those that vary, after coding

    def model(self) -> Any:
        """An untrained model; subclasses write it."""
        raise NotImplementedError(f"{type(self).__name__} must write model().")

    def loss(self, out: Any, y: Any) -> Any:
        """Of a PyTorch module: log loss of a yes/no outcome from log odds, squared error of a number."""
        from torch.nn import functional

        if self.yes_no:
            return functional.binary_cross_entropy_with_logits(out, y)
        return functional.mse_loss(out, y)

    def optimizer(self, parameters: Any, rate: float | None) -> Any:
        """Of a PyTorch module, made anew each round; `rate` is None where no learning rate was given."""
        import torch

        return torch.optim.SGD(parameters, lr=0.05 if rate is None else rate)

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        values = super().validate(given, dictionary, sites)
        if values["outcome"] in [part for term in values["features"] for part in term.split(":")]:
            raise UsageError(
                "feature_outcome", f"“{values['outcome']}” is the outcome and cannot be a feature."
            )
        return values

    @property
    def yes_no(self) -> bool:
        """Whether the outcome is yes/no; a number from 0 to 1 with values between is a number."""
        spec = self.spec(self.outcome)
        return spec.type == "factor" or (spec.type == "integer" and spec.is_yes_no and spec.high == 1)

    def accept(self, data: Table) -> None:
        if self.yes_no:
            data.yes(self.outcome)

    @property
    def most_rounds(self) -> int:
        """Two for scaling, those of training, and one that measures the last model."""
        return int(self.rounds) + 3

    def most_numbers(self) -> dict[str, int]:
        features = len(self.terms(self.features, intercept=False))
        coded = features + (0 if self.yes_no else 1)
        every: State = {"kept": np.arange(features), "seed": 0}
        weights = len(flat(self.learner(every).start()))
        measures = (
            3 + 2 * len(metrics.YES_NO) + (5 if self.yes_no else 0)
        )  # and marks of two that may be hidden
        return {
            "moments": 1 + 2 * coded + (1 if self.yes_no else 0),
            "spread": coded,
            "train": measures + weights,
            "evaluate": measures,
        }

    # Pooled means and standard deviations, for scaling.

    def start(self) -> State:
        return {"stage": "moments"}

    def local_moments(self, data: Table, state: State) -> Update:
        """Of the features, and of an outcome that is a number, in units from the dictionary."""
        values = self._columns(data) / self._scales()
        update = {"rows": len(data), "values": values.sum(axis=0), "sizes": np.abs(values).sum(axis=0)}
        return update | ({"events": data.yes(self.outcome).sum()} if self.yes_no else {})

    def combine_moments(self, state: State, total: Update) -> State | Done:
        if self.yes_no and total["events"] in (0.0, total["rows"]):
            return Done(answer=ALL_ALIKE)
        rows, scales = float(total["rows"]), self._scales()
        sizes = np.asarray(total["sizes"]) * scales / rows
        return {
            "stage": "spread",
            "rows": rows,
            "events": total.get("events", -1.0),
            "mean": np.asarray(total["values"]) * scales / rows,
            "unit": np.array([unit_near(size) for size in sizes.tolist()]),
        }

    def local_spread(self, data: Table, state: State) -> Update:
        return {"squares": (((self._columns(data) - state["mean"]) / state["unit"]) ** 2).sum(axis=0)}

    def combine_spread(self, state: State, total: Update) -> State | Done:
        """The first model, at the coordinator; constant columns are no part of it."""
        rows, squares = float(state["rows"]), np.asarray(total["squares"])
        varies = squares > FLAT * rows
        sd = np.where(varies, np.sqrt(squares / max(rows - 1.0, 1.0)) * state["unit"], 1.0)
        if not self.yes_no and not varies[-1]:
            return Done(answer=ALL_ALIKE)
        kept = np.flatnonzero(varies if self.yes_no else varies[:-1])
        if not len(kept):
            return Done(answer=NO_FEATURE)
        known = {name: state[name] for name in ("rows", "events", "mean")}
        seed = int(self.rng(state).integers(2**31))
        begun: State = {**known, "sd": sd, "kept": kept, "seed": seed}
        weights = self.learner(begun).start()
        nothing = np.zeros_like(flat(weights))
        return begun | {
            "stage": "train",
            "turn": 0,
            "weights": weights,
            "best": weights,
            "best_turn": 0,
            "best_loss": None,
            "history": np.zeros((0, 2, 4)),
            "momentum": nothing,
            "memory": nothing + ADAPTIVITY**2,
        }

    # Rounds.

    def learner(self, state: State) -> Learner:
        """This task's model in the hands of its library."""
        self.inputs = len(state["kept"])
        seed = int(state["seed"])
        if self.uses_torch():
            return TorchLearner(self.model, self.loss, self.optimizer, self.yes_no, seed)
        return SklearnLearner(self.model, self.inputs, self.yes_no, seed)

    def uses_torch(self) -> bool:
        """Whether `model()` is a PyTorch module: its class says so, and PyTorch need not be there to ask."""
        return any(base.__module__.startswith("torch.") for base in type(self.model()).__mro__)

    def local_train(self, data: Table, state: State) -> Update:
        """The model as it came, measured; and the weights that this hospital's rows make of it, times these rows."""
        learner = self.learner(state)
        x, y = self._scaled(data, state)
        back = self._held_back(data, y)
        update = self._measured(learner, x, y, back, state["weights"])
        rows = int((~back).sum())
        course = Course(
            int(self.local_epochs),
            int(self.batch_size),
            self.learning_rate,
            float(self.mu) if self.algorithm == "FedProx" else 0.0,
            before=int(state["turn"]) * int(self.local_epochs) * rows,
        )
        try:
            trained = state["weights"]
            if rows:
                trained = learner.train(x[~back], y[~back], trained, course, self.rng(state))
            vector = flat(trained)
            if not (np.abs(vector) <= FARTHEST).all():
                raise DivergedError()
        except DivergedError:
            vector = np.zeros_like(flat(state["weights"]))
            update["diverged"] = len(data)
        return update | {"weights": rows * vector}

    def combine_train(self, state: State, total: Update) -> State | Done:
        seen = self._seen(state, total)
        if isinstance(seen, Done):
            return seen
        if (
            self.patience
            and seen["turn"] - seen["best_turn"] >= self.patience
            and total["held_back_rows"] > 0
        ):
            return learned.result(self, seen, total)
        before = flat(state["weights"])
        mean = np.asarray(total["weights"]) / total["rows"]
        step = {}
        if self.algorithm == "FedAdam":
            change = mean - before
            momentum = self.beta1 * state["momentum"] + (1.0 - self.beta1) * change
            memory = self.beta2 * state["memory"] + (1.0 - self.beta2) * change**2
            mean = before + self.server_learning_rate * momentum / (np.sqrt(memory) + ADAPTIVITY)
            step = {"momentum": momentum, "memory": memory}
        if not (np.abs(mean) <= FARTHEST).all():
            return self._diverged(state)
        turn = int(state["turn"]) + 1
        stage = "evaluate" if turn >= self.rounds else "train"
        return {**seen, **step, "stage": stage, "turn": turn, "weights": shaped(mean, state["weights"])}

    def local_evaluate(self, data: Table, state: State) -> Update:
        x, y = self._scaled(data, state)
        return self._measured(self.learner(state), x, y, self._held_back(data, y), state["weights"])

    def combine_evaluate(self, state: State, total: Update) -> State | Done:
        seen = self._seen(state, total)
        return seen if isinstance(seen, Done) else learned.result(self, seen, total)

    def _seen(self, state: State, total: Update) -> State | Done:
        """The State with this round's metrics, and the best model so far.

        Without held-back patients the last model is taken: by patients it has seen, the best would be the most
        overfitted.
        """
        if total["diverged"] > 0:
            return self._diverged(state)
        told = self._told(state, total)
        history = np.concatenate([state["history"], [[list(each.values()) for each in told]]])
        loss = metrics.loss_of(told[1]) if total["held_back_rows"] > 0 else None
        least = state["best_loss"]
        if loss is None or least is None or loss < least:
            best = {"best": state["weights"], "best_turn": state["turn"], "best_loss": loss}
        else:
            best = {}
        return {**state, **best, "history": history}

    def _told(self, state: State, total: Update) -> list[dict[str, float]]:
        """The metrics of all hospitals: of the patients trained on, and of those held back."""
        return [
            metrics.told(
                total[name],
                total.get(f"{name}_correct", np.nan),
                float(total[rows]),
                self._outcome_sd(state),
                self.yes_no,
            )
            for name, rows in (("train", "rows"), ("held_back", "held_back_rows"))
        ]

    def quality(self, state: State, total: Update) -> Quality | None:
        """The loss of the model as the hospitals received it; its best round is the one that `_seen` takes."""
        if state["stage"] not in ("train", "evaluate") or total["diverged"] > 0:
            return None
        train, held_back = (metrics.loss_of(each) for each in self._told(state, total))
        return Quality(
            LOG_LOSS if self.yes_no else SQUARED_ERROR,
            {TRAINED_ON: train, HELD_BACK: held_back},
            HELD_BACK if total["held_back_rows"] > 0 else "",
            int(state["turn"]),
        )

    def _diverged(self, state: State) -> Done:
        rate = self.learning_rate if self.learning_rate is not None else self.learner(state).rate()
        said = f" (it was {rate:g})" if rate is not None else ""
        if self.algorithm == "FedAdam":
            said += " or the server’s"
        return Done(answer=DIVERGED.format(int(state["turn"]) + 1, said))

    def _measured(self, learner: Learner, x: Floats, y: Floats, back: Any, weights: Any) -> Update:
        """Sums for the metrics, of the patients trained on and of those held back."""
        update: Update = {
            "rows": int((~back).sum()),
            "held_back_rows": int(back.sum()),
            "diverged": 0,
        }
        predicted = learner.predict(x, weights)
        lost = not (np.abs(predicted) <= FARTHEST).all()
        if lost:
            predicted, update["diverged"] = np.zeros_like(y), len(y)
        for name, rows in (("train", ~back), ("held_back", back)):
            update[name] = metrics.sums(y[rows], predicted[rows], self.yes_no)
            if self.yes_no:
                update[f"{name}_correct"] = metrics.correct(y[rows], predicted[rows])
        return update | ({"held_back_events": int(y[back].sum())} if self.yes_no else {})

    # A site's rows.

    def _held_back(self, data: Table, y: Floats) -> Any:
        """The same rows in every round."""
        back = metrics.held_back(y, self.yes_no, float(self.held_back), self.rng({}))
        data.described(int(back.sum()))
        data.described(int((~back).sum()))
        return back

    def _columns(self, data: Table) -> Floats:
        """The coded features, and behind them an outcome that is a number."""
        design = data.design(self.features)[:, 1:]
        return design if self.yes_no else np.column_stack([design, data[self.outcome]])

    def _scaled(self, data: Table, state: State) -> tuple[Floats, Floats]:
        columns = (self._columns(data) - state["mean"]) / state["sd"]
        y = data.yes(self.outcome) if self.yes_no else columns[:, -1]
        kept = np.asarray(state["kept"], dtype=np.int64)
        return np.ascontiguousarray(columns[:, kept]), np.asarray(y, dtype=np.float64)

    def _scales(self) -> Floats:
        scales = self.scales(self.features)[1:]
        return scales if self.yes_no else np.append(scales, self.spec(self.outcome).scale)

    def _outcome_sd(self, state: State) -> float:
        return 1.0 if self.yes_no else float(state["sd"][-1])

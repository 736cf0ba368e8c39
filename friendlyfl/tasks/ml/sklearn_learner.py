"""scikit-learn's models with `partial_fit` and linear or MLP weights, as a Learner.

The estimator is told its weights, is given one mini-batch after another, and its weights are read again. What does
not live here: rounds, scaling and metrics (fedavg).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import Floats
from friendlyfl.tasks.ml.learner import Course, DivergedError, Row, Weights, batches

AVERAGED = "Leave out average=True: FedAvg averages itself, over hospitals."
STOPS = "Leave out early_stopping=True of the model: FedAvg stops by the held-back patients of all hospitals."
NO_CHANCES = "The model {} gives no probabilities; choose a loss that does, such as log_loss."
SCHEDULE = (
    "FedProx needs a constant learning rate: give learning_rate, or make the model with a constant one."
)
UNKNOWN = (
    "The model {} of this task cannot learn in rounds: it has no partial_fit, or no linear or MLP weights."
)
BADLY_SET = "The model of this task cannot be trained: {}"
NOTHING = 1e-300  # a learning rate at which a step changes no weight


class SklearnLearner:
    """An estimator made anew for each use, so that nothing but weights is carried from round to round."""

    def __init__(self, make: Callable[[], Any], inputs: int, yes_no: bool, seed: int) -> None:
        self.make, self.inputs, self.yes_no, self.seed = make, inputs, yes_no, seed
        self.model = self._made()
        name = type(self.model).__name__
        if not hasattr(self.model, "partial_fit"):
            raise UsageError("model", UNKNOWN.format(name))
        if hasattr(self.model, "classes_") != yes_no:
            raise UsageError(
                "model",
                f"The model {name} is made for {'a number' if yes_no else 'yes/no outcomes'}, and the outcome is "
                f"{'yes/no' if yes_no else 'a number'}.",
            )
        if yes_no and not hasattr(self.model, "predict_proba"):
            raise UsageError("model", NO_CHANCES.format(name))

    def _made(self) -> Any:
        """The estimator with its arrays in place: it has seen one empty row, at a rate that changes nothing."""
        model = self.make()
        known = model.get_params()
        if known.get("average"):
            raise UsageError("model", AVERAGED)
        if known.get("early_stopping"):
            raise UsageError("model", STOPS)
        settings = {"random_state": self.seed % 2**32, "shuffle": False, "warm_start": False}
        model.set_params(**{name: value for name, value in settings.items() if name in known})
        own = known.get("learning_rate_init")
        if own is not None:
            model.set_params(learning_rate_init=NOTHING)
        if hasattr(model, "partial_fit"):
            self._step(model, np.zeros((1, self.inputs)), np.zeros(1))
        if own is not None:
            model.set_params(learning_rate_init=own)
        if hasattr(model, "coef_"):
            model.coef_, model.intercept_ = np.zeros_like(model.coef_), np.zeros_like(model.intercept_)
        elif not hasattr(model, "coefs_"):
            raise UsageError("model", UNKNOWN.format(type(model).__name__))
        return model

    def _step(self, model: Any, x: Floats, y: Floats) -> None:
        if "batch_size" in model.get_params():
            model.set_params(batch_size=len(x))
        classify = getattr(model, "_estimator_type", "") == "classifier" or hasattr(model, "predict_proba")
        classify = classify or type(model).__name__.endswith("Classifier")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that one pass does not converge is the point of it
                if classify:
                    model.partial_fit(x, y.astype(np.int64), classes=np.array([0, 1]))
                else:
                    model.partial_fit(x, y)
        except ValueError as error:
            if "overflow" in str(error) or "non-finite" in str(error) or "infinity" in str(error):
                raise DivergedError() from None
            raise UsageError("model", BADLY_SET.format(error)) from None

    # Weights in and out. The arrays of a linear model and of an MLP have other names.

    def start(self) -> Weights:
        return self._read(self.model)

    def _read(self, model: Any) -> Weights:
        if hasattr(model, "coefs_"):
            pairs = enumerate(zip(model.coefs_, model.intercepts_, strict=True))
            found = {}
            for place, (matrix, bias) in pairs:
                found[f"coefs_{place}"], found[f"intercepts_{place}"] = np.array(matrix), np.array(bias)
            return found
        return {"coef": np.array(model.coef_), "intercept": np.array(model.intercept_)}

    def _write(self, model: Any, weights: Weights) -> None:
        if hasattr(model, "coefs_"):
            for place in range(len(model.coefs_)):  # in place: its optimiser holds the same arrays
                model.coefs_[place][...] = weights[f"coefs_{place}"]
                model.intercepts_[place][...] = weights[f"intercepts_{place}"]
        else:
            model.coef_, model.intercept_ = weights["coef"].copy(), weights["intercept"].copy()

    def train(
        self, x: Floats, y: Floats, weights: Weights, course: Course, rng: np.random.Generator
    ) -> Weights:
        """With FedProx, after each batch the weights are drawn towards those the round began with.

        That is the proximal term taken in implicit steps, as many as the batch has gradient steps: one for an MLP, one
        a row for the linear models, whose partial_fit steps row by row.
        """
        model = self._made()
        if hasattr(model, "_optimizer"):
            del model._optimizer  # what it remembers is of the empty row
        self._set_rate(model, course.rate)
        if course.pull and self._rate_of(model) is None:
            raise UsageError("model", SCHEDULE)
        self._write(model, weights)
        if hasattr(model, "t_") and hasattr(model, "coef_"):
            model.t_ = 1.0 + course.before  # schedules of the rate go on from round to round
        for _ in range(course.epochs):
            for rows in batches(len(x), course.batch_size, rng):
                self._step(model, x[rows], y[rows])
                if course.pull:
                    self._draw(model, weights, course.pull, len(rows))
        return self._read(model)

    def _draw(self, model: Any, towards: Weights, pull: float, rows: int) -> None:
        steps = 1 if hasattr(model, "coefs_") else rows
        kept = (1.0 + (self._rate_of(model) or 0.0) * pull) ** -steps
        now = self._read(model)
        self._write(model, {name: towards[name] + kept * (now[name] - towards[name]) for name in now})

    def _set_rate(self, model: Any, rate: float | None) -> None:
        if rate is None:
            return
        known = model.get_params()
        if "eta0" in known:
            model.set_params(eta0=rate, learning_rate="constant")
        elif "learning_rate_init" in known:
            model.set_params(learning_rate_init=rate)

    def _rate_of(self, model: Any) -> float | None:
        known = model.get_params()
        if "learning_rate_init" in known:
            return float(known["learning_rate_init"])
        constant = known.get("learning_rate") == "constant"
        return float(known["eta0"]) if constant and "eta0" in known else None

    def rate(self) -> float | None:
        return self._rate_of(self.model)

    def predict(self, x: Floats, weights: Weights) -> Floats:
        if not len(x):
            return np.zeros(0)
        self._write(self.model, weights)
        found = self.model.predict_proba(x)[:, 1] if self.yes_no else self.model.predict(x)
        return np.asarray(found, dtype=np.float64)

    def layers(self) -> list[Row] | None:
        if hasattr(self.model, "coefs_"):
            last = len(self.model.coefs_) - 1
            return [
                {
                    "weights": f"coefs_{place}",
                    "bias": f"intercepts_{place}",
                    "across": True,
                    "activation": "identity" if place == last else str(self.model.activation),
                }
                for place in range(last + 1)
            ]
        if not self.logit_or_line():
            return None
        return [{"weights": "coef", "bias": "intercept", "across": False, "activation": "identity"}]

    def logit_or_line(self) -> bool:
        losses = ("log_loss",) if self.yes_no else ("squared_error", "huber", "epsilon_insensitive")
        return hasattr(self.model, "coef_") and self.model.get_params().get("loss") in losses

    def words(self) -> Row:
        import sklearn

        return {
            "library": "scikit-learn",
            "version": str(sklearn.__version__),
            "architecture": " ".join(repr(self.make()).split()),
        }

"""PyTorch's modules as a Learner, on one thread and with deterministic algorithms: the same input, the same bytes.

What does not live here: rounds, scaling and metrics (fedavg).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from friendlyfl.tasks.dictionary import Floats
from friendlyfl.tasks.ml.learner import Course, DivergedError, Row, Weights, batches

ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "logistic", "Identity": "identity"}


class TorchLearner:
    """A module made anew for each use. `loss(out, y)` and `optimizer(parameters, rate)` are the task's."""

    def __init__(
        self,
        make: Callable[[], Any],
        loss: Callable[[Any, Any], Any],
        optimizer: Callable[[Any, float | None], Any],
        yes_no: bool,
        seed: int,
    ) -> None:
        self.make, self.loss, self.optimizer, self.yes_no, self.seed = make, loss, optimizer, yes_no, seed

    def _made(self) -> Any:
        import torch

        torch.manual_seed(self.seed)
        return self.make()

    def start(self) -> Weights:
        with _steady(self.seed):
            return self._read(self._made())

    def _read(self, module: Any) -> Weights:
        return {
            name: value.detach().cpu().numpy().astype(np.float64)
            for name, value in module.state_dict().items()
        }

    def _loaded(self, weights: Weights) -> Any:
        import torch

        module = self._made()
        given = {}
        for name, value in module.state_dict().items():
            array = weights[name] if value.is_floating_point() else np.round(weights[name])
            given[name] = torch.as_tensor(array.copy()).to(value.dtype)
        module.load_state_dict(given)
        return module

    def _tensor(self, module: Any, values: Floats) -> Any:
        import torch

        kind = next((value.dtype for value in module.parameters()), torch.float32)
        return torch.as_tensor(np.array(values)).to(kind)

    def train(
        self, x: Floats, y: Floats, weights: Weights, course: Course, rng: np.random.Generator
    ) -> Weights:
        """With FedProx, mu/2 times the squared distance from the round's first weights is part of each loss."""
        import torch

        with _steady(int(rng.integers(2**62))):
            module = self._loaded(weights).train()
            begun = [value.detach().clone() for value in module.parameters()]
            optimizer = self.optimizer(module.parameters(), course.rate)
            for _ in range(course.epochs):
                for rows in batches(len(x), course.batch_size, rng):
                    optimizer.zero_grad()
                    loss = self.loss(
                        _one(module(self._tensor(module, x[rows]))), self._tensor(module, y[rows])
                    )
                    if course.pull:
                        apart = zip(module.parameters(), begun, strict=True)
                        loss = loss + course.pull / 2.0 * sum(
                            ((now - then) ** 2).sum() for now, then in apart
                        )
                    if not torch.isfinite(loss):
                        raise DivergedError()
                    loss.backward()
                    optimizer.step()
            return self._read(module)

    def predict(self, x: Floats, weights: Weights) -> Floats:
        import torch

        if not len(x):
            return np.zeros(0)
        with _steady(self.seed), torch.no_grad():
            module = self._loaded(weights).train(False)
            out = _one(module(self._tensor(module, x)))
            out = torch.sigmoid(out) if self.yes_no else out
            return np.asarray(out.cpu().numpy(), dtype=np.float64)

    def rate(self) -> float | None:
        with _steady(self.seed):
            groups = self.optimizer(self._made().parameters(), None).param_groups
        return float(groups[0]["lr"]) if groups and "lr" in groups[0] else None

    def layers(self) -> list[Row] | None:
        with _steady(self.seed):
            module = self._made()
        if type(module).__name__ != "Sequential":
            return None
        found: list[Row] = []
        for place, part in module.named_children():
            kind = type(part).__name__
            if kind == "Linear" and part.bias is not None:
                found.append(
                    {
                        "weights": f"{place}.weight",
                        "bias": f"{place}.bias",
                        "across": False,
                        "activation": "identity",
                    }
                )
            elif kind in ACTIVATIONS and found and found[-1]["activation"] == "identity":
                found[-1]["activation"] = ACTIVATIONS[kind]
            elif kind != "Dropout":  # which does nothing when predicting
                return None
        return found or None

    def logit_or_line(self) -> bool:
        layers = self.layers()
        return layers is not None and len(layers) == 1 and layers[0]["activation"] == "identity"

    def words(self) -> Row:
        import torch

        with _steady(self.seed):
            architecture = " ".join(repr(self._made()).split())
        return {"library": "PyTorch", "version": str(torch.__version__), "architecture": architecture}


def _one(out: Any) -> Any:
    """One number a row, also where the last layer gives a column."""
    return out.squeeze(-1) if out.dim() > 1 else out


@contextlib.contextmanager
def _steady(seed: int) -> Iterator[None]:
    """One thread, deterministic algorithms and this seed; afterwards everything is as it was."""
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)

"""The conformance kit finds what is wrong with a task, and every task installed here passes it."""

from typing import Any

import numpy as np
import pytest

from friendlyfl import datasets
from friendlyfl.tasks import Dictionary, Done, Task, registry
from friendlyfl.tasks.report import Result
from friendlyfl.testing import check_task
from friendlyfl.testing.check_task import flat
from tests.tasks.mean import DICTIONARY, Forest, Levels, Mean, Products, Spread, patients

FRAMES = [patients(60, 1), patients(45, 2)]


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        (Mean, {"outcome": "age"}),
        (Spread, {"outcome": "crp"}),
        (Levels, {"variable": "race"}),
        (Forest, {"outcome": "age"}),
        (Products, {"outcome": "died", "predictors": "age,sex,.site"}),
    ],
)
def test_tasks_that_keep_the_rules(task: type[Task], parameters: dict[str, Any]) -> None:
    check_task(task, FRAMES, DICTIONARY, **parameters)


def test_against_a_pooled_reference() -> None:
    mean = float(np.concatenate([frame["age"] for frame in FRAMES]).mean())
    check_task(Mean, FRAMES, DICTIONARY, pooled={"statistics.mean": mean}, outcome="age")
    with pytest.raises(AssertionError, match="pooled reference"):
        check_task(Mean, FRAMES, DICTIONARY, pooled={"statistics.mean": mean + 1e-3}, outcome="age")
    with pytest.raises(AssertionError, match="no number statistics.median"):
        check_task(Mean, FRAMES, DICTIONARY, pooled={"statistics.median": 3}, outcome="age")


class Nameless(Mean):
    title = ""


Nameless.__doc__ = None


class LooksAtOneSite(Mean):
    """An average of averages."""

    def local(self, data: Any, state: Any) -> Any:
        return {"n": 100, "sum": 100 * data[self.outcome].sum() / max(len(data), 1)}


class Sizes(Mean):
    """As many numbers as patients."""

    row_additive = False

    def local(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": np.sort(data[self.outcome])}


class NotAdditive(Mean):
    """A sum that is none."""

    def local(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": data[self.outcome].sum() + 1}


class Chance(Mean):
    """Another number each time."""

    def local(self, data: Any, state: Any) -> Any:
        return {"n": len(data), "sum": np.random.default_rng().normal()}


class Fragile(Mean):
    """Falls over where there is nobody."""

    def local(self, data: Any, state: Any) -> Any:
        assert data[self.outcome].max() > 0
        return super().local(data, state)


class NoAnswer(Mean):
    """Has none."""

    def combine(self, state: Any, total: Any) -> Any:
        return Done(notes=["There is none."])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (Nameless, "title and version"),
        (Nameless, "docstring"),
        (LooksAtOneSite, "for one site"),
        (Sizes, "size of an Update"),
        (NotAdditive, "row_additive"),
        (Chance, "same bytes"),
        (Fragile, "ValueError"),
        (NoAnswer, "no answer"),
    ],
)
def test_what_is_wrong_is_found(task: type[Task], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_task(task, FRAMES, DICTIONARY, outcome="age")


def test_numbers_by_path() -> None:
    result = Result("x", "1", coefficients=[{"term": "age", "se": 0.5}], tests={"wald": {"df": 2, "p": None}})
    found = flat(result)
    assert (
        found["coefficients.age.se"] == 0.5 and found["tests.wald.df"] == 2 and found["tests.wald.p"] is None
    )


NEEDS_SECURE_SUM = {"kaplan_meier", "roc", "competing_risks", "fine_gray"}


@pytest.mark.parametrize(("name", "task"), registry.every(), ids=[name for name, _ in registry.every()])
def test_every_task_installed_here_passes(name: str, task: type[Task]) -> None:
    """On its own example, over two of the clinics."""
    if task.lacks():
        pytest.skip(task.lacks())
    rules = "off" if name in NEEDS_SECURE_SUM else "on"
    frames = list(datasets.load("clinic").values())[:2]
    check_task(task, frames, Dictionary.parse(datasets.dictionary("clinic")), rules=rules, **task.example)

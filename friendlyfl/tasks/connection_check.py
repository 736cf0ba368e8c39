"""A task that looks at no patient: zeros of a chosen size go back and forth, so that people can try the line first."""

from typing import Any

import numpy as np

from friendlyfl.tasks.base import Done, Sum, Task
from friendlyfl.tasks.params import Number


class ConnectionCheck(Task):
    """Does the line between our hospitals work?"""

    title, version, row_additive = "Connection check", "1.0", True
    topic = "hospitals"
    max_rounds = 100
    numbers = Number("Numbers in each message", default=64, low=1, high=1_000_000, whole=True)
    rounds = Number("Rounds", default=3, low=1, high=100, whole=True)
    sends = {"zeros": Sum}

    @property
    def most_rounds(self) -> int:
        return int(self.values["rounds"])

    def most_numbers(self) -> dict[str, int]:
        return {"": int(self.values["numbers"])}

    def start(self) -> dict[str, Any]:
        return {"answered": 0}

    def local(self, data: Any, state: dict[str, Any]) -> dict[str, Any]:
        return {"zeros": np.zeros(int(self.values["numbers"]))}

    def combine(self, state: dict[str, Any], total: dict[str, Any]) -> dict[str, Any] | Done:
        answered = int(state["answered"]) + 1
        if answered < self.values["rounds"]:
            return {"answered": answered}
        sent = int(self.values["numbers"])
        return Done(
            statistics={"rounds": answered, "numbers": sent, "sum": float(np.sum(total["zeros"]))},
            notes=["Only zeros were sent: this checks the line and says nothing about patients."],
        )

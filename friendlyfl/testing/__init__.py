"""For authors of tasks and for trying things out: `simulate` and the conformance kit `check_task`."""

from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate

__all__ = ["check_task", "simulate"]

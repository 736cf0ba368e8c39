"""What is computed, and what may leave a hospital. Authors of tasks import from here.

Light on purpose: numpy only. pandas and scipy are loaded by what uses them.
"""

from typing import TYPE_CHECKING, Any

from friendlyfl.tasks.base import Count, Cross, Done, EachTask, Estimate, Quality, Sum, Task, Weights
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.params import Choice, Column, Columns, Flag, Number, Numbers, Text
from friendlyfl.tasks.table import Table

if TYPE_CHECKING:
    from friendlyfl.tasks.stats.inference import wald

__all__ = [
    "Choice",
    "Column",
    "Columns",
    "Count",
    "Cross",
    "Dictionary",
    "Done",
    "EachTask",
    "Estimate",
    "Flag",
    "Number",
    "Numbers",
    "Quality",
    "Sum",
    "Table",
    "Task",
    "Text",
    "Weights",
    "wald",
]


def __getattr__(name: str) -> Any:
    if name == "wald":  # needs scipy
        from friendlyfl.tasks.stats.inference import wald

        return wald
    raise AttributeError(name)

"""The least number of people a figure may show in a group: 5 under rules, whatever a table held.

A second net: what hospitals refuse or hide never comes this far.
"""

from __future__ import annotations

from typing import Any

from friendlyfl.tasks.figures.lettering import is_number
from friendlyfl.tasks.report import Result

LEAST = 5


class Smallest:
    """Whether a number of people may be drawn."""

    def __init__(self, result: Result) -> None:
        self.least = 0 if result.privacy.rules == "off" else LEAST

    def allows(self, people: Any) -> bool:
        """0 may be shown; so may a row that says nothing about how many people it describes."""
        return not is_number(people) or people == 0 or people >= self.least

"""A task's own example worked through on the data set that FriendlyFL ships: what came out, and what each site sent.

For the catalogue on the command line and the pages in docs/tasks. How the Result is shown is decided there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from friendlyfl import datasets
from friendlyfl.core.errors import RefusedError
from friendlyfl.tasks import Dictionary, Task
from friendlyfl.tasks.disclosure import HIDDEN
from friendlyfl.testing.simulate import Outcome, run
from friendlyfl.wire.update import Update

DATASET = "clinic"
SITES = (1, 2)


@dataclass(frozen=True)
class WorkedExample:
    """The outcome of an example; `refusal` is the rules' sentence when it could be worked with rules off only."""

    task: type[Task]
    outcome: Outcome
    refusal: str = ""

    @property
    def rules(self) -> str:
        return "off" if self.refusal else "on"

    @cached_property
    def sent(self) -> list[dict[str, Any]]:
        """A row for each name of numbers: in which rounds a site sent them, and how many each time."""
        found: dict[str, dict[int, int]] = {}
        for number, sites in enumerate(self.outcome.sent, start=1):
            for name, values in Update.from_bytes(sites[0]).decoded().items():
                if name in self.task.sends and not name.startswith(HIDDEN):
                    found.setdefault(name, {})[number] = values.size
        return [
            {
                "name": name,
                "what": kind.words,
                "rounds": ranges(list(found.get(name, ()))),
                "count": _between(list(found.get(name, {}).values())),
            }
            for name, kind in self.task.sends.items()
        ]

    @property
    def numbers(self) -> list[int]:
        """How many a site sent in each exchange, the platform's own among them."""
        return [Update.from_bytes(sites[0]).numbers for sites in self.outcome.sent]


def ranges(rounds: list[int]) -> str:
    """Rounds in words: “1”, “2 to 7”, “1, 3 to 5”; of what an example did not need, a dash."""
    parts: list[list[int]] = []
    for number in rounds:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    words = [str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts]
    return ", ".join(words) or "–"


def _between(counts: list[int]) -> str:
    if not counts:
        return "–"
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def worked(task: type[Task], name: str) -> WorkedExample:
    """Under the hospitals' rules where they allow it, else without and with the rules' sentence."""
    tables = datasets.load(DATASET)
    frames = [tables[site] for site in SITES]
    dictionary = Dictionary.parse(datasets.dictionary(DATASET))
    by = name if task.name == name else task
    outcome = run(by, frames, dictionary, parameters=dict(task.example))
    if not isinstance(outcome.error, RefusedError):
        return WorkedExample(task, outcome)
    refusal = str(outcome.result.privacy.refused[0]["sentence"])
    again = run(by, frames, dictionary, rules="off", parameters=dict(task.example))
    return WorkedExample(task, again, refusal)

"""The child's part in the rule `difference` across plans: which rows each step describes, beside those that earlier
plans described, as the controller keeps them (controller/described.py).

How rows are told apart is tasks.described's; nothing is kept here.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from friendlyfl.controller.runner.passing import Passed, arrived, as_file, passed
from friendlyfl.tasks import described, row_marks
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.described import Bools, Rows
from friendlyfl.tasks.disclosure import Policy, Refused
from friendlyfl.tasks.intake import Intake


class Marks(Mapping[str, row_marks.Marks]):
    """Marks of columns, read when they are looked at: most often sizes tell enough."""

    def __init__(self, where: Mapping[str, Passed]) -> None:
        self.where = where

    def __getitem__(self, name: str) -> row_marks.Marks:
        return row_marks.from_bytes(arrived(self.where[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)


class Before:
    """What was described before this run began here; `given` is as controller.described tells it."""

    def __init__(
        self, given: dict[str, Any], intake: Intake, columns: Any, read: row_marks.MarkFiles
    ) -> None:
        self.plan, self.earlier = given["plan"], given["releases"]
        self.columns, self.intake, self.read = columns, intake, read
        self.table = intake.table(Path("columns"))
        self._sets: dict[int, list[Bools]] = {}
        self._passed: set[tuple[int, int, int]] = set()

    def check(self, seq: int, task: Task, policy: Policy, since: list[dict[str, Any]]) -> None:
        """Refused where the step's rows differ by a few from those of another plan. `since` was told after the run
        began; what was checked once is not checked again."""
        key = (seq, policy.difference, len(since))
        if key in self._passed:
            return
        others: dict[tuple[str, str], list[Rows]] = defaultdict(list)
        for release in [*self.earlier, *since]:
            plan = (release["plan"], release["table"])
            if plan != (self.plan, self.table):
                others[plan] += _rows_of(release)
        if others and described.too_close(self._rows(seq, task), others.values(), policy.difference):
            raise Refused("difference")
        self._passed.add(key)

    def told(self, seq: int, task: Task) -> dict[str, Any]:
        """The same of this step, for the controller to keep once its numbers leave."""
        sets = enumerate(self._sets_of(seq, task))
        return {
            "table": self.table,
            "rows": len(self.columns),
            "sets": [
                passed(described.packed(rows), Path(f"rows-{seq}-{place}").absolute()) for place, rows in sets
            ],
            "marks": {name: _copy(path, seq) for name, path in self._where(task).items()},
        }

    def _sets_of(self, seq: int, task: Task) -> list[Bools]:
        if seq not in self._sets:
            self._sets = {seq: described.row_sets(task, self.columns)}  # one step's at a time
        return self._sets[seq]

    def _where(self, task: Task) -> dict[str, Path]:
        """The files of marks of the hospital's own columns that a step computes with."""
        paths = self.read.paths
        return {name: paths[name] for name in self.intake.sources(task.columns) if name in paths}

    def _rows(self, seq: int, task: Task) -> list[Rows]:
        marks = Marks({name: as_file(path) for name, path in self._where(task).items()})
        return [Rows(self.table, chosen, marks) for chosen in self._sets_of(seq, task)]


def _copy(path: Path, seq: int) -> Passed:
    """The controller takes the file it is given away; the next step needs it, too."""
    copy = path.with_name(f"{seq}-{path.name}").absolute()
    shutil.copyfile(path, copy)
    return as_file(copy)


def _rows_of(release: dict[str, Any]) -> list[Rows]:
    marks = Marks(release["marks"])
    return [
        Rows(release["table"], described.unpacked(arrived(raw), release["rows"]), marks)
        for raw in release["sets"]
    ]

"""What the first round of a step would be on this hospital's data: rows, the smallest group, how many numbers; and how
many a later round can send at most.

For this hospital's own people. Nothing is written, and the answer goes to the pages of this site and nowhere else.
"""

from typing import Any

from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import disclosure, engine
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.disclosure import Policy
from friendlyfl.tasks.table import Table
from friendlyfl.wire.update import Update


def facts(task: Task, columns: Any, policy: Policy) -> dict[str, Any]:
    """`problem` holds an error; then there are no numbers."""
    table = engine.open_table(task, columns)
    found = {
        "rows": len(table),
        "dropped": table.dropped,
        "smallest": _smallest(task, table),
        "numbers": {},
        "later": None,
        "problem": None,
    }
    try:
        update = Update.of(engine.local(task, table, engine.begin(task), policy))
    except FriendlyError as error:
        return {**found, "problem": error}
    sizes: dict[str, int] = {}
    for name, shape in update.layout:
        size = 1
        for length in shape:
            size *= length
        sizes[name] = size
    return {**found, "numbers": sizes, "later": engine.most_numbers(task)}


def _smallest(task: Task, table: Table) -> dict[str, Any] | None:
    """The smallest group of patients that the step's columns make, and of which column it is."""
    sizes = [
        (int(counts[counts > 0].min()), name)
        for name, counts in disclosure.groups(task, table)
        if len(counts) and (counts > 0).any()
    ]
    if not sizes:
        return None
    size, name = min(sizes)
    return {"n": size, "of": name}

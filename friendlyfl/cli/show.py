"""A Result as tables on a terminal. What the numbers mean is in `tasks.report`; pages and figures are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from friendlyfl.cli.opening import clean
from friendlyfl.core.texts import ROUNDS
from friendlyfl.tasks.report import MODEL, Result, columns_of

ROWS = 40  # of one table; a curve has more points than a terminal wants


def number(value: Any) -> str:
    """Short, and a dash for what is undefined or suppressed."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ", ".join(number(part) for part in value) if isinstance(value, list) else clean(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e9):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def show(result: Result, console: Console | None = None, *, said: Sequence[object] = ()) -> None:
    """Print what it says, counts, tables, tests, statistics and notes, those that there are."""
    # Names of columns and levels come from other hospitals: they are shown, never read as markup.
    console = console or Console(highlight=False, markup=False, emoji=False)
    counts = [
        f"{name} {number(getattr(result.n, name))}"
        for name in ("used", "dropped", "events", "clusters")
        if getattr(result.n, name) is not None
    ]
    console.print(
        f"{result.task} {result.version}",
        f"· {ROUNDS(result.rounds)}",
        *(f"· {c}" for c in counts),
        style="bold",
    )
    for sentence in said:
        console.print(clean(sentence))
    _table(console, "Coefficients", result.coefficients)
    for name, rows in result.tables.items():
        if name != MODEL:
            _table(console, name.replace("_", " ").capitalize(), rows)
    for curve in result.curves:
        _table(console, f"{curve.name} {curve.group}", curve.points)
    _table(console, "Tests", [{"test": name, **row} for name, row in result.tests.items()])
    _table(
        console, "Statistics", [{"name": name, "value": value} for name, value in result.statistics.items()]
    )
    if result.aliased:
        console.print("Left out because other terms determine them:", ", ".join(result.aliased))
    for sentence in [*result.notes, *(f"Not shown: {words}." for words in result.privacy.suppressed)]:
        console.print(clean(f"• {sentence}"))


def _table(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    names = columns_of(rows)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in names:
        words = all(row.get(name) is None or isinstance(row.get(name), str) for row in rows)
        table.add_column(name, justify="left" if words else "right")
    for row in rows[:ROWS]:
        table.add_row(*(number(row.get(name, "")) for name in names))
    console.print()
    console.print(clean(title), style="bold")
    console.print(table)
    if len(rows) > ROWS:
        console.print(f"… {len(rows) - ROWS} more rows; --json writes them all.")

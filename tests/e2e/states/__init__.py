"""Every page of the portal in the states that a person may meet it in: each room of pages has its module here.

A state is an address, what is in the house before (records of the site under test), who looks, and what is done on the
page. `tests/e2e/test_portal_pages.py` looks at each with everything that must hold for any page, and fails for a page
that is in no state.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def nothing() -> None:
    """The first day."""


NO_PAGES = {
    "logout",
    "task_example",
    "task_figure",
    "step_move",
    "rehearsal_progress",
    "ledger_csv",
    "ledger_json",
    "request_check",
    "language",
    "run_status",
    "run_story",
    "run_rounds",
    "run_facts",
    "run_chart",
    "dataset_reading",
    "dataset_again",
    "dataset_save",
    "dataset_use",
    "columns_from",
    "mapping_check",
    "mapping_try",
    "results_pack",
    "results_step_pack",
    "results_json",
    "results_table",
    "results_figure",
    "results_figure_file",
    "project_news",  # a part of the project page
}  # addresses that answer with another page, a file, or a part of a page


@dataclass(frozen=True)
class State:
    """`page`: the name of the address in friendlyfl/controller/portal/urls.py, "" for one that is none. `path` may be
    made from what `house` returns, with "{}"."""

    page: str
    path: str
    house: Callable[[], Any] = nothing
    role: str = ""  # of the person signed in; "": nobody is
    act: Callable[[Any], None] | None = None
    status: int = 200


def collected() -> dict[str, State]:
    """All states by their names, which begin with the name of the page."""
    found: dict[str, State] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").STATES
    return found

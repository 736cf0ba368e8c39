"""A site as one object, for a notebook: the verbs of `actions` in the name of one person, and nothing of its own.

    site = friendlyfl.controller.open("~/friendlyfl/st-marys")
    project = site.find.project("Who sees a doctor")
    run = site.start_run(project)          # or by its name: site.start_run("Who sees a doctor")
    site.overview(run)["state"]

The command line and the portal press the same buttons. How a verb is carried out stands in `actions`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from friendlyfl.controller import actions, here

# What may be given by its name instead of as a record.
_BY_NAME = {"project": actions.find.project, "dataset": actions.find.dataset, "peer": actions.find.peer}


class Site:
    """Every verb is a method; the person who acts is filled in. `find` finds projects, runs, datasets, hospitals."""

    def __init__(self, actor: actions.Actor) -> None:
        self.actor = actor

    def __getattr__(self, name: str) -> Any:
        if name not in actions.__all__:
            raise AttributeError(f"A site has no verb “{name}”; dir(site) lists them.")
        found = getattr(actions, name)
        return self._bound(found) if inspect.isfunction(found) else found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *actions.__all__} - {"Actor", "launch"})

    def __repr__(self) -> str:
        return f"<{here.identity().name}, as {self.actor.name} ({self.actor.role})>"

    def _bound(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(verb)
        acts = "actor" in signature.parameters

        @functools.wraps(verb)
        def call(*given: Any, **named: Any) -> Any:
            values = signature.bind(*((self.actor,) if acts else ()), *given, **named)
            for name, find in _BY_NAME.items():
                if isinstance(values.arguments.get(name), str):
                    values.arguments[name] = find(values.arguments[name])
            return verb(*values.args, **values.kwargs)

        shown = [one for name, one in signature.parameters.items() if name != "actor"]
        call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        return call

"""A whole federated step in one process: the real codec, ring, disclosure check and rounds, without a network.

Only here can all files be seen, so only here may a dictionary be inferred or completed. Reading files and printing live
in `cli.simulate`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from friendlyfl.core import limits
from friendlyfl.core.errors import FriendlyError, NoAnswerError, RefusedError, UsageError
from friendlyfl.tasks import engine, registry
from friendlyfl.tasks.base import EachTask, Task
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.disclosure import Policy, Refused, refusal
from friendlyfl.tasks.infer import complete, infer
from friendlyfl.tasks.outcome import Exchange, is_answer, site_counts, without_numbers
from friendlyfl.tasks.report import Result
from friendlyfl.tasks.table import Table
from friendlyfl.tasks.values import DataError
from friendlyfl.wire import codec
from friendlyfl.wire.update import Update, total

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, int], None]  # round, sites done, sites


@dataclass
class Outcome:
    """What a simulation gave: the Result, why there is no (finite) answer, and the bytes each site sent, by round."""

    result: Result
    error: FriendlyError | None = None
    sent: list[list[bytes]] = field(default_factory=list)


def simulate(
    task: str | type[Task],
    frames: Sequence[pd.DataFrame],
    dictionary: Dictionary | Mapping[str, Any] | None = None,
    rules: Literal["on", "off"] = "on",
    secure_sum: bool = False,
    *,
    policy: Policy | None = None,
    where: str = "",
    **parameters: Any,
) -> Result:
    """The Result of a task over frames, one a site. A refusal or a missing answer is a Result without numbers.

    `where` are inclusion criteria, such as `age >= 18 and sex = female`. Wrong arguments and data raise UsageError
    with one plain sentence.
    """
    return run(
        task,
        frames,
        dictionary,
        rules=rules,
        secure_sum=secure_sum,
        policy=policy,
        where=where,
        parameters=parameters,
    ).result


def run(
    task: str | type[Task],
    frames: Sequence[pd.DataFrame],
    dictionary: Dictionary | Mapping[str, Any] | None = None,
    *,
    rules: str = "on",
    secure_sum: bool = False,
    policy: Policy | None = None,
    where: str = "",
    parameters: Mapping[str, Any],
    progress: Progress | None = None,
) -> Outcome:
    """The same with all that happened: the command line and the tests need more than the Result."""
    if rules not in ("on", "off"):
        raise UsageError("rules", "rules must be on or off.")
    if secure_sum:
        raise UsageError("secure_sum", "Secure sums come with a later version of FriendlyFL; run it without.")
    if not frames:
        raise UsageError("no_sites", "At least one site is needed.")
    for number, frame in enumerate(frames, start=1):
        if not len(frame):
            raise UsageError("site_empty", f"Site {number} has no rows.")
    return _Simulation(
        task, list(frames), dictionary_for(dictionary, frames), rules, policy, where, parameters
    ).play(progress)


def dictionary_for(
    given: Dictionary | Mapping[str, Any] | None, frames: Sequence[pd.DataFrame]
) -> Dictionary:
    """The dictionary as given, with what it leaves open taken from all frames; or one inferred from them."""
    if given is None:
        return infer(frames)
    return complete(given if isinstance(given, Dictionary) else Dictionary.parse(given), frames)


class _Simulation:
    def __init__(
        self,
        task: str | type[Task],
        frames: list[pd.DataFrame],
        dictionary: Dictionary,
        rules: str,
        policy: Policy | None,
        where: str,
        parameters: Mapping[str, Any],
    ) -> None:
        found = registry.find(task) if isinstance(task, str) else task
        self.name = task if isinstance(task, str) else found.name
        self.frames = frames
        self.policy = None if rules == "off" else policy or Policy(tasks=(*registry.BUILT_IN, self.name))
        self.coordinator, *self.tasks = [
            engine.make_task(
                found, None, parameters, dictionary, len(frames), site=site, rules=rules == "on", where=where
            )
            for site in range(len(frames) + 1)
        ]
        self.exchange = Exchange(self.name, per_site=(), rules=rules)
        self.sent: list[list[bytes]] = []

    def play(self, progress: Progress | None) -> Outcome:
        """All rounds of the step."""
        refused, tables = self._prepare()
        if refused:
            return self._refused(refused, 0)
        state = engine.begin(self.coordinator)
        while True:
            number = int(state[engine.ROUND])
            refused, updates = self._round(tables, codec.encode(state), number, progress)
            if refused:
                return self._refused(refused, number)
            try:
                _word, answer = self._combine(state, updates)
            except NoAnswerError as error:
                return self._without_answer(error, number)
            if isinstance(answer, Result):
                return self._finished(answer)
            state = answer

    def _prepare(self) -> tuple[list[tuple[int, Refused]], list[Table]]:
        """Every site's check before the first number: the refusals and the tables, or the first site's sentence about
        its data."""
        refused: list[tuple[int, Refused]] = []
        tables: list[Table] = []
        for task, frame in zip(self.tasks, self.frames, strict=True):
            problems, table = engine.plan_check(task, self.name, frame, self.policy)
            for problem in problems:
                if not isinstance(problem, Refused):
                    raise _at(task.site, problem)
                if not refused or refused[-1][0] != task.site:
                    refused.append((task.site, problem))
            if table is not None:
                tables.append(table)
        return refused, tables

    def _round(
        self, tables: list[Table], raw: bytes, number: int, progress: Progress | None
    ) -> tuple[list[tuple[int, Refused]], list[Update]]:
        """State out as bytes, Updates back as bytes."""
        refused: list[tuple[int, Refused]] = []
        sent: list[bytes] = []
        for task, table in zip(self.tasks, tables, strict=True):
            state = codec.decode(raw, limit=limits.STATE_BYTES)
            try:
                parts = self._told(task.site, engine.local, task, table, state, self.policy)
                sent.append(Update.of(parts).to_bytes())
            except Refused as error:
                refused.append((task.site, error))
                sent.append(codec.encode(refusal(error.rule)))
            if progress is not None:
                progress(number, task.site, len(self.tasks))
        self.sent.append(sent)
        return refused, [] if refused else [Update.from_bytes(one) for one in sent]

    def _combine(self, state: dict[str, Any], updates: list[Update]) -> tuple[str, dict[str, Any] | Result]:
        numbers = [one.decoded() for one in updates]
        sites = [site_counts(site, one) for site, one in enumerate(numbers, start=1)]
        exchange = dataclasses.replace(self.exchange, per_site=sites)
        each = isinstance(self.coordinator, EachTask)
        numbers_or_sum = numbers if each else total(updates).decoded()
        return engine.combine(self.coordinator, state, numbers_or_sum, exchange)

    def _told(self, site: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call, and say at which site the data do not fit: in a simulation all sites are the reader's own."""
        try:
            return function(*arguments)
        except (DataError, NoAnswerError) as error:
            raise _at(site, error) from None

    def _finished(self, result: Result) -> Outcome:
        said = json.dumps(result.to_json(), allow_nan=False)  # as a runner says it
        result = Result.from_json(json.loads(said))
        reason = next(iter(result.notes), "There is no finite answer.")
        return Outcome(result, None if is_answer(result) else NoAnswerError("no_answer", reason), self.sent)

    def _refused(self, refused: list[tuple[int, Refused]], rounds: int) -> Outcome:
        rows = [{"site": site, "rule": error.rule, "sentence": error.message} for site, error in refused]
        exchange = dataclasses.replace(self.exchange, per_site=None, refused=rows)
        notes = [f"Site {site}: {error.message}" for site, error in refused]
        result = without_numbers(self.coordinator, exchange, notes, rounds)
        return Outcome(result, RefusedError("refused", " ".join(notes)), self.sent)

    def _without_answer(self, error: NoAnswerError, rounds: int) -> Outcome:
        exchange = dataclasses.replace(self.exchange, per_site=None)
        result = without_numbers(self.coordinator, exchange, [error.message], rounds)
        return Outcome(result, error, self.sent)


def _at(site: int, error: FriendlyError) -> FriendlyError:
    return type(error)(error.code, f"Site {site}: {error.message}")

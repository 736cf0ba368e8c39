"""One step of a plan, round by round, as simulation and the Controller's runner both play it. Pure: no wire, no I/O.

    task = make_task(...)                       both sides
    table = open_table(task, frame)             a site; `plan_check` tells what stands in the way of it
    state = begin(task)                         the coordinator
    parts = local(task, table, state, policy)   a site: its Update, as parts to be added in the ring
    combine(task, state, total, exchange)       the coordinator: ("state", next State) or ("done", Result)
    quality(task, state, total)                 the coordinator, for its own pages: how good the round's model was

Names that start with a dot are the platform's own: `.round` and `.stage` are not for tasks to set, `.used`, `.dropped`,
`.dropped_hidden` and `.hidden:<array>` travel beside a task's numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import FriendlyError, NoAnswerError, UsageError, WireError
from friendlyfl.tasks import disclosure, registry
from friendlyfl.tasks.base import EachTask, Quality, Task
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.column_files import ColumnFiles
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.disclosure import DROPPED, DROPPED_HIDDEN, HIDDEN, USED, Policy
from friendlyfl.tasks.outcome import Exchange, finished
from friendlyfl.tasks.params import Column
from friendlyfl.tasks.table import Table, cohort_rows, read_column

if TYPE_CHECKING:
    import pandas as pd

    from friendlyfl.tasks.report import Result

Array = npt.NDArray[np.float64]
ROUND = ".round"
DEPENDENT = (
    "There is no single answer: over all hospitals, some of the columns determine others. Leave some out."
)
NO_ROWS = "No row at any hospital has a value in every column that this step names."
NOBODY = "No row at any hospital meets the inclusion criteria and has a value in every column that this step names."
OWN = (USED, DROPPED, DROPPED_HIDDEN)


def make_task(
    name: str | type[Task],
    version: str | None,
    parameters: Mapping[str, Any],
    dictionary: Dictionary | Mapping[str, Any],
    sites: int,
    *,
    site: int = 0,
    rules: bool = True,
    secure_sum: bool = False,
    seed: str = "",
    where: str | Sequence[str] = (),
) -> Task:
    """The task of a step with validated parameters. `site` is this site's number in the plan, 0 at the coordinator.

    `where` are inclusion criteria that must all hold: the plan's, and the step's own.
    """
    task = registry.find(name, version) if isinstance(name, str) else name
    columns = dictionary if isinstance(dictionary, Dictionary) else Dictionary.parse(dictionary)
    if secure_sum and issubclass(task, EachTask):
        raise UsageError(
            "each_secure", f"{task.title} needs each hospital's own numbers and cannot use secure sums."
        )
    values = task.validate(parameters, columns, sites)
    cohort = Cohort.of([where] if isinstance(where, str) else where, columns)
    return task(
        values,
        columns,
        sites=sites,
        site=site,
        rules=rules,
        secure_sum=secure_sum,
        seed=seed,
        cohort=cohort,
    )


def open_table(task: Task, frame: pd.DataFrame | ColumnFiles) -> Table:
    """The site's rows as the task may see them: those of the cohort."""
    table = Table.build(
        frame,
        task.dictionary,
        task.columns,
        site=max(task.site, 1),
        sites=task.sites,
        complete=task.complete_cases,
        cohort=task.cohort,
    )
    for name, parameter in task.parameters.items():
        if isinstance(parameter, Column) and parameter.kinds == ("yes/no",) and task.values[name]:
            table.yes(task.values[name])  # says now, not in a round, which rows are neither 0 nor 1
    task.accept(table)
    return table


def plan_check(
    task: Task, name: str, frame: pd.DataFrame | ColumnFiles, policy: Policy | None
) -> tuple[list[FriendlyError], Table | None]:
    """All that stands in the way at this site before the first number: data that do not fit, rules that refuse.

    With it comes the table that was looked at, None if it could not be opened. The sentences of data errors hold rows
    and values and are for the site's own people; their codes may travel.
    """
    table = None
    problems: list[FriendlyError] = []
    try:
        if policy is not None:
            disclosure.check_plan(task, name, policy)
    except FriendlyError as error:
        problems.append(error)
    try:
        table = open_table(task, frame)
        if policy is not None:
            disclosure.check_before(task, table, policy)
    except FriendlyError as error:
        problems.append(error)
    return problems, table


def make_ready(task: Task, table: Table) -> None:
    """Make what every round reads while other hospitals still prepare, if there is room to keep it."""
    if table.lasts:
        for chunk in table.chunks() if task.row_additive else [table]:
            task.make_ready(chunk)


def plan_differences(tasks: Sequence[Task], frame: pd.DataFrame | ColumnFiles, policy: Policy) -> None:
    """Refused where the patients of two steps of a plan differ by a few at this site.

    Data that do not fit are for `plan_check` to tell.
    """
    cohorts = {task.cohort.text if task.cohort else "": task for task in tasks}
    if len(cohorts) > 1:
        disclosure.check_differences(
            [
                cohort_rows(frame, task.cohort, partial(read_column, frame, dictionary=task.dictionary))
                for task in cohorts.values()
            ],
            policy,
        )


def begin(task: Task) -> dict[str, Any]:
    """The first State."""
    return _state(task, task.start(), {}, 1)


def local(
    task: Task,
    table: Table,
    state: Mapping[str, Any],
    policy: Policy | None,
    progress: Callable[[float], None] = lambda done: None,
) -> list[dict[str, Array]]:
    """One site's Update of one round, or Refused. `policy` None means that rules are off, in simulation only.

    The parts are those of the chunks of a row-additive task. The caller encodes each and adds them in the ring, so that
    any number of workers gives the same bits. Counts are exact, so their sum is whole in the first part.
    """
    method = _method(task, state, "local")
    number = state.get(ROUND)
    if not isinstance(number, int) or number < 1:
        raise WireError("state_round", "The coordinator's State does not say which round it is.")
    if number > task.most_rounds:
        raise WireError("state_round", "The coordinator asks for more rounds than this step can take.")
    most = _most_of(task, state)
    chunks = table.chunks() if task.row_additive else [table]
    parts: list[dict[str, Array]] = []
    with np.errstate(all="ignore"):
        for chunk in chunks:
            parts.append(_checked(task, method(chunk, dict(state))))
            progress(len(parts) / len(chunks))
    counts = _add_counts(task, parts)
    if policy is not None:
        counts = disclosure.check_after(task, table, counts, policy, number)
        disclosure.hide_along(task, parts, counts)
    dropped, hidden = disclosure.hide_dropped(table.dropped, policy)
    made = {name: array.size for part in (*parts, counts) for name, array in part.items()}
    if most is not None and sum(made.values()) > most:
        raise UsageError("bad_update", f"{task.title} made more numbers than it says it can.")
    own = {USED: float(table.used), DROPPED: dropped, DROPPED_HIDDEN: hidden}
    parts[0] |= counts | {name: np.asarray(value) for name, value in own.items()}
    return parts


def combine(
    task: Task, state: Mapping[str, Any], total: Any, exchange: Exchange
) -> tuple[str, dict[str, Any]] | tuple[str, Result]:
    """From the total of all sites (of an EachTask: the list of Updates by seat) to the next State or the Result."""
    each = list(total) if isinstance(task, EachTask) else [total]
    for update in each:
        _check_names(task, update)
    own = {name: sum(float(update[name]) for update in each) for name in OWN}
    if own[USED] == 0:
        raise NoAnswerError("no_rows", NO_ROWS if task.cohort is None else NOBODY)
    numbers = [_numbers(update) for update in each]
    try:
        with np.errstate(all="ignore"):
            seen = numbers if isinstance(task, EachTask) else numbers[0]
            answer = _method(task, state, "combine")(dict(state), seen)
    except np.linalg.LinAlgError:
        raise NoAnswerError("singular", DEPENDENT) from None
    rounds = int(state[ROUND])
    if isinstance(answer, Mapping):
        if rounds >= task.max_rounds:
            raise NoAnswerError("not_converged", task.stuck(dict(answer)))
        return "state", _state(task, answer, state, rounds + 1)
    hidden = sum(int(np.sum(update.get(HIDDEN + name, 0))) for update in each for name in task.suppressible)
    return "done", finished(task, answer, own, rounds, hidden, exchange)


def quality(task: Task, state: Mapping[str, Any], total: Any) -> Quality | None:
    """How good the model of a round was, where its task tells it: the finite figures, of what `combine` got as well."""
    each = isinstance(task, EachTask)
    with np.errstate(all="ignore"):
        told = task.quality(dict(state), [_numbers(one) for one in total] if each else _numbers(total))
    if told is None:
        return None
    values = {name: float(value) for name, value in told.values.items() if np.isfinite(value)}
    return replace(told, values=values) if values else None


def most_numbers(task: Task) -> int | None:
    """The most numbers that any round of a step sends, the platform's own among them; None if nobody can say."""
    most = task.most_numbers()
    return max(most.values()) + len(OWN) if most else None


def _most_of(task: Task, state: Mapping[str, Any]) -> int | None:
    """The most numbers that the task may make in this State's stage."""
    most = task.most_numbers()
    return most.get(str(state["stage"]) if task.stages else "") if most else None


def _method(task: Task, state: Mapping[str, Any], verb: str) -> Any:
    """`local` or `combine`, of the State's stage: only names the class declares are ever called."""
    if not task.stages:
        return getattr(task, verb)
    stage = state.get("stage")
    if stage not in task.stages:
        raise WireError("state_stage", "The State names a stage that this task does not have.")
    return getattr(task, f"{verb}_{stage}")


def _state(task: Task, given: Mapping[str, Any], before: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A State as it travels: plain values and arrays, the round, and the stage (that of before, if not changed)."""
    state = {str(name): _plain(value) for name, value in given.items()}
    if task.stages:
        state.setdefault("stage", before.get("stage", task.stages[0]))
    return {**state, ROUND: number}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _checked(task: Task, update: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of an Update; what is undeclared or no finite number is refused with its name."""
    checked: dict[str, Array] = {}
    if not isinstance(update, Mapping):
        raise UsageError("bad_update", f"{task.title} must return its numbers under their names.")
    for name, value in update.items():
        if name not in task.sends:
            raise UsageError(
                "bad_update", f"{task.title} made the numbers “{name}”, which it does not declare in sends."
            )
        try:
            array = np.asarray(value)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        if array.dtype.kind not in "fiub":
            raise UsageError(
                "bad_update", f"{task.title} made “{name}”, which holds something that is no number."
            )
        if not np.isfinite(array).all():
            raise NoAnswerError(
                "bad_number", f"The numbers “{name}” of {task.title} are not finite; nothing was sent."
            )
        checked[name] = array.astype(np.float64)
    return checked


def _add_counts(task: Task, parts: list[dict[str, Array]]) -> dict[str, Array]:
    """Take the Count arrays out of the parts and give their sum; all parts must have the same shapes."""
    first = {name: array.shape for name, array in parts[0].items()}
    for part in parts[1:]:
        for name in first.keys() | part.keys():
            if name not in part or first.get(name) != part[name].shape:
                raise UsageError(
                    "bad_update", f"The shape of “{name}” of {task.title} changes with the rows."
                )
    counted = disclosure.counts_of(task, parts[0])
    for name in counted:
        counted[name] = np.asarray(np.sum([part.pop(name) for part in parts], axis=0))
    return counted


def _check_names(task: Task, update: Mapping[str, Any]) -> None:
    """What came from a site holds the platform's counts, and nothing the task does not declare."""
    for name, array in update.items():
        about = update.get(name.removeprefix(HIDDEN), ())
        hidden = name.startswith(HIDDEN) and np.shape(about) == np.shape(array)
        if not (name in task.sends or name in OWN or hidden):
            raise WireError("update_form", "An Update holds numbers that the task does not declare.")
    if any(np.shape(update.get(name, ())) != () or name not in update for name in OWN):
        raise WireError("update_form", "An Update does not say how many rows it describes.")


def _numbers(update: Mapping[str, Any]) -> dict[str, Any]:
    """What `combine` sees: single numbers as float, hidden cells as NaN, the platform's own names left out."""
    seen: dict[str, Any] = {}
    for name, array in update.items():
        if name.startswith("."):
            continue
        if HIDDEN + name in update:
            array = np.where(np.asarray(update[HIDDEN + name]) > 0, np.nan, array)
        seen[name] = float(array) if np.ndim(array) == 0 else np.asarray(array)
    return seen

"""The program of a runner's child process: requests as JSON lines on standard input, one answer line for each,
and before it, while a local job takes long, lines that tell the share that is done.

    open     read the dataset, map it onto the dictionary, check every step; keep the table
    described which rows each step describes               (a seat)
    local    a State in, an Update out                    (a seat)
    trial    what the first rounds would be                (for the request page; see trial)
    begin    the first State of a step                    (the coordinator)
    combine  a State and the Updates in, the next State or the Result out
    describe a table as it is read and guessed                (no run; see looking)
    fit      how a table fits a dictionary, column by column

Nothing of an exception is meant to travel: an answer holds a code of core.troubles and, for this hospital's own log,
the sentence and traceback. What a task prints goes to standard error, which the parent keeps as the run's local log.
"""

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from friendlyfl.controller.runner.passing import Passed, arrived, passed
from friendlyfl.core.errors import FriendlyError, NoAnswerError
from friendlyfl.core.limits import STATE_BYTES
from friendlyfl.core.troubles import TROUBLES

Answer = dict[str, Any]
PROGRESS_EVERY = 1.0  # seconds


class Seat:
    """What the child keeps between requests. `progress` is told the share of a local job that is done."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self.progress = progress
        self.request: dict[str, Any] = {}
        self.columns: Any = None
        self.policy: Any = None
        self.stamp: tuple[int, int, int] | None = None
        self.tasks: dict[int, Any] = {}
        self.tables: dict[int, Any] = {}
        self.before: Any = None

    def open(self, request: dict[str, Any]) -> Answer:
        """Take the run's plan and, for a seat, this hospital's dataset."""
        from friendlyfl.tasks.dictionary import Dictionary

        _limit(request["limits"])
        self.request = request
        self.dictionary = Dictionary.parse(request["dictionary"])
        if request["dataset"] is None:
            self._load()
            return {"problems": [], "rows": 0}
        return self._open_dataset(request)

    def _load(self) -> None:
        """Load what the coordinator's first job needs, while the hospitals still prepare."""
        from friendlyfl.tasks import engine, outcome  # noqa: F401
        from friendlyfl.wire import codec, update  # noqa: F401

        for step in self.request["steps"][:1]:
            with suppress(FriendlyError):  # told when the step begins
                self._task(step["seq"])

    def _open_dataset(self, request: dict[str, Any]) -> Answer:
        from friendlyfl.tasks import engine
        from friendlyfl.tasks.disclosure import Policy

        self.policy = Policy.from_json(request["policy"])
        problems = []
        self._read(request)
        for step in request["steps"]:
            try:
                task = self._task(step["seq"])
                found, table = engine.plan_check(task, step["task"], self.columns, self.policy)
                if not found and table is not None and step is request["steps"][0]:
                    engine.make_ready(task, table)
                    self.tables = {step["seq"]: table}
            except FriendlyError as error:
                found = [error]
            problems += [
                {"step": step["seq"], "code": code_of(error), "sentence": error.message} for error in found
            ]
        if not problems:
            try:
                tasks = [self._task(step["seq"]) for step in request["steps"]]
                engine.plan_differences(tasks, self.columns, self.policy)
            except FriendlyError as error:
                problems.append({"step": 0, "code": code_of(error), "sentence": error.message})
        return {"problems": problems or self._earlier_plans(), "rows": len(self.columns)}

    def _read(self, request: dict[str, Any]) -> None:
        """The dataset's columns, and what tells its rows apart."""
        from friendlyfl.controller.runner.before import Before
        from friendlyfl.tasks import formats
        from friendlyfl.tasks.row_marks import MarkFiles

        dataset, given = request["dataset"], request["described"]
        self.stamp = formats.stamp(dataset["path"])
        intake = self._intake(dataset)
        row_marks = MarkFiles(_empty(Path("marks")), bytes.fromhex(given["key"]))
        self.columns = intake.columns(self._names(), _empty(Path("columns")), row_marks)
        self.before = Before(given, intake, self.columns, row_marks)

    def described(self, request: dict[str, Any]) -> Answer:
        """Which rows each step describes, for the controller to keep."""
        seqs = [step["seq"] for step in self.request["steps"]]
        return {"steps": {str(seq): self.before.told(seq, self._task(seq)) for seq in seqs}}

    def _earlier_plans(self) -> list[Answer]:
        """Steps whose patients differ by a few from those that another plan described."""
        problems = []
        for step in self.request["steps"]:
            seq = step["seq"]
            try:
                self.before.check(seq, self._task(seq), self.policy, [])
            except FriendlyError as error:
                problems.append({"step": seq, "code": code_of(error), "sentence": error.message})
        return problems

    def _intake(self, dataset: dict[str, Any]) -> Any:
        from friendlyfl.controller.runner.looking import intake

        return intake(dataset, self.dictionary)

    def _names(self) -> set[str]:
        """The columns that the steps read and that inclusion criteria ask for. What stands in the way of a step is
        told by its own check."""
        names: set[str] = set()
        for step in self.request["steps"]:
            try:
                task = self._task(step["seq"])
            except FriendlyError:
                continue
            names.update(task.columns, task.cohort.columns if task.cohort else ())
        return names

    def _step(self, seq: int) -> dict[str, Any]:
        return next(step for step in self.request["steps"] if step["seq"] == seq)

    def _task(self, seq: int) -> Any:
        from friendlyfl.tasks import engine

        if seq not in self.tasks:
            step = self._step(seq)
            self.tasks[seq] = engine.make_task(
                step["task"],
                step["version"],
                step["parameters"],
                self.dictionary,
                self.request["sites"],
                site=self.request["site"],
                seed=self.request["seed"],
                where=step["criteria"],
            )
        return self.tasks[seq]

    def local(self, request: dict[str, Any]) -> Answer:
        from friendlyfl.tasks import engine, formats
        from friendlyfl.wire import codec
        from friendlyfl.wire.update import Update

        if formats.stamp(self.request["dataset"]["path"]) != self.stamp:
            return _trouble("dataset_changed", "The file of the dataset changed since the run began.")
        seq = request["step"]
        task = self._task(seq)
        if seq not in self.tables:
            self.tables = {seq: engine.open_table(task, self.columns)}
        table = self.tables[seq]
        self._take_rules(request["policy"], seq)
        self.before.check(seq, task, self.policy, request["since"])
        state = codec.decode(arrived(request["state"]), limit=STATE_BYTES)
        update = Update.of(engine.local(task, table, state, self.policy, self.progress))
        return {
            "content": _out(request, update.to_bytes()),
            "numbers": update.numbers,
            "rows": len(table),
            "rules": ", ".join(f"{name} {value}" for name, value in _rules(self.policy)),
            "what": f"{task.title}: totals over {_whose(task)} ({_names(update)})",
        }

    def _take_rules(self, rules: dict[str, Any], seq: int) -> None:
        """The rules as they stand in this round. What was checked once, with the dataset, is checked again where an
        exception to it is over."""
        from friendlyfl.tasks import engine
        from friendlyfl.tasks.disclosure import Policy, check_plan

        policy = Policy.from_json(rules)
        check_plan(self._task(seq), self._step(seq)["task"], policy)
        if policy.difference > self.policy.difference:
            tasks = [self._task(step["seq"]) for step in self.request["steps"]]
            engine.plan_differences(tasks, self.columns, policy)
        self.policy = policy

    def trial(self, request: dict[str, Any]) -> Answer:
        """What the first round of these steps would be, for this hospital's own people."""
        from friendlyfl.controller.runner import trial

        found = []
        for seq in request["steps"]:
            facts = trial.facts(self._task(seq), self.columns, self.policy)
            error = facts["problem"]
            problem = error and {"code": code_of(error), "sentence": error.message}
            found.append({"seq": seq, **facts, "problem": problem})
        return {"steps": found}

    def begin(self, request: dict[str, Any]) -> Answer:
        from friendlyfl.tasks import engine
        from friendlyfl.wire import codec

        first = codec.encode(engine.begin(self._task(request["step"])))
        return {"kind": "state", "content": _out(request, first)}

    def combine(self, request: dict[str, Any]) -> Answer:
        from friendlyfl.tasks import engine
        from friendlyfl.tasks.base import EachTask
        from friendlyfl.tasks.outcome import Exchange, site_counts, without_numbers
        from friendlyfl.wire import codec
        from friendlyfl.wire.update import total

        task = self._task(request["step"])
        state = codec.decode(arrived(request["state"]), limit=STATE_BYTES)
        updates, bad = _read_updates(request["updates"])
        if bad is not None:
            return {"bad": bad}
        opened = [update.decoded() for update in updates]
        exchange = Exchange(
            name=self._step(request["step"])["task"],
            per_site=[
                site_counts(given["site"], update)
                for given, update in zip(request["updates"], opened, strict=True)
            ],
            refused=request["refused"],
            notes=request["notes"],
            rules=request["rules"],
        )
        numbers = opened if isinstance(task, EachTask) else total(updates).decoded()
        answer: Any
        try:
            kind, answer = engine.combine(task, state, numbers, exchange)
        except NoAnswerError as error:
            kind, answer = "done", without_numbers(task, exchange, [error.message], int(state[engine.ROUND]))
        raw = codec.encode(answer) if kind == "state" else json.dumps(answer.to_json()).encode()
        return {"kind": kind, "content": _out(request, raw), "quality": _quality(task, state, numbers)}


def _empty(folder: Path) -> Path:
    """A place for a folder that is made anew: what an earlier child put there is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _read_updates(given: list[dict[str, Any]]) -> tuple[list[Any], str | None]:
    """The Updates, or the site whose Update does not have the agreed shape."""
    from friendlyfl.wire.update import Update

    updates: list[Any] = []
    for entry in given:
        try:
            updates.append(Update.from_bytes(arrived(entry["update"])))
        except FriendlyError:
            return [], entry["site"]
    layouts = [update.layout for update in updates]
    for entry, layout in zip(given, layouts, strict=True):
        # The layout is the task's; the site that stands alone with another one is the one to name.
        if layouts.count(layout) * 2 < len(layouts) or (
            layout != layouts[0] and layouts.count(layout) <= layouts.count(layouts[0])
        ):
            return [], entry["site"]
    return updates, None


def _quality(task: Any, state: dict[str, Any], numbers: Any) -> Answer | None:
    """How good the round's model was, for the coordinator's page. A run does not end for a figure of a page: what goes
    wrong here stands in its local log."""
    from friendlyfl.tasks import engine

    try:
        told = engine.quality(task, state, numbers)
        if told is None:
            return None
        return {
            "name": str(told.name),
            "values": {str(of): value for of, value in told.values.items()},
            "chosen_by": str(told.chosen_by),
            "counted": None if told.counted is None else int(told.counted),
        }
    except Exception:
        traceback.print_exc()
        return None


def _whose(task: Any) -> str:
    return "this hospital's rows" + (" that meet the inclusion criteria" if task.cohort else "")


def _names(update: Any) -> str:
    """The arrays that leave, by name; the platform's own counts of rows are not repeated."""
    return ", ".join(name for name, _ in update.layout if not name.startswith("."))


def _rules(policy: Any) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in policy.to_json().items()
        if name in ("rows", "cell", "ratio", "rounds")
    ]


def code_of(error: FriendlyError) -> str:
    """The code that may travel for an error of this site."""
    if error.code in TROUBLES:
        return error.code
    if error.code.startswith(("csv_", "file_")):
        return "dataset_missing"
    if error.code in ("parameter", "cohort", "term_empty", "term_text", "column_unknown"):
        return "parameters"
    if error.code in ("task_unknown", "task_version"):
        return "task_missing"
    return "bad_number" if error.code.startswith("ring") else "data_problem"


def _trouble(code: str, sentence: str, trace: str = "") -> Answer:
    return {"trouble": code, "sentence": sentence, "trace": trace}


def _out(request: dict[str, Any], raw: bytes) -> Passed:
    """What a job made. This process stands in the run's work folder."""
    return passed(raw, Path(f"{request['do']}-{request['step']}-{request['round']}").absolute())


def _limit(limits: dict[str, Any]) -> None:
    """Bound this process by the site's policy: address space in bytes, open files."""
    if sys.platform == "win32":
        return
    import resource

    if limits.get("memory"):
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _looking(verb: str, request: dict[str, Any], progress: Callable[[float], None]) -> Answer:
    from friendlyfl.controller.runner import looking

    _limit(request["limits"])
    answer: Answer = getattr(looking, verb)(request, progress)
    return answer


def _answer(handler: Callable[[dict[str, Any]], Answer], request: dict[str, Any]) -> Answer:
    try:
        return handler(request)
    except MemoryError:
        return _trouble("out_of_memory", "There was not enough memory.")
    except FriendlyError as error:
        return _trouble(code_of(error), error.message)
    except FileNotFoundError as error:
        return _trouble("dataset_missing", f"The file {error.filename} is not there.")
    except Exception as error:
        return _trouble("task_failed", f"{type(error).__name__}: {error}", traceback.format_exc())


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what a task said before it was killed
    told = [0.0]

    def say(answer: Answer) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    def progress(done: float) -> None:
        if time.monotonic() - told[0] >= PROGRESS_EVERY:
            told[0] = time.monotonic()
            say({"progress": done})

    seat = Seat(progress)
    verbs = {
        "open": seat.open,
        "described": seat.described,
        "local": seat.local,
        "trial": seat.trial,
        "begin": seat.begin,
        "combine": seat.combine,
        "describe": lambda request: _looking("describe", request, progress),
        "fit": lambda request: _looking("fit", request, progress),
    }
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        answer = _answer(verbs[request["do"]], request)
        answer["seconds"] = round(time.monotonic() - started, 6)
        say(answer)


if __name__ == "__main__":
    main()

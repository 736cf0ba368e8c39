"""The conformance kit: what every task must keep, run over the registry here and offered to authors of other packages.

    check_task(MyTask, frames, dictionary, outcome="low", predictors=["age"], pooled={"statistics.loglik": -97.7})

It raises AssertionError with every broken promise as a sentence. The frames should be ordinary data of two sites or
more that rules allow, or `rules="off"` says that the task cannot be released without a secure sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import engine
from friendlyfl.tasks.base import EachTask, Task
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.disclosure import refusal
from friendlyfl.tasks.report import Result
from friendlyfl.testing.simulate import Outcome, dictionary_for, run
from friendlyfl.wire import codec
from friendlyfl.wire.update import Update

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("term", "variable", "name", "group", "event", "stratum", "level", "time")
APART = ("n.per_site", "reproduce", "privacy", "notes", "rounds")  # may differ with the split


def check_task(
    task: type[Task],
    frames: Sequence[pd.DataFrame],
    dictionary: Dictionary | Mapping[str, Any] | None = None,
    *,
    pooled: Mapping[str, float] | None = None,
    tolerance: float = 1e-8,
    rules: str = "on",
    **parameters: Any,
) -> None:
    """Run every check. `pooled` names numbers of the Result by path, as `flat` does, with the reference's values."""
    broken = _Kit(
        task, list(frames), dictionary_for(dictionary, frames), parameters, rules, tolerance
    ).problems(pooled)
    assert not broken, f"{task.__name__} breaks the rules for tasks:\n" + "\n".join(
        f"- {line}" for line in broken
    )


def flat(value: Any, path: str = "") -> dict[str, float | None]:
    """Every number of a Result by its path: `coefficients.age.se`, `tables.groups.sex=1.median`."""
    if isinstance(value, Result):
        value = value.to_json()
    if isinstance(value, Mapping):
        found: dict[str, float | None] = {}
        for name, item in value.items():
            found.update(flat(item, f"{path}.{name}" if path else str(name)))
        return found
    if isinstance(value, list):
        found = {}
        for place, item in enumerate(value):
            found.update(flat(item, f"{path}.{_label(item, place)}"))
        return found
    if isinstance(value, bool) or not (value is None or isinstance(value, (int, float))):
        return {}
    return {path: value}


def _label(row: Any, place: int) -> str:
    if not isinstance(row, Mapping):
        return str(place)
    words = [str(row[name]) for name in LABELS if isinstance(row.get(name), (str, int, float))]
    return ":".join(words) or str(place)


class _Kit:
    def __init__(
        self,
        task: type[Task],
        frames: list[pd.DataFrame],
        dictionary: Dictionary,
        parameters: Mapping[str, Any],
        rules: str,
        tolerance: float,
    ) -> None:
        self.task, self.frames, self.dictionary = task, frames, dictionary
        self.parameters, self.rules, self.tolerance = parameters, rules, tolerance
        self.broken: list[str] = []

    def problems(self, pooled: Mapping[str, float] | None) -> list[str]:
        """Every broken promise."""
        self._described()
        self._guarded("computes over some of the rows", self._sizes)
        if self.task.row_additive:
            self._guarded("computes over chunks of rows", self._chunks)
        outcome = self._attempt("runs over the given frames", self.frames)
        if outcome is None or outcome.error is not None:
            if outcome is not None:
                self.broken.append(f"it gives no answer over the given frames: {outcome.error}")
            return self.broken
        self._against(pooled, flat(outcome.result))
        self._same_bytes(outcome)
        self._rules_change_no_number(flat(outcome.result))
        if not issubclass(self.task, EachTask):
            self._other_splits()
        self._refused()
        self._planted()
        self._odd_sites()
        return self.broken

    def _run(self, frames: Sequence[pd.DataFrame], rules: str | None = None) -> Outcome:
        chosen = self.rules if rules is None else rules
        return run(self.task, frames, self.dictionary, rules=chosen, parameters=self.parameters)

    def _attempt(self, what: str, frames: Sequence[pd.DataFrame], rules: str | None = None) -> Outcome | None:
        """A run, or a broken promise: whatever comes to the surface must be a sentence for a person."""
        found: list[Outcome] = []

        def play() -> None:
            try:
                found.append(self._run(frames, rules))
            except FriendlyError as error:
                found.append(Outcome(Result(self.task.name, self.task.version), error))

        self._guarded(what, play)
        return found[0] if found else None

    def _guarded(self, what: str, check: Callable[[], None]) -> None:
        try:
            check()
        except FriendlyError as error:
            self.broken.append(f"it must be that it {what}, but: {error}")
        except Exception as error:
            self.broken.append(f"it must be that it {what}, but {type(error).__name__}: {error}")

    def _expect(self, kept: bool, sentence: str) -> None:
        if not kept:
            self.broken.append(sentence)

    def _described(self) -> None:
        task = self.task
        self._expect(bool(task.title and task.version), "title and version must be there")
        self._expect(
            bool((task.__doc__ or "").strip()), "the docstring must be there: its first line says what it is"
        )
        self._expect(bool(task.sends), "sends must declare what an Update holds")
        for name, parameter in task.parameters.items():
            self._expect(bool(parameter.label), f"the parameter {name} needs a label")

    def _against(self, pooled: Mapping[str, float] | None, found: Mapping[str, float | None]) -> None:
        for path, wanted in (pooled or {}).items():
            self._expect(path in found, f"the Result has no number {path}")
            if path in found and not self._close(found[path], wanted):
                self.broken.append(f"{path} is {found[path]}, the pooled reference is {wanted}")

    def _close(self, a: float | None, b: float | None) -> bool:
        if a is None or b is None:
            return a is b
        return math.isclose(a, b, rel_tol=self.tolerance, abs_tol=self.tolerance)

    def _same_bytes(self, first: Outcome) -> None:
        again = self._run(self.frames)
        self._expect(again.sent == first.sent, "the same input must send the same bytes")
        self._expect(again.result == first.result, "the same input must give the same Result")

    def _rules_change_no_number(self, found: Mapping[str, float | None]) -> None:
        """Rules give the same numbers as no rules, or hide them."""
        without = flat(self._run(self.frames, "off").result)
        for path, value in found.items():
            if not path.startswith(APART) and value is not None and not self._close(without.get(path), value):
                self.broken.append(f"{path} is {value} under rules and {without.get(path)} without")
                return

    def _other_splits(self) -> None:
        """One site, the sites in another order, and other hospitals: the same answer."""
        import pandas as pd

        if any(".site" in str(value) for value in self.parameters.values()):
            return
        found = flat(self._run(self.frames, "off").result)
        everyone = pd.concat(self.frames, ignore_index=True)
        order = np.random.default_rng(1).permutation(len(everyone))
        shuffled = everyone.iloc[order].reset_index(drop=True)
        splits = {
            "one site": [everyone],
            "the sites in another order": self.frames[::-1],
            "other sites": [shuffled.iloc[: len(order) // 3], shuffled.iloc[len(order) // 3 :]],
        }
        for what, frames in splits.items():
            outcome = self._attempt(f"gives an answer for {what}", frames, "off")
            # What is learned follows the hospitals' own chance and order.
            if outcome is not None and outcome.result.exact is not False:
                self._compare(what, flat(outcome.result), found)

    def _compare(
        self, what: str, other: Mapping[str, float | None], found: Mapping[str, float | None]
    ) -> None:
        for path, value in found.items():
            if not path.startswith(APART) and not self._close(other.get(path), value):
                self.broken.append(f"{path} is {value}, and {other.get(path)} for {what}")
                return

    def _local(self, frame: pd.DataFrame) -> list[dict[str, Any]]:
        task = engine.make_task(self.task, None, self.parameters, self.dictionary, len(self.frames), site=1)
        state = codec.decode(codec.encode(engine.begin(task)), limit=2**30)
        return engine.local(task, engine.open_table(task, frame), state, None)

    def _sizes(self) -> None:
        """An Update's size says nothing about the number of patients."""
        whole, half = self._local(self.frames[0]), self._local(self.frames[0].iloc[::2])
        same = Update.of(whole).layout == Update.of(half).layout
        self._expect(same, "the size of an Update must not depend on the number of rows")

    def _chunks(self) -> None:
        frame, middle = self.frames[0], len(self.frames[0]) // 2
        whole = Update.of(self._local(frame)).decoded()
        parts = [*self._local(frame.iloc[:middle]), *self._local(frame.iloc[middle:])]
        added = Update.of(parts).decoded()
        for name, array in whole.items():
            scale = max(1.0, float(np.abs(array).max(initial=0.0)))
            fits = np.allclose(added[name], array, rtol=1e-9, atol=1e-9 * scale)
            self._expect(fits, f"row_additive: “{name}” over chunks of rows must add up to that of all rows")

    def _refused(self) -> None:
        """A hospital with few rows is refused under rules, and sends nothing but the refusal."""
        outcome = self._attempt("is refused for few rows", [self.frames[0].head(3), *self.frames[1:]], "on")
        if outcome is None:
            return
        self._expect(bool(outcome.result.privacy.refused), "3 rows at a hospital must be refused under rules")
        allowed = {codec.encode(refusal(str(row["rule"]))) for row in outcome.result.privacy.refused}
        first = [sent[0] for sent in outcome.sent]
        self._expect(all(one in allowed for one in first), "a refusal must send no number")

    def _planted(self) -> None:
        """Where 2 or 3 patients in a class are refused, nothing that is sent or told depends on which it was."""
        columns = engine.make_task(
            self.task, None, self.parameters, self.dictionary, len(self.frames)
        ).columns
        for name in columns:
            spec = self.dictionary[name]
            if not (spec.type == "factor" and len(spec.levels) > 1) and not (
                spec.is_yes_no and spec.high == 1
            ):
                continue
            common, rare = (spec.levels[0], spec.levels[-1]) if spec.type == "factor" else (0, 1)
            told = []
            for count in (2, 3):
                values = np.where(np.arange(len(self.frames[0])) < count, rare, common)
                planted = self.frames[0].assign(**{name: values})
                told.append(
                    self._attempt(
                        f"is refused for few in a class of {name}", [planted, *self.frames[1:]], "on"
                    )
                )
            two, three = told
            if two and three and two.result.privacy.refused:
                same = [sent[0] for sent in two.sent] == [sent[0] for sent in three.sent]
                self._expect(
                    same and two.result == three.result,
                    f"a refusal must not tell how many of {name} there are",
                )

    def _odd_sites(self) -> None:
        """Sites that differ from what an author has in mind give an answer or a sentence, and never a fault."""
        frame = self.frames[0]
        read = next(
            iter(engine.make_task(self.task, None, self.parameters, self.dictionary, 2).columns), None
        )
        odd: dict[str, pd.DataFrame] = {"a site with one row": frame.head(1)}
        if read is not None:
            odd["a site where a column is missing"] = frame.drop(columns=[read])
            odd["a site without a complete row"] = frame.assign(**{read: None})
        for name, spec in self.dictionary.items():
            if name in frame.columns and spec.type == "factor" and len(spec.levels) > 1:
                odd[f"a site without a level of {name}"] = frame[frame[name].astype(str) != spec.levels[-1]]
        for what, other in odd.items():
            for rules in ("on", "off"):
                outcome = self._attempt(
                    f"gives an answer or a sentence for {what}", [other, *self.frames[1:]], rules
                )
                if outcome is not None and outcome.error is not None:
                    text = str(outcome.error)
                    self._expect(len(text) > 10, f"{what}: “{text}” is no sentence")

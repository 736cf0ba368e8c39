"""What a task author writes against: Task, EachTask, Done and the kinds of number an Update may hold.

How rounds run lives in `engine`, what a task may send under a hospital's rules in `disclosure`, parameters in `params`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary, Floats, close_names
from friendlyfl.tasks.params import Parameter
from friendlyfl.tasks.terms import INTERCEPT, design_columns, site_spec

if TYPE_CHECKING:
    from friendlyfl.tasks.table import Table

State = dict[str, Any]
Update = dict[str, Any]


class Kind:
    """What the numbers under one key of an Update are. Read by the check, the request page, the ledger and the docs."""

    words = "numbers"


class Count(Kind):
    """Numbers of people."""

    words = "numbers of people"


class Sum(Kind):
    """Sums over rows."""

    words = "sums over all rows"


class Cross(Kind):
    """Cross-products of a design."""

    words = "sums of products of two columns over all rows"


class Weights(Kind):
    """Model parameters times rows."""

    words = "model parameters times the number of rows"


class Estimate(Kind):
    """What a fit within one hospital gives."""

    words = "this hospital's own estimates and their standard errors"


# What to install for a package that a task needs, where it is not called as it is imported.
PACKAGES = {"sklearn": "'friendlyfl[sklearn]'", "torch": "'friendlyfl[torch]'"}

# The pieces of a Result that are a task's to fill in.
DONE_KEYS = {
    "exact",
    "conventions",
    "events",
    "clusters",
    "coefficients",
    "aliased",
    "vcov",
    "statistics",
    "tests",
}
DONE_KEYS |= {"tables", "curves", "figures", "notes", "suppressed", "reproduce"}


class Done:
    """The end of a step: the pieces of a Result that the task fills in, each under the Result's own name.

    `events` and `clusters` go to `n`. `answer` is a sentence when there is no finite answer: it becomes the first
    note, and what numbers there are stay.
    """

    def __init__(self, *, answer: str = "", **pieces: Any) -> None:
        if unknown := set(pieces) - DONE_KEYS:
            raise TypeError(f"A Result has no place for {', '.join(sorted(unknown))}.")
        self.answer = answer
        self.pieces = pieces


@dataclass(frozen=True)
class Quality:
    """How good the model of a round was, by a figure of which less is better.

    `name` says which figure, and `values` holds it under what it is of. `chosen_by` is the one of these by which the
    task takes its best round, if it takes one; `counted` is the number that its Result gives this round.
    """

    name: str
    values: Mapping[str, float]
    chosen_by: str = ""
    counted: int | None = None


class Task:
    """One kind of analysis: pure functions of parameters, table, State and total.

    Subclasses declare parameters as class attributes and `sends`, and write `start`, `local` and `combine`; with
    `stages` they write `local_<stage>` and `combine_<stage>`, and State carries `stage`.
    """

    name: ClassVar[str] = ""  # in plans and on the command line; from the class's name unless given
    title: ClassVar[str] = ""
    version: ClassVar[str] = ""
    question: ClassVar[str] = ""  # the docstring's first line unless given
    topic: ClassVar[str] = ""  # the part of the catalogue it stands in: a word of catalogue.TOPICS
    # The question of a step, with {names} of parameters; a second one for when the first of these lists several.
    asks: ClassVar[tuple[str, ...]] = ()
    proposes: ClassVar[Mapping[str, str]] = {}  # what a form fills in beforehand, where that is no default
    row_additive: ClassVar[bool] = False
    sends: ClassVar[Mapping[str, type[Kind]]] = {}
    stages: ClassVar[tuple[str, ...]] = ()
    max_rounds: ClassVar[int] = 50
    complete_cases: ClassVar[bool] = True  # False: `local` sees missing values and counts them itself
    suppressible: ClassVar[tuple[str, ...]] = ()  # Count keys whose small cells are hidden instead of refused
    # Arrays, and the suppressible Counts of the same shape with whose cells theirs are hidden.
    hidden_with: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # Parameters for the data set `clinic`, shown in docs and run in tests.
    example: ClassVar[Mapping[str, Any]] = {}
    references: ClassVar[tuple[str, ...]] = ()  # the papers and books the method comes from, for the docs
    needs: ClassVar[tuple[str, ...]] = ()  # packages beside FriendlyFL's own, as they are imported
    parameters: dict[str, Parameter[Any]] = {}  # of a task that runs another one: of both

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        seen: dict[str, Any] = {}
        for base in cls.__mro__:  # a class's own parameters come before those it inherits
            for name, value in vars(base).items():
                seen.setdefault(name, value)
        declared = {value.name: value for value in seen.values() if isinstance(value, Parameter)}
        if taken := [
            name for name, value in seen.items() if isinstance(value, Parameter) and name in RESERVED
        ]:
            raise TypeError(f"{cls.__name__}: a parameter cannot be called {taken[0]}")
        cls.parameters = declared
        for stage in cls.stages:
            if not (hasattr(cls, f"local_{stage}") and hasattr(cls, f"combine_{stage}")):
                raise TypeError(
                    f"{cls.__name__} declares the stage {stage} and must write its local_ and combine_"
                )

    def __init__(
        self,
        values: Mapping[str, Any],
        dictionary: Dictionary,
        *,
        sites: int = 1,
        site: int = 0,
        rules: bool = True,
        secure_sum: bool = False,
        seed: str = "",
        cohort: Cohort | None = None,
    ) -> None:
        """`values` are validated (`validate`); `site` is 0 at the coordinator; `seed` is the plan's hash."""
        self.values = dict(values)
        self.dictionary = dictionary
        self.sites, self.site = sites, site
        self.rules, self.secure_sum, self.seed = rules, secure_sum, seed
        self.cohort = cohort  # of which rows; the platform chooses them, a task only reads them

    @classmethod
    def validate(cls, given: Mapping[str, Any], dictionary: Dictionary, sites: int = 1) -> dict[str, Any]:
        """Every parameter's value, or a sentence naming the field that is wrong."""
        if lacking := cls.lacks():
            raise UsageError("package_missing", lacking)
        for name in given:
            if name not in cls.parameters:
                listed = ", ".join(cls.parameters) or "none"
                raise UsageError(
                    "parameter_unknown",
                    f"{cls.title} has no parameter “{name}”.{close_names(name, cls.parameters)} It takes: {listed}.",
                )
        return {name: p.validate(given.get(name), dictionary, sites) for name, p in cls.parameters.items()}

    @classmethod
    def asked(cls, given: Mapping[str, Any]) -> dict[str, Parameter[Any]]:
        """The parameters that a form asks for, by what is chosen so far; more where a step runs another task."""
        return cls.parameters

    @classmethod
    def lacks(cls) -> str:
        """The sentence about a package that this task needs and that is not installed here; nothing if all are."""
        for package in cls.needs:
            if importlib.util.find_spec(package) is None:
                install = PACKAGES.get(package, package)
                return f"{cls.title} needs the package {package}, which is not installed here: pip install {install}"
        return ""

    def start(self) -> State:
        """The first State, at the coordinator."""
        return {}

    def accept(self, data: Table) -> None:
        """Say before the first round, by a DataError, which rows hold a value that this task cannot use."""

    def make_ready(self, data: Table) -> None:
        """Have the table make and keep what every round reads, such as a design. Nothing is lost where it is not."""

    def local(self, data: Table, state: State) -> Update:
        """One site's numbers for one round."""
        raise NotImplementedError

    def combine(self, state: State, total: Any) -> State | Done:
        """The next State, or Done, from the sum over all sites."""
        raise NotImplementedError

    @classmethod
    def distance(cls, state: State) -> float | None:
        """How far from its answer the search was in the round before this State, in standard errors; None if the method
        has no such number. Pages show it while a run goes on."""
        return None

    def quality(self, state: State, total: Any) -> Quality | None:
        """How good the model in this State was, from what came back about it; None if there is nothing to tell.
        The coordinator's pages show it while a run goes on; no hospital is sent it."""
        return None

    def stuck(self, state: State) -> str:
        """The sentence when `max_rounds` are used up."""
        return f"No answer after {self.max_rounds} rounds."

    @property
    def most_rounds(self) -> int:
        """The most rounds that these parameters can take."""
        return self.max_rounds

    def most_numbers(self) -> Mapping[str, int] | None:
        """The most numbers that an Update of each stage holds, marks of hidden cells among them, whatever the data are;
        without stages under "". None where it depends on the data. An Update that holds more is not sent."""
        return None

    @property
    def by_time(self) -> bool:
        """Whether an Update holds a table for each point in time: only inside a secure sum under the rule `time`."""
        return False

    def extra_columns(self) -> Iterable[str]:
        """Columns a step reads that no Column parameter names (from a Text, say)."""
        return ()

    @property
    def other_tasks(self) -> tuple[str, ...]:
        """Names of tasks whose analysis is part of this step: a hospital must allow these too."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every dictionary column the step reads, in the order of the parameters."""
        names = [
            name
            for key, p in self.parameters.items()
            if self.values[key]
            for name in p.columns(self.values[key], self.dictionary)
        ]
        return tuple(dict.fromkeys([*names, *self.extra_columns()]))

    def terms(self, columns: Sequence[str], intercept: bool = True) -> list[str]:
        """R's names of the design's columns."""
        names = [column.name for column in design_columns(columns, self.dictionary, self.sites)]
        return names if intercept else names[1:]

    def scales(self, columns: Sequence[str]) -> Floats:
        """A power of two for each design column, from the dictionary's ranges: divide by it before summing squares."""
        found = []
        for column in design_columns(columns, self.dictionary, self.sites):
            numbers = [self.spec(name).scale for name, code in column.parts if code is None]
            found.append(float(np.prod(numbers)) if column.name != INTERCEPT else 1.0)
        return np.array(found)

    def spec(self, column: str) -> ColumnSpec:
        return site_spec(self.sites) if column == SITE else self.dictionary.spec(column)

    def group_names(self, column: str) -> tuple[str, ...]:
        """Names of the groups `data.levels(column)` counts, in its order: levels, grid values or numbers of sites."""
        return self.spec(column).group_names

    @property
    def root_seed(self) -> int:
        """From the plan's hash; recorded in the Result."""
        return int.from_bytes(hashlib.sha256(self.seed.encode()).digest()[:6], "big")

    def rng(self, state: State) -> np.random.Generator:
        """The only source of chance: fixed by the plan, this site's seat and the round."""
        return np.random.Generator(np.random.PCG64([self.root_seed, self.site, int(state.get(".round", 0))]))


class EachTask(Task):
    """For the few analyses that need one answer per site: `combine(state, updates)` gets a list, in the order of seats.

    Its request page says that the coordinator sees this hospital's own numbers; a secure sum cannot be used with it.
    """


RESERVED = frozenset(dir(Task)) | {
    "values",
    "dictionary",
    "sites",
    "site",
    "rules",
    "secure_sum",
    "seed",
    "cohort",
}

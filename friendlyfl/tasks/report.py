"""The Result: one fixed schema for every task, read by pages, files, tests and other people's programs.

Frozen dataclasses, and the way to and from plain JSON values. Every key is always present, empty where it
does not apply. A number that is undefined or suppressed is `null`, never NaN or infinity. What does not live
here: how a number is computed (stats), what may be shown (disclosure), how a figure is drawn (figures).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from friendlyfl.core.errors import WireError

SCHEMA = 1
FIGURE_WORDS = ("Forest", "Curve", "Bars", "Line", "Roc", "Calibration")

MODEL = "model"  # the table that holds a learned model: given as files, never shown

Row = dict[str, Any]

# In the order in which people read a row; columns that are not here come after these, as they come.
READ_FIRST = [
    *("term", "variable", "test", "name", "group", "stratum", "level", "time", "estimate", "se", "se_robust"),
    *("statistic", "df", "p", "n", "missing", "n_risk", "n_event", "n_event_since_last", "n_censor"),
    *("survival", "cumhaz", "ci_lower", "ci_upper", "mean", "sd", "skewness"),
]


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a table's rows, what names a row first."""
    given = dict.fromkeys(name for row in rows for name in row)
    return sorted(given, key=lambda name: READ_FIRST.index(name) if name in READ_FIRST else len(READ_FIRST))


def plain(value: Any) -> Any:
    """The value as JSON knows it: numpy becomes Python, NaN and infinity become None, tuples become lists."""
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # a numpy scalar or array, without importing numpy here
        return plain(value.tolist())
    raise TypeError(f"A Result holds numbers, words, lists and tables, not {type(value).__name__}.")


def _only(kind: type, values: object, where: str) -> dict[str, Any]:
    """The keys of a JSON object that the dataclass `kind` knows; anything else is not a Result."""
    if not isinstance(values, Mapping):
        raise WireError("bad_result", f"The part “{where}” of this result is not names and values.")
    names = {f.name for f in dataclasses.fields(cast(Any, kind))}
    if set(values) != names:
        raise WireError("bad_result", f"The part “{where}” of this result has other keys than version 1 has.")
    return dict(values)


@dataclass(frozen=True)
class Exact:
    """How close the answer is to one table's, when it is not equal to it."""

    bound: float
    of: str
    why: str


@dataclass(frozen=True)
class Counts:
    """Whom the answer describes. `None`: does not apply, or not to be shown."""

    used: int | None = None
    dropped: int | None = None
    events: int | None = None
    clusters: int | None = None
    per_site: Sequence[Row] | None = None  # {site, used, dropped}


@dataclass(frozen=True)
class Vcov:
    names: Sequence[str] = ()
    values: Sequence[Sequence[float | None]] = ()


@dataclass(frozen=True)
class Curve:
    """A step function of time (or a ROC curve) of one group; `points` are rows in order."""

    name: str
    group: str
    points: Sequence[Row]
    event: str | None = None


@dataclass(frozen=True)
class Figure:
    """Words, not a drawing. `table` or `curve` names what it draws, `column` which of the table's numbers.

    `axis` says in words what is measured along it: “Odds ratio” of a Forest, “Time to death (days)” of a Curve. With
    `ratio` the estimates are logarithms: what is drawn is their exp, on a logarithmic axis.
    """

    word: str
    title: str
    description: str
    table: str | None = None
    curve: str | None = None
    axis: str = ""
    ratio: bool = False
    column: str | None = None

    def __post_init__(self) -> None:
        if self.word not in FIGURE_WORDS:
            raise ValueError(f"A figure is one of {', '.join(FIGURE_WORDS)}; “{self.word}” is none of them.")


@dataclass(frozen=True)
class Privacy:
    rules: str = "on"  # on, off (simulation only), or the exception that was approved
    secure_sum: bool = False
    smallest_sum_of_sites: int | None = None
    suppressed: Sequence[str] = ()  # what is null because it is small, in words
    refused: Sequence[Row] = ()  # {site, rule, sentence}


@dataclass(frozen=True)
class Reproduce:
    plan: str | None = None
    dictionary: str | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    r: str = ""
    python: str = ""


@dataclass(frozen=True)
class Result:
    """What comes at the end of a step."""

    task: str
    version: str
    rounds: int = 0
    schema: int = SCHEMA
    exact: bool | Exact = True
    conventions: Mapping[str, Any] = field(default_factory=dict)
    n: Counts = field(default_factory=Counts)
    coefficients: Sequence[Row] = ()
    aliased: Sequence[str] = ()
    vcov: Vcov = field(default_factory=Vcov)
    statistics: Mapping[str, float | None] = field(default_factory=dict)
    tests: Mapping[str, Row] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    privacy: Privacy = field(default_factory=Privacy)
    reproduce: Reproduce = field(default_factory=Reproduce)

    def to_json(self) -> dict[str, Any]:
        """Plain values only; `json.dumps(..., allow_nan=False)` never fails on them."""
        return cast("dict[str, Any]", plain(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """The Result that `to_json` described. A file of another schema is named as such."""
        if not isinstance(values, Mapping) or values.get("schema") != SCHEMA:
            raise WireError("bad_result", "This is not a result of a version that this program can read.")
        held = _only(cls, values, "result")
        exact = held["exact"]
        held["exact"] = exact if isinstance(exact, bool) else Exact(**_only(Exact, exact, "exact"))
        held["n"] = Counts(**_only(Counts, held["n"], "n"))
        held["vcov"] = Vcov(**_only(Vcov, held["vcov"], "vcov"))
        held["curves"] = [Curve(**_only(Curve, curve, "curves")) for curve in held["curves"]]
        held["figures"] = [Figure(**_only(Figure, figure, "figures")) for figure in held["figures"]]
        held["privacy"] = Privacy(**_only(Privacy, held["privacy"], "privacy"))
        held["reproduce"] = Reproduce(**_only(Reproduce, held["reproduce"], "reproduce"))
        return cls(**held)

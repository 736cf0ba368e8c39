"""Parameters of a task, declared once as class attributes: read by forms, the command line, plans and the docs.

Each validates to a value or to one sentence that names the field. A value comes as text (command line; lists by comma)
or as JSON (a plan) and means the same. What a column holds at a site is checked in `table`, not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import terms as terms_
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary

if TYPE_CHECKING:
    from friendlyfl.tasks.base import Task

V = TypeVar("V", covariant=True)

KINDS = {
    "yes/no": "0 and 1, or a factor with two levels",
    "number": "a number",
    "integer": "a whole number",
    "factor": "a factor",
    "group": "a factor or a whole number",
    "date": "a date",
    "cluster": "text, a factor or a whole number",
    SITE: "the built-in .site",
}


def fits(kind: str, spec: ColumnSpec) -> bool:
    """Whether a column of the dictionary can play this part."""
    if kind == "yes/no":
        return spec.is_yes_no
    if kind == "group":
        return spec.type in ("factor", "integer")
    if kind == "cluster":
        return spec.type in ("text", "factor", "integer")
    if kind == "number":
        return spec.is_number
    return spec.type == kind


class Parameter(Generic[V]):
    """What all parameters share. On the class one reads the declaration, on a task its validated value."""

    def __init__(self, label: str, *, help: str = "", required: bool = False, default: Any = None) -> None:
        self.label, self.help, self.required, self.default = label, help, required, default
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Parameter[V]: ...
    @overload
    def __get__(self, instance: Task, owner: type) -> V: ...
    def __get__(self, instance: Task | None, owner: type) -> Any:
        return self if instance is None else instance.values[self.name]

    def validate(self, value: Any, dictionary: Dictionary, sites: int) -> Any:
        """The value a task works with, or UsageError with a sentence naming the field."""
        if value is None or (isinstance(value, str) and not value.strip()):
            if self.required:
                raise self.wrong(f"is missing: {self.wants()}")
            return self.default
        try:
            return self.read(value, dictionary, sites)
        except UsageError as error:
            if error.code == "parameter":
                raise
            raise UsageError("parameter", f"{self.title}: {error.message}") from None

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> Any:
        raise NotImplementedError

    def wants(self) -> str:
        """What to give, as the end of a sentence."""
        return "give a value"

    def columns(self, value: Any, dictionary: Dictionary) -> tuple[str, ...]:
        """The dictionary's columns a value names."""
        return ()

    @property
    def title(self) -> str:
        return f"{self.label} ({self.name})"

    def wrong(self, what: str) -> UsageError:
        return UsageError("parameter", f"{self.title} {what}.")


class Column(Parameter[V]):
    """One column of the dictionary; None when it is optional and not given."""

    @overload
    def __init__(
        self: Column[str],
        label: str,
        kinds: Sequence[str] = (),
        optional: Literal[False] = False,
        help: str = "",
    ) -> None: ...
    @overload
    def __init__(
        self: Column[str | None],
        label: str,
        kinds: Sequence[str] = (),
        *,
        optional: Literal[True],
        help: str = "",
    ) -> None: ...
    def __init__(self, label: str, kinds: Sequence[str] = (), optional: bool = False, help: str = "") -> None:
        super().__init__(label, help=help, required=not optional)
        self.kinds, self.optional = tuple(kinds), optional
        if unknown := set(kinds) - set(KINDS):
            raise TypeError(f"{label}: no such kind of column: {', '.join(sorted(unknown))}")

    def wants(self) -> str:
        return "choose a column" + (
            f" ({', or '.join(KINDS[kind] for kind in self.kinds)})" if self.kinds else ""
        )

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> str:
        if not isinstance(value, str):
            raise self.wrong("must be the name of a column")
        return self.check(value.strip(), dictionary)

    def check(self, name: str, dictionary: Dictionary) -> str:
        if name == SITE:
            if SITE not in self.kinds:
                raise self.wrong("cannot be .site")
            return name
        spec = dictionary.spec(name)
        if not (any(fits(kind, spec) for kind in self.kinds) if self.kinds else spec.type != "text"):
            wanted = ", or ".join(KINDS[kind] for kind in self.kinds) or "no text"
            raise self.wrong(f"needs {wanted}; the dictionary says that “{name}” is {described(spec)}")
        return name

    def columns(self, value: Any, dictionary: Dictionary) -> tuple[str, ...]:
        return (value,) if value and value != SITE else ()


def described(spec: ColumnSpec) -> str:
    """A column in a few words, for a sentence about why it does not fit."""
    words = {"integer": "a whole number", "number": "a number", "date": "a date", "text": "text"}
    if spec.type == "factor":
        return f"a factor with {len(spec.levels)} levels"
    if spec.is_number and spec.low is not None and spec.high is not None:
        return f"{words[spec.type]} from {spec.low:g} to {spec.high:g}"
    return words[spec.type]


def split(value: Any) -> list[Any]:
    """A list as JSON gives it, or a text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Columns(Parameter[tuple[str, ...]]):
    """Several columns; with `terms=True` model terms such as `age:sex`, in R's order."""

    def __init__(
        self, label: str, min: int = 1, terms: bool = False, kinds: Sequence[str] = (), help: str = ""
    ) -> None:
        super().__init__(label, help=help, required=min > 0, default=())
        self.min, self.terms = min, terms
        self.one: Column[str] = Column(label, kinds)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.one.name = name

    def wants(self) -> str:
        return "choose the terms, such as age,sex,age:sex" if self.terms else "choose the columns"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> tuple[str, ...]:
        texts = split(value)
        if not all(isinstance(text, str) for text in texts):
            raise self.wrong("must be a list of names of columns")
        if self.terms:
            read = terms_.expand(texts, dictionary)
        else:
            read = tuple(dict.fromkeys(self.one.check(text, dictionary) for text in texts))
        if len(read) < self.min:
            raise self.wrong(f"needs at least {self.min}")
        return read

    def columns(self, value: Any, dictionary: Dictionary) -> tuple[str, ...]:
        if self.terms:
            return tuple(name for term in value for name in terms_.term_columns(term, dictionary))
        return tuple(name for name in value if name != SITE)


class Number(Parameter[V]):
    """A number within bounds; None when it has no default and is not given."""

    @overload
    def __init__(
        self: Number[float],
        label: str,
        default: float,
        low: float | None = None,
        high: float | None = None,
        whole: bool = False,
        unit: str = "",
        help: str = "",
    ) -> None: ...
    @overload
    def __init__(
        self: Number[float | None],
        label: str,
        default: None = None,
        low: float | None = None,
        high: float | None = None,
        whole: bool = False,
        unit: str = "",
        help: str = "",
    ) -> None: ...
    def __init__(
        self,
        label: str,
        default: float | None = None,
        low: float | None = None,
        high: float | None = None,
        whole: bool = False,
        unit: str = "",
        help: str = "",
    ) -> None:
        super().__init__(label, help=help, default=default)
        self.low, self.high, self.whole, self.unit = low, high, whole, unit

    def wants(self) -> str:
        return "give a number"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> float | int:
        number = plain_number(value)
        if number is None:
            raise self.wrong("must be a number")
        if self.whole and number != math.floor(number):
            raise self.wrong("must be a whole number")
        if self.low is not None and number < self.low:
            raise self.wrong(f"must be at least {self.low:g}")
        if self.high is not None and number > self.high:
            raise self.wrong(f"must be at most {self.high:g}")
        return int(number) if self.whole else number


def plain_number(value: Any) -> float | None:
    """A finite number from JSON or text, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not (isinstance(value, str) and "_" in value) else None


class Numbers(Parameter[tuple[float, ...]]):
    """Several numbers in rising order, such as times at which to report."""

    def __init__(
        self, label: str, low: float | None = None, high: float | None = None, unit: str = "", help: str = ""
    ) -> None:
        super().__init__(label, help=help, default=())
        self.unit, self.one = unit, Number(label, None, low, high)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.one.name = name

    def wants(self) -> str:
        return "give numbers, such as 30,90,180"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> tuple[float, ...]:
        return tuple(sorted({float(self.one.read(part, dictionary, sites)) for part in split(value)}))


class Choice(Parameter[str]):
    """One of a few words; the first is the default unless said otherwise.

    Options may be given with what a page says for each, so that it can follow the label: "Standard errors" and
    {"none": "from the model"}.
    """

    def __init__(
        self,
        label: str,
        options: Sequence[str] | Mapping[str, str],
        default: str | None = None,
        help: str = "",
    ) -> None:
        self.options = tuple(options)
        super().__init__(label, help=help, default=self.options[0] if default is None else default)
        self.words = dict(options) if isinstance(options, Mapping) else {word: word for word in options}
        if self.default not in self.options:
            raise TypeError(f"{label}: the default {self.default!r} is no option")

    def wants(self) -> str:
        return f"choose {' or '.join(self.options)}"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> str:
        text = value.strip() if isinstance(value, str) else value
        if text not in self.options:
            raise self.wrong(f"must be one of {', '.join(self.options)}")
        return str(text)


class Flag(Parameter[bool]):
    """Yes or no."""

    def __init__(self, label: str, default: bool = False, help: str = "") -> None:
        super().__init__(label, help=help, default=default)

    def wants(self) -> str:
        return "say yes or no"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> bool:
        word = value.strip().lower() if isinstance(value, str) else value
        if isinstance(word, bool):
            return word
        if word in ("yes", "true", "no", "false"):
            return word in ("yes", "true")
        raise self.wrong("must be yes or no")


class Text(Parameter[str]):
    """A short text the task itself reads. `name` is for one whose name means something else on the class."""

    def __init__(
        self, label: str, max: int = 1000, default: str = "", help: str = "", name: str = ""
    ) -> None:
        super().__init__(label, help=help, default=default)
        self.max, self.name = max, name

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> str:
        if not isinstance(value, str):
            raise self.wrong("must be a text")
        if len(value) > self.max:
            raise self.wrong(f"must have at most {self.max} characters")
        return value.strip()

"""Inclusion criteria: which rows of a hospital an analysis is about, in a small closed grammar that is read, not run.

    age >= 18 and sex = female and (seen >= 2019-01-01 or stage in (III, IV))

Comparisons (`=` `!=` `<` `<=` `>` `>=` `in`) of a dictionary column with values, joined by `and`, `or`, `not` and
brackets. What a condition does with rows, and its words, is in `criteria`; rows are chosen in `table`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.criteria import COMPARE, IN, KEYWORDS, Bools, Comparison, Condition, Joined, Not, Values
from friendlyfl.tasks.dictionary import ColumnSpec, Dictionary, close_names, days
from friendlyfl.tasks.params import described, plain_number

LONGEST = 2000  # characters
DEEPEST = 30  # brackets inside brackets
SAME_SIGNS = {"≤": "<=", "≥": ">=", "≠": "!="}
TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<quoted>\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*')"
    r"|(?P<sign><=|>=|!=|[=<>≤≥≠])"
    r"|(?P<mark>[(),;])"
    r"|(?P<word>[^\s()<>=!,;\"'≤≥≠]+)"
)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Cohort:
    """The rows that an analysis is about. What is missing never matches."""

    condition: Condition

    @classmethod
    def read(cls, text: str, dictionary: Dictionary) -> Cohort | None:
        """The cohort a text describes, None for an empty one, or UsageError with a sentence that names the place."""
        return cls.of([text], dictionary)

    @classmethod
    def of(cls, texts: Iterable[str], dictionary: Dictionary) -> Cohort | None:
        """Rows that meet every one of these criteria: a plan's, and a step's own."""
        found = [_Reader(text, dictionary).whole() for text in texts if text.strip()]
        return cls(_joined("and", found)) if found else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the criteria read."""
        return self.condition.columns

    @property
    def text(self) -> str:
        """As the grammar writes it; read again it is the same cohort."""
        return self.condition.text

    @property
    def words(self) -> str:
        """As a person reads it on a request."""
        return self.condition.words

    @property
    def r(self) -> str:
        """As R's subset() takes it, with the same rows."""
        return self.condition.r

    @property
    def python(self) -> str:
        """As a data frame `d` of pandas takes it, with the same rows; there a missing cell differs from every value."""
        return self.condition.python()

    def rows(self, values: Values) -> Bools:
        """Which rows are in."""
        return np.asarray(self.condition.met(values).yes)


def conditions(text: str, dictionary: Dictionary) -> tuple[Condition, ...]:
    """Several criteria with semicolons between them, in order."""
    return _Reader(text, dictionary).several()


def _joined(word: str, parts: list[Condition]) -> Condition:
    """One condition of several; what is joined by the same word is made flat."""
    flat: list[Condition] = []
    for part in parts:
        flat += part.parts if isinstance(part, Joined) and part.word == word else [part]
    return flat[0] if len(flat) == 1 else Joined(word, tuple(flat))


@dataclass(frozen=True)
class _Token:
    kind: str  # quoted, sign, mark, word, or end
    text: str
    at: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words

    @property
    def name(self) -> str | None:
        """What may stand for a column, a level or a value."""
        if self.kind == "quoted":
            quote = self.text[0]
            return self.text[1:-1].replace(quote * 2, quote)
        return self.text if self.kind == "word" and self.text.lower() not in KEYWORDS else None


class _Reader:
    """One text, from left to right."""

    def __init__(self, text: str, dictionary: Dictionary) -> None:
        self.text, self.dictionary = text, dictionary
        if len(text) > LONGEST:
            raise UsageError("cohort", f"Inclusion criteria may have at most {LONGEST:,} characters.")
        self.tokens = list(self._tokens())
        self.place = self.depth = 0

    def _tokens(self) -> Iterable[_Token]:
        at = 0
        while at < len(self.text):
            found = TOKEN.match(self.text, at)
            if found is None:
                sign = self.text[at]
                what = (
                    "this quote is not closed" if sign in "\"'" else "! stands before = only: write != or not"
                )
                raise self.wrong(_Token("sign", sign, at), what)
            if found.lastgroup != "space":
                text = found.group()
                yield _Token(str(found.lastgroup), SAME_SIGNS.get(text, text), at)
            at = found.end()
        yield _Token("end", "", at)

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def next(self) -> _Token:
        token = self.now
        self.place += 1
        return token

    def wrong(self, token: _Token, what: str) -> UsageError:
        where = f"at “{token.text}” (character {token.at + 1})" if token.text else "at their end"
        end = "" if what.endswith("?") else "."
        return UsageError("cohort", f"The inclusion criteria cannot be read {where}: {what}{end}")

    # The grammar, one function a rule.

    def whole(self) -> Condition:
        found = self.either()
        if self.now.kind != "end":
            raise self.wrong(self.now, self._odd())
        return found

    def several(self) -> tuple[Condition, ...]:
        found = []
        while self.now.kind != "end":
            found.append(self.either())
            if self.now.text != ";" and self.now.kind != "end":
                raise self.wrong(self.now, self._odd())
            if self.now.text == ";":
                self.next()
        return tuple(found)

    def _odd(self) -> str:
        """What to say where only and, or or the end could stand."""
        if self.now.text == ")":
            return "this bracket was never opened"
        if self.now.text in ("&", "&&", "|", "||", ";", ","):
            return "write and or or between two comparisons"
        return "expected and, or, or the end; a name or level that holds blanks needs quotes"

    def either(self) -> Condition:
        return self._list("or", lambda: self._list("and", self.one))

    def _list(self, word: str, part: Callable[[], Condition]) -> Condition:
        found = [part()]
        while self.now.is_word(word):
            self.next()
            found.append(part())
        return _joined(word, found)

    def one(self) -> Condition:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(self.now, f"more than {DEEPEST} brackets or nots inside each other")
        try:
            if self.now.is_word("not"):
                self.next()
                return Not(self.one())
            if self.now.text == "(" and self.now.kind == "mark":
                return self.bracket()
            return self.comparison()
        finally:
            self.depth -= 1

    def bracket(self) -> Condition:
        opened = self.next()
        found = self.either()
        if self.now.text != ")":
            raise self.wrong(opened if self.now.kind == "end" else self.now, self._unclosed())
        self.next()
        return found

    def _unclosed(self) -> str:
        return "this bracket is not closed" if self.now.kind == "end" else self._odd()

    def comparison(self) -> Condition:
        spec = self.column()
        token = self.next()
        if token.is_word("not") and self.now.is_word(IN):
            self.next()
            return Not(self.among(spec))
        if token.is_word(IN):
            return self.among(spec)
        if token.kind != "sign":
            raise self.wrong(token, f"after “{spec.name}” expected one of {' '.join(COMPARE)} in")
        if self.now.kind == "sign" and self.now.text == "=":
            raise self.wrong(self.now, "write one = for “is”")
        if token.text not in ("=", "!=") and spec.type == "factor" and not spec.ordered:
            raise self.wrong(
                token, f"the levels of “{spec.name}” have no order, so it can only be compared by = != in"
            )
        value, text = self.value(spec)
        return Comparison(spec, token.text, (value,), (text,))

    def column(self) -> ColumnSpec:
        token = self.next()
        name = token.name
        if name is None:
            raise self.wrong(token, "expected a column of the data dictionary, such as age >= 18")
        if name not in self.dictionary:
            number = "; write the column first, such as age >= 18" if plain_number(name) is not None else ""
            raise self.wrong(
                token,
                f"the dictionary has no column “{name}”{number}.{close_names(name, self.dictionary)}".rstrip(
                    "."
                ),
            )
        spec = self.dictionary[name]
        if spec.type == "text":
            raise self.wrong(token, f"“{name}” is text, which marks people and cannot be a criterion")
        return spec

    def among(self, spec: ColumnSpec) -> Comparison:
        if self.now.text != "(":
            raise self.wrong(self.now, "after in expected values in brackets, such as in (a, b)")
        self.next()
        found = [self.value(spec)]
        while self.now.text == ",":
            self.next()
            found.append(self.value(spec))
        if self.now.text != ")":
            raise self.wrong(
                self.now, "expected a comma or the closing bracket; a level that holds blanks needs quotes"
            )
        self.next()
        values, texts = zip(*dict(found).items(), strict=True)
        return Comparison(spec, IN, values, texts)

    def value(self, spec: ColumnSpec) -> tuple[float, str]:
        token = self.next()
        text = token.name
        if text is None:
            raise self.wrong(token, f"expected a value of “{spec.name}”, which is {described(spec)}")
        if spec.type == "factor":
            return float(self.level(token, text, spec)), text
        if spec.type == "date":
            try:
                if DAY.fullmatch(text):
                    return days(text), text
            except ValueError:
                pass
            raise self.wrong(token, f"“{spec.name}” is a date; write a day such as 2024-12-31")
        number = plain_number(text)
        if number is None:
            raise self.wrong(token, f"“{spec.name}” is {described(spec)}, and this is no number")
        return number, text

    def level(self, token: _Token, text: str, spec: ColumnSpec) -> int:
        if text not in spec.levels:
            near = close_names(text, spec.levels) or f" There are {', '.join(spec.levels)}."
            raise self.wrong(token, f"“{spec.name}” has no level “{text}”.{near}".rstrip("."))
        return spec.levels.index(text)

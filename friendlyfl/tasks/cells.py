"""What the cells of one column may mean: whole numbers, numbers, dates or words. Pure, and never silent.

Here live the written forms a hospital's export uses (decimal point, decimal comma, thousands separators,
dates), and the decision for a whole column. A form that can be read in two ways (`1.234`, `03/04/2020`) is
decided only by proof from other cells; without proof the cells stay words and the verdict says so.

What does not live here: files, encodings, rows and lines (source, sniff) and the data dictionary (mapping).
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Never more than 18 digits in a whole number: it must fit 64 bits. Longer ones and those with a leading zero
# are codes (a patient's number, a postcode), whose digits must not be lost.
_INT = r"[+-]?(?:0|[1-9][0-9]{0,17})"
_POINT = r"[+-]?(?:(?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?|[0-9]+[eE][+-]?[0-9]{1,3})"
_COMMA = _POINT.replace(r"\.", ",")
_GROUP = r"[+-]?[1-9][0-9]{0,2}"
_ZONE = r"(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"
_TIME = r"(?P<time{0}>[T ][0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)?" + _ZONE + ")?"

_FORM = re.compile(
    rf"(?P<int>{_INT})"
    r"|(?P<code>[+-]?[0-9]+)"
    rf"|(?P<point_maybe>{_GROUP}\.[0-9]{{3}})"
    rf"|(?P<point>{_POINT})"
    rf"|(?P<comma_maybe>{_GROUP},[0-9]{{3}})"
    rf"|(?P<comma>{_COMMA})"
    rf"|(?P<point_grouped>{_GROUP}(?:(?:,[0-9]{{3}})+\.[0-9]+|(?:,[0-9]{{3}}){{2,}}))"
    rf"|(?P<comma_grouped>{_GROUP}(?:(?:\.[0-9]{{3}})+,[0-9]+|(?:\.[0-9]{{3}}){{2,}}))"
    rf"|(?P<spaced>{_GROUP}(?:[ \u00a0\u2009\u202f'’][0-9]{{3}})+)"
    rf"|(?P<point_spaced>{_GROUP}(?:[ \u00a0\u2009\u202f'’][0-9]{{3}})+\.[0-9]+)"
    rf"|(?P<comma_spaced>{_GROUP}(?:[ \u00a0\u2009\u202f'’][0-9]{{3}})+,[0-9]+)"
    rf"|(?P<iso>[0-9]{{4}}(?P<s1>[-/.])[0-9]{{2}}(?P=s1)[0-9]{{2}}){_TIME.format(1)}"
    rf"|(?P<dmy>[0-9]{{1,2}}(?P<s2>[-/.])[0-9]{{1,2}}(?P=s2)[0-9]{{4}}){_TIME.format(2)}"
)
_ALL_INT = re.compile(rf"(?:{_INT}\n)*+")
_ALL_POINT = re.compile(rf"(?:(?:{_INT}|{_POINT})\n)*+")
_ALL_COMMA = re.compile(rf"(?:(?:{_INT}|{_COMMA})\n)*+")
_MAYBE = re.compile(rf"{_GROUP}[.,][0-9]{{3}}")
_AFTER_SIGN = re.compile(r"(?<=[.,])[0-9]+")
_GROUPING = str.maketrans("", "", " \u00a0\u2009\u202f'’")
_MIDNIGHT = re.compile(r"[T ]0?0:00(?::00(?:[.,]0+)?)?")

_PROOF = {".": {"point", "point_grouped", "point_spaced"}, ",": {"comma", "comma_grouped", "comma_spaced"}}
_MAYBE_FORM = {".": "point_maybe", ",": "comma_maybe"}
_GROUPED_FORM = {".": "point_grouped", ",": "comma_grouped"}
_OTHER = {".": ",", ",": "."}
_WHOLE = {"int", "spaced"}

_MISSING_WORDS = (
    " na n/a #n/a #na nan null none nil nd n.d. n.a. k.a. missing unknown unk inconnu vide unbekannt fehlt leer "
    ". .. - -- ? * "
)


def looks_missing(token: str) -> bool:
    """Is this one of the words by which exports often mean "no value"? Only ever a hint to a person."""
    return f" {token.casefold()} " in _MISSING_WORDS


@dataclass(frozen=True)
class Numbers:
    """Cells read at once, by the plainest reading: `kind` is int, point or comma."""

    kind: str
    values: NDArray[Any]
    proven: bool  # a cell shows which sign is the decimal one
    decimals: int


def read_plain(tokens: Sequence[str]) -> Numbers | None:
    """The quick way for a column of ordinary numbers; None when any cell asks for the slow one (`judge`)."""
    joined = "\n".join(tokens) + "\n"
    if joined.count("\n") != len(tokens):
        return None
    if _ALL_INT.fullmatch(joined):
        return Numbers("int", np.array(list(map(int, tokens)), dtype=np.int64), False, 0)
    sign = "," if "," in joined else "."
    if not (_ALL_POINT if sign == "." else _ALL_COMMA).fullmatch(joined):
        return None
    plain = tokens if sign == "." else joined[:-1].replace(",", ".").split("\n")
    values = np.array(list(map(float, plain)), dtype=np.float64)
    if not np.isfinite(values).all():
        return None
    proven = any(not _MAYBE.fullmatch(t) for t in tokens if sign in t)
    return Numbers("point" if sign == "." else "comma", values, proven, _decimals(joined))


def _decimals(joined: str) -> int:
    """The most digits after a decimal sign."""
    return max(map(len, _AFTER_SIGN.findall(joined)), default=0)


Read = Callable[[str], Any]


def _nothing(token: str) -> None:
    return None


@dataclass(frozen=True)
class Verdict:
    """What a column of words is. `values[i]` is the value of `tokens[i]`, None where that does not fit; `read` gives it
    for any word of the column."""

    type: str  # integer, number, date or text
    values: list[Any]
    read: Read
    looks_like: str = (
        ""  # "numbers" or "dates" when a text column nearly is one: the tokens without value are odd
    )
    decimal: str = ""
    decimals: int = 0
    date_format: str = ""
    notes: tuple[str, ...] = ()


def judge(
    tokens: Sequence[str], counts: Sequence[int], *, decimal: str, forced: bool = False, order: str = ""
) -> Verdict:
    """Decide on a column from its different tokens and how many rows hold each.

    `decimal` is what the file has shown so far ("." or ",", "" if nothing or both); `forced` makes it the
    person's word. `order` is the person's word on dates: "d.m.Y" or "m.d.Y".
    """
    forms = [_form(token) for token in tokens]
    numbers = _judge_numbers(tokens, forms, counts, decimal, forced)
    if numbers.type in ("integer", "number"):
        return numbers
    dates = _judge_dates(tokens, forms, counts, order)
    if dates.type == "date":
        return dates
    if _rows(numbers, counts) * 2 >= sum(counts) or (numbers.notes and not dates.notes):
        return numbers
    if _rows(dates, counts) * 2 >= sum(counts) or dates.notes:
        return dates
    return nothing(tokens)


def nothing(tokens: Sequence[str]) -> Verdict:
    """Words that are neither numbers nor dates."""
    return Verdict("text", [None] * len(tokens), _nothing)


def folded(words: dict[str, int]) -> dict[str, int]:
    """Fewer words of which `judge` says the same: one of each form, of numbers the one with most decimals, of dates one
    for each day. What stands for "no value" stays."""
    counts: dict[tuple[Any, ...], int] = {}
    chosen: dict[tuple[Any, ...], str] = {}
    for token, count in words.items():
        key = _fold_key(token)
        counts[key] = counts.get(key, 0) + count
        if key not in chosen or _last_decimals(token) > _last_decimals(chosen[key]):
            chosen[key] = token
    return {chosen[key]: count for key, count in counts.items()}


def _fold_key(token: str) -> tuple[Any, ...]:
    form = _form(token)
    if form in ("iso", "dmy"):
        time = _time_of(token)
        return form, token.removesuffix(time), bool(time) and not _MIDNIGHT.fullmatch(time)
    if form:
        return form, sum(map(str.isdigit, token)) > 18
    return ("", token) if looks_missing(token) else ("",)


def _last_decimals(token: str) -> int:
    return len((_AFTER_SIGN.findall(token) or [""])[-1])


def signs(tokens: Iterable[str]) -> set[str]:
    """The decimal signs that these tokens prove."""
    forms = set(map(_form, tokens))
    return {sign for sign, proof in _PROOF.items() if forms & proof}


def _form(token: str) -> str:
    match = _FORM.fullmatch(token) if token[:1] in _STARTS else None
    if match is None:
        return ""
    form = next(name for name in _FORM_NAMES if match[name] is not None)
    if form in ("point", "comma") and not math.isfinite(float(token.replace(",", "."))):
        return ""
    return form


_STARTS = frozenset("+-.,0123456789")
_FORM_NAMES = tuple(name for name in _FORM.groupindex if name[:2] not in ("s1", "s2") and "time" not in name)


def _rows(verdict: Verdict, counts: Sequence[int]) -> int:
    return sum(n for n, value in zip(counts, verdict.values, strict=True) if value is not None)


def _judge_numbers(
    tokens: Sequence[str], forms: Sequence[str], counts: Sequence[int], decimal: str, forced: bool
) -> Verdict:
    rows: dict[str, int] = {}
    for form, n in zip(forms, counts, strict=True):
        rows[form] = rows.get(form, 0) + n
    sign = decimal if forced else _decimal_sign(rows, decimal)
    fits = set(_WHOLE)
    if sign:
        fits |= _PROOF[sign] | {_MAYBE_FORM[sign]}
        # 1.234 is a thousand only where another cell shows that points separate thousands here.
        if forced or rows.get(_GROUPED_FORM[sign]):
            fits.add(_MAYBE_FORM[_OTHER[sign]])
    values = [_number(t, f, sign) if f in fits else None for t, f in zip(tokens, forms, strict=True)]

    def read(token: str) -> int | float | None:
        form = _form(token)
        return _number(token, form, sign) if form in fits else None

    notes: tuple[str, ...]
    if not all(value is not None for value in values):
        strange = {form for form in rows if form not in fits}
        if strange == {"code"}:
            note = "Leading zeros, or more digits than a number can hold, would be lost: kept as text."
            return Verdict("text", values, read, notes=(note,))
        unsure = rows.keys() & {"point_maybe", "comma_maybe"} - fits
        notes = tuple(map(_unsure_note, sorted(unsure)[:1]))
        return Verdict("text", values, read, looks_like="numbers", decimal=sign, notes=notes)
    whole = all(isinstance(value, int) for value in values)
    notes = _number_notes(rows, sign)
    if whole:
        return Verdict("integer", values, read, notes=notes)
    plain = [t.translate(_GROUPING).replace(_OTHER[sign], "") for t in tokens]
    return Verdict("number", values, read, decimal=sign, decimals=_decimals("\n".join(plain)), notes=notes)


def _decimal_sign(rows: dict[str, int], decimal: str) -> str:
    """The decimal sign of this column: its own proof first, then the file's, else undecided."""
    proof = {sign: sum(rows.get(form, 0) for form in shown) for sign, shown in _PROOF.items()}
    if proof["."] or proof[","]:
        return "." if proof["."] >= proof[","] else ","
    if rows.get("point_maybe") and rows.get("comma_maybe"):
        return ""
    return decimal if decimal and rows.get(_MAYBE_FORM[decimal]) else ""


def _unsure_note(form: str) -> str:
    like = "1.234" if form == "point_maybe" else "1,234"  # never a cell of the file: notes are kept
    return (
        f"Cells written like {like} may mean 1.234 or 1234, and nothing in the file decides: left as text. "
        "Say which sign is the decimal one."
    )


def _number_notes(rows: dict[str, int], sign: str) -> tuple[str, ...]:
    notes = []
    if sign == "," and rows.keys() & {*_PROOF[","], "comma_maybe"} - {"comma_grouped"}:
        notes.append("Read with decimal commas.")
    taken_out = {"spaced", "point_spaced", "comma_spaced", "point_grouped", "comma_grouped"}
    if rows.keys() & (taken_out | {_MAYBE_FORM[other] for other in _OTHER.get(sign, "")}):
        notes.append("Thousands separators were taken out.")
    return tuple(notes)


def _number(token: str, form: str, sign: str) -> int | float:
    text = token.translate(_GROUPING)
    if sign:
        text = text.replace(_OTHER[sign], "").replace(",", ".")
    digits = text.lstrip("+-")
    return int(text) if digits.isdigit() and len(digits) <= 18 else float(text)


def _judge_dates(tokens: Sequence[str], forms: Sequence[str], counts: Sequence[int], order: str) -> Verdict:
    present = {form for form in forms if form in ("iso", "dmy")}
    if not present:
        return nothing(tokens)

    def dated(form: str, day: Callable[[str], datetime.date | None]) -> Read:
        return lambda token: day(token) if _form(token) == form else None

    if present == {"iso", "dmy"}:
        note = "Dates are written in two ways, 2020-12-31 and 31.12.2020: left as text."
        read = dated("iso", _iso)
        return Verdict("text", list(map(read, tokens)), read, looks_like="dates", notes=(note,))
    notes: list[str] = []
    written, read = "Y-m-d", dated("iso", _iso)
    if present == {"dmy"}:
        shown = order or _order([t for t, f in zip(tokens, forms, strict=True) if f == "dmy"])
        if shown not in ("d.m.Y", "m.d.Y"):
            read = dated("dmy", lambda token: _day_month(token, "d.m.Y") or _day_month(token, "m.d.Y"))
            return Verdict("text", list(map(read, tokens)), read, looks_like="dates", notes=(shown,))
        written, read = shown, dated("dmy", lambda token: _day_month(token, shown))
        notes.append(f"Dates were read as {'day, month' if shown == 'd.m.Y' else 'month, day'}, year.")
    values = list(map(read, tokens))
    if any(value is None for value in values):
        return Verdict("text", values, read, looks_like="dates", date_format=written)
    if any(not _MIDNIGHT.fullmatch(time) for time in map(_time_of, tokens) if time):
        notes.append("The time of day was left out.")
    return Verdict("date", values, read, date_format=written, notes=tuple(notes))


def _order(tokens: Sequence[str]) -> str:
    """Which comes first, day or month: decided by dates that only one order allows, else a sentence."""
    as_day = {t: _day_month(t, "d.m.Y") for t in tokens}
    as_month = {t: _day_month(t, "m.d.Y") for t in tokens}
    day_first = any(as_day[t] is not None and as_month[t] is None for t in tokens)
    month_first = any(as_month[t] is not None and as_day[t] is None for t in tokens)
    if day_first and month_first:
        return "Some dates are written day first and some month first: left as text."
    if day_first or all(as_day[t] == as_month[t] for t in tokens):
        return "d.m.Y"
    if month_first:
        return "m.d.Y"
    return "In these dates day and month cannot be told apart: left as text. Say whether the day comes first."


def _time_of(token: str) -> str:
    match = _FORM.fullmatch(token)
    return (match["time1"] or match["time2"] or "") if match else ""


def _iso(token: str) -> datetime.date | None:
    return _date(int(token[:4]), int(token[5:7]), int(token[8:10]))


def _day_month(token: str, order: str) -> datetime.date | None:
    first, second, year = (int(part) for part in re.split(r"[-/.]", re.split(r"[T ]", token)[0]))
    return _date(year, second, first) if order == "d.m.Y" else _date(year, first, second)


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None

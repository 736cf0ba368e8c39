"""Sentences that are made outside the portal, by tasks, the core and actions, in the language of who reads the page.

They are English wherever they are made, sent, kept or written to a file. Only here a sentence is found again among the
texts of the language's catalogue: as it is, or by a text with named places ("{host} takes no calls on port {port}."),
whose values are read out of it and put into the translation. So a result of last year and a sentence from another
hospital are translated as well as a new one. What is not found stays as it is. `cli.word_list` makes the catalogue.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext, ngettext, trans_real

from friendlyfl.core.texts import EVERY

PLACE = re.compile(r"\{(\w+)\}")
SURE, UNSURE = 10, 5  # letters beside the places: with fewer a text comes last, or could be anything
SENTENCES = re.compile(r"(?<=[.?!])( )(?=[A-Z“\d])")
# What stands between the parts of a text that was put together; a comma in brackets or quotation marks is none.
OUTSIDE = r"(?![^(]*\))(?![^“]*”)"
BETWEEN = tuple(re.compile(f"({sign}){OUTSIDE}") for sign in ("; ", ", or |, and |, | and | or ", ": "))
JOINED = {", or ": "{some}, or {more}", " and ": "{some} and {more}", " or ": "{some} or {more}"}
BRACKETED = re.compile(r"(.+) \((.+)\)", re.DOTALL)


@dataclass(frozen=True)
class Template:
    """A text with named places. `of`: the two forms of a counted text, of which this is one."""

    text: str
    pattern: re.Pattern[str]
    letters: int
    surest: str  # the longest piece between places, to pass over most templates quickly
    of: tuple[str, str] | None = None

    def read(self, text: str) -> dict[str, str] | None:
        """The values of the places; no value goes from one sentence into the next."""
        found = self.pattern.fullmatch(text) if self.surest in text else None
        values = found.groupdict() if found else None
        return None if values is None or any(map(SENTENCES.search, values.values())) else values

    def filled(self, values: dict[str, str]) -> str:
        words = gettext(self.text)
        if self.of is not None:
            words = ngettext(*self.of, int(values["n"].replace(",", "")))
        try:
            return words.format(**{name: self._value(name, value) for name, value in values.items()})
        except (LookupError, ValueError):  # the translation has other places than the text
            return ""

    def _value(self, name: str, value: str) -> str:
        """A value that is words of ours is translated too; in quotation marks stands a name."""
        core = value.strip()
        if " " not in core or f"“{{{name}}}" in self.text:
            return value
        tail = _whole(core, 1) if value.startswith((" ", ", ")) else ""
        return value.replace(core, tail or ours(core))


def ours(text: str) -> str:
    """The sentence, or several of them, in the reader's language."""
    text = str(text)
    language = get_language() or ""
    return _said(text, language) if text and _templates(language) else text


@functools.lru_cache(maxsize=4096)
def _said(text: str, language: str) -> str:
    return _whole(text) or _parts(text, SENTENCES)[0] or _found(text) or text


def called(name: str) -> str:
    """What a step is called: the method's name in the reader's language, or as somebody named it."""
    return gettext(name) if name else ""


def _whole(text: str, fewest: int = SURE) -> str:
    """The translation of what is one text of the catalogue; "" if it is none."""
    return _looked_up(text, get_language() or "", fewest)


@functools.lru_cache(maxsize=4096)
def _looked_up(text: str, language: str, fewest: int) -> str:
    if text in _known():
        return gettext(text)
    best: tuple[int, Template, dict[str, str]] | None = None
    for template in _templates(language):
        values = template.read(text) if template.letters >= fewest else None
        if values is not None and (best is None or template.letters > best[0]):
            best = template.letters, template, values
    return best[1].filled(best[2]) if best else ""


def _parts(text: str, between: re.Pattern[str]) -> tuple[str, bool]:
    """Part by part, several together where the catalogue has them as one; "" if none is known, and whether all are."""
    pieces = between.split(text)
    if len(pieces) == 1:
        return "", False
    said, place, known, every = "", 0, False, True
    while place < len(pieces):
        end, words = _longest(pieces, place)
        known, every = known or bool(words), every and bool(words)
        words = words or pieces[place]
        said = _joined(said, pieces[place - 1], words) if place else words
        place = end + 1
    return (said if known else ""), every


def _longest(pieces: list[str], place: int) -> tuple[int, str]:
    """The longest run of parts from this one on that is a text, and its translation; the part alone otherwise."""
    for end in range(len(pieces) if place else len(pieces) - 2, place + 1, -2):
        if words := _whole("".join(pieces[place:end])):
            return end, words
    return place + 1, _found(pieces[place])


def _joined(some: str, sign: str, more: str) -> str:
    return gettext(JOINED[sign]).format(some=some, more=more) if sign in JOINED else f"{some}{sign}{more}"


def _found(text: str) -> str:
    """The translation of a text, or of the texts that it was put together from; "" if there is none."""
    return _found_in(text, get_language() or "")


@functools.lru_cache(maxsize=4096)
def _found_in(text: str, language: str) -> str:
    return _whole(text) or _composed(text, every=True) or _whole(text, UNSURE) or _composed(text, every=False)


def _composed(text: str, every: bool) -> str:
    """Of a text that was put together: what stands in a list, behind a colon, in brackets. `every`: all or nothing."""
    for between in BETWEEN:
        words, complete = _parts(text, between)
        if words and complete >= every:
            return words
    if bracketed := BRACKETED.fullmatch(text):
        said = [_found(part) for part in bracketed.groups()]
        if any(said) and all(said) >= every:
            outside, inside = (words or part for words, part in zip(said, bracketed.groups(), strict=True))
            return f"{outside} ({inside})"
    if text.endswith(".") and (words := _whole(text[:-1]) or _composed(text[:-1], every)):
        return f"{words}."
    return ""


def _known() -> Any:
    """The catalogue of the reader's language: texts, and counted texts with the number of their form."""
    return getattr(trans_real.catalog(), "_catalog", {}) if settings.USE_I18N else {}


def forget() -> None:
    """Read the catalogues anew."""
    for kept in (_said, _looked_up, _found_in, _templates):
        kept.cache_clear()


@functools.lru_cache(maxsize=8)
def _templates(language: str) -> tuple[Template, ...]:
    """All texts with named places that the catalogue of this language holds."""
    known = list(_known().keys())
    texts = {key for key in known if isinstance(key, str) and PLACE.search(key)}
    made = [template for text in texts if (template := _template(text)).letters]
    here = {key[0] for key in known if isinstance(key, tuple)}
    for counted in EVERY:
        if counted.one in here:
            forms = counted.one, counted.many
            made += [_template(text, forms) for text in forms]
    return tuple(sorted(made, key=lambda template: template.text))


def _template(text: str, of: tuple[str, str] | None = None) -> Template:
    pieces = PLACE.split(text)
    literal = pieces[::2]
    return Template(
        text,
        re.compile("".join(_pattern(pieces, of is not None)), re.DOTALL),
        max(
            sum(letter.isalpha() for piece in literal for letter in piece), SURE if of else 0
        ),  # a number is sure
        max(literal, key=len),
        of,
    )


def _pattern(pieces: list[str], counted: bool) -> Iterator[str]:
    seen: set[str] = set()
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            yield re.escape(piece)
        elif piece in seen:
            yield f"(?P={piece})"
        else:
            seen.add(piece)
            yield rf"(?P<{piece}>[\d,]+)" if counted and piece == "n" else f"(?P<{piece}>.*?)"

"""A language that nobody speaks: English with every word 40 % longer, as other languages are. Places of sentences stay.

It has a catalogue as a real language has one, made from the list of all texts, and stands in for English while a page
is looked at. What does not grow is a text that went round gettext, or one that the list lacks.
"""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils.translation import trans_real

from friendlyfl.cli import word_list
from friendlyfl.controller.portal import ours

PLACES = re.compile(r"(%\(\w+\)\w|%\w|%%|\{[^}]*\}|<[^>]+>|&\w+;)")
WORD = re.compile(r"[^\W\d_]+")


def longer(text: str) -> str:
    """The text with its first letters doubled, word by word."""
    parts = PLACES.split(text)
    return "".join(part if number % 2 else WORD.sub(_stretch, part) for number, part in enumerate(parts))


def _stretch(found: re.Match[str]) -> str:
    word = found[0]
    more = -(-len(word) * 4 // 10)
    return "".join(letter * 2 for letter in word[:more]) + word[more:]


@functools.cache
def _catalogue() -> dict[Any, str]:
    """What a translator of this language would have made; Django's own texts too, which stand in any translation."""
    made: dict[Any, str] = {
        key: longer(key[0] if isinstance(key, tuple) else key)
        for key in trans_real.translation("de")._catalog.keys()  # noqa: SIM118  # type: ignore[attr-defined]
        if key
    }
    for text, many in word_list.words().found.items():
        if many:
            made[text, 0], made[text, 1] = longer(text), longer(many)
        else:
            made[text] = longer(text)
    return made


@contextmanager
def longer_words() -> Iterator[None]:
    """All words of this process are longer inside."""
    catalogue = trans_real.translation("en")._catalog  # type: ignore[attr-defined]
    catalogue._catalogs.insert(0, _catalogue())
    catalogue._plurals.insert(0, lambda n: int(n != 1))
    ours.forget()
    try:
        yield
    finally:
        del catalogue._catalogs[0], catalogue._plurals[0]
        ours.forget()

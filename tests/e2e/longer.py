"""A language that nobody speaks: English with every word 40 % longer, as other languages are. Places of sentences stay.

Django asks one object for its words; here it answers in longer ones while a page is looked at. What does not grow is a
text that went round gettext.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.utils.translation import _trans

ASKED = ("gettext", "ngettext", "pgettext", "npgettext")
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


@contextmanager
def longer_words() -> Iterator[None]:
    """All words of this process are longer inside."""
    usual: dict[str, Callable[..., Any]] = {name: getattr(_trans, name) for name in ASKED}
    for name, ask in usual.items():
        setattr(_trans, name, lambda *given, ask=ask, **named: longer(ask(*given, **named)))
    try:
        yield
    finally:
        for name, ask in usual.items():
            setattr(_trans, name, ask)

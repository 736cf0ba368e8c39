"""What may be written in a name or a description, so that no page, log or mail can be tricked by one."""

from __future__ import annotations

import unicodedata

from friendlyfl.core import limits
from friendlyfl.wire.fields import is_uid

DESCRIPTION = 4000  # characters
# Joiners that some scripts need to be written properly; every other format character could hide or turn text.
_JOINERS = "\u200c\u200d"
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean_name(text: str) -> str:
    """The name in NFC without outer spaces, or ValueError with a sentence."""
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= limits.NAME:
        raise ValueError(f"Write a name of 1 to {limits.NAME} characters.")
    _check_printable(name, allowed="")
    if _is_number(name) or is_uid(name.lower()):
        raise ValueError("A name may not be a number or a UUID; write some words.")
    return name


def clean_text(text: str, longest: int = DESCRIPTION) -> str:
    """A description or a sentence in NFC; lines may break, everything else is as in a name."""
    clean = unicodedata.normalize("NFC", text).strip()
    if len(clean) > longest:
        raise ValueError(f"Write at most {longest} characters.")
    _check_printable(clean, allowed="\n\t")
    return clean


def _check_printable(text: str, allowed: str) -> None:
    for character in text:
        if character in allowed or character in _JOINERS:
            continue
        if unicodedata.category(character) in _UNPRINTABLE:
            raise ValueError("Use printable characters only; one of these is a control character.")
    if "<" in text or ">" in text:
        raise ValueError("Leave out the signs < and >; no markup is shown here.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Reading what another site wrote: exact keys and kinds, bounded numbers, one-line texts; the rest is `bad_content`.

Nothing of another site reaches a page, a terminal or a column of the database but by these functions. What a content
means is handlers' business; plans have a reader of their own.
"""

import json
import math
from datetime import date
from typing import Any

from friendlyfl.core.errors import WireError
from friendlyfl.core.limits import TEXT_BYTES
from friendlyfl.core.troubles import TROUBLES
from friendlyfl.tasks.report import Result
from friendlyfl.wire.codec import decode

LARGEST = 2**31 - 1
END_OF_TIME = 1e11  # seconds since 1970; later moments have no date that could be shown
ENDINGS = ("stopped_by", "below_quorum", "job_failed")  # why a run ends, beside the codes of core.troubles


def bad_content() -> WireError:
    return WireError(
        "bad_content", "A message says something that this version cannot read. It was put aside."
    )


def values(content: bytes, *, limit: int = TEXT_BYTES, **kinds: type) -> dict[str, Any]:
    """A dict with exactly these keys, of exactly these types."""
    return record(decode(content, limit=limit), **kinds)


def record(found: Any, **kinds: type) -> dict[str, Any]:
    """`found`, if it is a dict with exactly these keys and types."""
    if not isinstance(found, dict) or set(found) != set(kinds):
        raise bad_content()
    if any(type(found[name]) is not kind for name, kind in kinds.items()):
        raise bad_content()
    return found


def text(value: str, longest: int, *, least: int = 0) -> str:
    """One line without control signs, which could rewrite a terminal or turn a sentence around."""
    if not least <= len(value) <= longest or not value.isprintable():
        raise bad_content()
    return value


def number(value: int, *, least: int = 0, most: int = LARGEST) -> int:
    if not least <= value <= most:
        raise bad_content()
    return value


def moment(value: float) -> float:
    """A time in seconds since 1970."""
    if not 0 <= value < END_OF_TIME:
        raise bad_content()
    return value


def day(value: str) -> date | None:
    """A day as ISO writes it; None for an empty text."""
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise bad_content() from None
    if found.isoformat() != value:  # other spellings of ISO's are read, too
        raise bad_content()
    return found


def reason(value: str) -> str:
    """Why a run ended, as a code that has words here. What stands behind a colon is a person's name and stays out."""
    code = value.partition(":")[0]
    return code if code in TROUBLES or code in ENDINGS or not code else "unknown"


def loads(raw: str | bytes) -> Any:
    """JSON in UTF-8 with finite numbers and no name twice; ValueError otherwise."""
    try:
        found = json.loads(
            raw.decode("utf-8") if isinstance(raw, bytes) else raw,
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_once,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def result(raw: str) -> dict[str, Any]:
    """A Result as `Result.to_json` writes it."""
    try:
        found = loads(raw)
        read = Result.from_json(found)
        if not all(isinstance(word, str) for word in (read.task, read.version, *read.notes)):
            raise ValueError("words")
        return read.to_json()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, WireError) as error:
        raise bad_content() from error

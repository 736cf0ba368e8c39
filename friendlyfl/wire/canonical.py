"""Canonical JSON, labelled hashes and strict base64: one value, one spelling in bytes.

What is signed must be what is read. So there is exactly one accepted spelling of each value (keys sorted, no
spaces, ASCII, no floats), and `loads` refuses everything else, before anything is decided from it. What a
record's fields mean lives in `fields` and in the modules that own the records.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError

LARGEST_INTEGER = 2**53 - 1  # what every JSON reader in the world keeps exactly
_LONGEST_INTEGER = 20  # characters; longer digits are refused before Python turns them into a number

_ADVICE = "Nothing of it was used. If it happens again, ask the sender's hospital to update FriendlyFL."


def label(what: str) -> bytes:
    """The purpose that starts every hashed, derived or signed byte string: none fits another purpose."""
    return b"FFL1 " + what.encode("ascii") + b"\0"


def digest(what: str, raw: bytes) -> str:
    """Hex SHA-256 of `raw` under the label `what`."""
    return hashlib.sha256(label(what) + raw).hexdigest()


def b64(raw: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def unb64(text: object) -> bytes:
    """The bytes of strict base64: right alphabet, right padding, no spare bits."""
    if not isinstance(text, str):
        raise WireError(
            "base64_text", f"This post was thrown away: a part of it is not text in base64. {_ADVICE}"
        )
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise WireError(
            "base64_form", f"This post was thrown away: a part of it is not proper base64. {_ADVICE}"
        ) from None
    if b64(raw) != text:
        raise WireError(
            "base64_spelling", f"This post was thrown away: its base64 has more than one reading. {_ADVICE}"
        )
    return raw


def dumps(
    value: object,
    *,
    floats: bool = False,
    depth: int = limits.JSON_DEPTH,
    largest: int = LARGEST_INTEGER,
) -> bytes:
    """The one spelling of `value`. Floats only where the caller's own format allows them (`codec`)."""
    _check(value, depth, floats, largest)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def loads(
    raw: object,
    *,
    limit: int,
    floats: bool = False,
    depth: int = limits.JSON_DEPTH,
    largest: int = LARGEST_INTEGER,
) -> Any:
    """The value of canonical bytes.

    Refuses every other spelling with a WireError, and never fails in another way.
    """
    if not isinstance(raw, bytes):
        raise WireError("json_bytes", f"This post was thrown away: a record in it is not bytes. {_ADVICE}")
    if len(raw) > limit:
        raise WireError(
            "json_size", f"This post was thrown away: a record in it is larger than {limit} bytes. {_ADVICE}"
        )
    try:
        value = json.loads(
            raw.decode("ascii"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=float if floats else _no_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise _deep() from None
    except ValueError:
        raise WireError(
            "json_form", f"This post was thrown away: a record in it cannot be read. {_ADVICE}"
        ) from None
    if dumps(value, floats=floats, depth=depth, largest=largest) != raw:
        raise WireError(
            "json_spelling",
            f"This post was thrown away: a record in it is not in its one allowed spelling. {_ADVICE}",
        )
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise WireError(
            "json_repeat", f"This post was thrown away: a record in it names a field twice. {_ADVICE}"
        )
    return found


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise _number()
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise _number()


def _number() -> WireError:
    return WireError(
        "json_number", f"This post was thrown away: a number in it is too large or not whole. {_ADVICE}"
    )


def _deep() -> WireError:
    return WireError(
        "json_deep", f"This post was thrown away: a record in it is nested too deeply. {_ADVICE}"
    )


def _check(value: object, depth: int, floats: bool, largest: int) -> None:
    """Exact types only: a subclass could spell itself in its own way."""
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is str:
        _check_text(value)
    elif kind is int:
        if not -largest <= value <= largest:  # type: ignore[operator]
            raise _number()
    elif kind is float:
        if not floats or not math.isfinite(value):  # type: ignore[arg-type]
            raise _number()
    elif isinstance(value, (list, tuple, dict)):
        if depth <= 0:
            raise _deep()
        if isinstance(value, dict):
            for key in value:
                if type(key) is not str:
                    raise WireError(
                        "json_name", f"This post was thrown away: the name of a field is not text. {_ADVICE}"
                    )
                _check_text(key)
            value = list(value.values())
        for item in value:
            _check(item, depth - 1, floats, largest)
    else:
        raise WireError(
            "json_kind", f"This post was thrown away: it holds something that JSON has no word for. {_ADVICE}"
        )


def _check_text(text: object) -> None:
    """Half a surrogate pair is no text: it could not be stored or shown."""
    assert isinstance(text, str)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise WireError(
            "json_text", f"This post was thrown away: a text in it is damaged. {_ADVICE}"
        ) from None

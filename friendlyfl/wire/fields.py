"""Strict readers for the fields of a record that crossed: right keys, right type, right size, or a WireError.

Each reader takes the record's name in words (`what`), which ends up in the sentence; bytes from outside never
do.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from friendlyfl.core.errors import WireError
from friendlyfl.wire.canonical import LARGEST_INTEGER, unb64

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]*")
COUNT = 2**31 - 1  # no step, round, part or epoch gets near it


def refuse(code: str, what: str, why: str) -> NoReturn:
    """Raise the WireError of a record that is not what it must be."""
    raise WireError(
        code,
        f"The {what} was thrown away: {why}. If it happens again, ask the sender's hospital to update "
        "FriendlyFL.",
    )


def record(value: object, keys: Collection[str], what: str) -> dict[str, Any]:
    """A JSON object with exactly these keys."""
    if not isinstance(value, dict):
        refuse("not_a_record", what, "it is not a list of named fields")
    if set(value) - set(keys):
        refuse("unknown_field", what, "it has a field that this version does not know")
    for key in keys:
        if key not in value:
            refuse("missing_field", what, f"its field '{key}' is missing")
    return value


def text(record: Mapping[str, Any], key: str, what: str, *, longest: int) -> str:
    """A text of 1 to `longest` characters."""
    value = record[key]
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        refuse("field_text", what, f"its field '{key}' is not a text of 1 to {longest} characters")
    return value


def integer(
    record: Mapping[str, Any], key: str, what: str, *, least: int = 0, most: int = LARGEST_INTEGER
) -> int:
    """A whole number within bounds; true and false are not numbers."""
    value = record[key]
    if type(value) is not int or not least <= value <= most:
        refuse("field_number", what, f"its field '{key}' is not a whole number from {least} to {most}")
    return value


def hexadecimal(record: Mapping[str, Any], key: str, what: str, *, octets: int) -> str:
    """Lower-case hex of exactly so many bytes."""
    value = record[key]
    if not isinstance(value, str) or len(value) != 2 * octets or not _HEX.fullmatch(value):
        refuse("field_hex", what, f"its field '{key}' is not {octets} bytes in lower-case hex")
    return value


def is_uid(value: object) -> bool:
    """Whether `value` is the lower-case text of a UUID."""
    return isinstance(value, str) and _UID.fullmatch(value) is not None


def uid(record: Mapping[str, Any], key: str, what: str) -> str:
    """The lower-case text of a UUID."""
    value = record[key]
    if not is_uid(value):
        refuse("field_uid", what, f"its field '{key}' is not a UUID in lower case")
    assert isinstance(value, str)
    return value


def octets(
    record: Mapping[str, Any], key: str, what: str, *, exactly: int | None = None, most: int | None = None
) -> bytes:
    """Base64 of a bounded number of bytes; the text's length is looked at before it is decoded."""
    value = record[key]
    longest = exactly if exactly is not None else most
    assert longest is not None
    if not isinstance(value, str) or len(value) > 4 * ((longest + 2) // 3):
        refuse("field_bytes", what, f"its field '{key}' is not base64 of at most {longest} bytes")
    raw = unb64(value)
    if len(raw) > longest or (exactly is not None and len(raw) != exactly):
        refuse("field_length", what, f"its field '{key}' does not have the right number of bytes")
    return raw

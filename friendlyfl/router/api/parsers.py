"""The only parser of the records: JSON, strictly, before any field is looked at."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from friendlyfl.core import limits


class StrictJSONParser(BaseParser):
    """Refuses double keys, NaN and infinity, nesting beyond the limit, and text that is not UTF-8."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        raw = stream.read()
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_int)
        except (ValueError, RecursionError) as error:
            raise ParseError(
                "The body is not JSON as it must be: UTF-8, each field once, plain numbers."
            ) from error
        if _depth(value) > limits.JSON_DEPTH:
            raise ParseError(f"The body is nested more than {limits.JSON_DEPTH} levels deep.")
        return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field comes twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("a number is too long")
    return int(digits)


def _depth(value: Any) -> int:
    """Levels of nesting, without recursion, since the sender chose the depth."""
    deepest, rest = 0, [(value, 1)]
    while rest:
        item, level = rest.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, level)
            children = item.values() if isinstance(item, dict) else item
            rest.extend((child, level + 1) for child in children)
    return deepest

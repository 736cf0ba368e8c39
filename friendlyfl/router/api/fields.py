"""Strict fields: the right JSON type or 400, never a guess. And records that refuse what they do not know."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical
from friendlyfl.wire.fields import is_uid

from ..registry import names

_HEX = re.compile(r"[0-9a-f]*")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
COUNT = 2**31 - 1


class In(serializers.Serializer):
    """A record that comes in. A field it does not know, or that may not be set, is 400."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError({"body": ["Send a JSON object of named fields."]})
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = sorted(set(data) - writable)
        if unknown:
            raise serializers.ValidationError(
                {name[:40]: ["There is no such field to set."] for name in unknown}
            )
        return super().to_internal_value(data)


class _Text(serializers.Field):
    """A JSON string that passes `check`."""

    def check(self, text: str) -> Any:
        raise NotImplementedError

    def form(self) -> dict[str, Any]:
        """The field in OpenAPI's words."""
        return {"type": "string"}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise serializers.ValidationError("Write a text in quotation marks.")
        try:
            return self.check(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error

    def to_representation(self, value: Any) -> Any:
        return value


class Name(_Text):
    check = staticmethod(names.clean_name)

    def form(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": limits.NAME}


class Text(_Text):
    def __init__(self, longest: int = names.DESCRIPTION, **kwargs: Any) -> None:
        self.longest = longest
        super().__init__(**kwargs)

    def check(self, text: str) -> str:
        return names.clean_text(text, self.longest)

    def form(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.longest}


class Secret(_Text):
    """A password as it was typed: not trimmed, not normalised, not shown."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(write_only=True, **kwargs)

    def check(self, text: str) -> str:
        if not 1 <= len(text) <= 1000:
            raise ValueError("Write 1 to 1000 characters.")
        return text


class Uid(_Text):
    def form(self) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}

    def check(self, text: str) -> str:
        if not is_uid(text):
            raise ValueError("Write a UUID in lower case.")
        return text


class Hex(_Text):
    def __init__(self, digits: int = 64, **kwargs: Any) -> None:
        self.digits = digits
        super().__init__(**kwargs)

    def check(self, text: str) -> str:
        if len(text) != self.digits or not _HEX.fullmatch(text):
            raise ValueError(f"Write {self.digits} hexadecimal digits in lower case.")
        return text

    def form(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^[0-9a-f]{{{self.digits}}}$"}


class Label(_Text):
    """A short word of letters, digits and . _ + - such as a version or an instance's id."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        self.longest = longest
        super().__init__(**kwargs)

    def check(self, text: str) -> str:
        if len(text) > self.longest or not _LABEL.fullmatch(text):
            raise ValueError(f"Write 1 to {self.longest} letters, digits or . _ + -")
        return text


class Choice(_Text):
    def __init__(self, choices: tuple[str, ...], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(**kwargs)

    def check(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"Write one of: {', '.join(self.choices)}.")
        return text

    def form(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


class Octets(_Text):
    """Bytes in base64."""

    def __init__(self, *, most: int, exactly: int | None = None, **kwargs: Any) -> None:
        self.most, self.exactly = exactly or most, exactly
        super().__init__(**kwargs)

    def check(self, text: str) -> bytes:
        if len(text) > 4 * ((self.most + 2) // 3):
            raise ValueError(f"Write base64 of at most {self.most} bytes.")
        try:
            raw = canonical.unb64(text)
        except WireError as error:
            raise ValueError("Write base64 with its padding.") from error
        if self.exactly is not None and len(raw) != self.exactly:
            raise ValueError(f"Write base64 of exactly {self.exactly} bytes.")
        return raw

    def form(self) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64"}


class Whole(serializers.Field):
    """A JSON whole number; true, 1.0 and "1" are not."""

    def __init__(self, least: int = 0, most: int = COUNT, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or not self.least <= data <= self.most:
            raise serializers.ValidationError(f"Write a whole number from {self.least} to {self.most}.")
        return data

    def form(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def to_representation(self, value: Any) -> Any:
        return value


class Progress(serializers.Field):
    """How far, as its writer counts: a number from 0 to 100."""

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float) or not 0 <= data <= 100:
            raise serializers.ValidationError("Write a number from 0 to 100.")
        return float(data)

    def form(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": 100}

    def to_representation(self, value: Any) -> Any:
        return value


class Instant(_Text):
    """An RFC 3339 time with its zone."""

    def form(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def check(self, text: str) -> datetime:
        if len(text) > 40:
            raise ValueError("Write a time such as 2030-01-31T12:00:00Z.")
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError("Write a time such as 2030-01-31T12:00:00Z.") from error
        if instant.utcoffset() is None or not 2000 <= instant.year <= 9000:
            raise ValueError("Write a time with its zone, such as 2030-01-31T12:00:00Z.")
        return instant


class Deadline(serializers.Field):
    """An RFC 3339 time, or a whole number: seconds from now, or Unix seconds when it is that large."""

    def to_internal_value(self, data: Any) -> datetime | int:
        if isinstance(data, str):
            return Instant().run_validation(data)
        if type(data) is not int or not 0 < data < 10**11:
            raise serializers.ValidationError("Write a time such as 2030-01-31T12:00:00Z, or seconds.")
        return data

    def form(self) -> dict[str, Any]:
        return {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 1}]}

    def to_representation(self, value: Any) -> Any:
        return value

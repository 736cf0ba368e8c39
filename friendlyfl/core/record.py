"""Events as plain records: what the journal stores and reads back.

An event is a frozen dataclass of strings, numbers and tuples of strings. `pack` and `unpacker` turn one into
a JSON-ready dict and back, exactly. Where records are stored is the controller's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

Record = dict[str, Any]


def pack(event: Any) -> Record:
    """Return `{"event": class name, field: value, ...}`; tuples become lists."""
    if not is_dataclass(event):
        raise TypeError(f"{event!r} is no event")
    record: Record = {"event": type(event).__name__}
    for field in fields(event):
        value = getattr(event, field.name)
        record[field.name] = list(value) if isinstance(value, tuple) else value
    return record


def unpacker(*kinds: type) -> Callable[[Mapping[str, Any]], Any]:
    """Return the function that reads records of these event classes back; anything else raises ValueError."""
    by_name = {kind.__name__: kind for kind in kinds}

    def unpack(record: Mapping[str, Any]) -> Any:
        values = dict(record)
        kind = by_name.get(values.pop("event", ""))
        if kind is None:
            raise ValueError(f"{record.get('event')!r} is no event of this journal")
        try:
            return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        except TypeError as error:
            raise ValueError(f"a damaged {kind.__name__} record") from error

    return unpack

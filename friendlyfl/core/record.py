"""Events as plain records: what the journal stores and reads back.

An event is a frozen dataclass of strings, numbers and tuples of strings. `pack` and `unpacker` turn one into
a JSON-ready dict and back, exactly. Where records are stored is the controller's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_origin, get_type_hints

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
    by_name = {kind.__name__: (kind, _tuples_of(kind)) for kind in kinds}

    def unpack(record: Mapping[str, Any]) -> Any:
        values = dict(record)
        kind, tuples = by_name.get(values.pop("event", ""), (None, ()))
        if kind is None:
            raise ValueError(f"{record.get('event')!r} is no event of this journal")
        for name in tuples:
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        try:
            return kind(**values)
        except TypeError as error:
            raise ValueError(f"a damaged {kind.__name__} record") from error

    return unpack


def _tuples_of(kind: type) -> tuple[str, ...]:
    """Which fields JSON holds as lists: known once, since a long run's journal has 10,000 records to read."""
    return tuple(name for name, hint in get_type_hints(kind).items() if get_origin(hint) is tuple)

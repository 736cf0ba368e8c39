"""Events to records and back: what the journal holds is what happened, exactly."""

import json
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.record import pack, unpacker
from friendlyfl.core.run import Left, Ready, Start

JOURNALS = {core_run: get_args(core_run.Event), core_seat: get_args(core_seat.Event)}
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),  # as every clock and every checked deadline is
    tuple[str, ...]: st.lists(st.text()).map(tuple),
}
KINDS = [(module, kind) for module, kinds in JOURNALS.items() for kind in kinds]


@pytest.mark.parametrize(
    ("module", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", str(value)).split(".")[-1]
)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_every_event_of_both_journals_comes_back_from_json(module: Any, kind: Any, data: Any) -> None:
    event = data.draw(st.builds(kind, **{field.name: VALUES[field.type] for field in fields(kind)}))
    assert module.unpack_event(json.loads(json.dumps(pack(event)))) == event


@pytest.mark.parametrize("module", JOURNALS, ids=["run", "seat"])
def test_a_journal_reads_every_event_that_its_machine_takes_and_no_other(module: Any) -> None:
    for kind in set(core_run.Event.__args__) | set(core_seat.Event.__args__):
        record = {"event": kind.__name__}
        with pytest.raises(ValueError, match="damaged" if kind in JOURNALS[module] else "no event"):
            module.unpack_event(record)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"event": "Ready"},
        {"event": "Ready", "site": "ash", "at": 1.0, "more": 1},
        {"event": "Close", "outcome": "failed", "reason": ""},
        {"event": None, "at": 1.0},
    ],
    ids=repr,
)
def test_a_damaged_record_is_not_read(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"damaged|no event"):
        core_run.unpack_event(record)


def test_a_record_without_its_list_is_damaged() -> None:
    record = pack(Start(0.0, ("ash", "birch"), 1, 2, 3.0, 4.0))
    assert core_run.unpack_event(record).sites == ("ash", "birch")
    del record["sites"]
    with pytest.raises(ValueError, match="damaged"):
        core_run.unpack_event(record)


def test_a_record_is_plain_and_names_its_event() -> None:
    assert pack(Ready("ash", 1.5)) == {"event": "Ready", "site": "ash", "at": 1.5}
    assert pack(Start(0.0, ("ash", "birch"), 1, 2, 3.0, 4.0))["sites"] == ["ash", "birch"]


def test_only_events_are_packed() -> None:
    assert not is_dataclass("Ready")
    with pytest.raises(TypeError):
        pack("Ready")


def test_reading_leaves_the_record_as_it_was() -> None:
    record = pack(Left("ash", 1.0))
    unpacker(Left)(record)
    assert record == {"event": "Left", "site": "ash", "at": 1.0}

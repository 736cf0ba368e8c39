"""Envelopes and deliveries as records, the table of types, places, sizes."""

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical, message
from friendlyfl.wire.message import TYPES, Post, check_place, parse_delivery, parse_envelope, slot_of

from . import reference
from .people import BOB, OTHER, PLACE, PROJECT, RUN, context, send

POST = send(b"x")
ENVELOPE = asdict(parse_envelope(POST.incoming.envelope))
DELIVERY = canonical.loads(POST.incoming.delivery, limit=4096)


def changed(value, **parts):
    """A copy of `value` with other fields; fields of `ctx` are found by themselves; "left out" leaves out."""
    ctx = {key: parts.pop(key) for key in list(parts) if key in value.get("ctx", {})}
    made = {**value, **parts}
    if ctx:
        made["ctx"] = {key: item for key, item in {**value["ctx"], **ctx}.items() if item != "left out"}
    return canonical.dumps({key: item for key, item in made.items() if item != "left out"})


def test_round_trip():
    raw = POST.incoming.envelope
    assert message.envelope_bytes(parse_envelope(raw)) == raw
    assert message.delivery_bytes(parse_delivery(POST.incoming.delivery)) == POST.incoming.delivery
    assert len(message.new_message_id()) == 32 and message.new_message_id() != message.new_message_id()


REFUSED = {
    "v": [(2, "envelope_version"), ("1", "envelope_version"), (True, "envelope_version")],
    "suite": [("none", "envelope_suite"), (None, "envelope_suite"), ([], "envelope_suite")],
    "chunk": [(65536, "envelope_chunk"), ("1048576", "envelope_chunk")],
    "ct_len": [(0, "field_number"), (23, "field_number"), (25, "envelope_length"), (True, "field_number")]
    + [(limits.BLOB + 1, "field_number"), ("24", "field_number"), (None, "field_number")],
    "ct_sha256": [("ab", "field_hex"), ("AB" * 32, "field_hex"), (7, "field_hex"), ("g" * 64, "field_hex")],
    "kc": [("ab" * 31, "field_hex"), (None, "field_hex")],
    "ctx": [(None, "not_a_record"), ([], "not_a_record"), ({}, "missing_field")],
    "msg": [("ab", "field_hex"), (None, "field_hex"), ("left out", "missing_field")],
    "type": [
        ("gossip", "message_type"),
        (None, "message_type"),
        ([], "message_type"),
        ("State", "message_type"),
    ],
    "content": [("", "field_text"), ("text", "media_type"), ("A/b", "media_type"), ("a/b\n", "media_type")]
    + [("a/" + "b" * 200, "field_text"), (1, "field_text"), ("a/b; charset=x", "media_type")],
    "project": [
        ("x", "field_uid"),
        (None, "field_uid"),
        (PROJECT.upper(), None),
        (PROJECT + "\n", "field_uid"),
    ],
    "epoch": [(0, "field_number"), (-1, "field_number"), (2**31, "field_number"), (True, "field_number")],
    "manifest": [("", "field_hex"), (None, "field_hex")],
    "run": [(None, "message_run"), ("x", "field_uid"), (1, "field_uid")],
    "step": [(-1, "field_number"), (None, "field_number"), (2**31, "field_number")],
    "round": [(-1, "field_number"), ("1", "field_number")],
    "part": [(1, "message_part"), (-1, "field_number")],
    "sender": [("Bob", "field_uid"), (None, "field_uid")],
    "card": [("ab", "field_hex"), (None, "field_hex")],
    "seq": [(-1, "field_number"), (False, "field_number"), (2**53 - 1, None)],
    "extra": [(1, "unknown_field")],
}


@pytest.mark.parametrize(
    ("key", "value", "code"), [(key, *case) for key, cases in REFUSED.items() for case in cases]
)
def test_envelopes_that_are_refused(key, value, code):
    raw = changed(ENVELOPE, **{key: value})
    if code is None:
        parse_envelope(raw)
        return
    with pytest.raises(WireError) as caught:
        parse_envelope(raw)
    assert caught.value.code == code


def test_unknown_fields_are_refused_inside_too():
    with pytest.raises(WireError) as caught:
        parse_envelope(canonical.dumps({**ENVELOPE, "ctx": {**ENVELOPE["ctx"], "clock": 1}}))
    assert caught.value.code == "unknown_field"
    with pytest.raises(WireError):
        parse_envelope(bytes(limits.ENVELOPE + 1))


@pytest.mark.parametrize(
    "parts",
    [
        {"site": "x"},
        {"kid": "00"},
        {"kid": None},
        {"wrap": "AAAA"},
        {"wrap": canonical.b64(bytes(1169))},
        {"wrap": canonical.b64(bytes(1167))},
        {"wrap": 5},
        {"also": BOB.site},
        {"site": "left out"},
    ],
)
def test_deliveries_that_are_refused(parts):
    with pytest.raises(WireError):
        parse_delivery(changed(DELIVERY, **parts))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_our_error(raw):
    for parse in (parse_envelope, parse_delivery):
        with pytest.raises(WireError):
            parse(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**53 - 1) | st.sampled_from(["", "ab" * 32, RUN, "state"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([*ENVELOPE, *ENVELOPE["ctx"]]), JSON)
def test_any_json_in_any_field_is_read_or_refused(key, value):
    raw = changed(ENVELOPE, **{key: value})
    try:
        parsed = parse_envelope(raw)
    except WireError:
        return
    assert message.envelope_bytes(parsed) == raw


# --- post as the router gets it ---


def as_json():
    blob_free = POST.incoming
    entry = {
        "delivery": canonical.b64(blob_free.delivery),
        "signature": canonical.b64(blob_free.delivery_signature),
    }
    return {
        "envelope": canonical.b64(blob_free.envelope),
        "signature": canonical.b64(blob_free.signature),
        "deliveries": [entry],
    }


def test_post_survives_json():
    post = Post.from_json(as_json())
    assert post.to_json() == as_json()
    assert post.id == message.envelope_digest(post.envelope)


@pytest.mark.parametrize(
    "parts",
    [
        {"deliveries": []},
        {"deliveries": None},
        {"deliveries": [{}]},
        {"deliveries": as_json()["deliveries"] * 501},
        {"deliveries": [{"delivery": "A" * 8000, "signature": as_json()["signature"]}]},
        {"signature": canonical.b64(bytes(63))},
        {"envelope": "A" * (2 * limits.ENVELOPE)},
        {"envelope": None},
        {"note": ""},
    ],
)
def test_post_that_is_out_of_form(parts):
    with pytest.raises(WireError):
        Post.from_json({**as_json(), **parts})


# --- types, places, slots ---


def test_the_table_of_types():
    coordinator = {name for name, kind in TYPES.items() if "coordinator" in kind.senders}
    participant = {name for name, kind in TYPES.items() if "participant" in kind.senders}
    assert coordinator == {"plan", "run-invite", "state", "result", "stop", "receipt"}
    assert participant == {
        "approve",
        "decline",
        "leave",
        "ready",
        "update",
        "progress",
        "log",
        "trouble",
        "receipt",
    }
    assert {n for n, k in TYPES.items() if k.key == "standing"} == {
        "plan",
        "approve",
        "decline",
        "leave",
        "run-invite",
    }
    assert {n for n, k in TYPES.items() if k.key == "either"} == {"stop", "receipt"}
    assert {n for n, k in TYPES.items() if k.counts_parts} == (
        {"progress", "log", "trouble", "receipt"} | {n for n, k in TYPES.items() if k.in_run is False}
    )
    assert TYPES["state"].card_uses(RUN) == (RUN,)
    assert TYPES["run-invite"].card_uses(RUN) == ("standing",)
    assert TYPES["stop"].card_uses(RUN) == (RUN, "standing")
    assert TYPES["receipt"].card_uses(None) == ("standing",)


@pytest.mark.parametrize("name", TYPES)
def test_a_type_stands_where_it_belongs(name):
    kind = TYPES[name]
    for run in (None, RUN):
        fits = kind.in_run is None or kind.in_run == (run is not None)
        ctx = context(type=name, run=run, step=0, round=0)
        if fits:
            message.check_context(ctx)
        else:
            with pytest.raises(WireError) as caught:
                message.check_context(ctx)
            assert caught.value.code == "message_run"


def test_outside_a_run_there_is_no_step_and_no_round():
    with pytest.raises(WireError) as caught:
        message.check_context(context(type="plan", run=None, step=1, round=0))
    assert caught.value.code == "message_place"
    message.check_context(context(type="plan", run=None, step=0, round=0, part=9))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"project": OTHER}, "other_project"),
        ({"epoch": 2}, "other_epoch"),
        ({"manifest": "00" * 32}, "other_epoch"),
        ({"role": "participant"}, "role"),
        ({"role": "admin"}, "role"),
    ],
)
def test_post_of_another_place_or_role_is_refused(parts, code):
    envelope = parse_envelope(POST.incoming.envelope)
    here = {**PLACE, "role": "coordinator"}
    check_place(envelope, **here)
    with pytest.raises(WireError) as caught:
        check_place(envelope, **{**here, **parts})
    assert caught.value.code == code


def test_slots_differ_by_place_and_not_by_content():
    assert slot_of(context()) == slot_of(
        context(msg="11" * 16, seq=8, card="22" * 32, content="a/b", epoch=2)
    )
    changes = [{"project": OTHER}, {"run": OTHER}, {"step": 2}, {"round": 3}, {"type": "result"}, {"part": 1}]
    slots = {slot_of(context(**change)) for change in [*changes, {"sender": BOB.site}, {"run": None}, {}]}
    assert len(slots) == 9


@given(st.integers(0, limits.BLOB))
def test_padding_costs_at_most_an_eighth(length):
    plain = 8 + length
    padded = message.padded_length(plain)
    assert padded == reference.padme(plain) == message.padded_length(padded)
    assert plain <= padded <= plain * 1.12
    assert message.plain_length(message.sealed_length(length)) == padded

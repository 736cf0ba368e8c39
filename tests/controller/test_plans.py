"""A plan's bytes are read strictly: what people approve is exactly what stands there, and nothing hides in it."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.controller import plans
from friendlyfl.core.errors import UsageError, WireError
from tests.controller.world import DICTIONARY, STEP

SITES = [f"{n:08d}-1111-4111-8111-111111111111" for n in range(1, 4)]
GIVEN: dict[str, Any] = {
    "project": "99999999-1111-4111-8111-111111111111",
    "name": "Births",
    "purpose": "Who is born small?\nAnd why?",
    "seats": SITES,
    "dictionary": DICTIONARY,
    "steps": [STEP, {**STEP, "seq": 2}],
    "rules": {"quorum": 2},
}
PLAN = json.loads(plans.write(**GIVEN))


def raw(plan: Any) -> bytes:
    return json.dumps(plan).encode()


def refused(content: bytes) -> None:
    with pytest.raises(WireError) as error:
        plans.read(content)
    assert error.value.code == "bad_plan"


def test_a_plan_says_what_was_written():
    plan = plans.read(plans.write(**GIVEN))
    assert (plan.name, plan.seats, plan.quorum) == ("Births", tuple(SITES), 2)
    assert [step.seq for step in plan.steps] == [1, 2]
    assert [plan.seat_number(site) for site in (*SITES, "x")] == [1, 2, 3, 0]
    assert plans.read(plans.write(**{**GIVEN, "rules": {}})).quorum == 3


def test_a_plan_says_whom_it_is_about():
    steps = [{**STEP, "cohort": ""}, {**STEP, "seq": 2, "cohort": "died = 0"}]
    raw_plan = plans.write(**{**GIVEN, "steps": steps, "cohort": "age >= 18"})
    plan = plans.read(raw_plan)
    assert plan.cohort == "age >= 18"
    assert [step.criteria for step in plan.steps] == [("age >= 18",), ("age >= 18", "died = 0")]
    assert "cohort" not in json.loads(raw_plan)["steps"][0]
    assert plans.read(plans.write(**GIVEN)).steps[0].criteria == ()
    for cohort in ("shoe = 1", "age >= ", "age >= 18\u202e", 7, None, ["age >= 18"], {}):
        refused(raw({**PLAN, "cohort": cohort}))
        refused(raw({**PLAN, "steps": [{**STEP, "cohort": cohort}]}))
    refused(raw({**PLAN, "steps": [{**STEP, "cohort": ""}]}))  # one way only to say it


def test_each_change_is_another_hash():
    seen = {plans.read(plans.write(**GIVEN)).sha256}
    for change in ({"name": "B"}, {"purpose": ""}, {"seats": SITES[:2]}, {"rules": {"share_result": False}},
                   {"cohort": "age > 3"}, {"steps": [{**STEP, "cohort": "age > 3"}]}):  # fmt: skip
        seen.add(plans.read(plans.write(**{**GIVEN, **change})).sha256)
    assert len(seen) == 7


WRONG: list[tuple[str, Any]] = [
    *[(name, value) for name in PLAN for value in (None, 7, "x", [], [None], {}, True) if value != PLAN[name]
      and not (name in ("name", "purpose") and isinstance(value, str)) and not (name == "v" and value is None)],
    ("v", 2), ("v", True), ("cohort", "all"), ("project", "p"), ("name", ""), ("name", "x" * 101),
    ("name", "a\x1b[2J"), ("name", "a\u202eb"), ("purpose", "x" * 2001), ("purpose", "a\rb"),
    ("seats", [SITES[0], SITES[0]]), ("seats", SITES * 200), ("seats", [[]]),
    ("steps", [STEP, STEP]), ("steps", [{**STEP, "seq": 2}]), ("steps", [{**STEP, "seq": True}]),
    ("steps", [{**STEP, "title": ""}]), ("steps", [{**STEP, "title": "a\nb"}]), ("steps", [{**STEP, "more": 1}]),
    ("steps", [{**STEP, "parameters": []}]), ("steps", [{**STEP, "parameters": {"a": ["\x07"]}}]),
    ("dictionary", {"age": {"type": "rocket"}}), ("dictionary", {"a\x00": {"type": "integer"}}),
    ("rules", {**PLAN["rules"], "quorum": 4}), ("rules", {**PLAN["rules"], "quorum": -1}),
    ("rules", {**PLAN["rules"], "quorum": 1.0}), ("rules", {**PLAN["rules"], "late": "keep"}),
    ("rules", {**PLAN["rules"], "round_deadline": 0}), ("rules", {**PLAN["rules"], "round_deadline": 1e99}),
    ("rules", {**PLAN["rules"], "prepare_deadline": "1"}), ("rules", {**PLAN["rules"], "secure_sum": 1}),
    ("rules", {**PLAN["rules"], "more": 1}),
]  # fmt: skip


def test_what_does_not_fit_is_refused():
    for name, value in WRONG:
        changed = copy.deepcopy(PLAN) | {name: value}
        with pytest.raises(WireError):
            plans.read(raw(changed))
            raise AssertionError((name, value))
    for name in PLAN:
        refused(raw({key: value for key, value in PLAN.items() if key != name}))
    refused(raw({**PLAN, "more": 1}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        json.dumps(PLAN).encode("utf-16"),
        raw(PLAN).replace(b'"name"', b'"name": "A", "name"'),
        raw(PLAN).replace(b"3600.0", b"NaN"),
        raw(PLAN).replace(b"3600.0", b"1e999"),
        raw(PLAN).replace(b'"Births"', b'"\\ud800"'),
        b'{"a":' * 5000,
    ],
)
def test_bytes_that_are_no_plan(content):
    refused(content)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_part_replaced_by_anything_is_a_plan_or_refused(data):
    changed = copy.deepcopy(PLAN)
    here = changed
    while isinstance(here, dict) and here:
        name = data.draw(st.sampled_from(sorted(here)))
        if not isinstance(here[name], dict) or data.draw(st.booleans()):
            here[name] = data.draw(anything)
            break
        here = here[name]
    _read_or_refuse(raw(changed))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_plan_or_refused(content):
    _read_or_refuse(content)


def _read_or_refuse(content: bytes) -> None:
    try:
        plan = plans.read(content)
    except WireError as error:
        assert error.code == "bad_plan"
    else:
        assert plan.name.isprintable() and 1 <= plan.quorum <= len(plan.seats)


def test_a_plan_that_is_too_large_is_not_made():
    with pytest.raises(UsageError) as error:
        plans.write(**{**GIVEN, "dictionary": {f"column {n}": {"type": "integer"} for n in range(20_000)}})
    assert error.value.code == "plan_too_large"

"""What another hospital wrote is taken whole or refused, and never stops the inbox, whatever it says."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friendlyfl.controller import contents, handlers, here, runs
from friendlyfl.controller.models import Approval, LogLine, Project, Run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import WireError
from friendlyfl.tasks.report import Result
from friendlyfl.wire.codec import encode
from friendlyfl.wire.message import parse_envelope
from tests.controller.memory import records
from tests.controller.world import Consortium, Letter, Study

RESULT = Result(task="connection_check", version="1.0").to_json()
COMMANDS = "\x1b[2J\x1b]0;gone\x07"
Case = tuple[str, dict[str, Any], Callable[[dict[str, Any]], Letter]]


def participants(ours: Consortium) -> list[Case]:
    """(type, good values, how to post other values) for what a coordinator hears."""
    run = ours.run
    north = ours.others[0]
    plan = run.plan
    round_ = {"step": 1, "round": 1}

    def post(type_: str, **place: Any) -> Callable[[dict[str, Any]], Letter]:
        return lambda values: ours.letter(north, type_, values, **place)

    word = {
        "plan": plan.sha256,
        "epoch": plan.epoch,
        "person": "Nora",
        "reason": "No.",
        "until": "2026-12-31",
        "once": False,
    }
    line = {"at": 1.0, "step": 1, "round": 1, "code": "computing"}
    pinned = {"run": run.uid}
    return [
        ("approve", {**word, "reason": ""}, post("approve")),
        ("decline", word, post("decline")),
        (
            "ready",
            {"ready": True, "code": "", "card": north.run_card(run.uid).to_json()},
            post("ready", **pinned),
        ),
        ("trouble", {"code": "task_failed"}, post("trouble", **pinned, **round_)),
        ("progress", {"fraction": 0.5}, post("progress", **pinned, **round_)),
        ("log", {"lines": [line]}, post("log", **pinned)),
    ]


def coordinators(study: Study) -> list[Case]:
    """The same for what a participant hears: a run to come, and one that computes."""
    run = study.run
    lead = study.coordinator
    round_ = {"step": 1, "round": 1}
    other = str(uuid.uuid4())

    def post(type_: str, **place: Any) -> Callable[[dict[str, Any]], Letter]:
        return lambda values: study.letter(lead, type_, values, **{"run": run.uid, **place})

    result = {"step": 1, "last": True, "shared": True, "result": json.dumps(RESULT)}
    return [
        ("run-invite", study.invite_values(other), post("run-invite", run=other)),
        ("result", result, post("result", **round_)),
        ("stop", {"outcome": "stopped", "reason": "stopped_by"}, post("stop")),
    ]


@pytest.fixture
def heard(consortium: Consortium) -> list[Case]:
    run = consortium.start()
    here.keys().run_subkey(run.uid)
    # North is asked, South has said that it is ready: every type fits the moment of one of them.
    consortium.ready_letter(consortium.others[1], run).receive()
    return participants(consortium)


@pytest.fixture
def told(study: Study) -> list[Case]:
    run = study.ready()
    assert study.state(run).receive().state == "taken"
    digest = contents.keep(b"update")
    outcome = {"what": "totals", "numbers": 1, "rows": 60, "rules": ""}
    runs.job_done(study.job("local"), runs.SEAT, core_seat.UpdateMade(1, 1, digest, 3.0), outcome)
    return coordinators(study)


def judge(letter: Letter) -> str:
    """The code with which it was refused ("" for taken); nothing else may have happened. Undone afterwards."""
    with transaction.atomic():
        before = records()
        outcome = letter.receive()
        assert outcome.state in ("taken", "refused"), outcome
        if outcome.state == "refused":
            assert outcome.code != "unreadable", outcome
            assert records() == before
        transaction.set_rollback(True)
    return outcome.code


def test_what_is_well_said_is_taken(heard, told):
    for type_, values, post in [*heard, *told]:
        if type_ not in ("trouble", "progress"):  # no round is out yet
            assert judge(post(values)) == "", type_


WRONG = [
    None,
    True,
    1,
    -1,
    0,
    2**62,
    -(2**62),
    1.5,
    1e300,
    "",
    "x" * 5000,
    COMMANDS,
    "é\u202e",
    [],
    [1],
    {},
    {"a": 1},
]


def wrong_values(values: dict[str, Any]) -> list[dict[str, Any]]:
    """One field of a good content replaced, missing or too much."""
    found = [{**values, "more": 1}, {}]
    for name, good in values.items():
        found.append({key: value for key, value in values.items() if key != name})
        others = [value for value in WRONG if type(value) is not type(good)]
        found += [{**values, name: value} for value in others]
        found.append({**values, name: np.zeros(3)})
    return found


def test_each_field_is_of_its_kind(heard, told):
    for type_, values, post in [*heard, *told]:
        ctx = parse_envelope(post(values).message.envelope).ctx
        project, run = Project.objects.get(uid=ctx.project), Run.objects.filter(uid=ctx.run).first()
        for wrong in wrong_values(values):
            with pytest.raises(WireError), transaction.atomic():  # the inbox's own handling is tested below
                handlers.handle(ctx, encode(wrong), project, run)
                raise AssertionError((type_, wrong))


PLACES = {
    "approve": [
        *({"plan": "0" * 64}, {"epoch": 99}, {"epoch": -1}, {"person": ""}, {"person": COMMANDS}),
        *({"until": "soon"}, {"until": "20261231"}),
    ],
    "decline": [{"plan": ""}, {"reason": COMMANDS}, {"reason": "x" * 501}, {"person": "x" * 151}],
    "ready": [
        {"card": {}},
        {"card": {"card": "AA==", "signature": "AA=="}},
        {"card": {"card": [1], "signature": {}}},
        {"card": {"card": np.zeros(2), "signature": None}},
        {"code": "x" * 5000, "card": {}},
    ],
    "log": [
        {"lines": [{"at": 1e300, "step": 1, "round": 1, "code": "ready"}]},
        {"lines": [{"at": 1.0, "step": 2**62, "round": 1, "code": "ready"}]},
        {"lines": [{"at": 1.0, "step": -1, "round": 1, "code": "ready"}]},
        {"lines": [{"at": 1.0, "step": 1, "round": 1, "code": None}]},
        {"lines": [{"at": 1.0, "step": 1, "round": 1}]},
        {"lines": [np.zeros(2)]},
        {"lines": [{"at": 1.0, "step": 1, "round": 1, "code": "ready"}] * 1001},
    ],
    "run-invite": [
        {"run": str(uuid.uuid4())},
        {"plan": "0" * 64},
        {"number": 0},
        {"number": 1},  # the number of the run that is under way
        {"number": 2**62},
        {"epoch": 1},
        {"quorum": 0},
        {"quorum": 3},
        {"steps": 2},
        {"patience": 0.0},
        {"patience": 1e9},
        {"repeats": "the first one"},
        {"card": {"card": "AA==", "signature": "AA=="}},
        {"card": {"card": np.zeros(2), "signature": 1.5}},
    ],
    "result": [
        {"step": 2},
        {"last": False},
        {"result": ""},
        {"result": "[]"},
        {"result": "NaN"},
        {"result": "[" * 100_000},
        {"result": json.dumps({**RESULT, "rounds": float("nan")})},
        {"result": json.dumps(RESULT).replace('"rounds": 0', '"rounds": 1e999')},
        {"result": json.dumps({**RESULT, "n": {"used": 1}})},
        {"result": json.dumps({**RESULT, "curves": None})},
        {"result": json.dumps({**RESULT, "figures": [{"word": "Alarm"}]})},
        {"result": json.dumps({**RESULT, "task": ["x"]})},
        {"result": json.dumps({**RESULT, "more": 1})},
    ],
    "stop": [{"outcome": "succeeded"}, {"outcome": "running"}, {"outcome": ""}],
}


def test_each_field_means_something_here(heard, told):
    for type_, values, post in [*heard, *told]:
        for wrong in PLACES.get(type_, []):
            assert judge(post({**values, **wrong})), (type_, wrong)


def test_a_run_card_must_be_this_runs_and_the_senders(heard, told, consortium, study):
    north, south = consortium.others
    ready = next(case for case in heard if case[0] == "ready")
    for card in (north.card, north.run_card(str(uuid.uuid4())), south.run_card(consortium.run.uid)):
        assert judge(ready[2]({**ready[1], "card": card.to_json()}))
    invite = next(case for case in told if case[0] == "run-invite")
    uid = invite[1]["run"]
    for card in (study.coordinator.card, study.others[0].run_card(uid)):
        assert judge(invite[2]({**invite[1], "card": card.to_json()}))


@pytest.mark.parametrize("raw", [b"", b"{}", b"FFL", encode({})[:-1], encode({}) + b"x", b"\xff" * 100])
def test_bytes_that_are_no_content(heard, told, raw):
    for type_, _, post in [*heard, *told]:
        assert judge(post(raw)), type_


def test_reasons_that_travel_are_codes(told, study):
    stop = next(case for case in told if case[0] == "stop")
    letter = stop[2]({"outcome": "failed", "reason": f"stopped_by:{COMMANDS} Jane Doe"})
    assert letter.receive().state == "taken"
    run = Run.objects.get(pk=study.run.pk)
    assert "Jane" not in run.reason and "\x1b" not in run.reason


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.just(COMMANDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FUZZ = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(data=st.data())
def test_a_coordinator_survives_whatever_is_said(heard, data):
    _, values, post = data.draw(st.sampled_from(heard), label="type")
    judge(post(_changed(data, values)))


@FUZZ
@given(data=st.data())
def test_a_participant_survives_whatever_is_said(told, data):
    _, values, post = data.draw(st.sampled_from(told), label="type")
    judge(post(_changed(data, values)))


def _changed(data: Any, values: dict[str, Any]) -> dict[str, Any]:
    named = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=1), label="fields")
    return {**values, **{name: data.draw(json_values, label=name) for name in named}}


# --- plans ---


def test_a_plan_that_is_none(study):
    for raw in (b"", b"{}", b"[1]", b"\xff", b"[" * 50_000, encode({})):
        assert judge(study.letter(study.coordinator, "plan", raw)) == "bad_plan"


# --- order ---


def test_an_older_plan_that_comes_late_is_not_the_current_one(study):
    """The Routing Server can hold a plan back; it cannot bring back an old one in the place of the new."""
    old = study.letter(study.coordinator, "plan", study.plan_bytes(purpose="Old?"))
    new = study.propose(purpose="New?")
    assert old.receive().state == "taken"
    assert study.project.plans.get(current=True) == new
    assert study.project.purpose == "New?" and study.project.plans.count() == 2


def test_a_plan_that_comes_back_stays_current_when_its_first_copy_arrives_late(study):
    first = study.letter(study.coordinator, "plan", study.plan_bytes())
    study.propose()
    assert first.receive().state == "taken"
    assert study.project.plans.get().current


def test_an_older_word_that_comes_late_is_not_the_last_one(consortium):
    plan = consortium.propose()
    north = consortium.others[0]
    said = {"plan": plan.sha256, "epoch": plan.epoch, "person": "Nora", "reason": ""}
    said |= {"until": "", "once": True}
    yes = consortium.letter(north, "approve", said)
    no = consortium.letter(north, "decline", {**said, "reason": "Taken back."})
    assert no.receive().state == yes.receive().state == "taken"
    assert not Approval.objects.filter(plan=plan, site=north.uid).last().approved


# --- the net under all checks ---


def test_a_content_that_nobody_foresaw_is_kept_and_does_not_block(study, monkeypatch, caplog):
    def broken(*_: Any) -> None:
        LogLine.objects.create(run_id=1, site="", at=0.0, code="x")
        raise KeyError("a bug")

    monkeypatch.setitem(handlers._HANDLERS, "plan", broken)
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    before = records()
    assert letter.receive().code == "unreadable"
    assert records() == before and "could not be taken" in caplog.text

"""Starting a run from its page: who is asked, who has approved, and what may stand in the way."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.controller import actions
from friendlyfl.controller.models import Plan, Run
from tests.controller.world import ADMIN, RESEARCHER, Consortium, Study

PASSWORD = "a calm and long sentence"


@pytest.fixture
def rosa(home) -> Client:
    return signed_in("rosa", "researcher")


def signed_in(name: str, role: str) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, name, role, PASSWORD))
    return client


def page_of(project: Any) -> str:
    return f"/projects/{project.pk}/start/"


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().replace("&#x27;", "'").split())


def read(client: Client, project: Any) -> str:
    answer = client.get(page_of(project))
    assert answer.status_code == 200
    return said(answer)


def decide(ours: Consortium, peer: Any, type_: str = "approve", reason: str = "") -> None:
    plan = Plan.objects.get(project=ours.project, current=True)
    word = {"person": "nora", "reason": reason, "until": "", "once": False}
    letter = ours.letter(peer, type_, {"plan": plan.sha256, "epoch": plan.epoch, **word})
    assert letter.receive().state == "taken"


def test_before_a_proposal_there_is_nothing_to_start(rosa, consortium):
    page = read(rosa, consortium.project)
    assert "The plan has not been proposed yet" in page and "<button" not in page.split("<main")[1]
    assert rosa.post(page_of(consortium.project), {"once": "k"}).status_code == 404
    assert not Run.objects.exists()


def test_it_says_who_is_asked_and_starts_once(rosa, consortium):
    consortium.propose()
    north, south = consortium.others
    decide(consortium, north)
    decide(consortium, south, "decline", "Not before Monday.")
    page = read(rosa, consortium.project)
    assert "Two hospitals will be asked." in page and "Its reason: Not before Monday." in page
    assert "Approved</span> nora" in page and "Does the line between our hospitals work?" in page
    first = rosa.post(page_of(consortium.project), {"once": "k"})
    again = rosa.post(page_of(consortium.project), {"once": "k"})
    assert first.status_code == 302 and first["Location"] == again["Location"]
    run = Run.objects.get()
    assert run.state == "standby" and first["Location"] == f"/runs/{run.pk}/"
    page = read(rosa, consortium.project)
    assert "A run is under way." in page and "<button" not in page.split("<main")[1]
    assert rosa.post(page_of(consortium.project), {"once": "k2"}).status_code == 409
    assert Run.objects.count() == 1


def test_who_has_not_answered_is_waited_for(rosa, consortium):
    consortium.propose(prepare_deadline=7200.0)
    page = read(rosa, consortium.project)
    assert page.count("Not answered yet") == 2 and "The run waits for it, at most 2 hours." in page


def test_what_stands_in_the_way_is_said(rosa, consortium):
    consortium.propose(coordinator_data=True)
    assert "choose its dataset first" in read(rosa, consortium.project)
    actions.set_rules(RESEARCHER, consortium.project, {"quorum": 1, "coordinator_data": False})
    assert "its approvals no longer count" in read(rosa, consortium.project)
    answer = rosa.post(page_of(consortium.project), {"once": "k"})
    assert answer.status_code == 409 and "its approvals no longer count" in said(answer)
    consortium.propose()
    consortium.admit(consortium.world.peer("Riverside"))
    assert "The list of hospitals changed" in read(rosa, consortium.project)
    assert not Run.objects.exists()


def test_a_viewer_may_look_and_not_start(rosa, consortium):
    consortium.propose()
    vera = signed_in("vera", "viewer")
    assert "<button" not in read(vera, consortium.project).split("<main")[1]
    assert vera.post(page_of(consortium.project), {"once": "k"}).status_code == 403


def test_a_participant_is_told_whose_act_it_is(rosa, study: Study):
    study.approved_plan()
    page = read(rosa, study.project)
    assert "Only the coordinator, Northfield, can start a run." in page and "Southgate" not in page
    answer = rosa.post(page_of(study.project), {"once": "k"})
    assert answer.status_code == 403 and "Southgate" not in said(answer)


def test_the_page_asks_the_database_little(rosa, consortium):
    consortium.propose()
    for peer in consortium.others:
        decide(consortium, peer)
    rosa.get(page_of(consortium.project))
    with CaptureQueriesContext(connection) as asked:
        read(rosa, consortium.project)
    assert len(asked) <= 12

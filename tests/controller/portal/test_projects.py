"""Projects: the list, starting and joining one, what a coordinator and a participant see of it, leaving and closing."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from friendlyfl.controller import actions
from friendlyfl.controller.models import Approval, Dataset, Invitation, Peer, Project, Run
from friendlyfl.core.errors import UnreachableError
from friendlyfl.wire import invitation
from tests.controller.portal.visitor import said, signed_in
from tests.controller.world import (
    ADDRESS,
    ADMIN,
    DICTIONARY,
    RESEARCHER,
    Consortium,
    Study,
    World,
    choose_dataset,
    later,
)

NOBODY_ELSE = ("Southgate", "Riverside")


@pytest.fixture
def client() -> Client:
    return signed_in("site-admin")


def sent(client: Client, path: str, **answers: Any) -> Any:
    return client.post(path, {"once": "k1", **answers})


# --- the list ---


def test_without_projects_the_list_names_the_next_act(client):
    text = said(client, "/projects/")
    assert "No projects yet." in text and "Start a project" in text and "Join with a code" in text


def test_the_list_says_in_words_where_each_project_stands(client, study: Study, consortium: Consortium):
    study.propose()
    riverside = consortium.world.peer("Riverside")
    riverside.join(actions.invite_site(RESEARCHER, consortium.project, "Riverside").code, consortium.uid)
    actions.refresh_invitations(consortium.project)
    text = said(client, "/projects/")
    assert "A plan waits for you" in text and "Northfield coordinates" in text
    assert "1 hospital waits to be let in" in text and "This hospital coordinates" in text
    study.approved_plan()
    run = study.invite()
    assert f"Run {run.number}: " in said(client, "/projects/")
    Project.objects.update(state="closed")
    assert said(client, "/projects/").count("Closed") == 2


def test_the_list_asks_the_database_a_fixed_number_of_times(client, world: World):
    for n in range(30):
        world.consortium(name=f"Question {n:02d}")
    client.get("/projects/")
    with CaptureQueriesContext(connection) as asked:
        text = said(client, "/projects/")
    assert reads(asked) <= 12 and "Question 24" in text and "Question 25" not in text
    assert "Question 25" in said(client, "/projects/?page=2")


def reads(asked: CaptureQueriesContext) -> int:
    return sum(query["sql"].startswith("SELECT") for query in asked)


# --- starting one ---


def test_starting_a_project_makes_one_code_for_each_hospital(client, world: World):
    answers = {"name": "Falls", "purpose": "Who falls?", "hospitals": "Northfield\n  Lakeside  \n\n"}
    answer = sent(client, "/projects/new/", **answers)
    project = Project.objects.get()
    assert answer["Location"] == f"/projects/{project.pk}/"
    assert sent(client, "/projects/new/", **answers)["Location"] == answer["Location"]
    assert Project.objects.count() == 1 and Invitation.objects.count() == 2  # sent twice, done once
    text = said(client, answer["Location"])
    for row in Invitation.objects.all():
        assert row.code in text and f"New code for {row.label}" in text
    assert "It works once, for 13 more days" in text and "2 codes were not used yet" in text


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"name": ""}, "Give the project a name."),
        ({"purpose": " "}, "Say in a sentence what the project is for."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "Births"}, "There is a project called Births here already."),
        ({"hospitals": "North\nNorth"}, "North is there twice."),
        ({"hospitals": "x" * 101}, "The name of a hospital has 1 to 100 characters."),
    ],
)
def test_a_wrong_answer_marks_its_field_and_keeps_the_others(client, study: Study, answers, sentence):
    given = {"name": "Falls", "purpose": "Who falls?", "hospitals": "Lakeside", **answers}
    for _ in range(2):
        answer = sent(client, "/projects/new/", **given)
        text = answer.content.decode()
        assert answer.status_code == 400 and sentence in text and 'aria-invalid="true"' in text
        assert "<title>Error: Start a project" in text
        for value in given.values():
            assert value.strip()[:20] in text
    assert Project.objects.count() == 1 and not Invitation.objects.exists()


def test_a_line_that_is_down_keeps_the_project(client, world: World, monkeypatch):
    def cut(*_: Any) -> None:
        raise UnreachableError("cut", "We cannot reach the router. Nothing was lost.")

    monkeypatch.setattr(world.router, "project", cut)
    answer = sent(client, "/projects/new/", name="Falls", purpose="Who?", hospitals="Lakeside")
    text = said(client, answer["Location"])
    assert "We cannot reach the router." in text and "does not know of this project yet" in text
    assert "Not told to the Routing Server yet" in said(client, "/projects/")


def test_who_may_not_start_one_is_told_whose_act_it_is(world: World):
    viewer, researcher = signed_in("viewer"), signed_in("researcher")
    assert "Only a researcher or a site-admin" in said(viewer, "/projects/new/", 403)
    text = said(viewer, "/projects/")
    assert "A researcher or a site-admin of this hospital starts projects" in text and "btn" not in text
    text = said(researcher, "/projects/")
    assert "Start a project" in text and "Join with a code" not in text
    assert "Only a site-admin" in said(researcher, "/projects/join/", 403)


# --- joining one ---


def test_a_code_is_read_before_it_is_used(client, world: World):
    code = outside(world)
    answer = sent(client, "/projects/join/", code=f"  {code.lower()}\n")
    text = answer.content.decode()
    assert answer.status_code == 200 and "Births" in text and "Northfield" in text
    assert not Project.objects.exists()
    answer = sent(client, "/projects/join/", code=code, sure="yes")
    project = Project.objects.get()
    assert (answer["Location"], project.state) == (f"/projects/{project.pk}/", "joining")
    text = said(client, answer["Location"])
    assert "Waiting for Northfield to let this hospital in." in text and "every 3s" in text
    assert "Waiting to be let in" in said(client, "/projects/")


def outside(world: World) -> str:
    north, uid = world.peer("Northfield"), str(uuid.uuid4())
    north.router.create_project(uid, "Births", "")
    north.router.post_manifest(uid, north.manifest(uid, []))
    code = invitation.make_code(ADDRESS, north.identity.fingerprint)
    north.router.create_invitation(uid, invitation.read_code(code).id, "St Mary's", expires_at=later())
    return code


def test_a_wrong_code_says_so_and_not_which_part(client, world: World):
    code = outside(world)
    changed = code[:-1] + ("A" if code[-1] != "A" else "B")
    texts = set()
    for wrong in ("x", "FFL1-AAAAA", changed, code.replace(code[20], "U"), code + "AAA"):
        for _ in range(2):
            answer = sent(client, "/projects/join/", code=wrong)
            text = answer.content.decode()
            assert answer.status_code == 400 and wrong in text
            texts.add(text.split('id="id_code-error">')[1].split("<")[0])
    assert texts == {
        "This is not an invitation code, or it was not copied right. Copy the whole code once more."
    }
    assert "Paste or type the invitation code." in sent(client, "/projects/join/", code="").content.decode()
    assert not Project.objects.exists()


def test_a_code_that_was_used_or_never_made_says_what_to_do(client, world: World):
    code = outside(world)
    project = next(iter(world.house.projects))
    world.peer("Riverside").join(code, project)
    unknown = invitation.make_code(ADDRESS, world.peer("Northfield").identity.fingerprint)
    for gone in (code, unknown):
        answer = sent(client, "/projects/join/", code=gone, sure="yes")
        assert answer.status_code == 400
        assert "Ask the coordinator for a new code." in answer.content.decode()
    assert not Project.objects.exists() and not Peer.objects.exists()


def test_waiting_goes_on_by_itself(client, world: World):
    code = outside(world)
    sent(client, "/projects/join/", code=code, sure="yes")
    project = Project.objects.get()
    news = f"/projects/{project.pk}/news/"
    assert "Waiting for Northfield" in said(client, news) and "hx-trigger" in said(client, news)
    Project.objects.update(state="open")
    assert "Northfield has let this hospital in." in said(client, news)
    assert "hx-trigger" not in said(client, news)


# --- the project at its coordinator ---


def page_of(project: Project) -> str:
    return f"/projects/{project.pk}/"


def test_the_next_button_leads_from_the_first_code_to_the_start(client, world: World):
    ours = world.consortium()
    where = page_of(ours.project)
    assert "Invite a hospital" in said(client, where) and "No runs yet." in said(client, where)
    actions.invite_site(RESEARCHER, ours.project, "Lakeside")
    assert "Give the hospital its code" in said(client, where)
    lakeside = world.peer("Lakeside")
    lakeside.join(Invitation.objects.get().code, ours.uid)
    actions.refresh_invitations(ours.project)
    text = said(client, where)
    assert "Lakeside has used its code and waits to be let in." in text and "Let Lakeside in" in text
    actions.accept_joiner(ADMIN, ours.project, lakeside.uid)
    ours.others.append(lakeside)
    assert "Compare keys with Lakeside" in said(client, where)
    actions.verify_site(ADMIN, actions.find.peer("Lakeside"))
    assert "Make the dictionary" in said(client, where) and "Verified" in said(client, where)
    actions.set_dictionary(RESEARCHER, ours.project, DICTIONARY)
    assert "Add a step" in said(client, where)
    actions.add_step(RESEARCHER, ours.project, "connection_check", {})
    assert "Propose the plan" in said(client, where)
    actions.propose_plan(RESEARCHER, ours.project)
    text = said(client, where)
    assert "0 of 1 hospital has approved the plan." in text and "Asked to approve" in text
    plan = ours.project.plans.get()
    word = {"plan": plan, "site": lakeside.uid, "epoch": plan.epoch, "person": "lena"}
    Approval.objects.create(**word, approved=False, reason="We have no such column.")
    text = said(client, where)
    assert "Declined" in text and "By lena: We have no such column." in text
    Approval.objects.create(**word, approved=True)
    assert "1 of 1 hospital has approved the plan." in said(client, where)
    actions.add_step(RESEARCHER, ours.project, "connection_check", {})
    assert "has changed since the plan was proposed" in said(client, where)
    actions.propose_plan(RESEARCHER, ours.project)
    run = actions.start_run(RESEARCHER, ours.project)
    assert "Watch the run" in said(client, where)
    assert ours.ready_letter(lakeside, run).receive().state == "taken"
    assert "It takes part in the run under way." in said(client, where)
    run.refresh_from_db()
    actions.stop_run(ADMIN, run)
    text = said(client, where)
    assert "Stopped by adam." in text and "Run 1" in text


def test_the_line_of_news_says_when_the_page_has_grown_old(client, consortium: Consortium):
    text = said(client, page_of(consortium.project))
    news = re.search(r'hx-get="([^"]+)"', text).group(1)
    assert "Something has changed" not in said(client, news) and "hx-trigger" in said(client, news)
    actions.invite_site(RESEARCHER, consortium.project, "Riverside")
    text = said(client, news)
    assert "1 code was not used yet" in text and "Something has changed" in text and "hx-trigger" not in text


def test_a_viewer_sees_no_code_and_whose_turn_it_is(consortium: Consortium):
    row = actions.invite_site(RESEARCHER, consortium.project, "Riverside")
    text = said(signed_in("viewer"), page_of(consortium.project))
    assert row.code not in text and "sees the codes and hands them over" in text
    assert "A site-admin of this hospital does that." in text
    assert row.code in said(signed_in("researcher"), page_of(consortium.project))


def test_an_expired_code_is_not_shown_as_one_that_works(client, consortium: Consortium):
    row = actions.invite_site(RESEARCHER, consortium.project, "Riverside")
    Invitation.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    text = said(client, page_of(consortium.project))
    assert row.code not in text and "Code expired" in text and "New code for Riverside" in text


def test_fifty_hospitals_and_two_hundred_runs_cost_no_more_questions(client, consortium: Consortium):
    run = consortium.start()
    site = [other.uid for other in consortium.others]
    for number in range(2, 202):
        Run.objects.create(
            uid=f"00000000-0000-4000-8000-{number:012d}", project=run.project, plan=run.plan, number=number,
            epoch=run.epoch, manifest=run.manifest, state="failed", reason="below_quorum:late",
        )  # fmt: skip
    for number in range(50):
        code = actions.invite_site(RESEARCHER, consortium.project, f"Hospital {number}")
        Invitation.objects.filter(pk=code.pk).update(state="joined" if number % 2 else "open", site_name="H")
        Approval.objects.create(
            plan=run.plan, site=site[number % 2], epoch=run.epoch, approved=bool(number % 3), person="p"
        )
    for path in (page_of(consortium.project), f"{page_of(consortium.project)}news/", "/projects/"):
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            text = said(client, path)
        assert reads(asked) <= 12, [query["sql"][:160] for query in asked]
    text = said(client, page_of(consortium.project))
    assert len(text.encode()) < 60_000 and "Run 201" in text and "Older runs" in text
    assert "Run 1<" in said(client, f"{page_of(consortium.project)}?page=9")


# --- the project at a participant ---


def test_a_participant_reads_its_own_part_and_what_to_do(client, study: Study):
    where = page_of(study.project)
    text = said(client, where)
    assert "This is one of 3 hospitals" in text and "Compare keys with Northfield" in text
    actions.verify_site(ADMIN, actions.find.peer("Northfield"))
    assert "Choose a dataset" in said(client, where)
    choose_dataset(study.project)
    assert "Nothing is waiting for you here." in said(client, where)
    study.propose()
    text = said(client, where)
    assert "Waiting for you" in text and "Read the request" in text and "Connection check" in text
    actions.approve(ADMIN, study.project)
    assert "By adam" in said(client, where)
    run = study.invite()
    assert f"Run {run.number} is under way." in said(client, where)


def test_a_participant_never_reads_of_another_participant(client, study: Study, world: World):
    """Southgate takes part; Riverside has joined since. Neither is on any page, in any state."""
    study.grow("Riverside")
    actions.refresh_manifests(study.project)
    study.ready()
    where, coordinator = page_of(study.project), actions.find.peer("Northfield")
    ours = world.consortium(
        "Southgate", "Riverside", name="Ours"
    )  # both are pinned here, for another project
    strange = actions.find.peer("Southgate")
    actions.doubt_site(ADMIN, strange)
    paths = [
        where,
        f"{where}?page=2",
        f"{where}news/",
        f"{where}dataset/",
        f"{where}leave/",
        f"{where}sites/{coordinator.pk}/verify/",
    ]
    for path in paths:
        text = said(client, path)
        for name in (*NOBODY_ELSE, *(other.uid for other in study.others)):
            assert name not in text, path
    for path in ("close/", "invite/", f"sites/{strange.pk}/verify/", f"sites/{strange.pk}/remove/",
                 f"sites/{coordinator.pk}/remove/", "joiners/1/", "codes/1/renew/"):  # fmt: skip
        text = said(client, where + path, 404)
        assert not any(name in text for name in NOBODY_ELSE)
        assert sent(client, where + path).status_code == 404
    assert "Southgate" in said(client, page_of(ours.project))  # the coordinator sees all


def test_a_participants_page_asks_the_database_a_fixed_number_of_times(client, study: Study):
    study.ready()
    actions.map_columns(RESEARCHER, study.project, {"v": 1, "columns": {}})
    client.get(page_of(study.project))
    with CaptureQueriesContext(connection) as asked:
        said(client, page_of(study.project))
    assert reads(asked) <= 12, [query["sql"][:160] for query in asked]


def test_choosing_a_dataset(client, study: Study):
    path = f"{page_of(study.project)}dataset/"
    assert "Add a dataset" in said(client, path)
    choose_dataset(study.project)
    project = study.project
    project.dataset = None
    project.save()
    assert "births (60 rows)" in said(client, path)
    for wrong in ("", "99", "x"):
        answer = sent(client, path, dataset=wrong)
        assert answer.status_code == 400 and "Choose a dataset." in answer.content.decode()
    answer = sent(client, path, dataset=Dataset.objects.get().pk)
    assert answer["Location"] == page_of(study.project) and study.project.dataset is not None
    study.ready()
    answer = client.post(path, {"once": "k2", "dataset": Dataset.objects.get().pk})
    assert answer.status_code == 409 and "A run is under way." in answer.content.decode()


# --- the end ---


def test_leaving_asks_once_and_says_what_follows(client, study: Study):
    path = f"{page_of(study.project)}leave/"
    assert "Northfield is told that this hospital has left." in said(client, path)
    assert study.project.state == "open"
    assert "Only a site-admin" in said(signed_in("researcher"), path)
    for _ in range(2):
        assert sent(client, path)["Location"] == "/projects/"
    assert study.project.state == "closed"
    assert "takes no part any more" in said(client, page_of(study.project))
    assert "has left already" in said(client, path)


def test_closing_asks_once_and_not_while_a_run_is_under_way(client, consortium: Consortium):
    path, run = f"{page_of(consortium.project)}close/", consortium.start()
    assert "A closed project cannot be opened again." in said(client, path)
    answer = sent(client, path)
    assert answer.status_code == 409 and "A run is under way." in answer.content.decode()
    actions.stop_run(ADMIN, run)
    assert sent(client, path)["Location"] == "/projects/"
    assert consortium.project.state == "closed"
    text = said(client, page_of(consortium.project))
    assert "This project is closed." in text and "Invite another" not in text and "hx-get" not in text


def test_a_project_that_is_not_there_is_not_there(client, world: World):
    for path in ("", "news/", "dataset/", "leave/", "close/", "invite/", "sites/1/verify/"):
        assert "There is no such page" in said(client, f"/projects/77/{path}", 404)

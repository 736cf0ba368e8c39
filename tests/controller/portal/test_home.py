"""Home, the inbox and help: what waits is named once with its link, and a participant reads of nobody else."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from friendlyfl.controller import actions
from friendlyfl.controller.models import Approval, HeldPost, Identity, Person, Run
from tests.controller.world import ADMIN, Consortium, Study, World

PASSWORD = "a calm and long sentence"


@pytest.fixture
def client() -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "vera", "viewer", PASSWORD))
    return client


def said(client: Client, path: str = "/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# --- home ---


def test_a_new_site_reads_that_nothing_happens_and_nothing_left(client):
    text = said(client)
    assert "Nothing is waiting for you. Nothing is running. Nothing has ever left this hospital." in text
    assert "Not connected yet" in text and "Set up this site" in text


@pytest.mark.parametrize(
    ("role", "starts", "joins"), [("viewer", 0, 0), ("researcher", 1, 0), ("site-admin", 1, 1)]
)
def test_only_those_who_may_find_the_buttons(client, role, starts, joins):
    Person.objects.update(role=role)
    text = said(client)
    assert (text.count("/projects/new/"), text.count("/projects/join/")) == (starts, joins)


def test_a_participant_sees_its_own_part_and_no_other_hospital(client, study: Study):
    study.propose()
    assert "Births: the coordinator asks this hospital to approve or decline a plan." in said(client)
    study.ready()
    text = said(client)
    assert "asks this hospital" not in text and "Running" in text and "this hospital takes part" in text
    for page in ("/", "/inbox/"):
        for other in study.others:
            assert other.name not in said(client, page) and other.uid not in said(client, page)


def test_it_asks_again_when_a_hospital_has_joined_since(client, study: Study):
    study.approved_plan()
    assert "Nothing is waiting for you." in said(client)
    study.grow("Riverside")
    actions.refresh_manifests(study.project)
    assert "asks this hospital" in said(client)


def test_a_coordinator_reads_who_waits(client, consortium: Consortium):
    riverside = consortium.world.peer("Riverside")
    row = actions.invite_site(ADMIN, consortium.project, "Riverside")
    riverside.join(row.code, consortium.uid)
    actions.refresh_invitations(consortium.project)
    assert "Riverside wants to join Ours." in said(client)
    run = consortium.computing()
    assert "Connection check: step 1 of 1, round 1" in said(client)
    actions.stop_run(ADMIN, run)
    assert "Stopped by adam." in said(client)


@pytest.mark.parametrize(
    "state", ["standby", "preparing", "running", "aggregating", "succeeded", "failed", "stopped"]
)
def test_every_state_has_words(client, consortium: Consortium, state):
    run = consortium.start()
    Run.objects.filter(pk=run.pk).update(state=state)
    assert 'class="tag' in said(client) and f">{state}<" not in said(client)


def test_names_of_other_hospitals_are_text_and_nothing_more(client, study: Study):
    study.propose(name="<script>alert(1)</script>'; rm -rf")
    assert "<script>alert" not in said(client) and "&lt;script&gt;" in said(client)


@pytest.mark.parametrize("page", ["/", "/inbox/"])
def test_the_database_is_asked_a_fixed_number_of_times(client, world: World, page):
    for number in range(4):
        world.study("Northfield" if number else "Hilltop", name=f"Study {number}").propose()
    run = world.consortium("Southgate").computing()
    for number in range(2, 60):
        Run.objects.create(
            uid=f"00000000-0000-4000-8000-{number:012d}",
            project=run.project,
            plan=run.plan,
            number=number,
            epoch=run.epoch,
            manifest=run.manifest,
            state="failed",
            reason="below_quorum:late",
            ended_at=timezone.now(),
        )
    client.get(page)
    with CaptureQueriesContext(connection) as asked:
        client.get(page)
    reads = [query for query in asked if query["sql"].startswith("SELECT")]
    assert len(reads) <= 12, [query["sql"][:120] for query in reads]


# --- the inbox ---


def test_an_empty_inbox_says_what_will_stand_there(client):
    assert "No notices yet." in said(client, "/inbox/")


def test_reading_is_each_persons_own_and_what_waits_stays(client, consortium: Consortium, study: Study):
    study.propose()
    actions.stop_run(ADMIN, consortium.start())
    text = said(client, "/inbox/")
    assert "Run 1 of Ours was stopped. Stopped by adam." in text and text.count(">New<") >= 1
    assert client.post("/inbox/", {"once": "k1"})["Location"] == "/inbox/"
    text = said(client, "/inbox/")
    assert ">New<" not in text and text.count(">Waits<") == 1 and "asks this hospital" in text
    other = Client(SERVER_NAME="localhost")
    other.force_login(actions.add_person(ADMIN, "rosa", "researcher", PASSWORD))
    assert ">New<" in said(other, "/inbox/")
    Person.objects.filter(username="vera").update(inbox_read_at=timezone.now() - timedelta(days=1))
    assert ">New<" in said(client, "/inbox/")


def test_a_decision_reaches_the_coordinator_in_words(client, consortium: Consortium):
    plan = consortium.start().plan
    first, second = consortium.others
    Approval.objects.create(plan=plan, site=first.uid, epoch=1, approved=True, person="nora")
    Approval.objects.create(plan=plan, site=second.uid, epoch=1, approved=False, person="sam")
    text = said(client, "/inbox/")
    assert f"{first.name} has approved the plan of Ours." in text
    assert f"{second.name} has declined the plan of Ours." in text


def test_a_changed_key_is_the_first_thing_that_waits(client, study: Study):
    post = {"rs_id": "a", "state": "refused", "post": {}, "sender": study.coordinator.uid}
    HeldPost.objects.create(**post, code="key_changed", sentence="The key of Northfield is not the one.")
    HeldPost.objects.create(**{**post, "rs_id": "b"}, code="bad_seal", sentence="It could not be opened.")
    text = said(client)
    assert "The key of Northfield is in question. All post to and from there is held back." in text
    assert text.index("is in question. All post") < text.index("It could not be opened.")


def test_a_broken_line_waits_with_its_own_sentence(client):
    Identity.objects.update(line_trouble="We cannot reach the router.", line_trouble_since=timezone.now())
    assert "We cannot reach the router." in said(client) and "1 thing waits for you." in said(client)


# --- help ---


def test_help_finds_words_and_says_whom_to_call(client):
    actions.add_person(ADMIN, "adam", "site-admin", PASSWORD)
    text = said(client, "/help/")
    assert 'href="/rehearsal/"' in text  # the clinician's guide sends people here for it
    assert "Invitation code" in text and "A site-admin of this hospital: adam" in text
    found = said(client, "/help/?q=telephone")
    assert "Safety number" in found and "Invitation code" not in found
    nothing = said(client, "/help/?q=%3Cscript%3Ezzz")
    assert "Nothing here explains" in nothing and "<script>zzz" not in nothing
    assert "Web Content Accessibility Guidelines 2.2" in said(client, "/help/accessibility/")

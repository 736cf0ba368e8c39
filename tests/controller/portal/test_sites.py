"""The hospitals of a project: codes, letting in, the safety number, a key in question, removing one."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.client.house import MemoryHouse
from friendlyfl.controller import actions, members
from friendlyfl.controller.agent import beat
from friendlyfl.controller.models import HeldPost, Invitation, Outbox, Peer
from tests.controller.portal.visitor import said, signed_in
from tests.controller.world import ADMIN, RESEARCHER, Consortium, Study, World
from tests.controller.world import Peer as Other


@pytest.fixture
def client() -> Client:
    return signed_in("site-admin")


def sent(client: Client, path: str, key: str = "k1", **answers: Any) -> Any:
    return client.post(path, {"once": key, **answers})


def where(shared: Consortium | Study, rest: str = "") -> str:
    return f"/projects/{shared.project.pk}/{rest}"


def verify_page(shared: Consortium | Study, name: str) -> str:
    return where(shared, f"sites/{actions.find.peer(name).pk}/verify/")


# --- codes ---


def test_one_more_code(client, consortium: Consortium):
    assert "Say which hospital" in sent(client, where(consortium, "invite/"), hospital=" ").content.decode()
    for _ in range(2):
        answer = sent(client, where(consortium, "invite/"), hospital="  Lakeside  Clinic ")
        assert answer["Location"] == where(consortium)
    row = Invitation.objects.get(state="open")
    assert row.label == "Lakeside Clinic"
    text = said(client, where(consortium))
    assert row.code in text and "There is a code for Lakeside Clinic." in text


def test_a_code_is_withdrawn_or_renewed_once_and_the_old_one_is_worthless(client, consortium: Consortium):
    row = actions.invite_site(RESEARCHER, consortium.project, "Lakeside")
    path = where(consortium, f"codes/{row.pk}/renew/")
    assert "The old one is worthless" in said(client, path)
    for _ in range(2):
        assert sent(client, path)["Location"] == where(consortium)
    new = Invitation.objects.get(state="open")
    text = said(client, where(consortium))
    assert new.code in text and row.code not in text
    with pytest.raises(Exception, match="no such thing"):
        consortium.world.peer("Lakeside").join(row.code, consortium.uid)
    path = where(consortium, f"codes/{new.pk}/withdraw/")
    assert "worthless from then on" in said(client, path)
    assert sent(client, path, "k2")["Location"] == where(consortium)
    assert not Invitation.objects.filter(state="open").exists()
    assert new.code not in said(client, where(consortium))
    assert said(client, path, 404)


# --- letting in ---


def test_a_site_admin_lets_a_hospital_in_and_compares_keys_next(client, consortium: Consortium):
    riverside = consortium.world.peer("Riverside")
    row = actions.invite_site(RESEARCHER, consortium.project, "The clinic by the river")
    riverside.join(row.code, consortium.uid)
    actions.refresh_invitations(consortium.project)
    path = where(consortium, f"joiners/{row.pk}/")
    text = said(client, path)
    assert "Let Riverside in?" in text and "The clinic by the river" in text
    assert "<button>Let Riverside in" not in said(signed_in("researcher"), path)
    for _ in range(2):
        assert sent(client, path)["Location"] == verify_page(consortium, "Riverside")
    assert riverside.uid in {member.site for member in members.current(consortium.project)[0].members}
    assert "Riverside belongs to the project now." in said(client, verify_page(consortium, "Riverside"))


# --- the safety number ---


def groups(text: str) -> list[str]:
    return re.findall(r"<span>(\d{5})</span>", text)


def test_the_safety_number_in_two_rows_of_six(client, consortium: Consortium):
    path = verify_page(consortium, "Northfield")
    text = said(client, path)
    assert groups(text) == actions.safety_number(actions.find.peer("Northfield"))
    assert text.split('class="groups"')[1].split("</div>")[0].count("<p>") == 2
    assert "Not compared" not in text and "They are the same" in text and "They differ" in text
    for role in ("viewer", "researcher"):
        other = said(signed_in(role), path)
        assert groups(other) == groups(text) and "They are the same" not in other
        assert "A site-admin of this hospital compares the number" in other
    for _ in range(2):
        assert sent(client, path, heard="same")["Location"] == where(consortium)
    assert "Compared by the site-admin" in said(client, where(consortium))
    assert "the site-admin compared this number" in said(client, path)


def test_numbers_that_differ_hold_back_post_and_say_what_to_do(client, consortium: Consortium):
    path = verify_page(consortium, "Northfield")
    assert sent(client, path, heard="other")["Location"] == path
    text = said(client, path)
    assert "were found to differ" in text and "What to do" in text and "invite it with a new code" in text
    assert 'class="alarm"' in text
    consortium.propose()
    assert set(Outbox.objects.filter(here=False).values_list("state", flat=True)) == {"held"}
    assert 'class="alarm"' in said(client, where(consortium)) and 'class="alarm"' in said(client, "/")
    assert "Key in question" in said(client, where(consortium))
    assert sent(client, path, "k2", heard="same")["Location"] == where(consortium)
    assert 'class="alarm"' not in said(client, where(consortium))
    assert set(Outbox.objects.filter(here=False).values_list("state", flat=True)) == {"waiting"}


def swap(world: World, other: Other) -> list[Any]:
    thief = Other(other.name, uid=other.uid).enrol(MemoryHouse())
    site = world.house.sites[other.uid]
    before, site.cards = site.cards, [thief.card]
    return before


def test_another_key_at_the_router_raises_a_red_panel_everywhere(client, study: Study):
    before = swap(study.world, study.coordinator)
    beat.look_at_keys()
    path = verify_page(study, "Northfield")
    for page in (path, where(study), "/"):
        text = said(client, page)
        assert "The key of Northfield is in question" in text, page
        assert "shows another key for Northfield than the one known here" in text, page
    assert "Compare keys with Northfield" in said(client, where(study))
    assert groups(said(client, path)) == actions.safety_number(actions.find.peer("Northfield"))
    answer = sent(client, path, heard="same")
    assert answer.status_code == 409
    assert "still shows another key for Northfield" in answer.content.decode()
    study.world.house.sites[study.coordinator.uid].cards = before
    beat.look_at_keys()
    assert "It shows the one known here again." in said(client, path)
    assert sent(client, path, "k2", heard="same")["Location"] == where(study)
    for page in (path, where(study), "/"):
        assert 'class="alarm"' not in said(client, page)


def test_post_put_aside_for_its_key_raises_the_panel_too(client, consortium: Consortium):
    north = consortium.others[0]
    HeldPost.objects.create(
        rs_id="1", state="refused", post={}, sender=north.uid, code="key_changed", sentence="Look."
    )
    path = verify_page(consortium, "Northfield")
    for page in (path, where(consortium), "/"):
        assert "The key of Northfield is in question" in said(client, page)
    sent(client, path, heard="same")
    for page in (path, where(consortium), "/"):
        assert 'class="alarm"' not in said(client, page)


def test_the_verify_page_asks_the_database_few_times(client, consortium: Consortium):
    actions.doubt_site(ADMIN, actions.find.peer("Northfield"))
    for page in (verify_page(consortium, "Northfield"), where(consortium)):
        client.get(page)
        with CaptureQueriesContext(connection) as asked:
            said(client, page)
        reads = [query["sql"][:160] for query in asked if query["sql"].startswith("SELECT")]
        assert len(reads) <= 12, reads


def test_only_hospitals_of_the_project_have_a_page_in_it(client, consortium: Consortium, world: World):
    world.consortium("Riverside", name="Another")
    stranger = Peer.objects.get(name="Riverside")
    assert said(client, where(consortium, f"sites/{stranger.pk}/verify/"), 404)
    assert said(client, where(consortium, f"sites/{stranger.pk}/remove/"), 404)


# --- removing ---


def test_removing_a_hospital_asks_once(client, consortium: Consortium):
    peer = actions.find.peer("Southgate")
    path = where(consortium, f"sites/{peer.pk}/remove/")
    assert "What it sent stays sent." in said(client, path)
    assert "Only a site-admin" in said(signed_in("researcher"), path)
    for _ in range(2):
        assert sent(client, path)["Location"] == where(consortium)
    assert "Southgate" not in said(client, where(consortium)).split("Hospitals")[1].split("Plan")[0]

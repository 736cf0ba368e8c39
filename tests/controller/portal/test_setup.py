"""Setting up: the list follows what is there, the name, and what is said when the router cannot be reached."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import AuditLine, Identity, Person
from friendlyfl.controller.portal import setup
from friendlyfl.controller.setup import new_code
from tests.client import test_reaching
from tests.client.fake_server import closed_port, playing, says
from tests.controller.world import ADMIN, World, choose_dataset

PASSWORD = "a calm and long sentence"
CODE = "ABCD-EFGH"
HEALTH = says(200, {"status": "ok"})
KNOWN = says(403, {"code": "not_allowed", "message": "You may see this but not do that; ask whoever may."})
UNKNOWN = says(401, {"code": "unknown_credential", "message": "This enrolment code is not known here."})

protected = test_reaching.protected  # servers with a certificate each


@pytest.fixture
def client() -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "adam", "site-admin", PASSWORD))
    return client


@pytest.fixture
def unnamed() -> None:
    Identity.objects.update(name="")


def said(client: Client, path: str = "/setup/") -> str:
    return " ".join(client.get(path).content.decode().split())


def states() -> list[str]:
    return [task.state for task in setup.tasks()]


# --- the list ---


def test_the_list_follows_what_is_there(client, unnamed):
    assert states() == ["next", "done", "waiting", "open", "waiting"]
    assert "1 of 5 done." in said(client) and "5 things" not in said(client, "/")
    Identity.objects.update(name="St Mary's")
    assert states() == ["done", "done", "next", "open", "waiting"]
    assert "Set up this site" in said(client, "/")
    world = World()
    assert states() == ["done", "done", "done", "next", "open"]
    ours = world.consortium("Northfield")
    choose_dataset(ours.project)
    assert states() == ["done"] * 5 and setup.open_tasks() == []
    assert "5 of 5 done." in said(client) and "This hospital is ready." in said(client)
    assert "Set up this site" not in said(client, "/")


def test_the_list_costs_one_question(unnamed):
    with CaptureQueriesContext(connection) as asked:
        setup.tasks()
    assert len(asked) == 1


@pytest.mark.parametrize("path", ["/setup/", "/setup/name/", "/setup/connect/"])
def test_a_page_costs_few_questions(client, path):
    client.get(path)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    assert len([query for query in asked if query["sql"].startswith("SELECT")]) <= 12


def test_who_makes_the_first_account_of_a_site_without_a_name_is_led_to_the_list(unnamed):
    answer = Client(SERVER_NAME="localhost").post(
        "/first/", {"code": new_code(), "name": "adam", "password": PASSWORD}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/setup/")


# --- the name ---


def test_a_name_is_given_in_the_browser(client, unnamed):
    fingerprint = here.identity().fingerprint
    for wrong, sentence in (("", "Enter the name of this hospital."), ("x" * 101, "Shorten the name")):
        answer = client.post("/setup/name/", {"once": "k", "name": wrong})
        assert answer.status_code == 400 and sentence in answer.content.decode()
    answer = client.post("/setup/name/", {"once": "k", "name": "St Mary's"})
    assert answer["Location"] == "/setup/" and here.identity().name == "St Mary's"
    assert here.identity().fingerprint == fingerprint
    lines = AuditLine.objects.filter(verb="rename_site")
    assert client.post("/setup/name/", {"once": "k", "name": "Other"})["Location"] == "/setup/"
    assert lines.count() == 1 and here.identity().name == "St Mary's"  # the form was sent twice


# --- the connection ---


def connect(client: Client, address: str, do: str = "check", once: str = "k", **more: str) -> tuple[int, str]:
    given = {"address": address, "code": CODE, "ca_file": "", "do": do, "once": once, **more}
    answer = client.post("/setup/connect/", given)
    return answer.status_code, " ".join(answer.content.decode().split())


def wrong_field(text: str) -> str:
    """The field that the list of errors leads to."""
    return text.split('<li><a href="#id_')[1].split('"')[0]


def test_a_good_address_is_green_and_nothing_is_kept(client):
    with playing(HEALTH, KNOWN) as play:
        status, text = connect(client, play.address)
    assert status == 200 and f"The Routing Server at {play.address} answers and knows your code." in text
    assert "no certificate is needed" in text and "Press Connect now." in text
    assert f'value="{play.address}"' in text and f'value="{CODE}"' in text
    assert here.identity().router == "" and client.get("/setup/connect/").status_code == 200


def test_each_thing_that_is_wrong_is_said_at_its_field_and_answers_stay(client, tmp_path):
    with playing(HEALTH, UNKNOWN) as play:
        status, text = connect(client, play.address)
    assert (status, wrong_field(text)) == (400, "code") and "This enrolment code is not known here." in text
    wrong = f"http://127.0.0.1:{closed_port()}"
    status, text = connect(client, wrong)
    assert (status, wrong_field(text)) == (400, "address") and "nothing answers on port" in text
    assert f'value="{wrong}"' in text and f'value="{CODE}"' in text and "<title>Error: Connect" in text
    status, text = connect(client, "fl.example.org", ca_file=str(tmp_path / "nothing.pem"))
    assert (status, wrong_field(text)) == (400, "ca_file") and "nothing.pem" in text
    status, text = connect(client, "http://fl.example.org")
    assert (status, wrong_field(text)) == (400, "address") and "https://" in text
    status, text = connect(client, "", code="")
    assert status == 400 and "Enter the address of the Routing Server." in text
    assert "Enter the enrolment code." in text
    with playing(says(200, {"something": "else"})) as play:
        status, text = connect(client, play.address)
    assert (status, wrong_field(text)) == (400, "address") and "not a Routing Server" in text


def test_a_certificate_nobody_vouches_for_is_said_at_the_ca_file(client, protected, tmp_path):
    pem = test_reaching.certificate(tmp_path)
    status, text = connect(client, protected(pem))
    assert (status, wrong_field(text)) == (400, "ca_file") and "self-signed certificate" in text
    status, text = connect(client, protected(pem), ca_file=str(pem))
    assert (status, wrong_field(text)) == (400, "address") and "not a Routing Server" in text


def test_connecting_keeps_the_router_once(client):
    with playing(HEALTH, says(201, {"uid": here.site(), "name": "St Mary's"})) as play:
        status, _ = connect(client, play.address, do="connect")
        assert status == 302 and here.identity().router == play.address
        assert connect(client, play.address, do="connect")[0] == 302  # sent twice
        assert [seen.method for seen in play.seen] == ["GET", "POST"]
    text = said(client, "/setup/connect/")
    assert f"This hospital is connected to {play.address}." in text and 'name="code"' not in text
    assert connect(client, "http://127.0.0.1:1", do="connect", once="other")[0] == 302
    assert here.identity().router == play.address


def test_a_code_that_made_a_site_already_is_said_at_the_code(client):
    used = says(409, {"code": "enrolment_used", "message": "This enrolment code has made its site already."})
    with playing(HEALTH, used) as play:
        status, text = connect(client, play.address, do="connect")
    assert (status, wrong_field(text)) == (400, "code") and "has made its site already" in text


def test_a_site_without_a_name_is_sent_to_its_name_first(client, unnamed):
    assert "it comes first" in said(client, "/setup/connect/")
    assert connect(client, "http://127.0.0.1:1", do="connect")[0] == 302
    assert here.identity().router == ""


def test_the_lower_roles_read_the_list_and_change_nothing():
    client = Client(SERVER_NAME="localhost")
    client.force_login(Person.objects.create_user("vera", password=PASSWORD, role="viewer"))
    assert client.get("/setup/").status_code == 200
    for path in ("/setup/name/", "/setup/connect/"):
        assert client.get(path).status_code == 403
        answer = client.post(path, {"once": "k", "name": "Other", "address": "x", "code": "y"})
        assert answer.status_code == 403 and "Only a site-admin" in answer.content.decode()

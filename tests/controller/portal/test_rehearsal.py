"""The rehearsal's page: what it says at each stage, who may start and remove it. The real thing is in tests/e2e."""

import subprocess
import sys
from typing import Any

import pytest
from django.test import Client, override_settings

from friendlyfl.controller import actions, rehearsal
from friendlyfl.controller.models import AuditLine
from friendlyfl.core.errors import ConflictError
from tests.controller.world import ADMIN, RESEARCHER

PASSWORD = "a calm and long sentence"
READY = rehearsal.Rehearsal(
    True, 5, 5, "", [{"name": "Hilltop", "portal": "http://127.0.0.1:1/"}], "rehearsal", "pass-word"
)


@pytest.fixture
def client() -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "rosa", "researcher", PASSWORD))
    return client


def said(client: Client, path: str = "/rehearsal/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_nothing_yet_half_way_ready_and_ended(client, monkeypatch):
    text = said(client)
    assert "No rehearsal yet." in text and "Start a rehearsal" in text and "hx-get" not in text
    monkeypatch.setattr(rehearsal, "look", lambda: rehearsal.Rehearsal(True, 2, 5, "Inviting"))
    text = said(client)
    assert "2 of 5 steps are done. Inviting" in text and "hx-get" in text and "<button>Start" not in text
    monkeypatch.setattr(rehearsal, "look", lambda: READY)
    text = said(client)
    assert "pass-word" in text and "http://127.0.0.1:1/" in text and "hx-get" not in text
    monkeypatch.setattr(rehearsal, "look", lambda: rehearsal.Rehearsal(False, 2, 5, "Inviting"))
    assert "does not run any more" in said(client) and "Start it again" in said(client)


def test_one_process_is_started_however_often_it_is_asked_and_removed_with_its_folder(client, monkeypatch):
    started: list[Any] = []
    real = subprocess.Popen

    def child(arguments: list[str], **more: Any) -> Any:
        started.append((arguments, more["env"]))
        return real([sys.executable, "-c", "import sys; sys.stdin.read()"], **more)

    monkeypatch.setattr(rehearsal.subprocess, "Popen", child)
    for key in ("k1", "k1", "k2"):
        assert client.post("/rehearsal/", {"once": key})["Location"] == "/rehearsal/"
    assert len(started) == 1 and rehearsal.look().alive
    assert not any(name.startswith(("FRIENDLYFL", "SECRET")) for name in started[0][1])
    assert "Remove the rehearsal?" in said(client, "/rehearsal/remove/")
    client.post("/rehearsal/remove/", {"once": "k3"})
    assert rehearsal.look() is None and not rehearsal.folder().exists()
    assert "is removed" in said(client)
    verbs = AuditLine.objects.filter(verb__contains="rehearsal").values_list("verb", "person")
    assert list(verbs) == [("start_rehearsal", "rosa")] * 2 + [("remove_rehearsal", "rosa")]


@override_settings(REHEARSAL=True)
def test_inside_it_every_page_says_so_and_none_can_be_started(client):
    assert "Rehearsal: pretend hospitals, and patients who do not exist" in said(client, "/help/")
    assert "You are in the rehearsal." in said(client) and "<button>Start" not in said(client)
    with pytest.raises(ConflictError, match="rehearsal already"):
        actions.start_rehearsal(RESEARCHER)


@override_settings(REHEARSAL=True)
def test_its_files_say_so_by_their_names(client):
    assert 'filename="rehearsal-' in client.get("/ledger/ledger.csv")["Content-Disposition"]

"""A project of fifty hospitals: its pages ask the database little, and a participant's name no other."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.controller.models import Peer
from tests.controller.portal.test_projects import page_of, reads
from tests.controller.portal.visitor import said, signed_in
from tests.controller.world import World


@pytest.fixture
def client() -> Client:
    return signed_in("site-admin")


def test_fifty_hospitals_in_one_project(client, world: World):
    """Each was invited, has joined and was let in; then a run with a seat for each."""
    ours = world.consortium(*(f"Hospital {number:02d}" for number in range(1, 51)))
    assert Peer.objects.count() == 50 and len(ours.manifests) == 51
    run = ours.start()
    for peer in ours.others:
        assert ours.ready_letter(peer, run).receive().state == "taken"
    for path in (page_of(ours.project), f"{page_of(ours.project)}news/", f"/runs/{run.pk}/"):
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            text = said(client, path)
        assert reads(asked) <= 12, [query["sql"][:160] for query in asked]
    for path in (page_of(ours.project), f"/runs/{run.pk}/"):
        text = said(client, path)
        assert all(f"Hospital {number:02d}" in text for number in range(1, 51)), path
        assert len(text.encode()) < 150_000


def test_a_participant_among_fifty_is_shown_no_other(client, world: World):
    names = [f"Hospital {number:02d}" for number in range(1, 50)]
    study = world.study("Northfield", *names)
    run = study.ready()
    pages = [
        page_of(study.project),
        f"{page_of(study.project)}news/",
        "/projects/",
        "/inbox/",
        "/ledger/",
        "/runs/",
    ]
    pages += [f"/runs/{run.pk}/{part}" for part in ("", "status/", "story/", "facts/", "log/")]
    for path in pages:
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            text = said(client, path)
        assert reads(asked) <= 12, (path, [query["sql"][:160] for query in asked])
        assert not any(name in text for name in names), path
        assert not any(peer.uid in text for peer in study.others), path
    assert "Northfield" in said(client, page_of(study.project))

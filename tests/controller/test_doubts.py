"""A key in question: whoever shows another one, post stands still until a person of this hospital has looked."""

from typing import Any

import pytest

from friendlyfl.client.house import MemoryHouse
from friendlyfl.controller import actions
from friendlyfl.controller.agent import beat
from friendlyfl.controller.models import AuditLine, HeldPost, Outbox, Peer
from friendlyfl.core.errors import FriendlyError
from tests.controller.world import ADMIN, RESEARCHER, Consortium, Study, World
from tests.controller.world import Peer as Other


def swap(world: World, other: Other) -> list[Any]:
    """The Routing Server shows another key in the place of this hospital's; returns what it showed before."""
    thief = Other(other.name, uid=other.uid).enrol(MemoryHouse())
    site = world.house.sites[other.uid]
    before, site.cards = site.cards, [thief.card]
    return before


def states() -> list[str]:
    return list(Outbox.objects.filter(here=False).order_by("pk").values_list("state", flat=True))


def test_the_right_keys_raise_no_doubt(consortium: Consortium, study: Study):
    beat.look_at_keys()
    assert not Peer.objects.filter(doubted=True).exists()


def test_another_key_at_the_router_holds_post_until_a_person_has_looked(consortium: Consortium):
    north, south = consortium.others
    before = swap(consortium.world, north)
    consortium.propose()
    assert states() == ["waiting"]
    beat.look_at_keys()
    peer = Peer.objects.get(site=north.uid)
    assert (peer.doubted, peer.doubt, len(peer.shown)) == (True, "shown", 64)
    assert peer.fingerprint == north.identity.fingerprint  # the pin stays
    assert states() == ["held"]
    actions.set_rules(RESEARCHER, consortium.project, {"quorum": 1})
    actions.propose_plan(RESEARCHER, consortium.project)
    assert states() == ["held", "held"]
    assert not Peer.objects.get(site=south.uid).doubted

    with pytest.raises(FriendlyError) as error:
        actions.verify_site(ADMIN, peer)
    assert error.value.code == "key_changed" and states() == ["held", "held"]

    consortium.world.house.sites[north.uid].cards = before
    beat.look_at_keys()
    peer.refresh_from_db()
    assert peer.doubted and not peer.shown, "a person has to look"
    actions.verify_site(ADMIN, peer)
    assert not peer.doubted and states() == ["waiting", "waiting"]
    assert Peer.objects.get(site=north.uid).verified_by == "adam"


def test_post_of_a_doubted_hospital_waits_unopened(study: Study):
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    peer = actions.find.peer("Northfield")
    actions.doubt_site(ADMIN, peer)
    assert letter.receive().state == "early" and not study.project.plans.exists()
    assert HeldPost.objects.get().state == "early"
    actions.verify_site(ADMIN, peer)
    from friendlyfl.controller.agent.collect import _retry_early

    _retry_early()
    assert study.project.plans.count() == 1 and not HeldPost.objects.exists()


def test_post_for_others_goes_on(world: World):
    ours, theirs = world.consortium("Northfield"), world.study("Riverside")
    actions.doubt_site(ADMIN, actions.find.peer("Riverside"))
    ours.propose()
    assert states() == ["waiting"]
    theirs.project.refresh_from_db()


def test_two_doubts_are_settled_one_by_one(consortium: Consortium):
    north, south = (Peer.objects.get(site=other.uid) for other in consortium.others)
    consortium.propose()
    actions.doubt_site(ADMIN, north)
    actions.doubt_site(ADMIN, south)
    actions.verify_site(ADMIN, north)
    assert states() == ["held"]
    actions.verify_site(ADMIN, south)
    assert states() == ["waiting"]


def test_numbers_that_differ_take_a_verification_back(consortium: Consortium):
    peer = actions.find.peer("Northfield")
    actions.verify_site(ADMIN, peer)
    actions.doubt_site(ADMIN, peer)
    peer.refresh_from_db()
    assert peer.doubted and peer.doubt == "heard" and peer.verified_by == ""
    assert AuditLine.objects.filter(verb="doubt_site", person="adam").exists()


@pytest.mark.parametrize("card", [None, {}, {"card": "AA==", "signature": "AA=="}, "text"])
def test_a_key_that_cannot_be_read_is_another_one(study: Study, monkeypatch, card):
    shown = [{"site": study.coordinator.uid, "card": card}, {"site": None}, {}]
    monkeypatch.setattr(study.world.router, "participants", lambda _: shown)
    actions.refresh_keys(study.project)
    assert actions.find.peer("Northfield").shown == "unreadable"

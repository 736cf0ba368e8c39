"""Sites: enrolling, cards, the lease, being connected, closing."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from friendlyfl.wire.canonical import b64
from friendlyfl.wire.keys import Identity
from tests.router.world import Bearer, Hospital, World


@pytest.fixture
def newcomer(world: World) -> Hospital:
    return Hospital(world.client, "Newcomer", world.person("newcomer").user)


def test_a_code_makes_one_site(world: World, newcomer: Hospital) -> None:
    code = world.code(newcomer.owner)
    made = world.enrol(newcomer, code.lower().replace("-", " "), description="Ward 3,\nsecond floor")
    assert made.status == 201
    assert made["fingerprint"] == newcomer.identity.fingerprint
    assert made["owner"] == newcomer.owner.uid
    assert newcomer.get("sites/me/")["description"] == "Ward 3,\nsecond floor"
    again = world.enrol(newcomer, code)
    assert (again.status, again["uid"]) == (200, newcomer.uid)
    other = Hospital(world.client, "Second", newcomer.owner)
    answer = world.enrol(other, code)
    assert (answer.status, answer.code) == (409, "enrolment_used")


def test_the_first_card_proves_its_key(world: World, newcomer: Hospital) -> None:
    code = world.code(newcomer.owner)
    stranger = Hospital(world.client, "Stranger", newcomer.owner)
    cases = {
        "bad_signature": {"signature": b64(bytes(64))},
        "first_card": newcomer.card(2, prev=newcomer.cards[0]).to_json(),
        "": {"uid": stranger.uid},
    }
    for code_told, over in cases.items():
        answer = world.enrol(newcomer, code, **over)
        assert answer.status == 422 and code_told in ("", answer.code), answer
    assert world.enrol(newcomer, code).status == 201  # the code was not used up by mistakes


def test_a_uid_or_a_key_belongs_to_one_site(world: World, newcomer: Hospital) -> None:
    assert world.enrol(newcomer, world.code(newcomer.owner)).status == 201
    thief = Hospital(world.client, "Thief", world.person("thief").user)
    thief.uid = newcomer.uid
    thief.cards = [thief.card(1)]
    assert world.enrol(thief, world.code(thief.owner)).code == "site_exists"
    twin = Hospital(world.client, "Twin", world.person("twin").user)
    twin.identity = newcomer.identity
    twin.cards = [twin.card(1)]
    assert world.enrol(twin, world.code(twin.owner)).code == "site_exists"


def test_one_code_used_twice_at_once_makes_one_site(world: World) -> None:
    owner = world.person("hasty").user
    code = world.code(owner)
    sites = [Hospital(world.client, f"Hasty {n}", owner) for n in range(4)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda s=site: answers.append(world.enrol(s, code).status)) for site in sites
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 101, "12", "1e5", "-3.5", "nan", "a\u202eb", "a\x00b", "a\nb", "<b>bold</b>", "\ud800", "\u200b",
     "00000000-0000-4000-8000-000000000000", 5, None, ["x"]],
)  # fmt: skip
def test_a_name_is_some_words(world: World, name: object) -> None:
    answer = world.alice.patch("sites/me/", {"name": name})
    assert (answer.status, answer.code) == (400, "bad_field")
    assert answer["fields"]["name"]


@pytest.mark.parametrize("name", ["Møller’s clinic № 3", "北部医院", "नमस्ते", "x" * 100, "Cafe\u0301"])
def test_a_name_may_be_of_any_script(world: World, name: str) -> None:
    import unicodedata

    site = world.dora
    assert site.patch("sites/me/", {"name": name})["name"] == unicodedata.normalize("NFC", name)
    assert site.patch("sites/me/", {"name": "Dora"}).status == 200


def test_cards_continue_each_other(world: World) -> None:
    site = world.hospital("Cards")
    second = site.card(2, prev=site.cards[0])
    assert site.post("sites/me/keys/", second.to_json()).status == 201
    assert site.post("sites/me/keys/", second.to_json()).status == 200
    run = "11111111-1111-4111-8111-111111111111"
    of_run = site.card(1, use=run)
    assert site.post("sites/me/keys/", of_run.to_json()).status == 201
    told = site.get(f"sites/{site.uid}/keys/")["cards"]
    assert told == [card.to_json() for card in (site.cards[0], second, of_run)]
    wrong = {
        "card_split": site.card(2, prev=site.cards[0]),
        "card_old": site.card(1),
        "card_chain": site.card(3, prev=site.cards[0]),
    }
    for code, card in wrong.items():
        answer = site.post("sites/me/keys/", card.to_json())
        assert (answer.status, answer.code) == (409, code)
    foreign = Hospital(world.client, "Foreign", site.owner)
    foreign.uid = site.uid
    assert site.post("sites/me/keys/", foreign.card(3, prev=second).to_json()).status == 422


def test_cards_are_told_to_fellow_members_only(world: World) -> None:
    path = f"sites/{world.dora.uid}/keys/"
    assert world.bob.get(path)["cards"] == [world.dora.cards[0].to_json()]
    assert world.charlie.get(path).status == 404
    assert world.bob.get(f"sites/{world.dora.uid}/").status == 404  # cards yes, the hospital no


def test_what_a_site_may_know_of_others(world: World) -> None:
    seen = {row["uid"]: row for row in world.bob.get("sites/")["results"]}
    assert set(seen) == {world.bob.uid, world.alice.uid}
    assert set(seen[world.alice.uid]) == {"uid", "name", "fingerprint"}
    seen = {row["uid"]: row for row in world.alice.get("sites/")["results"]}
    assert {world.bob.uid, world.dora.uid} <= set(seen)
    assert "last_seen" in seen[world.bob.uid] and "owner" not in seen[world.bob.uid]
    assert [row["uid"] for row in world.charlie.get("sites/")["results"]] == [world.charlie.uid]


def test_the_lease_has_one_holder(world: World) -> None:
    site = world.hospital("Leased", beat=False)
    first = site.beat("copy-1")
    assert (first["lease"], first["projects"], first["joins"]) == (1, {}, 0)
    assert site.beat("copy-1", 2)["lease"] == 1
    held = site.beat("copy-2")
    assert (held.status, held.code) == (409, "lease_held")
    assert held["since"].startswith("20") and held["who"]
    assert site.get("projects/").status == 200


def test_a_released_lease_goes_to_the_next_with_a_higher_fence(world: World) -> None:
    from friendlyfl.router.models import Site
    from friendlyfl.router.registry import lease

    site = world.hospital("Released")
    assert lease.release(Site.objects.get(uid=site.uid))
    assert not lease.release(Site.objects.get(uid=site.uid))
    old = site.lease
    assert site.beat("another")["lease"] == old + 1
    site.lease = old
    assert site.get("projects/").code == "fenced"
    assert site.get("sites/me/").status == 200  # who starts may ask who it is
    assert site.patch("sites/me/", {"name": "Old copy"}).code == "fenced"


def test_the_heartbeat_tells_epochs_and_joins(world: World) -> None:
    coordinator, other = world.hospital("Coordinator"), world.hospital("Other")
    project, _ = world.make_project(coordinator)
    assert coordinator.beat("one", 2).body["projects"] == {project: 1}
    assert coordinator.beat("one", 3)["joins"] == 0
    world.join(coordinator, project, other)
    assert coordinator.beat("one", 4)["joins"] == 1
    assert other.beat("one", 2)["projects"] == {}


@pytest.mark.parametrize(
    "over",
    [
        {"instance": ""},
        {"instance": "a b"},
        {"n": -1},
        {"n": "1"},
        {"n": True},
        {"n": 1.0},
        {"id": 5},
        {"extra": 1},
    ],
)
def test_a_heartbeat_is_strict(world: World, over: dict[str, object]) -> None:
    body = {"instance": "one", "n": 1, "id": "a" * 32} | over
    assert world.alice.post("sites/me/heartbeat/", body).code == "bad_field"


@pytest.mark.parametrize(
    ("ago", "connected"),
    [(timedelta(seconds=5), True), (timedelta(seconds=70), False), (timedelta(hours=25), False)],
)
def test_connected_compares_whole_instants(world: World, ago: timedelta, connected: bool) -> None:
    from django.utils import timezone

    from friendlyfl.router.models import Site

    Site.objects.filter(uid=world.dora.uid).update(last_seen=timezone.now() - ago)
    assert world.admin.get(f"sites/{world.dora.uid}/")["connected"] is connected
    assert world.alice.get(f"sites/{world.dora.uid}/")["connected"] is connected


def test_a_site_closes_itself(world: World) -> None:
    site, fellow = world.hospital("Closing"), world.hospital("Fellow")
    own, _ = world.make_project(site, fellow)
    foreign, _ = world.make_project(fellow, site)
    run = world.make_run(site, own)
    assert site.delete("sites/me/").code == "run_active"
    site.post(f"runs/{run}/stop/", {"message": "0" * 64})
    assert site.delete("sites/me/").status == 204
    assert site.get("projects/").code == "site_revoked"
    assert fellow.get(f"projects/{own}/")["state"] == "archived"
    assert [row["site"] for row in fellow.get(f"projects/{foreign}/participants/")["results"]] == [fellow.uid]


def test_the_administrator_cannot_act_for_a_site(world: World) -> None:
    """No card, no manifest, no run, no post comes from the server's administrator."""
    card = {"card": b64(world.bob.cards[0].raw), "signature": b64(world.bob.cards[0].signature)}
    assert world.admin.post("sites/me/keys/", card).status == 403
    assert world.admin.post("runs/", world.run_fields(world.project, 9)).status == 403
    assert world.admin.post("messages/", {}).status == 401
    assert world.admin.patch(f"sites/{world.bob.uid}/", {"name": "Renamed"}).status == 403


def test_an_identity_key_is_not_changed_by_patch(world: World) -> None:
    for field in ("fingerprint", "public", "owner", "state", "last_seen", "uid"):
        assert world.alice.patch("sites/me/", {field: Identity.generate().fingerprint}).code == "bad_field"


def test_a_code_of_a_deleted_person_is_none(world: World) -> None:
    person = world.person("leaving")
    code = world.code(person.user)
    assert world.admin.delete(f"users/{person.user.uid}/").status == 204
    assert Bearer(world.client, f"Enrolment {code}").post("sites/", {}).status == 401

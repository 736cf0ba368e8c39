"""Projects, steps, invitations, and the membership that only the coordinator's signature makes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from friendlyfl.wire.canonical import b64
from friendlyfl.wire.trust import COORDINATOR
from tests.router.world import PLAN, Hospital, World

STEP = {
    "seq": 1,
    "task": "logistic regression",
    "version": "1",
    "title": "Model",
    "parameters_sha256": "a" * 64,
}


def test_the_coordinator_is_the_asking_site(world: World) -> None:
    uid = str(uuid.uuid4())
    body = {"uid": uid, "name": "Sepsis", "description": "Why?"}
    made = world.charlie.post("projects/", body)
    assert made.status == 201
    assert (made["coordinator"], made["state"], made["epoch"], made["role"]) == (
        world.charlie.uid,
        "open",
        0,
        "coordinator",
    )
    assert world.charlie.post("projects/", body).status == 200
    assert world.charlie.post("projects/", body | {"name": "Other"}).code == "uid_taken"
    assert world.alice.post("projects/", body).code == "uid_taken"
    assert world.alice.post("projects/", {"name": "x1", "coordinator": world.bob.uid}).code == "bad_field"
    assert world.charlie.post("projects/", {"name": "Sepsis"}).status == 201  # names need not be unique


def test_a_coordinator_changes_and_archives(world: World) -> None:
    alice, bob, project = world.new_project()
    path = f"projects/{project}/"
    assert alice.patch(path, {"name": "New name", "state": "closed"})["state"] == "closed"
    assert bob.get(path)["name"] == "New name"
    assert alice.post(f"{path}invitations/", {"id": "a" * 32}).code == "project_closed"
    assert alice.post("runs/", world.run_fields(project)).code == "project_closed"
    assert alice.patch(path, {"state": "archived"}).code == "bad_field"
    assert alice.delete(path).status == 204
    assert alice.delete(path).status == 204
    assert bob.get(path)["state"] == "archived"
    assert alice.patch(path, {"name": "Again"}).code == "project_archived"
    assert alice.put(f"{path}steps/", {"plan_sha256": PLAN, "steps": [STEP]}).code == "project_archived"


def test_a_project_with_an_active_run_is_not_archived(world: World) -> None:
    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    assert alice.delete(f"projects/{project}/").code == "run_active"
    assert world.admin.delete(f"projects/{project}/").code == "run_active"
    alice.post(f"runs/{run}/stop/", {"message": "0" * 64})
    assert world.admin.delete(f"projects/{project}/").status == 204


def test_an_administrator_reads_sums_only(world: World) -> None:
    row = world.admin.get(f"projects/{world.project}/").body
    assert row["participants"] == 3 and row["runs"] == 1
    assert not {"name", "description", "plan_sha256"} & set(row)


def test_steps_are_names_and_hashes(world: World) -> None:
    alice, bob, project = world.new_project()
    path = f"projects/{project}/steps/"
    second = STEP | {"seq": 2, "title": "Survival"}
    assert alice.put(path, {"plan_sha256": PLAN, "steps": [second, STEP]}).status == 200
    told = bob.get(path)
    assert told["plan_sha256"] == PLAN and told["steps"] == [STEP, second]
    assert alice.put(path, {"plan_sha256": PLAN, "steps": [STEP]})["steps"] == [STEP]
    assert alice.put(path, {"plan_sha256": PLAN, "steps": [STEP, STEP]}).code == "same_place"
    answer = alice.put(path, {"plan_sha256": PLAN, "steps": [STEP, STEP | {"title": "<i>"}]})
    assert answer["fields"] == {"steps.2.title": ["Leave out the signs < and >; no markup is shown here."]}
    assert alice.put(path, {"plan_sha256": PLAN, "steps": [STEP | {"parameters": {}}]}).code == "bad_field"
    assert bob.get(f"projects/{project}/")["plan_sha256"] == PLAN


def test_a_newcomer_gets_empty_lists(world: World) -> None:
    newcomer = world.hospital("New")
    for path in ("projects/", "runs/", "runs/active/"):
        assert newcomer.get(path).body == {"count": 0, "next": None, "previous": None, "results": []}


# Invitations


def test_an_invitation_is_joined_and_accepted(world: World) -> None:
    alice, joiner = world.alice, world.hospital("Joiner")
    project, manifests = world.make_project(alice)
    code_id = world.invite(alice, project, "for Joiner")
    offer = joiner.get(f"invitations/{code_id}/")
    assert offer.body == {
        "project": {"uid": project, "name": "A question"},
        "coordinator": {"site": alice.uid, "name": "Alice"},
        **alice.cards[0].to_json(),
    }
    body = {**joiner.cards[0].to_json(), "mac": b64(b"q" * 32)}
    assert joiner.post(f"invitations/{code_id}/join/", body).status == 200
    assert joiner.post(f"invitations/{code_id}/join/", body).status == 200
    assert joiner.get(f"projects/{project}/").status == 404  # nobody is in before the coordinator signs
    (row,) = alice.get(f"projects/{project}/invitations/")["results"]
    assert (row["id"], row["label"], row["state"]) == (code_id, "for Joiner", "joined")
    assert row["join"] == {"site": joiner.uid, "name": "Joiner", **body}
    second = alice.signed_members(project, 2, [alice.member(COORDINATOR), joiner.member()], manifests[0])
    assert alice.post(f"projects/{project}/manifest/", second.to_json()).status == 201
    assert joiner.get(f"projects/{project}/")["role"] == "participant"
    (row,) = alice.get(f"projects/{project}/invitations/")["results"]
    assert row["state"] == "accepted"
    assert alice.delete(f"projects/{project}/invitations/{code_id}/").code == "invitation_accepted"


def test_a_code_is_used_once(world: World) -> None:
    code_id = world.join(world.alice, world.project, world.hospital("First"))
    other = world.hospital("Second")
    body = {**other.cards[0].to_json(), "mac": b64(b"m" * 32)}
    assert other.post(f"invitations/{code_id}/join/", body).code == "invitation_used"


def test_a_joiner_shows_its_own_card(world: World) -> None:
    joiner = world.hospital("Joiner")
    code_id = world.invite(world.alice, world.project)
    foreign = {**world.charlie.cards[0].to_json(), "mac": b64(b"m" * 32)}
    assert joiner.post(f"invitations/{code_id}/join/", foreign).status == 422
    for mac in ("", b64(b"m" * 31), b64(b"m" * 33), "m" * 44, 5):
        answer = joiner.post(f"invitations/{code_id}/join/", {**joiner.cards[0].to_json(), "mac": mac})
        assert (answer.status, list(answer["fields"])) == (400, ["mac"])


def test_invitations_end(world: World) -> None:
    from django.utils import timezone

    from friendlyfl.router.models import Invitation

    alice, path = world.alice, f"projects/{world.project}/invitations/"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = alice.post(path, {"id": uuid.uuid4().hex, "label": "", "expires_at": soon})
    assert (made.status, made["state"]) == (201, "open")
    Invitation.objects.filter(code_id=made["id"]).update(expires_at=timezone.now())
    joiner = world.hospital("Late")
    body = {**joiner.cards[0].to_json(), "mac": b64(b"m" * 32)}
    assert joiner.post(f"invitations/{made['id']}/join/", body).code == "invitation_expired"
    for when in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        assert alice.post(path, {"id": uuid.uuid4().hex, "expires_at": when}).code == "expires_at"
    for when in ("tomorrow", "2030-01-01", "2030-01-01T00:00:00", 5):
        assert alice.post(path, {"id": uuid.uuid4().hex, "expires_at": when}).code == "bad_field"


def test_a_withdrawn_invitation_is_unknown(world: World) -> None:
    code_id = world.invite(world.alice, world.project)
    assert world.charlie.get(f"invitations/{code_id}/").status == 200
    assert world.alice.delete(f"projects/{world.project}/invitations/{code_id}/").status == 204
    assert world.charlie.get(f"invitations/{code_id}/").status == 404
    taken = world.invite(world.alice, world.project)
    foreign, _ = world.make_project(world.charlie)
    assert world.charlie.post(f"projects/{foreign}/invitations/", {"id": taken}).code == "invitation_taken"


# Manifests


def test_every_epoch_is_kept_and_told(world: World) -> None:
    alice, bob, project = world.new_project()
    (first,) = bob.get(f"projects/{project}/manifest/")["manifests"]
    joiner = world.hospital("Joiner")
    world.join(alice, project, joiner)
    from friendlyfl.wire.trust import SignedManifest

    held = SignedManifest.from_json(first)
    members = [alice.member(COORDINATOR), bob.member(), joiner.member()]
    second = alice.signed_members(project, 2, members, held)
    assert alice.post(f"projects/{project}/manifest/", second.to_json()).status == 201
    assert alice.post(f"projects/{project}/manifest/", second.to_json()).status == 200
    assert bob.get(f"projects/{project}/manifest/")["manifests"] == [first, second.to_json()]
    assert bob.get(f"projects/{project}/")["epoch"] == 2
    again = alice.signed_members(project, 2, members[:2], held)
    answer = alice.post(f"projects/{project}/manifest/", again.to_json())
    assert (answer.status, answer.code) == (409, "manifest_split")
    gap = alice.signed_members(project, 4, members[:2], second)
    assert alice.post(f"projects/{project}/manifest/", gap.to_json()).code == "manifest_gap"
    wrong = alice.signed_members(project, 3, members[:2], held)
    assert alice.post(f"projects/{project}/manifest/", wrong.to_json()).code == "manifest_chain"


def test_a_manifest_is_signed_by_the_coordinator_of_this_project(world: World) -> None:
    alice, bob, project = world.new_project()
    other, _ = world.make_project(alice)
    path = f"projects/{project}/manifest/"
    members = [alice.member(COORDINATOR), bob.member()]
    forged = bob.signed_members(project, 1, [bob.member(COORDINATOR)])
    assert alice.post(path, forged.to_json()).status == 422
    foreign = alice.signed_members(other, 1, members)
    assert alice.post(path, foreign.to_json()).code == "other_project"
    flipped = alice.signed_members(project, 1, members).to_json()
    flipped["signature"] = b64(bytes(64))
    assert alice.post(path, flipped).code == "bad_signature"
    assert alice.post(path, {"manifest": b64(b"{}"), "signature": b64(bytes(64))}).status == 422


def test_nobody_is_drawn_in_unasked(world: World) -> None:
    """A coordinator can name only who joined with a code, and so cannot find out who exists either."""
    alice = world.alice
    project, manifests = world.make_project(alice)
    made_up = Hospital(world.client, "Made up", alice.owner)
    told = []
    for stranger in (world.charlie, made_up):
        named = alice.signed_members(project, 2, [alice.member(COORDINATOR), stranger.member()], manifests[0])
        answer = alice.post(f"projects/{project}/manifest/", named.to_json())
        assert answer.status == 409
        told.append(answer.body)
    assert told[0] == told[1]
    assert told[0]["code"] == "not_joined"
    assert alice.get(f"sites/{world.charlie.uid}/").status == 404


def test_a_member_leaves_at_once(world: World) -> None:
    alice, bob, project = world.new_project()
    path = f"projects/{project}/"
    assert bob.delete(f"{path}participants/{alice.uid}/").status == 403
    assert alice.delete(f"{path}participants/{alice.uid}/").code == "coordinator_stays"
    assert bob.delete(f"{path}participants/{bob.uid}/").status == 204
    assert bob.get(path).status == 404
    assert [row["site"] for row in alice.get(f"{path}participants/")["results"]] == [alice.uid]
    from friendlyfl.wire.trust import SignedManifest

    (first,) = alice.get(f"{path}manifest/")["manifests"]
    held = SignedManifest.from_json(first)
    with_bob = alice.signed_members(project, 2, [alice.member(COORDINATOR), bob.member()], held)
    assert alice.post(f"{path}manifest/", with_bob.to_json()).code == "not_joined"
    without = alice.signed_members(project, 2, [alice.member(COORDINATOR)], held)
    assert alice.post(f"{path}manifest/", without.to_json()).status == 201
    # With a new code it may come back.
    world.join(alice, project, bob)
    third = alice.signed_members(project, 3, [alice.member(COORDINATOR), bob.member()], without)
    assert alice.post(f"{path}manifest/", third.to_json()).status == 201
    assert bob.get(path)["epoch"] == 3


def test_a_manifest_takes_a_member_out(world: World) -> None:
    alice, bob, project = world.new_project()
    from friendlyfl.wire.trust import SignedManifest

    (first,) = alice.get(f"projects/{project}/manifest/")["manifests"]
    second = alice.signed_members(project, 2, [alice.member(COORDINATOR)], SignedManifest.from_json(first))
    assert alice.post(f"projects/{project}/manifest/", second.to_json()).status == 201
    assert bob.get(f"projects/{project}/").status == 404


def test_a_participant_reads_no_other_names(world: World) -> None:
    rows = {row["site"]: row for row in world.bob.get(f"projects/{world.project}/participants/")["results"]}
    assert {uid: row["name"] for uid, row in rows.items()} == {
        world.alice.uid: "Alice",
        world.bob.uid: "Bob",
        world.dora.uid: None,
    }
    assert rows[world.dora.uid]["card"] == world.dora.cards[0].to_json()
    assert rows[world.dora.uid]["fingerprint"] == world.dora.identity.fingerprint
    names = {row["name"] for row in world.alice.get(f"projects/{world.project}/participants/")["results"]}
    assert names == {"Alice", "Bob", "Dora"}


@pytest.mark.parametrize(
    "field", ["name", "description", "state", "uid", "epoch", "coordinator", "plan_sha256"]
)
def test_wrong_types_are_marked_fields(world: World, field: str) -> None:
    for value in (5, None, [], {}, True, "\x00", "\ud800"):
        answer = world.alice.patch(f"projects/{world.project}/", {field: value})
        assert (answer.status, answer.code) == (400, "bad_field"), (value, answer)
        assert field in answer["fields"]

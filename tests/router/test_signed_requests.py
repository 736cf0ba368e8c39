"""A site's signature is its only credential: what is covered, how often, how old, under which lease."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from friendlyfl.core import limits
from friendlyfl.wire.keys import Identity
from tests.router.world import API, Bearer, World


def test_a_signed_request_is_answered(world: World) -> None:
    answer = world.alice.get("sites/me/")
    assert answer.status == 200
    assert (answer["uid"], answer["name"], answer["state"]) == (world.alice.uid, "Alice", "active")
    assert answer["connected"] and abs(answer["clock_skew"]) <= 1
    assert answer["owner"] == world.alice.owner.uid
    assert answer["limits"]["envelope"] == limits.ENVELOPE
    assert answer["server_time"].endswith("Z") and answer["oldest_controller"] == "0.1"


@pytest.mark.parametrize("path", ["projects/", "messages/inbox/"])
@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"method": "POST"}, "bad_signature"),
        ({"authority": "elsewhere"}, "bad_signature"),
        ({"path": API + "runs/"}, "bad_signature"),
        ({"query": "page=1"}, "bad_signature"),
        ({"created": -limits.REQUEST_SKEW - 60}, "stale_signature"),
        ({"created": limits.REQUEST_SKEW + 60}, "stale_signature"),
    ],
)
def test_each_covered_part_counts(world: World, path: str, over: dict[str, object], code: str) -> None:
    shift = over.get("created")
    world.alice.over = over | ({"created": int(time.time()) + shift} if isinstance(shift, int) else {})
    try:
        answer = world.alice.get(path)
    finally:
        world.alice.over = {}
    assert (answer.status, answer.code) == (401, code)
    assert "WWW-Authenticate" in answer.headers
    if code == "stale_signature":
        assert "server_time" in answer.body


def test_a_body_that_was_not_signed_is_not_used(world: World) -> None:
    world.alice.over = {"body_sha256": hashlib.sha256(b"{}").digest()}
    try:
        answer = world.alice.post("projects/", {"name": "Another"})
    finally:
        world.alice.over = {}
    assert (answer.status, answer.code) == (400, "body_changed")


@pytest.mark.parametrize("path", ["projects/", "messages/inbox/"])
def test_the_same_request_twice_is_refused(world: World, path: str) -> None:
    world.alice.over = {"nonce": hashlib.sha256(path.encode()).hexdigest()[:32]}
    try:
        first, second = world.alice.get(path), world.alice.get(path)
    finally:
        world.alice.over = {}
    assert first.status == 200
    assert (second.status, second.code) == (401, "replayed_request")


def test_a_nonce_used_at_the_relay_is_used_for_the_records_too(world: World) -> None:
    world.bob.over = {"nonce": "c" * 32}
    try:
        assert world.bob.get("messages/inbox/").status == 200
        assert world.bob.get("projects/").code == "replayed_request"
    finally:
        world.bob.over = {}


@pytest.mark.parametrize("path", ["projects/", "messages/inbox/"])
def test_a_request_under_an_old_lease_is_fenced(world: World, path: str) -> None:
    site = world.hospital("Fenced")
    site.lease -= 1
    answer = site.get(path)
    assert (answer.status, answer.code) == (409, "fenced")


def test_a_key_that_nobody_knows_is_answered_like_a_wrong_signature(world: World) -> None:
    known = world.alice.identity
    world.alice.identity = Identity.generate()
    try:
        unknown = world.alice.get("projects/")
    finally:
        world.alice.identity = known
    world.alice.over = {"method": "POST"}
    try:
        wrong = world.alice.get("projects/")
    finally:
        world.alice.over = {}
    assert unknown.body == wrong.body


@pytest.mark.parametrize("path", ["projects/", "messages/inbox/"])
def test_two_credentials_are_one_too_many(world: World, path: str) -> None:
    answer = world.alice.get(path, authorization=world.user.authorization)
    assert (answer.status, answer.code) == (400, "two_credentials")
    answer = world.alice.get(path, cookie="ffl_session=abc")
    assert (answer.status, answer.code) == (400, "two_credentials")
    answer = world.user.get("projects/", cookie="ffl_session=abc")
    assert (answer.status, answer.code) == (400, "two_credentials")


@pytest.mark.parametrize("missing", ["signature", "signature-input", "content-digest", "ffl-lease"])
def test_a_signature_lacking_a_part_is_none(world: World, missing: str) -> None:
    headers = world.alice.credential("GET", API + "projects/", "", b"")
    del headers[missing]
    answer = world.anonymous.get("projects/", **headers)
    assert answer.status == 401


def test_a_person_does_not_reach_the_relay(world: World) -> None:
    for asker in (world.user, world.admin):
        assert asker.get("messages/inbox/").status == 401
        assert asker.post("messages/", {}).status == 401
        assert asker.post("uploads/", {}).status == 401


@pytest.mark.parametrize(
    "value", ["Token x", "Token", "Bearer abc", "Basic YTpi", "Enrolment AAAA", "Token " + "a" * 999]
)
def test_a_credential_that_does_not_hold_is_refused_even_where_none_is_needed(
    world: World, value: str
) -> None:
    answer = Bearer(world.client, value).get("")
    assert (answer.status, answer.code) == (401, "unknown_credential")


def test_a_controller_that_is_too_old_is_told_so(world: World) -> None:
    answer = world.alice.get("sites/me/", user_agent="friendlyfl/0.0.9")
    assert (answer.status, answer.code) == (426, "controller_too_old")
    assert world.alice.get("sites/me/", user_agent="friendlyfl/0.1.3")["version"] == "0.1.3"


def test_a_revoked_site_reads_itself_and_nothing_else(world: World) -> None:
    site = world.hospital("Soon revoked")
    assert site.get("projects/").status == 200
    assert world.admin.post(f"sites/{site.uid}/revoke/")["state"] == "revoked"
    assert site.get("sites/me/")["state"] == "revoked"
    assert [row["uid"] for row in site.get("sites/")["results"]] == [site.uid]
    for path in ("projects/", "messages/inbox/", "runs/"):
        answer = site.get(path)
        assert (answer.status, answer.code) == (403, "site_revoked")
    assert site.beat().code == "site_revoked"


def test_the_signature_is_checked_before_the_body_is_parsed(world: World) -> None:
    world.alice.over = {"path": "/elsewhere/"}
    try:
        assert world.alice.ask("POST", "projects/", raw=b"{not json").status == 401
    finally:
        world.alice.over = {}
    assert world.alice.ask("POST", "projects/", raw=b"{not json").code == "unreadable"
    assert json.dumps(world.alice.get("projects/").body)

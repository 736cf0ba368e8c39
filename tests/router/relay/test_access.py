"""Who may ask what: every route, every verb, every kind of asker; and credentials that do not hold."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from friendlyfl.core import limits
from friendlyfl.router.relay.app import OPENAPI_PATHS, ROUTES
from friendlyfl.wire.keys import Identity
from tests.router.relay.asking import Relay, refused
from tests.router.relay.test_uploads import big, wanted
from tests.router.relay.world import PREFIX, Hospital, World

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SERVED = [(path, verb) for path, verbs in ROUTES.items() for verb in verbs]


class Scene:
    """One message from Alice to Bob, one upload of Alice's, and how to ask each route for them."""

    def __init__(self, relay: Relay, world: World) -> None:
        self.relay, self.world = relay, world
        letter = world.plan()
        assert relay.post(world.alice, letter).status_code == 201
        self.message, self.blob = letter.id, big(world)
        self.upload = relay.ask(world.alice, "POST", "/uploads/", wanted(self.blob)).json()["id"]

    def ask(self, site: Hospital | None, verb: str, route: str, **more: Any) -> Any:
        """An honest request to the route, by whoever it is."""
        id = self.message if route.startswith("/messages") else self.upload
        body: Any = None
        headers = dict(more.pop("headers", {}))
        if verb == "PATCH":
            body, headers = self.blob, headers | {"upload-offset": "0"}
        elif (verb, route) == ("POST", "/messages"):
            # In its own name, of a type that each member's role allows.
            sender = site or self.world.bob
            type, to = (
                ("plan", self.world.bob) if sender is self.world.alice else ("approve", self.world.alice)
            )
            body = self.world.letter(sender, type, [to], part=sender.seq + 10).body()
        elif (verb, route) == ("POST", "/uploads"):
            body = wanted(big(self.world))
        return self.relay.ask(site, verb, f"{route.replace('{id}', id)}/", body, headers=headers, **more)


@pytest.fixture
def scene(relay: Relay, world: World) -> Scene:
    return Scene(relay, world)


def code_of(answer: Any) -> tuple[int, str]:
    # A HEAD has no body that could carry a code.
    if answer.request.method == "HEAD" or answer.status_code < 400:
        return answer.status_code, ""
    return answer.status_code, answer.json()["code"]


ALLOWED = {
    # route: the codes for Alice (coordinates, sender, owner of the upload), Bob (addressee), Charlie (a stranger)
    ("/messages", "POST"): (201, 201, 404),
    ("/messages/inbox", "GET"): (200, 200, 200),
    ("/messages/{id}", "GET"): (404, 200, 404),
    ("/messages/{id}", "HEAD"): (404, 200, 404),
    ("/messages/{id}/payload", "GET"): (404, 200, 404),
    ("/messages/{id}/payload", "HEAD"): (404, 200, 404),
    ("/messages/{id}/ack", "POST"): (404, 200, 404),
    ("/uploads", "POST"): (201, 201, 201),
    ("/uploads/{id}", "HEAD"): (200, 404, 404),
    ("/uploads/{id}", "PATCH"): (204, 404, 404),
    ("/uploads/{id}", "DELETE"): (204, 404, 404),
    ("/uploads/{id}/complete", "POST"): (422, 404, 404),  # nothing of it has come yet
}


def test_the_table_is_whole() -> None:
    assert sorted(ALLOWED) == sorted(SERVED)


@pytest.mark.parametrize(("route", "verb"), SERVED, ids=lambda value: value)
def test_alice_bob_and_charlie(scene: Scene, route: str, verb: str) -> None:
    world = scene.world
    askers = (world.charlie, world.bob, world.alice)
    got = [scene.ask(asker, verb, route).status_code for asker in askers]
    assert tuple(reversed(got)) == ALLOWED[route, verb]
    if route == "/messages/inbox":
        assert scene.ask(world.charlie, verb, route).json()["messages"] == []


@pytest.mark.parametrize(("route", "verb"), SERVED, ids=lambda value: value)
def test_without_a_site_nothing_is_told(scene: Scene, route: str, verb: str) -> None:
    """Nobody, a person with a token or a session, a key that is not known here, a site that was revoked."""
    world, head = scene.world, verb == "HEAD"

    def say(status: int, code: str) -> tuple[int, str]:
        return status, "" if head else code

    assert code_of(scene.ask(None, verb, route)) == say(401, "signature_needed")
    for person in ({"authorization": "Token abc"}, {"cookie": "ffl_session=abc"}):
        assert code_of(scene.ask(None, verb, route, headers=person)) == say(401, "signature_needed")
        assert code_of(scene.ask(world.bob, verb, route, headers=person)) == say(400, "two_credentials")
    stranger = Hospital("Nowhere")
    assert code_of(scene.ask(stranger, verb, route)) == say(401, "bad_signature")
    impostor = Hospital("Mallory", uid=world.bob.uid)
    assert code_of(scene.ask(impostor, verb, route)) == say(401, "bad_signature")
    world.sql("UPDATE ffl_site SET state = 'revoked' WHERE id = ?", world.bob.pk)
    assert code_of(scene.ask(world.bob, verb, route)) == say(403, "site_revoked"), "revoking bites at once"


@pytest.mark.parametrize(("route", "verb"), SERVED, ids=lambda value: value)
def test_lease_replay_and_clock(scene: Scene, route: str, verb: str) -> None:
    world = scene.world
    site = world.alice if route.startswith("/uploads") else world.bob
    site.lease = 4
    assert code_of(scene.ask(site, verb, route))[0] == 409, "no lease was given out yet"
    world.sql(
        "INSERT INTO ffl_lease (site_id, instance, fence, since, seen_at, n, beat) VALUES (?, 'a', 4, 0, 0, 0, '')",
        site.pk,
    )
    nonce = "0123456789abcdef" * 2
    assert scene.ask(site, verb, route, signed={"nonce": nonce}).status_code in (200, 201, 204, 422)
    again = scene.ask(site, verb, route, signed={"nonce": nonce})
    assert code_of(again)[0] == 401
    if verb != "HEAD":
        refused(again, 401, "replayed_request")
        site.lease = 3
        refused(scene.ask(site, verb, route), 409, "fenced")
        site.lease = 4
        for created in (-limits.REQUEST_SKEW - 5, limits.REQUEST_SKEW + 5):
            stale = scene.ask(site, verb, route, signed={"created": int(time.time()) + created})
            assert refused(stale, 401, "stale_signature")["server_time"]


@pytest.mark.parametrize("route", ROUTES)
def test_other_verbs(scene: Scene, route: str) -> None:
    others = [verb for verb in VERBS if verb not in ROUTES[route]]
    for verb, asker in itertools.product(others, (None, scene.world.alice, scene.world.charlie)):
        answer = scene.ask(asker, verb, route)
        assert answer.headers["allow"] == ", ".join(sorted({*ROUTES[route], "OPTIONS"}))
        if verb == "OPTIONS":
            assert (answer.status_code, answer.content) == (204, b"")
            assert not [name for name in answer.headers if name.startswith("access-control")], "no CORS"
        else:
            assert answer.status_code == 405
            assert verb == "HEAD" or answer.json()["code"] == "wrong_verb"


@pytest.mark.parametrize(
    "path",
    [
        "/messages/x/",
        "/messages/..%2f..%2fetc/payload/",
        "/messages/%00/",
        "/messages/%F0%9F%92%A9/ack/",
        "/uploads/1/complete/",
    ],
)
def test_odd_ids_are_nothing(relay: Relay, world: World, path: str) -> None:
    verb = "POST" if path.endswith(("ack/", "complete/")) else "GET"
    assert relay.ask(world.bob, verb, path).status_code == 404


@pytest.mark.parametrize("path", ["/messages/a/b/c/", "/messages//", "/uploads/x/y/", "/inbox/"])
def test_other_paths_are_404(relay: Relay, world: World, path: str) -> None:
    refused(relay.ask(world.bob, "GET", path), 404, "not_found")


@pytest.mark.parametrize("route", ROUTES)
def test_the_last_slash_is_free_and_never_a_redirect(scene: Scene, route: str) -> None:
    for asker in (None, scene.world.bob):
        for verb in ROUTES[route]:
            id = scene.message if route.startswith("/messages") else scene.upload
            path = route.replace("{id}", id)
            codes = {scene.relay.ask(asker, verb, each).status_code for each in (path, f"{path}/")}
            assert len(codes) == 1 and not codes & {301, 302, 307, 308}


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"path": f"{PREFIX}/messages/inbox"},
        {"query": "since=0&wait=1"},
        {"authority": "elsewhere"},
        {"body_sha256": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_covered_part_is_covered(relay: Relay, world: World, change: dict[str, Any]) -> None:
    assert relay.inbox(world.bob, "since=0&wait=0").status_code == 200
    code = "body_changed" if "body_sha256" in change else "bad_signature"
    refused(
        relay.inbox(world.bob, "since=0&wait=0", signed=change), 400 if code == "body_changed" else 401, code
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ffl-lease", "7"),
        ("signature", "ffl1=:AAAA:"),
        ("signature-input", ""),
        ("content-digest", "sha-512=:AAAA:"),
    ],
)
def test_headers_changed_on_the_way(relay: Relay, world: World, name: str, value: str) -> None:
    answer = relay.inbox(world.bob, headers={name: value})
    refused(answer, 401, answer.json()["code"])  # the wire has its own codes for form


def test_other_names_of_this_server(relay: Relay, world: World) -> None:
    refused(
        relay.inbox(world.bob, headers={"host": "evil.example"}, signed={"authority": "evil.example"}),
        400,
        "unknown_host",
    )


def test_a_changed_key_is_another_site(relay: Relay, world: World) -> None:
    """A key is remembered by its fingerprint; what the database says of it is asked every time."""
    assert relay.inbox(world.bob).status_code == 200
    other = Identity.generate()
    world.sql(
        "UPDATE ffl_site SET fingerprint = ?, public = ? WHERE id = ?",
        *(other.fingerprint, other.public.hex(), world.bob.pk),
    )
    refused(relay.inbox(world.bob), 401, "bad_signature")
    world.bob.identity = other
    assert relay.inbox(world.bob).status_code == 200


def test_last_seen_is_noted_now_and_then(relay: Relay, world: World) -> None:
    def seen() -> Any:
        return world.sql("SELECT last_seen, clock_skew FROM ffl_site WHERE id = ?", world.bob.pk)[0]

    assert seen()[0] is None
    relay.inbox(world.bob, signed={"created": int(time.time()) - 100})
    first, skew = seen()
    assert first is not None and -102 <= skew <= -98
    relay.inbox(world.bob)
    assert seen()[0] == first, "a poll a second is not an update a second"


def test_limits_per_second(world: World) -> None:
    asker = Relay(world.service(posts=(3, 0.5), requests=4, strangers=2, clock=lambda: 0.0))
    with asker.http:
        codes = [asker.post(world.alice, world.plan(part)).status_code for part in range(4)]
        assert codes == [201, 201, 201, 429]
        answer = refused(asker.post(world.alice, world.plan(9)), 429, "too_fast")
        assert answer["retry_after"] == 2
        assert asker.post(world.bob, world.letter(world.bob, "approve", [world.alice])).status_code == 201
        codes = [asker.inbox(world.alice).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 200, 429]
        codes = [asker.inbox(Hospital("Nowhere")).status_code for _ in range(4)]
        assert codes == [401, 401, 429, 429]
        assert asker.inbox(world.bob).status_code == 200, (
            "a stranger at the same address does not lock us out"
        )


def test_the_description_names_every_route_and_verb() -> None:
    described = {
        (path.rstrip("/"), verb.upper())
        for path, item in OPENAPI_PATHS.items()
        for verb in item
        if verb != "parameters"
    }
    assert described == set(SERVED)


def test_who_may_not_ask_is_told_that_and_no_more(scene: Scene) -> None:
    """Signature and lease come before size and form, in whatever way the body is wrong."""
    world, relay = scene.world, scene.relay
    json_type = {"content-type": "application/json"}

    def wrong_in_form() -> list[Any]:
        return [
            relay.ask(world.alice, "POST", "/messages/", b"{", headers=json_type),
            relay.ask(world.alice, "POST", "/messages/", {"deliveries": []}),
            relay.ask(world.alice, "POST", "/messages/", b"x"),
            relay.ask(world.alice, "POST", "/messages/", b" " * (limits.MESSAGE_BODY + 1), headers=json_type),
            relay.ask(world.alice, "POST", "/uploads/", {}),
            relay.inbox(world.alice, "since=x"),
            relay.ask(world.alice, "GET", "/messages/odd/"),
        ]

    assert [answer.status_code for answer in wrong_in_form()] == [400, 422, 415, 413, 400, 400, 404]
    world.alice.lease = 9
    assert {code_of(answer) for answer in wrong_in_form()} == {(409, "fenced")}
    world.sql("UPDATE ffl_site SET state = 'revoked' WHERE id = ?", world.alice.pk)
    assert {code_of(answer) for answer in wrong_in_form()} == {(403, "site_revoked")}
    nonce = {"nonce": "ab" * 16}
    assert relay.inbox(world.bob, "since=x", signed=nonce).status_code == 400
    refused(relay.inbox(world.bob, "since=x", signed=nonce), 401, "replayed_request")

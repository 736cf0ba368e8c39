"""The manners of HTTP: slashes, media types, strict bodies and queries, repeats, pages, errors, never a 500."""

from __future__ import annotations

import asyncio
import json
import re
import uuid

import pytest

from friendlyfl.core import limits
from tests.router.test_policy import TABLE
from tests.router.world import API, World


def test_a_path_answers_with_and_without_its_last_slash(world: World) -> None:
    for path in (
        "",
        "sites/me/",
        "projects/",
        f"projects/{world.project}/steps/",
        "health/ready/",
        "runs/active/",
    ):
        with_slash = world.alice.get(path)
        without = world.alice.ask("GET", (API + path).rstrip("/"))
        assert with_slash.status == without.status == 200, path


def test_there_is_no_redirect_in_the_api(world: World) -> None:
    for path in (
        "sites",
        "sites//",
        "Sites/",
        "nothing/",
        "sites/me/nothing/",
        "projects/x/",
        "sites/me/%0a",
    ):
        answer = world.alice.get(path)
        assert answer.status in {200, 404}, path
        assert "location" not in answer.headers


def test_the_root_names_what_there_is(world: World) -> None:
    links = world.anonymous.get("").body
    assert links["projects"] == f"http://localhost{API}projects/"
    assert world.anonymous.get("/").status == 302  # the start page leads a person to the API


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
def test_bodies_are_json(world: World, media_type: str) -> None:
    answer = world.alice.ask("POST", "projects/", {"name": "x y"}, content_type=media_type)
    assert (answer.status, answer.code) == (415, "media_type")


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[", b"nonsense", b'{"name": "a", "name": "b"}', b'{"name": NaN}', b'{"name": Infinity}',
     b'\xff{"name": 1}', b'{"name": 1' + b"0" * 5000 + b"}", b"[" * 100_000,
     b'{"a":' * 9 + b"1" + b"}" * 9, b'"' + b"x" * 1000],
    ids=range(11),
)  # fmt: skip
def test_json_is_strict(world: World, raw: bytes) -> None:
    answer = world.alice.ask("POST", "projects/", raw=raw)
    assert (answer.status, answer.code) == (400, "unreadable")


@pytest.mark.parametrize("raw", [b"[]", b"null", b"5", b'"text"', b"true", b'[{"name": "x y"}]'])
def test_a_body_is_an_object(world: World, raw: bytes) -> None:
    answer = world.alice.ask("POST", "projects/", raw=raw)
    assert (answer.status, answer.code) == (400, "bad_field")


def test_unknown_fields_and_arguments_are_refused(world: World) -> None:
    answer = world.alice.post("projects/", {"name": "x y", "colour": "red"})
    assert answer["fields"] == {"colour": ["There is no such field to set."]}
    for query in ("colour=red", "page=1&page=2", "format=json", "wait=5"):
        assert world.alice.get("projects/", query).code == "unknown_argument", query
    assert world.alice.ask("POST", "projects/", {"name": "x y"}, query="page=1").code == "unknown_argument"
    assert world.alice.ask("GET", "sites/me/", query="page=1").code == "unknown_argument"


def test_a_wrong_verb_names_the_right_ones(world: World) -> None:
    answer = world.alice.ask("PUT", "projects/", {})
    assert (answer.status, answer.code) == (405, "wrong_verb")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert world.alice.ask("HEAD", "projects/").status == 200
    assert world.alice.ask("BREW", "projects/").status == 405


def test_a_large_body_is_refused_at_the_door(world: World) -> None:
    body = json.dumps({"name": "x" * (limits.MESSAGE_BODY + 1)}).encode()
    answer = world.alice.ask("POST", "projects/", raw=body)
    assert (answer.status, answer.code) == (413, "too_big")


def test_a_slow_body_costs_no_thread(server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that dribbles gets 408 before Django is asked."""
    from friendlyfl.router.asgi import application
    from friendlyfl.router.relay import body

    monkeypatch.setattr(body, "STALL", 0.05)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": API + "projects/",
        "scheme": "http",
        "query_string": b"",
    }
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    asyncio.run(application({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "too_slow"  # type: ignore[arg-type]


def test_pages_are_counted(world: World) -> None:
    site = world.hospital("Many")
    made = [site.post("projects/", {"name": f"Question {n}"})["uid"] for n in range(5)]
    first = site.get("projects/", "page_size=2")
    assert (first["count"], first["previous"]) == (5, None)
    assert first["next"] == f"http://localhost{API}projects/?page=2&page_size=2"
    found = [
        row["uid"]
        for page in (1, 2, 3)
        for row in site.get("projects/", f"page_size=2&page={page}")["results"]
    ]
    assert found == made
    assert site.get("projects/", "page_size=2&page=3")["next"] is None
    assert site.get("projects/", "page=99")["results"] == []
    for query in (
        "page=0",
        "page=x",
        "page=-1",
        "page_size=201",
        "page_size=0",
        "page=1.5",
        "page=" + "9" * 30,
        "page=%D9%A1",
    ):
        assert site.get("projects/", query).code == "bad_page", query


# Repeats


def test_the_same_key_and_body_get_the_same_answer(world: World) -> None:
    key, body = uuid.uuid4().hex, {"name": "Once only"}
    first = world.alice.post("projects/", body, idempotency_key=key)
    second = world.alice.post("projects/", body, idempotency_key=key)
    assert first.status == second.status == 201
    assert first.body == second.body
    other = world.alice.post("projects/", {"name": "Something else"}, idempotency_key=key)
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert world.bob.post("projects/", body, idempotency_key=key)["uid"] != first["uid"]
    named = [row for row in world.alice.get("projects/")["results"] if row["name"] == "Once only"]
    assert len(named) == 1


def test_a_refused_request_may_be_corrected_under_its_key(world: World) -> None:
    key = uuid.uuid4().hex
    assert world.alice.post("projects/", {"name": ""}, idempotency_key=key).status == 400
    assert world.alice.post("projects/", {"name": "Better"}, idempotency_key=key).status == 201


@pytest.mark.parametrize("key", ["", "x" * 129, "\t", "ü"])
def test_an_idempotency_key_is_some_characters(world: World, key: str) -> None:
    answer = world.alice.post("projects/", {"name": "Key"}, idempotency_key=key.encode())  # type: ignore[arg-type]
    assert (answer.status, answer.code) == (400, "idempotency_key")


# Errors


def test_too_fast_is_told_how_long_to_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendlyfl.router.api import speed
    from friendlyfl.router.relay.limiter import Buckets

    monkeypatch.setattr(speed, "_known", Buckets(3, 0.5))
    monkeypatch.setattr(speed, "_strangers", Buckets(2, 0.5))
    assert [world.charlie.get("projects/").status for _ in range(4)] == [200, 200, 200, 429]
    assert world.bob.get("projects/").status == 200  # each has its own measure
    wrong = [world.anonymous.get("projects/", authorization="Token x").status for _ in range(3)]
    assert wrong == [401, 401, 429]
    answer = world.anonymous.get("")
    assert (answer.status, answer.code) == (429, "too_fast")
    assert answer.headers["retry-after"] == str(answer["retry_after"])
    assert world.anonymous.get("health/").status == 200


def test_another_host_is_not_answered(world: World) -> None:
    for path in ("health/", "messages/inbox/"):
        answer = world.anonymous.get(path, host="evil.example")
        assert answer.status in {400, 401}, answer
    answer = world.anonymous.get("health/", host="evil.example")
    assert (answer.status, answer.code) == (400, "unknown_host")


def test_what_nobody_expected_is_no_500(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from friendlyfl.router.api import house

    def broken() -> bool:
        raise ZeroDivisionError("patient zero")

    monkeypatch.setattr(house, "_database_answers", broken)
    answer = world.anonymous.get("health/ready/")
    assert (answer.status, answer.code) == (503, "router_fault")
    assert "patient" not in str(answer.body)
    assert any(record.exc_info for record in caplog.records)


def test_a_busy_database_is_a_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from friendlyfl.router.api import house

    def busy() -> bool:
        raise OperationalError("database is locked")

    monkeypatch.setattr(house, "_database_answers", busy)
    answer = world.anonymous.get("health/ready/")
    assert (answer.status, answer.code, answer["retry_after"]) == (503, "database_busy", 1)
    assert answer.headers["retry-after"] == "1"


def test_not_ready_tells_nothing_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendlyfl.router.api import house

    assert world.anonymous.get("health/ready/").body == {"status": "ready"}
    monkeypatch.setattr(house, "_store_answers", lambda: False)
    answer = world.anonymous.get("health/ready/")
    assert (answer.status, answer.code) == (503, "not_ready")


def test_random_bodies_are_never_an_error_of_ours(world: World) -> None:
    """A small fuzz over every route that takes a body; the right fields with wrong values."""
    import random

    rng = random.Random(7)
    values: list[object] = [
        None,
        True,
        0,
        -1,
        2**63,
        10**40,
        1.5,
        "",
        "x",
        "\x00",
        "\ud800",
        "é" * 5000,
        [],
        {},
        [[]],
        {"a": 1},
    ]
    fields = [
        "uid",
        "name",
        "description",
        "card",
        "signature",
        "id",
        "label",
        "number",
        "epoch",
        "state",
        "steps",
        "n",
    ]
    names = {"project": world.project, "bob": world.bob.uid, "alice": world.alice.uid, "dora": world.dora.uid}
    names |= {"run": world.run, "user": world.user.user.uid, "invitation": "0" * 32, "rita": world.rita.uid}
    names |= {"enrolment": str(uuid.uuid4())}
    for template, verbs in TABLE.items():
        for verb in set(verbs) & {"POST", "PUT", "PATCH"}:
            if "revoke" in template or "auth/" in template:
                continue
            for _ in range(6):
                body = {name: rng.choice(values) for name in rng.sample(fields, rng.randint(0, 6))}
                answer = world.alice.ask(verb, template.format(**names), body)
                assert answer.status < 500, (template, verb, body, answer)


# Faces


def test_the_api_is_browsable(world: World) -> None:
    page = world.admin.get("projects/", accept="text/html")
    assert page.status == 200
    assert "FriendlyFL Routing Server" in page.body
    assert world.admin.get("sites/", accept="text/html").status == 200
    for path in ("", "users/me/", f"projects/{world.project}/", f"sites/{world.bob.uid}/", "nothing-here/"):
        answer = world.admin.get(path, accept="text/html")
        assert answer.status in {200, 404} and "Traceback (most" not in str(answer.body)
    refused = world.anonymous.get("projects/", accept="text/html")
    assert refused.status == 401 and "login_needed" in refused.body


def test_no_page_names_another_host_or_runs_inline_code(world: World) -> None:
    pages = [world.admin.get(path, accept="text/html") for path in ("", "projects/", "docs/", "users/")]
    pages += [world.anonymous.get(path, accept="text/html") for path in ("/admin/login/", "/account/login/")]
    for page in pages:
        assert page.status == 200
        assert page.headers["content-security-policy"].startswith("default-src 'self'")
        loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=["']([^"']+)""", page.body)
        assert all(address.startswith("/") for address in loaded), loaded
        for tag in re.findall(r"<script\b[^>]*>", page.body):
            assert "src=" in tag or "application/json" in tag, tag
        for asset in loaded:
            if asset.startswith("/static/"):
                answer = world.anonymous.ask("GET", asset, accept="*/*")
                assert answer.status == 200 and answer.headers["x-content-type-options"] == "nosniff", asset
    assert world.anonymous.ask("GET", "/static/../manage.py").status == 404
    assert world.anonymous.ask("GET", "/static/admin/").status == 404


def test_the_schema_describes_every_route_of_both_rooms(world: World) -> None:
    from friendlyfl.router.relay.openapi import OPENAPI_PATHS

    document = world.anonymous.get("schema/").body
    assert document["openapi"].startswith("3.1")
    paths = {path.removeprefix(API) for path in document["paths"]}
    records = {re.sub(r"\{(bob|alice|rita|dora)\}", "{site}", template) for template in TABLE}
    assert paths == records | {path.lstrip("/") for path in OPENAPI_PATHS}
    for template, verbs in TABLE.items():
        operations = document["paths"][API + re.sub(r"\{(bob|alice|rita|dora)\}", "{site}", template)]
        assert {verb.lower() for verb in verbs} == set(operations) - {"parameters"}, template
    assert document["components"]["schemas"]["SiteIn"]["required"] == ["card", "name", "signature", "uid"]
    names = [
        op["operationId"]
        for item in document["paths"].values()
        for op in item.values()
        if "operationId" in op
    ]
    assert len(names) == len(set(names))


def test_each_request_has_one_line_without_secrets(world: World, caplog: pytest.LogCaptureFixture) -> None:
    from friendlyfl.router.logs import JsonLines

    caplog.set_level("INFO", "friendlyfl.router.requests")
    answer = world.alice.get("projects/", "page=1")
    (record,) = [record for record in caplog.records if record.name == "friendlyfl.router.requests"]
    line = json.loads(JsonLines().format(record))
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["actor"], line["method"], line["status"]) == (f"site:{world.alice.uid}", "GET", 200)
    assert line["route"] == "friendlyfl/api/v1/projects/"
    assert {"bytes", "ms"} <= set(line)
    assert "page" not in json.dumps(line)


def test_answers_are_not_kept(world: World) -> None:
    answer = world.alice.get("projects/")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert (
        "access-control-allow-origin"
        not in world.alice.get("projects/", origin="https://evil.example").headers
    )

"""Every route, every verb, every kind of asker, against the table of permissions as the design page gives it.

The table below is written from the design and not from `api/policy.py`: two hands have to agree. A request that the
policy admits is sent with a body that the verb cannot take, so that nothing changes and the next request finds the
same world: being told that the body is wrong means to have been let in.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.router.world import Answer, Asker, World

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ACTORS = ("anonymous", "user", "charlie", "bob", "alice", "admin", "rita")

# For each actor in that order: + admitted, 1 401, 3 403, 4 404. A verb that is not here is 405 for everybody.
#   anonymous, a user without site, Charlie of another project, Bob who takes part, Alice who coordinates,
#   the administrator, Rita whose site is revoked
TABLE: dict[str, dict[str, str]] = {
    "": {"GET": "+++++++"},
    "schema/": {"GET": "+++++++"},
    "docs/": {"GET": "+++++++"},
    "health/": {"GET": "+++++++"},
    "health/ready/": {"GET": "+++++++"},
    "auth/login/": {"POST": "++333+3"},
    "auth/token/": {"POST": "++333+3"},
    "auth/logout/": {"POST": "1+333+3"},
    "users/": {"GET": "1+++++3", "POST": "13333+3"},
    "users/me/": {"GET": "1+++++3", "PATCH": "1+++++3"},
    "users/{user}/": {"GET": "1+444+3", "PATCH": "1+444+3", "DELETE": "13444+3"},
    "enrolments/": {"GET": "13333+3", "POST": "13333+3"},
    "enrolments/{enrolment}/": {"DELETE": "14444+3"},
    "sites/": {"GET": "1++++++", "POST": "1333333"},
    "sites/me/": {"GET": "13+++3+", "PATCH": "13+++33", "DELETE": "13+++33"},
    "sites/me/heartbeat/": {"POST": "13+++33"},
    "sites/me/keys/": {"POST": "13+++33"},
    "sites/{bob}/": {"GET": "144+++4", "PATCH": "144+333", "DELETE": "144+3+3"},
    "sites/{alice}/": {"GET": "144+++4", "PATCH": "1443+33", "DELETE": "1443++3"},
    "sites/{rita}/": {"GET": "14444++", "PATCH": "1444433", "DELETE": "14444+3"},
    "sites/{bob}/keys/": {"GET": "144+++3"},
    "sites/{bob}/revoke/": {"POST": "14433+3"},
    "projects/": {"GET": "1+++++3", "POST": "13+++33"},
    "projects/{project}/": {"GET": "144+++3", "PATCH": "1443+33", "DELETE": "1443++3"},
    "projects/{project}/steps/": {"GET": "144+++3", "PUT": "1443+33"},
    "projects/{project}/participants/": {"GET": "144+++3"},
    "projects/{project}/participants/{bob}/": {"DELETE": "144++33"},
    "projects/{project}/participants/{dora}/": {"DELETE": "1443+33"},
    "projects/{project}/invitations/": {"GET": "1443+33", "POST": "1443+33"},
    "projects/{project}/invitations/{invitation}/": {"DELETE": "1443+33"},
    "projects/{project}/manifest/": {"GET": "144+++3", "POST": "1443+33"},
    "invitations/{invitation}/": {"GET": "14+3+43"},
    "invitations/{invitation}/join/": {"POST": "14+3343"},
    "runs/": {"GET": "1+++++3", "POST": "1443+33"},
    "runs/active/": {"GET": "1+++++3"},
    "runs/{run}/": {"GET": "144+++3"},
    "runs/{run}/status/": {"PUT": "144++33"},
    "runs/{run}/stop/": {"POST": "1443++3"},
    "runs/{run}/logs/": {"GET": "144++33"},
    "audit/": {"GET": "1333++3"},
}
UNKNOWN_VERB_TRIED_BY = ("anonymous", "alice", "rita")
STATUS = {"1": 401, "3": 403, "4": 404}


@dataclass
class Stage:
    """The world with one of everything that a path may name."""

    world: World
    names: dict[str, str]

    def path(self, template: str) -> str:
        return template.format(**self.names)

    def asker(self, actor: str) -> Asker:
        return getattr(self.world, actor)

    def body(self, template: str, verb: str) -> object:
        """What no verb can take; a run names its project in the body, so it gets one that is wrong elsewhere."""
        if (template, verb) == ("runs/", "POST"):
            return self.world.run_fields(self.names["project"], 7, epoch=99)
        return {"nonsense": 1}


@pytest.fixture(scope="module")
def stage(world: World) -> Stage:
    names = {
        "user": world.user.user.uid,
        "enrolment": world.admin.post("enrolments/", {"user": world.user.user.uid})["uid"],
        "alice": world.alice.uid,
        "bob": world.bob.uid,
        "dora": world.dora.uid,
        "rita": world.rita.uid,
        "project": world.project,
        "invitation": world.invite(world.alice, world.project),
        "run": world.run,
    }
    return Stage(world, names)


def ask(stage: Stage, template: str, verb: str, actor: str) -> Answer:
    body = None if verb in {"GET", "OPTIONS"} else stage.body(template, verb)
    return stage.asker(actor).ask(verb, stage.path(template), body)


def told(answer: Answer) -> str:
    """The answer as a sign of the table."""
    admitted = {200} | (
        {400, 409, 422} if answer.code in {"bad_field", "no_body", "unknown_epoch"} else set()
    )
    if answer.status in admitted:
        return "+"
    return next((sign for sign, status in STATUS.items() if status == answer.status), str(answer.status))


@pytest.mark.parametrize("template", TABLE)
def test_every_verb_and_every_asker(stage: Stage, template: str) -> None:
    found = {}
    for verb in VERBS:
        known = verb in TABLE[template]
        answers = [
            ask(stage, template, verb, actor) for actor in (ACTORS if known else UNKNOWN_VERB_TRIED_BY)
        ]
        if known:
            found[verb] = "".join(told(answer) for answer in answers)
        else:
            assert {answer.status for answer in answers} == {405}, verb
        for answer in answers:
            if answer.status >= 400:
                assert {"code", "message", "who"} <= set(answer.body), answer
                assert answer["message"].endswith((".", "}", "]")), answer
            if answer.status == 401:
                assert "www-authenticate" in answer.headers
    assert found == TABLE[template]


def test_the_table_names_every_route(stage: Stage) -> None:
    """Whoever adds a route has to say here who may use it."""
    from django.urls import resolve

    from friendlyfl.router.api.urls import ROUTES

    named = {type_of(resolve("/friendlyfl/api/v1/" + stage.path(template))) for template in TABLE}
    assert named == set(ROUTES.values())


def type_of(match: object) -> object:
    return match.func.view_class  # type: ignore[attr-defined]


def views() -> list[tuple[str, object]]:
    """Every view that the URL resolver can reach, with its address."""
    from django.urls import get_resolver
    from django.urls.resolvers import URLPattern, URLResolver

    def walk(patterns: list[object], prefix: str) -> list[tuple[str, object]]:
        found = []
        for pattern in patterns:
            address = prefix + str(pattern.pattern)  # type: ignore[attr-defined]
            if isinstance(pattern, URLResolver):
                found += walk(pattern.url_patterns, address)
            elif isinstance(pattern, URLPattern):
                found.append((address, pattern.callback))
        return found

    return walk(get_resolver().url_patterns, "")


def test_every_reachable_view_has_a_policy(server: object) -> None:
    """Only the login page, the admin site and the start page stand outside; they have Django's own protection."""
    from friendlyfl.router.api.base import Endpoint
    from friendlyfl.router.api.policy import POLICY, ByPolicy

    for address, view in views():
        if address.startswith(("admin/", "account/")) or address == "":
            continue
        endpoint = getattr(view, "view_class", None)
        assert endpoint is not None and issubclass(endpoint, Endpoint), address
        assert endpoint.permission_classes == [ByPolicy], address
        verbs = {name.upper() for name in endpoint.http_method_names if hasattr(endpoint, name)} - {"HEAD"}
        assert verbs == set(POLICY[endpoint.route]), address


def test_a_view_without_a_policy_refuses_everybody(server: object) -> None:
    from django.conf import settings
    from rest_framework.settings import api_settings

    from friendlyfl.router.api.policy import DenyAll

    assert list(api_settings.DEFAULT_PERMISSION_CLASSES) == [DenyAll]
    assert settings.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] == ["friendlyfl.router.api.policy.DenyAll"]
    assert DenyAll().has_permission(None, None) is False  # type: ignore[arg-type]


def test_an_enrolment_code_opens_one_door(stage: Stage) -> None:
    from tests.router.world import Bearer

    holder = Bearer(stage.world.client, f"Enrolment {stage.world.code(stage.world.user.user)}")
    for template, verbs in TABLE.items():
        for verb, signs in verbs.items():
            body = None if verb == "GET" else stage.body(template, verb)
            answer = holder.ask(verb, stage.path(template), body)
            public = signs == "+++++++"
            wanted = {200} if public else {400} if (template, verb) == ("sites/", "POST") else {403, 404}
            assert answer.status in wanted, (template, verb, answer)


def test_an_owner_in_the_browser_reads_its_site_and_nothing_of_the_project(stage: Stage) -> None:
    world = stage.world
    owner = world.person("owner")
    from friendlyfl.router.models import Site

    Site.objects.filter(uid=world.dora.uid).update(owner=owner.user)
    assert [row["uid"] for row in owner.get("sites/")["results"]] == [world.dora.uid]
    assert owner.get(f"sites/{world.dora.uid}/")["fingerprint"] == world.dora.identity.fingerprint
    assert owner.patch(f"sites/{world.dora.uid}/", {"name": "Taken"}).status == 403
    assert owner.get("projects/")["results"] == []
    assert owner.get(f"projects/{world.project}/").status == 404
    assert owner.get(f"runs/{world.run}/").status == 404


def test_the_audit_of_a_project_is_its_coordinators(stage: Stage) -> None:
    query = f"project={stage.names['project']}"
    wanted = {
        "anonymous": 401,
        "user": 404,
        "charlie": 404,
        "bob": 403,
        "alice": 200,
        "admin": 200,
        "rita": 403,
    }
    assert {actor: stage.asker(actor).get("audit/", query).status for actor in ACTORS} == wanted


def test_a_made_up_uid_is_answered_like_one_that_may_not_be_known(stage: Stage) -> None:
    made_up = dict.fromkeys(stage.names, "00000000-0000-4000-8000-000000000000") | {"invitation": "0" * 32}
    for template in TABLE:
        for verb, signs in TABLE[template].items():
            for actor, sign in zip(ACTORS, signs, strict=True):
                if sign != "4" or (template, verb) == ("runs/", "POST"):
                    continue
                body = None if verb == "GET" else {"nonsense": 1}
                hidden = stage.asker(actor).ask(verb, stage.path(template), body)
                missing = stage.asker(actor).ask(verb, template.format(**made_up), body)
                assert (hidden.status, hidden.body) == (missing.status, missing.body), (template, verb, actor)

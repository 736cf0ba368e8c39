"""Verbs about this site and its people: names, roles, passwords, and the way to a router that is not joined yet."""

import pytest

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import AuditLine, Identity, Person
from friendlyfl.core.errors import ConflictError, ForbiddenError, UnreachableError, UsageError
from tests.client.fake_server import closed_port, playing, says
from tests.controller.world import ADMIN, RESEARCHER

PASSWORD, OTHER = "a calm and long sentence", "another calm and long sentence"


@pytest.fixture
def adam() -> Person:
    return actions.add_person(ADMIN, "adam", "site-admin", PASSWORD)


@pytest.fixture
def rosa() -> Person:
    return actions.add_person(ADMIN, "rosa", "researcher", PASSWORD)


def last_line() -> tuple[str, str, str, str]:
    line = AuditLine.objects.last()
    return line.person, line.verb, line.object, line.outcome


# --- people ---


def test_a_role_is_changed_and_noted(adam, rosa):
    actions.change_role(ADMIN, rosa, "viewer")
    assert Person.objects.get(username="rosa").role == "viewer"
    assert last_line() == ("adam", "change_role", "rosa: viewer", "done")
    with pytest.raises(UsageError):
        actions.change_role(ADMIN, rosa, "king")


@pytest.mark.parametrize("lose", [lambda p: actions.change_role(ADMIN, p, "researcher"),
                                  lambda p: actions.switch_off_person(ADMIN, p)])  # fmt: skip
def test_the_last_site_admin_stays_one(adam, rosa, lose):
    with pytest.raises(ConflictError) as error:
        lose(adam)
    assert error.value.code == "last_admin" and "Make somebody else" in error.value.message
    assert last_line()[3] == "failed: last_admin"
    second = actions.change_role(ADMIN, rosa, "site-admin")
    actions.switch_off_person(ADMIN, second)
    with pytest.raises(ConflictError):  # somebody who cannot sign in is no site-admin
        lose(adam)
    actions.switch_on_person(ADMIN, second)
    lose(adam)
    adam.refresh_from_db()
    assert adam.role == "researcher" or not adam.is_active


def test_who_is_switched_off_loses_nothing_but_the_way_in(adam, rosa):
    off = actions.switch_off_person(ADMIN, rosa)
    assert not off.is_active and last_line() == ("adam", "switch_off_person", "rosa", "done")
    on = actions.switch_on_person(ADMIN, rosa)
    assert on.is_active and on.role == "researcher" and on.check_password(PASSWORD)


def test_a_new_password_must_be_a_good_one(adam, rosa):
    with pytest.raises(UsageError) as error:
        actions.set_password(ADMIN, rosa, "short")
    assert error.value.code == "password" and last_line()[3] == "failed: password"
    actions.set_password(ADMIN, rosa, OTHER)
    assert Person.objects.get(username="rosa").check_password(OTHER)
    assert last_line() == ("adam", "set_password", "rosa", "done")


def test_the_own_password_is_changed_by_who_knows_it(rosa):
    with pytest.raises(ForbiddenError) as error:
        actions.change_own_password(RESEARCHER, "wrong", OTHER)
    assert error.value.code == "not_the_old_one"
    assert actions.change_own_password(RESEARCHER, PASSWORD, OTHER).check_password(OTHER)


def test_a_language_that_is_not_spoken_is_not_chosen(rosa):
    actions.set_language(RESEARCHER, "en")
    assert Person.objects.get().language == "en"
    with pytest.raises(UsageError):
        actions.set_language(RESEARCHER, "tlh")


# --- the site ---


def test_a_site_is_renamed_here_and_at_the_router(world):
    fingerprint = here.identity().fingerprint
    actions.rename_site(ADMIN, "  St Mary's Hospital ")
    row = here.identity()
    assert (row.name, row.fingerprint) == ("St Mary's Hospital", fingerprint)
    assert world.house.sites[here.site()].name == "St Mary's Hospital"
    assert last_line()[1:] == ("rename_site", "  St Mary's Hospital ", "done")
    for name in ("", "   ", "x" * 101, "a\nb"):
        with pytest.raises(UsageError):
            actions.rename_site(ADMIN, name)


def test_a_site_without_a_name_is_not_connected():
    Identity.objects.update(name="")
    with pytest.raises(ConflictError) as error:
        actions.connect_router(ADMIN, "http://127.0.0.1:1", "CODE")
    assert error.value.code == "no_name"


KNOWN = says(403, {"code": "not_allowed", "message": "You may see this but not do that; ask whoever may."})
UNKNOWN = says(401, {"code": "unknown_credential", "message": "This enrolment code is not known here."})


def test_the_way_to_a_router_is_tried_and_nothing_is_used_up():
    with playing(says(200, {"status": "ok"}), KNOWN) as play:
        assert actions.check_router(ADMIN, play.address, "CODE") == play.address
        assert [seen.method for seen in play.seen] == ["GET", "GET"]
        assert play.seen[1].headers["authorization"] == "Enrolment CODE"
        assert "authorization" not in play.seen[0].headers
    assert here.identity().router == ""


def test_a_code_that_the_router_does_not_know_is_said():
    with playing(says(200, {"status": "ok"}), UNKNOWN) as play, pytest.raises(ForbiddenError) as error:
        actions.check_router(ADMIN, play.address, "CODE")
    assert error.value.code == "unknown_credential"


def test_a_router_that_does_not_answer_is_said():
    with pytest.raises(UnreachableError) as error:
        actions.check_router(ADMIN, f"http://127.0.0.1:{closed_port()}")
    assert error.value.code == "refused" and last_line()[3] == "failed: refused"

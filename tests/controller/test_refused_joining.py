"""A code that the Routing Server refuses leaves nothing behind: no project that waits for ever, no pinned key."""

import uuid

import pytest

from friendlyfl.controller import actions
from friendlyfl.controller.models import Peer, Project
from friendlyfl.core.errors import FriendlyError, UnreachableError
from friendlyfl.wire import invitation
from tests.controller.world import ADDRESS, ADMIN, World, later


def invited(world: World) -> tuple[str, str]:
    """Northfield's project and a code for it, which nobody has used."""
    north, project = world.peer("Northfield"), str(uuid.uuid4())
    north.router.create_project(project, "Births", "")
    north.router.post_manifest(project, north.manifest(project, []))
    code = invitation.make_code(ADDRESS, north.identity.fingerprint)
    north.router.create_invitation(project, invitation.read_code(code).id, "St Mary's", expires_at=later())
    return project, code


def remembered() -> tuple[int, int]:
    return Project.objects.count(), Peer.objects.count()


def test_a_code_that_somebody_else_used_leaves_nothing(world):
    project, code = invited(world)
    world.peer("Riverside").join(code, project)
    with pytest.raises(FriendlyError) as refused:
        actions.join_project(ADMIN, code)
    assert not refused.value.retryable
    assert remembered() == (0, 0)


def test_a_second_code_that_is_refused_takes_nothing_away(world):
    project, first = invited(world)
    actions.join_project(ADMIN, first)
    north = world.peer("Northfield")
    second = invitation.make_code(ADDRESS, north.identity.fingerprint)
    north.router.create_invitation(project, invitation.read_code(second).id, "Riverside", expires_at=later())
    world.peer("Riverside").join(second, project)
    with pytest.raises(FriendlyError):
        actions.join_project(ADMIN, second)
    assert remembered() == (1, 1)


def test_an_answer_that_was_lost_is_asked_for_again(world, monkeypatch):
    """The server may have taken it, so the site remembers whom it asked."""
    _, code = invited(world)
    with monkeypatch.context() as patch:
        lost = UnreachableError("cut", "The connection was cut.")
        patch.setattr(world.router, "join", lambda *_: (_ for _ in ()).throw(lost))
        with pytest.raises(UnreachableError):
            actions.join_project(ADMIN, code)
    assert remembered() == (1, 1)
    assert actions.join_project(ADMIN, code).state == "joining"

"""What a hospital's people are told of the line: that nothing answers, or that the Routing Server keeps them out."""

import pytest

from friendlyfl.client.problems import RouterConflict
from friendlyfl.controller import here, line
from friendlyfl.core.errors import BrokenError, ForbiddenError, FriendlyError, NotFoundError, UnreachableError

TOLD = [
    UnreachableError("refused", "We cannot reach the router."),
    RouterConflict("fenced", "Another copy of this site's Controller speaks for it now."),
    ForbiddenError("site_revoked", "This site's access was taken away."),
    ForbiddenError("bad_signature", "The signature fits no site known here."),
    BrokenError("controller_too_old", "This Controller is too old."),
]
NOT_TOLD = [
    NotFoundError("not_found", "There is nothing here."),
    ForbiddenError("not_allowed", "Ask whoever may."),
]


def ask(error: FriendlyError) -> str:
    with pytest.raises(type(error)), line.noting():
        raise error
    return here.identity().line_trouble


@pytest.mark.parametrize("error", TOLD, ids=lambda error: error.code)
def test_what_keeps_this_hospital_out_is_shown_until_the_server_takes_it_again(world, error):
    assert ask(error) == error.message
    assert here.identity().line_trouble_since is not None
    with line.noting():
        pass
    assert here.identity().line_trouble == ""


@pytest.mark.parametrize("error", NOT_TOLD, ids=lambda error: error.code)
def test_a_refusal_of_one_request_is_no_trouble_of_the_line(world, error):
    assert ask(error) == ""

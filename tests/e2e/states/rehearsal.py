"""The rehearsal."""

from tests.e2e.states import State


def half_way() -> None:
    """A folder that a rehearsal left behind."""
    from friendlyfl.controller import rehearsal

    rehearsal.folder().mkdir(exist_ok=True)


def removed() -> None:
    from friendlyfl.controller import rehearsal

    rehearsal.end()


STATES = {
    "rehearsal, none": State("rehearsal", "/rehearsal/", removed, role="researcher"),
    "rehearsal, ended": State("rehearsal", "/rehearsal/", half_way, role="researcher"),
    "rehearsal, remove": State("rehearsal_remove", "/rehearsal/remove/", half_way, role="researcher"),
}

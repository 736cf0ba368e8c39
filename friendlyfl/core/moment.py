"""Whether post of a run fits the moment: what another site says must never make a machine raise.

The machines of core.run and core.seat raise for an event that cannot have happened: a bug or a damaged journal.
Another site may say anything, so its post passes here first, before it is opened. Each function answers True
(take it now) or False (early: it may become good, keep it unopened), or raises WireError (it never will).

What does not live here: signatures, roles, slots (wire, the inbox); what a content says (handlers).
"""

from typing import NoReturn

from friendlyfl.core.errors import WireError
from friendlyfl.core.run import PREPARING, STANDBY, Run
from friendlyfl.core.seat import Seat

TO_COORDINATOR = frozenset({"ready", "update", "trouble", "progress", "log"})
TO_SEAT = frozenset({"run-invite", "state", "result", "stop"})
_OF_A_ROUND = frozenset({"update", "trouble", "progress", "state", "result"})
_OF_THE_WHOLE_RUN = frozenset({"run-invite", "ready", "stop"})


def fits_run(run: Run, type_: str, site: str, step: int, round_: int) -> bool:
    """For post to the coordinator, of one of TO_COORDINATOR, from a participant."""
    _check_place(type_, step, round_)
    if not run.state:
        return False  # the Routing Server lists a run a moment before its Start is written
    if site not in run.seats:
        raise WireError("no_seat", "A hospital that has no part in a run sent post for it. It was put aside.")
    if type_ in _OF_A_ROUND and (step, round_) > (run.step, run.round):
        _unknown_round()
    return True


def fits_seat(seat: Seat, type_: str, step: int, round_: int) -> bool:
    """For post to a hospital that takes part, of one of TO_SEAT, from its coordinator."""
    _check_place(type_, step, round_)
    if type_ == "run-invite":
        if seat.state:
            raise WireError("second_invite", "A run was announced a second time. It was put aside.")
        return True
    if not seat.state:
        return False
    if seat.ended or type_ not in _OF_A_ROUND:
        return True
    if step > seat.steps:
        _unknown_round()
    return seat.state not in (STANDBY, PREPARING) if type_ == "state" else seat.has_answered(step)


def _check_place(type_: str, step: int, round_: int) -> None:
    """Post of a round names one, counted from 1; post of the whole run names none, so that it has one slot."""
    if type_ in _OF_A_ROUND and (step < 1 or round_ < 1):
        _unknown_round()
    if type_ in _OF_THE_WHOLE_RUN and (step or round_):
        raise WireError("wrong_place", "A message names a round where it cannot have one. It was put aside.")


def _unknown_round() -> NoReturn:
    raise WireError("unknown_round", "A message belongs to a round that was never sent. It was put aside.")

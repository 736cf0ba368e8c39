"""A run that failed or was stopped, in words: what it means for the data, and who does what next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.portal.standing import Now, names_of
from friendlyfl.core import run as core_run

# What a person of the coordinator does about hospitals that have left, by why they did.
ABSENT = ("late", "not_approved")
OWN_DATA = (
    *("no_dataset", "dataset_missing", "dataset_empty", "dataset_changed", "column_missing", "column_type"),
    *("level_unknown", "out_of_range", "entry_late", "time_not_positive", "weights_negative", "data_problem"),
)
MACHINE = ("disk_full", "clock", "out_of_time", "out_of_memory", "version", "task_missing", "task_failed")


@dataclass(frozen=True)
class Ending:
    data: str
    next: str


def ending(
    state: str, reason: str, now: Now, coordinates: bool, lost: Sequence[tuple[str, str]], results: int
) -> Ending:
    """`lost`: (site, why) of hospitals that have left, at a coordinator only; `results`: steps that "
    "were finished."""
    return Ending(
        _data(coordinates, results),
        _coordinator(state, reason, now, lost) if coordinates else _participant(state, reason, now),
    )


def _data(coordinates: bool, results: int) -> str:
    kept = (
        ngettext(
            "The result of the step that was finished stays.",
            "The results of the %(steps)s steps that were finished stay.",
            results,
        )
        % {"steps": results}
        if results
        else _("No result was made.")
    )
    if coordinates:
        return (
            _("All rows stayed in their hospitals. %s Sums that came before the end are used for nothing.")
            % kept
        )
    return _(
        "Your data stayed here. What left before the end is listed in the ledger, and is used for "
        "nothing else."
    )


def _coordinator(state: str, reason: str, now: Now, lost: Sequence[tuple[str, str]]) -> str:
    if state == core_run.STOPPED:
        return _(
            "Whoever coordinates may repeat the run at any time. A hospital that is away stops when "
            "it comes back."
        )
    kind, _separator, code = reason.partition(":")
    if kind == "job_failed":
        return _(
            "Read this hospital's log, below. If its words do not help, send them to those who look "
            "after FriendlyFL here."
        )
    names = names_of(now, [site for site, why in lost if why == code] or [site for site, why in lost])
    if code in ABSENT:
        words = _(
            "Call %(sites)s: is the Controller there switched on and connected, and is somebody there "
            "to approve? Then repeat the run."
        )
    elif code == "declined":
        words = _("Call %(sites)s and ask what would have to change. Change the plan, then start a new run.")
    elif code.startswith("refused"):
        words = _(
            "A rule of %(sites)s stands, and nothing was sent. Ask for less detail in the plan (fewer "
            "groups, longer intervals), or go on without them."
        )
    elif code in OWN_DATA:
        words = _(
            "The people of %(sites)s see on their page what to repair in their table. Call them, then "
            "repeat the run."
        )
    elif code in MACHINE:
        words = _(
            "Those who look after FriendlyFL at %(sites)s find the details in their log. Call them, "
            "then repeat the run."
        )
    else:
        words = _("Talk to %(sites)s, then repeat the run.")
    return words % {"sites": names or _("the hospitals")}


def _participant(state: str, reason: str, now: Now) -> str:
    coordinator = {"coordinator": now.coordinator}
    if reason == "coordinator_lost":
        return (
            _("Nothing has to be done here. %(coordinator)s may start a new run when it is back.")
            % coordinator
        )
    if reason in OWN_DATA:
        return (
            _(
                "The log below says what to repair in the table. Then tell %(coordinator)s, who may "
                "repeat the run."
            )
            % coordinator
        )
    if reason in MACHINE:
        return (
            _("Show the log below to those who look after FriendlyFL here. Then tell %(coordinator)s.")
            % coordinator
        )
    if reason.startswith("refused"):
        return (
            _(
                "This hospital's own rule kept the numbers back. Nothing has to be done; "
                "%(coordinator)s was told which rule it was."
            )
            % coordinator
        )
    return _("Nothing has to be done here. %(coordinator)s decides whether to run it again.") % coordinator

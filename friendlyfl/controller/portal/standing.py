"""Where a run stands: the one sentence at the top of its page, and a row for each hospital. Pure, like `timeline`.

Small words that both share (numbers, spans of time, names in a list) are here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.story import RunStory, SeatStory
from friendlyfl.controller.portal.words import TAGS
from friendlyfl.core import run as core_run
from friendlyfl.core.troubles import sentence

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LISTED = 3  # names in a list, before the others are counted


@dataclass(frozen=True)
class Now:
    """What is known beside the journal, at this moment."""

    at: float
    here: str  # this site's uid
    names: Mapping[str, str] = field(default_factory=dict)
    coordinator: str = ""
    titles: Sequence[str] = ()  # of the steps
    most: Sequence[int | None] = ()  # rounds a step may take; None where the task is not installed here
    told: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # site -> share of this round, when
    approved: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()  # sites that have said that their part has ended
    reason: str = ""  # why the run failed or stopped
    trouble: str = ""  # of the line to the Routing Server
    trouble_since: float = 0.0

    def clock(self, moment: float | None) -> str:
        """A time of day, with its day where that is not today."""
        when, today = datetime.fromtimestamp(moment or 0.0, UTC), datetime.fromtimestamp(self.at, UTC)
        pattern = "%H:%M" if when.date() == today.date() else "%-d %B, %H:%M"
        return _("%(moment)s UTC") % {"moment": when.strftime(pattern)}


# --- small words ---


def many(number: int) -> str:
    """A number as it stands in a sentence: in letters up to nine."""
    words = (
        _("none"), _("one"), _("two"), _("three"), _("four"),
        _("five"), _("six"), _("seven"), _("eight"), _("nine"),
    )  # fmt: skip
    return words[number] if 0 <= number < len(words) else str(number)


def span(seconds: float) -> str:
    """How long, in the largest unit that fits."""
    whole = max(int(seconds), 1)
    if whole < 60:
        return ngettext("%d second", "%d seconds", whole) % whole
    if whole < 3600:
        return ngettext("%d minute", "%d minutes", whole // 60) % (whole // 60)
    if whole < 2 * 86400:
        return ngettext("%d hour", "%d hours", whole // 3600) % (whole // 3600)
    return ngettext("%d day", "%d days", whole // 86400) % (whole // 86400)


def short(value: float | None) -> str:
    """A distance as people read it; very small ones as powers of ten."""
    if value is None:
        return ""
    if value == 0 or value >= 1e-4:
        return f"{value:.0f}" if value >= 100 else f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".")
    figure, _separator, power = f"{value:.0e}".partition("e")
    return f"{figure} × {power_of_ten(int(power))}"


def power_of_ten(power: int) -> str:
    """A power of ten: as a number where that is short."""
    if -4 <= power <= 4:
        return f"{10.0**power:.{max(-power, 0)}f}"
    return "10" + str(power).translate(RAISED)


def names_of(now: Now, sites: Sequence[str]) -> str:
    """Hospitals by name; of many only the first ones, and how many more."""
    names = [now.names.get(site, site[:8]) for site in sites]
    if len(names) > LISTED + 1:
        places = {"names": ", ".join(names[:LISTED]), "many": many(len(names) - LISTED)}
        return _("%(names)s and %(many)s others") % places
    if len(names) < 2:
        return "".join(names)
    return _("%(names)s and %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}


def step_words(now: Now, step: int) -> str:
    """A step by its place and title."""
    title = now.titles[step - 1] if 0 < step <= len(now.titles) else ""
    if len(now.titles) < 2:
        return title
    return _("Step %(step)s of %(steps)s, %(title)s") % {
        "step": step,
        "steps": len(now.titles),
        "title": title,
    }


def round_words(story: RunStory | SeatStory, now: Now) -> str:
    """The round at hand, and how many there may be: not where a step began again, whose rounds are counted on."""
    step, number = story.machine.step, story.machine.round
    most = now.most[step - 1] if 0 < step <= len(now.most) else None
    if most and not story.begun_again(step) and number <= most:
        return _("round %(round)s of at most %(most)s") % {"round": number, "most": most}
    return _("round %(round)s") % {"round": number}


# --- one sentence ---


def run_sentence(story: RunStory, now: Now) -> str:
    """Where the run stands, as its coordinator sees it."""
    run = story.machine
    active = len(run.active)
    if not run.state:
        return _("Not started yet: no hospital was asked, because the Routing Server has not answered.")
    if run.state in (core_run.STANDBY, core_run.PREPARING):
        ready = sum(seat.status == "ready" for seat in run.seats.values())
        places = {"ready": many(ready).capitalize(), "all": many(active)}
        if not ready:
            words = ngettext(
                "Waiting for the hospital to begin.", "Waiting for %(all)s hospitals to begin.", active
            )
            return words % places
        return (
            ngettext(
                "%(ready)s of %(all)s hospitals is ready.", "%(ready)s of %(all)s hospitals are ready.", ready
            )
            % places
        )
    if run.state == core_run.SUCCEEDED:
        return _("Finished: the results are there.")
    if run.state in core_run.ENDED:
        return _ended(run.state, now)
    if run.state == core_run.RUNNING and not run.state_digest:
        return _("%(step)s is being prepared here.") % {"step": step_words(now, run.step)}
    answered = sum(seat.status == "answered" for seat in run.seats.values())
    places = {"answered": many(answered).capitalize(), "all": many(active), "round": round_words(story, now)}
    if run.state == core_run.AGGREGATING:
        words = _("Every hospital has answered %(round)s; their numbers are being added up here.")
    elif not answered:
        words = _("No hospital has answered %(round)s yet.")
    else:
        words = ngettext(
            "%(answered)s of %(all)s hospitals has answered %(round)s.",
            "%(answered)s of %(all)s hospitals have answered %(round)s.",
            answered,
        )
    return words % places


def seat_sentence(story: SeatStory, now: Now) -> str:
    """Where the run stands, as a hospital that takes part sees it: its own part only."""
    seat = story.machine
    places = {"round": round_words(story, now), "coordinator": now.coordinator}
    if seat.state == core_run.STANDBY:
        return _("Waiting for you: a site-admin of this hospital approves or declines.")
    if seat.state == core_run.PREPARING:
        return _("This hospital's data are being checked, here.")
    if seat.state == core_run.SUCCEEDED:
        return _("Finished: this hospital has done its part.")
    if seat.ended or not seat.state:
        return _ended(seat.state, now)
    if not seat.step:
        return _("This hospital is ready. %(coordinator)s begins when the hospitals are.") % places
    if seat.state == core_run.RUNNING:
        return _("This hospital is computing %(round)s.") % places
    return _("This hospital has answered %(round)s.") % places


def _ended(state: str, now: Now) -> str:
    if state == core_run.STOPPED:
        return now.reason if now.reason.startswith(_("Stopped")) else f"{_('Stopped.')} {now.reason}".strip()
    return f"{_('Failed.')} {now.reason}".strip()


# --- a row for each hospital ---


@dataclass(frozen=True)
class SiteRow:
    """One hospital on its coordinator's page. `share`: of this round's work, 0 to 100."""

    name: str
    tag: str
    words: str
    round: int
    share: int | None
    heard: datetime | None
    why: str = ""


def site_rows(story: RunStory, now: Now) -> list[SiteRow]:
    """Every hospital of the run, in the order of the plan."""
    return [_row(story, seat, now) for seat in story.machine.seats.values()]


def _row(story: RunStory, seat: core_run.Seat, now: Now) -> SiteRow:
    run = story.machine
    share, at = now.told.get(seat.site, (None, 0.0))
    heard = max(story.heard.get(seat.site, 0.0), at)
    tag, words = _status(run, seat, now)
    if seat.status == "computing" and not run.ended:
        done: int | None = round(100 * (share or 0.0))
    else:
        done = 100 if seat.status == "answered" and not run.ended else None
    return SiteRow(
        name=now.names.get(seat.site, seat.site[:8]),
        tag=tag,
        words=words,
        round=seat.round if seat.status == "left" else (run.round if run.step else 0),
        share=done,
        heard=datetime.fromtimestamp(heard, UTC) if heard else None,
        why=ours(sentence(seat.reason)) if seat.reason else "",
    )


def _status(run: core_run.Run, seat: core_run.Seat, now: Now) -> tuple[str, str]:
    if seat.status == "left":
        return "bad", _("Out of this run")
    if run.state == core_run.SUCCEEDED:
        return "ok", str(TAGS[core_run.SUCCEEDED][1])
    if run.ended:
        # A hospital is called stopped when it has said so: one that is away stops when it comes back.
        if seat.site in now.confirmed or seat.site == now.here:
            return "bad", str(TAGS[core_run.STOPPED][1])
        return "wait", _("Told to stop")
    if seat.status == "asked":
        if seat.site not in now.approved and seat.site != now.here:
            return "wait", _("Has to approve")
        return "run", _("Checking its data")
    return {
        "ready": ("ok", _("Ready")),
        "computing": ("run", _("Computing")),
        "answered": ("ok", _("Answered")),
    }.get(seat.status, ("ok", seat.status))

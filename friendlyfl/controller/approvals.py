"""A hospital's word on a plan: whether a run may begin on it here, and when it ends, in words.

A yes is for one plan and one list of members, and ends on a day or with one run; a run that has begun is not touched.
Who may say it, and what a yes or a no causes, is decided in actions.
"""

from datetime import date, timedelta

from django.utils import timezone

from friendlyfl.controller import here, members
from friendlyfl.controller.models import Approval, Plan, Run

DAYS = 90  # for which a yes holds if nothing else is said
LONGEST = 5 * 365

# Why a word is no yes for a run now.
NONE, DECLINED, OVER, USED, GROWN = "none", "declined", "over", "used", "grown"


def today() -> date:
    """Days are counted in UTC, as everything here."""
    return timezone.now().date()


def usual_end() -> date:
    return today() + timedelta(days=DAYS)


def newest(plan: Plan) -> Approval | None:
    """This site's last word on a plan."""
    return plan.approvals.filter(site=here.site()).last()


def missing(plan: Plan, word: Approval | None, epoch: int, run: str = "") -> str:
    """What a word lacks to be a yes for this run under this list of members: "" for a yes that holds."""
    if word is None:
        return NONE
    if not word.approved or word.revoked_at is not None:
        return DECLINED
    if word.until is not None and today() > word.until:
        return OVER
    if word.once and word.run not in ("", run):
        return USED
    then = {member.site for member in members.at_epoch(plan.project, word.epoch)[0].members}
    joined = any(member.site not in then for member in members.at_epoch(plan.project, epoch)[0].members)
    return GROWN if joined else ""


def take(plan: Plan, run: Run) -> bool:
    """Whether this run may begin here; a yes for one run is used by it."""
    word = newest(plan)
    if word is None or missing(plan, word, run.epoch, run.uid):
        return False
    if word.once and not word.run:
        word.run = run.uid
        word.save(update_fields=["run"])
    return True


def end_words(word: Approval) -> str:
    """How long a yes holds, to stand behind "approved"."""
    if word.once:
        return "for one run"
    return f"until {day_words(word.until)}" if word.until else "until it is taken back"


def day_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"

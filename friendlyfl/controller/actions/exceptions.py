"""An exception to one of this site's rules, for one project: allowed up to a day, and ended before it."""

from datetime import date

from django.utils import timezone

from friendlyfl.controller import exceptions
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import Project, RuleException
from friendlyfl.core.errors import ConflictError


def allow_exception(
    actor: Actor, project: Project, rule: str, value: float | str, reason: str, until: date
) -> RuleException:
    """Loosen one rule for one project up to and including a day. It holds from now on, also in a run under way. `value`
    is a number; of the rule `tasks`, the name of one that may be used.

    Raises UsageError for a value that is not looser than the rule or goes too far, a reason or a day that is none.
    """
    with acting(actor, "allow_exception", f"{project.name}: {rule}", needs="site-admin"):
        if project.state == "closed":
            raise ConflictError("closed", f"{project.name} is closed: no run can be started in it.")
        kept, task, words = exceptions.checked(rule, value, reason, until)
        return RuleException.objects.create(
            project=project, rule=rule, value=kept, task=task, reason=words, person=actor.name, until=until
        )


def end_exception(actor: Actor, exception: RuleException) -> RuleException:
    """End it now: the next round is checked by the rule as it stands. What has left already stays with who has it."""
    about = f"{exception.project.name}: {exception.rule}"
    with acting(actor, "end_exception", about, needs="site-admin"):
        exception.refresh_from_db()
        if not exceptions.holds(exception):
            raise ConflictError("exception_over", "This exception is over already.")
        exception.ended_by, exception.ended_at = actor.name, timezone.now()
        exception.save(update_fields=["ended_by", "ended_at"])
        return exception

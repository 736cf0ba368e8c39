"""Words that more than one page says, as whole sentences that can be translated."""

from django.utils.translation import gettext_lazy as _

from friendlyfl.core import run as core_run

TAGS = {
    "": ("wait", _("Not started yet")),
    core_run.STANDBY: ("wait", _("Waiting for hospitals")),
    core_run.PREPARING: ("run", _("Checking the data")),
    core_run.RUNNING: ("run", _("Running")),
    core_run.AGGREGATING: ("run", _("Adding up")),
    core_run.SUCCEEDED: ("ok", _("Finished")),
    core_run.FAILED: ("bad", _("Failed")),
    core_run.STOPPED: ("bad", _("Stopped")),
}

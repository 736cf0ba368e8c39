"""Which analysis answers what, and one of them with its example."""

from tests.e2e.states import State


def worked() -> None:
    from friendlyfl.controller import examples

    examples.work_out("logistic_regression")


def waiting() -> None:
    """The example is not there yet, and nobody works it out while the page is looked at."""
    from friendlyfl.controller import examples

    examples._begun.add("cox")
    examples._known.pop("cox", None)


def refused() -> int:
    """From a plan: an example that hospitals refuse today."""
    from friendlyfl.controller import examples
    from tests.controller.world import World

    examples.work_out("kaplan_meier")
    return World().consortium("Northfield", name="Survival after heart failure").project.pk


STATES = {
    "catalogue": State("catalogue", "/catalogue/", role="researcher"),
    "task, worked": State("task", "/catalogue/logistic_regression/", worked, role="viewer"),
    "task, waiting": State("task", "/catalogue/cox/", waiting, role="researcher"),
    "task, refused": State("task", "/catalogue/kaplan_meier/?project={}", refused, role="researcher"),
}

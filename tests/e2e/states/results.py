"""What came out of a run."""

from tests.e2e.states import State


def models() -> int:
    """Two steps at the coordinator: a regression with many factors, and Table 1."""
    from tests.controller import answers
    from tests.controller.world import World

    world = World()
    run = answers.coordinated(
        world.consortium("Northfield", "Lakeside", name="Readmission within 30 days"),
        "logistic_regression",
        "table_one",
    )
    return answers.ended(run, [answers.example("logistic_regression"), answers.example("table_one")]).pk


def curves() -> int:
    """Survival at a hospital that takes part."""
    from tests.controller import answers
    from tests.controller.world import World

    run = answers.taken_part(World().study("Northfield", "Southgate"), "kaplan_meier")
    return answers.ended(run, [answers.shared(answers.example("kaplan_meier"))]).pk


def hidden() -> int:
    """Numbers that are too small to be shown."""
    from tests.controller import answers
    from tests.controller.world import World

    run = answers.coordinated(World().consortium("Northfield", "Lakeside"), "feasibility")
    return answers.ended(run, [answers.example("feasibility")]).pk


def refused() -> int:
    from tests.controller import answers
    from tests.controller.world import World

    run = answers.coordinated(World().consortium("Northfield", "Lakeside"), "kaplan_meier")
    return answers.ended(run, [answers.refusal()], "failed", "below_quorum:late").pk


def nothing_yet() -> int:
    from tests.controller.world import World

    return World().consortium("Northfield", "Lakeside").computing().pk


STATES = {
    "results, two steps": State("results", "/runs/{}/results/", models, role="researcher"),
    "results, shared curves": State("results", "/runs/{}/results/", curves, role="viewer"),
    "results, hidden numbers": State("results", "/runs/{}/results/", hidden, role="researcher"),
    "results, refused": State("results", "/runs/{}/results/", refused, role="researcher"),
    "results, nothing yet": State("results", "/runs/{}/results/", nothing_yet, role="researcher"),
}

"""The plan: empty, drafted, proposed and changed; a step's form, and its errors."""

from typing import Any

from tests.e2e.states import State

NAME = "Readmission after heart failure"
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("table_one", {"variables": ["age", "sex", "bmi", "nyha", "lvef"], "group": "treatment"}),
    ("logistic_regression", {"outcome": "readmitted", "predictors": ["age", "sex", "nyha", "treatment"]}),
    ("kaplan_meier", {"time": "weeks", "event": "dead", "group": "treatment"}),
)


def empty() -> int:
    from tests.controller.world import World

    return World().consortium("Northfield", name=NAME).project.pk


def drafted() -> Any:
    """Three steps, one of which hospitals would refuse."""
    from friendlyfl import datasets
    from friendlyfl.controller import actions
    from tests.controller.world import RESEARCHER, World

    ours = World().consortium("Northfield", "University Hospital Southgate", name=NAME)
    actions.set_dictionary(RESEARCHER, ours.project, datasets.dictionary("clinic"))
    actions.set_cohort(RESEARCHER, ours.project, "age >= 60 and nyha in (II, III, IV)")
    for task, parameters in STEPS:
        actions.add_step(RESEARCHER, ours.project, task, parameters)
    return ours


def draft() -> int:
    return drafted().project.pk


def proposed() -> Any:
    """One hospital has approved, one has declined."""
    from friendlyfl.controller import actions
    from tests.controller.world import RESEARCHER

    ours = drafted()
    plan = actions.propose_plan(RESEARCHER, ours.project)
    for peer, type_, reason in zip(
        ours.others, ("approve", "decline"), ("", "Our ethics board meets on Monday."), strict=True
    ):
        said = {"plan": plan.sha256, "epoch": plan.epoch, "person": "nora", "reason": reason}
        said |= {"until": "", "once": False}
        assert ours.letter(peer, type_, said).receive().state == "taken"
    return ours


def changed() -> int:
    from friendlyfl.controller import actions
    from tests.controller.world import RESEARCHER

    ours = proposed()
    actions.move_step(RESEARCHER, ours.project.steps.get(seq=2), -1)
    return ours.project.pk


def asked() -> int:
    """A plan that this hospital was sent."""
    from friendlyfl import datasets
    from tests.controller.world import World

    study = World().study("University Hospital Northfield", "Southgate", name=NAME)
    step = {"seq": 1, "task": "table_one", "version": "1.0", "title": "Table 1"}
    parameters = {"variables": ["age", "sex"], "group": "treatment"}
    study.propose(steps=[{**step, "parameters": parameters}], dictionary=datasets.dictionary("clinic"))
    return study.project.pk


def wrong_step(page: Any) -> None:
    page.get_by_label("Effects that depend on each other").fill("age:nothere")
    page.get_by_role("button", name="Add this step").click()
    page.locator(".errors").wait_for()


def wrong_criteria(page: Any) -> None:
    page.get_by_label("Inclusion criteria").fill("age => 60")
    page.get_by_role("button", name="Save").click()
    page.locator(".errors").wait_for()


def wrong_rules(page: Any) -> None:
    page.get_by_label("Hours to check the data").fill("a day")
    page.get_by_role("button", name="Save").click()
    page.locator(".errors").wait_for()


ROLE = {"role": "researcher"}
STATES = {
    "plan, empty": State("plan", "/projects/{}/plan/", empty, **ROLE),
    "plan, draft": State("plan", "/projects/{}/plan/", draft, **ROLE),
    "plan, changed": State("plan", "/projects/{}/plan/", changed, **ROLE),
    "plan, participant": State("plan", "/projects/{}/plan/", asked, **ROLE),
    "step_add": State("step_add", "/projects/{}/plan/add/logistic_regression/", draft, **ROLE),
    "step_add, error": State(
        "step_add", "/projects/{}/plan/add/logistic_regression/", draft, act=wrong_step, status=400, **ROLE
    ),
    "step": State("step", "/projects/{}/plan/3/", draft, **ROLE),
    "step_remove": State("step_remove", "/projects/{}/plan/2/remove/", draft, **ROLE),
    "plan_patients, error": State(
        "plan_patients", "/projects/{}/plan/patients/", draft, act=wrong_criteria, status=400, **ROLE
    ),
    "plan_rules, error": State(
        "plan_rules", "/projects/{}/plan/rules/", draft, act=wrong_rules, status=400, **ROLE
    ),
    "plan_propose": State("plan_propose", "/projects/{}/plan/propose/", changed, **ROLE),
}

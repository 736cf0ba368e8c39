"""Requests: waiting, with an answer that is wrong, without a dataset, approved."""

import time
from typing import Any

from tests.e2e.states import State

PURPOSE = (
    "Do mothers who smoke in the first three months have smaller children?\n\n"
    "The result goes into the regional report on births. Nobody but the four hospitals sees it before."
)
DICTIONARY = {
    "age": {"type": "integer", "label": "Age of the mother", "unit": "years", "range": [0, 120]},
    "died": {"type": "integer", "label": "Died in hospital (1 yes, 0 no)", "range": [0, 1]},
}
STEPS = [
    {
        "seq": 1,
        "task": "table_one",
        "version": "1.0",
        "title": "Who are the mothers?",
        "parameters": {"variables": ["age"], "group": "died"},
    },
    {
        "seq": 2,
        "task": "logistic_regression",
        "version": "1.0",
        "title": "What goes with a death?",
        "parameters": {"outcome": "died", "predictors": ["age"]},
        "cohort": "age >= 25",
    },
]


def asked(*, dataset: bool = True, cell: int = 5) -> Any:
    """A request of two steps; where there is a dataset, its dry check is done."""
    from friendlyfl.controller import actions, plans, trials
    from friendlyfl.controller.models import Peer
    from tests.controller.world import ADMIN, World, choose_dataset

    study = World().study("University Hospital Northfield", "Southgate", name="Low birth weight and smoking")
    study.propose(steps=STEPS, dictionary=DICTIONARY, purpose=PURPOSE)
    plan = study.project.plans.get(current=True)
    if dataset:
        Peer.objects.filter(name__contains="Northfield").update(verified_by="adam")
        choose_dataset(study.project)
        actions.set_policy(ADMIN, {"cell": cell})
        work = trials.ask(study.project, plans.read(bytes(plan.raw)))
        while work and not work.done:
            time.sleep(0.05)
    return study, plan


def waiting() -> int:
    return int(asked()[1].pk)


def hindered() -> int:
    return int(asked(cell=25)[1].pk)


def excepted() -> int:
    """A rule that stands in the way is loosened for this project."""
    from friendlyfl.controller import actions, exceptions, plans, trials
    from tests.controller.world import ADMIN

    study, plan = asked(cell=25)
    words = "The ethics board agreed on 3 March: the mothers were asked."
    actions.allow_exception(ADMIN, study.project, "cell", 5, words, exceptions.usual_end())
    work = trials.ask(study.project, plans.read(bytes(plan.raw)))
    while work and not work.done:
        time.sleep(0.05)
    return int(plan.pk)


def bare() -> int:
    return int(asked(dataset=False)[1].pk)


def approved() -> int:
    from friendlyfl.controller import actions
    from tests.controller.world import ADMIN

    study, plan = asked()
    actions.approve(ADMIN, study.project)
    return int(plan.pk)


def wrong_day(page: Any) -> None:
    page.get_by_label("Last day").fill("")
    page.get_by_role("button", name="Approve").click()


def no_reason(page: Any) -> None:
    page.get_by_role("button", name="Decline this plan").click()


STATES = {
    "request, waiting": State("request", "/requests/{}/", waiting, role="site-admin"),
    "request, hindered": State("request", "/requests/{}/", hindered, role="viewer"),
    "request, exception": State("request", "/requests/{}/", excepted, role="site-admin"),
    "request, no dataset": State("request", "/requests/{}/", bare, role="site-admin"),
    "request, error": State("request", "/requests/{}/", waiting, "site-admin", wrong_day, 400),
    "request, approved": State("request", "/requests/{}/", approved, role="site-admin"),
    "request_decline, empty": State("request_decline", "/requests/{}/decline/", bare, role="site-admin"),
    "request_decline, error": State(
        "request_decline", "/requests/{}/decline/", bare, "site-admin", no_reason, 400
    ),
}

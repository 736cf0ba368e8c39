"""Runs: the list, one run as its coordinator and as a hospital that takes part sees it, its log, and its two acts."""

import time
from typing import Any

from tests.e2e.states import State

DICTIONARY = {
    "age": {"type": "number", "label": "Age", "unit": "years", "range": [0, 120]},
    "died": {"type": "integer", "label": "Died in hospital", "range": [0, 1]},
}
OTHERS = ("University Hospital Northfield", "Southgate", "Lakeside Children's Hospital")
NEARER = (None, 6.0, 0.8, 0.004, 1e-7)


def regression(**rules: Any) -> Any:
    """A run of three hospitals whose search has come some way."""
    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Run, SiteProgress
    from tests.controller.world import RESEARCHER, World

    consortium = World().consortium(*OTHERS, name="Low birth weight and smoking in pregnancy")
    actions.set_dictionary(RESEARCHER, consortium.project, DICTIONARY)
    actions.add_step(RESEARCHER, consortium.project, "connection_check", {"rounds": 1})
    parameters = {"outcome": "died", "predictors": ["age"]}
    actions.add_step(RESEARCHER, consortium.project, "logistic_regression", parameters)
    run = consortium.start(**rules)
    began = time.time() - 300.0
    for peer in consortium.others:
        consortium.ready_letter(peer, run).receive()
    journal(run, consortium.others, began)
    SiteProgress.objects.create(run=run, site=consortium.others[1].uid, step=2, round=5, fraction=0.3)
    log(run, consortium.others, began)
    return Run.objects.select_related("project", "plan").get(pk=run.pk), consortium


def journal(run: Any, others: Any, began: float) -> None:
    import numpy as np

    from friendlyfl.controller import contents, runs
    from friendlyfl.controller.models import Job, Result
    from friendlyfl.core import run as core_run
    from friendlyfl.tasks.report import Result as Made
    from friendlyfl.wire.codec import encode

    def answered(step: int, number: int, state: dict[str, Any], at: float, by: Any = others) -> None:
        digest = contents.keep(encode({".round": number, **state}))
        runs.feed(run.uid, runs.RUN, core_run.StateMade(step, number, digest, at))
        for place, peer in enumerate(by):
            runs.feed(run.uid, runs.RUN, core_run.UpdateCame(peer.uid, step, number, "u", at + 3.0 + place))

    answered(1, 1, {}, began)
    Job.objects.filter(run=run, kind="combine").update(outcome={"site_notes": []})
    made = contents.keep(
        __import__("json").dumps(Made(task="connection_check", version="1.0").to_json()).encode()
    )
    runs.feed(run.uid, runs.RUN, core_run.StepDone(1, 1, made, began + 8.0))
    assert Result.objects.filter(run=run).count() == 1
    for number, decrement in enumerate(NEARER, start=1):
        last = number == len(NEARER)
        state = {"search": {"theta": np.zeros(2), "decrement": decrement}}
        answered(2, number, state, began + 10.0 + 8.0 * number, others[:1] if last else others)


def log(run: Any, others: Any, began: float) -> None:
    from friendlyfl.controller.models import LogLine

    lines = [
        ("ready", 0, 0),
        ("computing", 1, 1),
        ("update_sent", 1, 1),
        ("computing", 2, 1),
        ("update_sent", 2, 1),
    ]
    for peer in others:
        for place, (code, step, number) in enumerate(lines * 3):
            LogLine.objects.create(
                run=run, site=peer.uid, at=began + place, step=step, round=number, code=code
            )


def under_way() -> int:
    return int(regression(round_deadline=7200.0)[0].pk)


def learning() -> int:
    """A run of a learned model, whose held-back loss has begun to rise again."""
    import math

    from friendlyfl.controller import actions, contents, runs
    from friendlyfl.core import run as core_run
    from friendlyfl.wire.codec import encode
    from tests.controller.world import RESEARCHER, World

    consortium = World().consortium(*OTHERS, name="Low birth weight and smoking in pregnancy")
    actions.set_dictionary(RESEARCHER, consortium.project, DICTIONARY)
    parameters = {"outcome": "died", "features": ["age"]}
    actions.add_step(RESEARCHER, consortium.project, "fedavg_sklearn", parameters)
    run = consortium.start(round_deadline=7200.0)
    for peer in consortium.others:
        consortium.ready_letter(peer, run).receive()
    began = time.time() - 200.0

    def state(number: int) -> core_run.StateMade:
        return core_run.StateMade(1, number, contents.keep(encode({".round": number})), began + 9.0 * number)

    runs.job_done(run.jobs.get(kind="begin"), runs.RUN, state(1))
    for number in range(1, 16):
        for place, peer in enumerate(consortium.others):
            at = began + 9.0 * number + 3.0 + place
            runs.feed(run.uid, runs.RUN, core_run.UpdateCame(peer.uid, 1, number, "u", at))
        train = 0.35 + 0.35 * math.exp(-(number - 3) / 3)
        losses = {"patients trained on": train, "patients held back": train + 0.02 + 0.0006 * number**2}
        quality = {"name": "Log loss", "values": losses, "chosen_by": "patients held back"}
        facts = {"quality": {**quality, "counted": number - 3}} if number > 2 else {}
        runs.job_done(run.jobs.get(kind="combine", round=number), runs.RUN, state(number + 1), facts)
    return int(run.pk)


def open_table(page: Any) -> None:
    page.locator("#rounds-title").click()


def failed() -> int:
    from friendlyfl.controller import runs
    from friendlyfl.core import run as core_run

    run, consortium = regression()
    north = consortium.others[0].uid
    runs.feed(run.uid, runs.RUN, core_run.Trouble(north, 2, 5, "refused_cell", time.time()))
    return int(run.pk)


def own_part() -> int:
    """A hospital that takes part, in its third round."""
    from friendlyfl.controller import here
    from friendlyfl.controller.models import SiteProgress
    from tests.controller.world import World

    study = World().study("Northfield", "Southgate", name="Births")
    run = study.ready()
    study.state(run).receive()
    SiteProgress.objects.create(run=run, site=here.site(), step=1, round=1, fraction=0.6)
    return int(run.pk)


def finished() -> int:
    from friendlyfl.controller import contents, runs
    from friendlyfl.controller.models import Run
    from friendlyfl.core import seat as core_seat

    run = Run.objects.get(pk=own_part())
    from friendlyfl.controller.models import Job

    job = Job.objects.select_related("run__project", "run__plan").get(run=run, kind="local")
    facts = {"what": "totals", "numbers": 3, "rows": 60, "rules": ""}
    made = core_seat.UpdateMade(1, 1, contents.keep(b"u"), time.time())
    runs.job_done(job, runs.SEAT, made, facts)
    runs.feed(run.uid, runs.SEAT, core_seat.ResultCame(1, "r", True, time.time()))
    return int(run.pk)


def waiting() -> int:
    from tests.controller.world import World

    study = World().study("Northfield", "Southgate", name="Births")
    study.propose()
    return int(study.invite().pk)


STATES = {
    "runs, empty": State("runs", "/runs/", role="viewer"),
    "runs, one": State("runs", "/runs/", under_way, role="viewer"),
    "run, under way": State("run", "/runs/{}/", under_way, role="researcher"),
    "run, learning": State("run", "/runs/{}/", learning, role="researcher"),
    "run, learning, its table": State("run", "/runs/{}/", learning, role="researcher", act=open_table),
    "run, failed": State("run", "/runs/{}/", failed, role="researcher"),
    "run, own part": State("run", "/runs/{}/?paused=1", own_part, role="viewer"),
    "run, asked": State("run", "/runs/{}/", waiting, role="site-admin"),
    "run, finished": State("run", "/runs/{}/", finished, role="viewer"),
    "run_stop": State("run_stop", "/runs/{}/stop/", under_way, role="researcher"),
    "run_repeat": State("run_repeat", "/runs/{}/repeat/", failed, role="researcher"),
    "run_log": State("run_log", "/runs/{}/log/", under_way, role="viewer"),
}

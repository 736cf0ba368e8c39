"""The dry check of a plan on this hospital's data, for its own people, before anybody decides: what stands in the way,
how many rows and how small a group each step would use, and how many numbers its first round would send.

Nothing of it is kept on disk and nothing leaves. What one step finds is runner.trial's; when it is done again is here.
"""

import hashlib
import json
import secrets
from functools import partial
from typing import Any

from friendlyfl.controller import here, plans, preflight
from friendlyfl.controller.beside import Beside, Work
from friendlyfl.controller.models import Project
from friendlyfl.controller.runner.parent import Runner
from friendlyfl.core.troubles import sentence
from friendlyfl.tasks.places import DATABASES, Place, file_stamp

Facts = dict[str, Any]
trials = Beside("trial")


def ask(project: Project, plan: plans.Content) -> Work | None:
    """The check of this plan with the dataset, mapping and rules as they are now: begun at the first asking. None while
    no dataset is chosen."""
    if project.dataset is None:
        return None
    opened = preflight.opening(project, plan, with_data=True)
    return trials.ask(_key(opened), partial(_look, opened))


def again(project: Project, plan: plans.Content) -> None:
    """Let the next asking look at the data anew."""
    if project.dataset is not None:
        trials.again(_key(preflight.opening(project, plan, with_data=True)))


def _key(opened: Facts) -> str:
    """Changes with all that the check depends on; a database may change at any time, so there a person asks again."""
    where = opened["dataset"]["path"]
    place = Place.of(where)
    try:
        stamp = None if place.kind in DATABASES else file_stamp(place.file)
    except OSError:
        stamp = None
    said = json.dumps([opened, stamp], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def _look(opened: Facts, work: Work) -> Facts:
    """{"rows", "problems": [{step, code, sentence}], "steps": {seq: facts}}."""
    runner = Runner(here.home().sub("work") / f"trial-{secrets.token_hex(4)}", opened)
    ask_ = partial(runner.ask, cancelled=lambda: False, seconds=preflight.CHECK_SECONDS)
    try:
        answer = ask_(opened)
        if "trouble" in answer:
            return _stopped(answer)
        work.share = 0.5
        wrong = {problem["step"] for problem in answer["problems"]}
        steps = [step["seq"] for step in opened["steps"] if step["seq"] not in wrong]
        found = ask_({"do": "trial", "steps": steps}) if steps else {"steps": []}
        if "trouble" in found:
            return _stopped(found)
    finally:
        runner.close()
    problems = answer["problems"] + [
        {"step": step["seq"], **step["problem"]} for step in found["steps"] if step["problem"]
    ]
    return {
        "rows": answer["rows"],
        "problems": problems,
        "steps": {step["seq"]: step for step in found["steps"]},
    }


def _stopped(answer: Facts) -> Facts:
    words = answer["sentence"] if answer["trouble"] != "task_failed" else sentence("task_failed")
    problem = {"step": 0, "code": answer["trouble"], "sentence": words}
    return {"rows": None, "problems": [problem], "steps": {}}

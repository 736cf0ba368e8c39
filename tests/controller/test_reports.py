"""The RS's copy of a run: brought up to date also when an answer was lost, or when this site came back from a copy."""

import pytest

from friendlyfl.controller import actions, line
from friendlyfl.controller.models import Run
from tests.controller.world import RESEARCHER


def forget(run: Run, reported: str = "") -> Run:
    """As if the answer to the last report had been lost, or the row came from a back-up."""
    Run.objects.filter(pk=run.pk).update(reported=reported)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("reported", ["", "standby/0/0", "preparing/0/0", "running/1/1"])
def test_a_report_whose_answer_was_lost_is_made_up_for(consortium, reported):
    run = consortium.computing()
    actions.report(run)
    actions.report(forget(run, reported))
    run.refresh_from_db()
    assert run.reported == f"{run.state}/{run.step}/{run.round}"
    assert line.router().run(run.uid)["state"] == run.state


@pytest.mark.parametrize("reported", ["", "preparing/0/0", "running/1/1"])
def test_a_run_that_ended_there_keeps_no_new_one_from_starting(consortium, world, reported):
    run = consortium.computing()
    actions.stop_run(RESEARCHER, run)
    run.refresh_from_db()
    actions.report(run)
    # It had succeeded, a state that has to be reached step by step, before this site went back to its copy.
    Run.objects.filter(pk=run.pk).update(state="succeeded")
    world.house.runs[run.uid]["state"] = "succeeded"
    forget(run, reported)
    again = actions.start_run(RESEARCHER, run.project)
    assert again.number == run.number + 1 and again.state == "standby"
    run.refresh_from_db()
    assert run.reported.startswith("succeeded/")

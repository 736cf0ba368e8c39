"""What a part that is over does with the post that still comes for it: nothing at all."""

from friendlyfl.controller import contents, runs
from friendlyfl.controller.models import Result, RunEvent
from friendlyfl.core import seat as core_seat
from tests.controller.test_content import coordinators


def test_a_result_for_a_part_that_was_stopped_is_not_kept(study):
    """The Routing Server can hold a Result back until the stop that followed it has come."""
    run = study.ready()
    study.state(run).receive()
    digest = contents.keep(b"update")
    outcome = {"what": "totals", "numbers": 1, "rows": 60, "rules": ""}
    runs.job_done(study.job("local"), runs.SEAT, core_seat.UpdateMade(1, 1, digest, 3.0), outcome)
    post = {type_: ask(values) for type_, values, ask in coordinators(study) if type_ != "run-invite"}
    assert post["stop"].receive().state == "taken"
    written = RunEvent.objects.count()
    assert post["result"].receive().state == "taken"
    assert RunEvent.objects.count() == written
    assert not Result.objects.exists()

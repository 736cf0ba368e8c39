"""A coordinator that brings data of its own: it invites itself, and its seat is one like any other."""

from friendlyfl.controller import runs
from friendlyfl.controller.agent.deliver import deliver_one
from friendlyfl.controller.models import Outbox
from tests.controller.world import choose_dataset


def test_the_coordinators_own_seat_takes_its_own_invitation(consortium):
    choose_dataset(consortium.project)
    run = consortium.start(coordinator_data=True)
    deliver_one(Outbox.objects.get(run=run, type="run-invite", here=True))
    assert runs.fold(run, runs.SEAT).state == "preparing"
    assert consortium.job("prepare").state == "waiting"

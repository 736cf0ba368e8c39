"""Threads of one Controller that read a record and write it after another one has: nothing of either is lost."""

from friendlyfl.controller import handlers, here
from friendlyfl.controller.models import Run
from friendlyfl.wire.codec import encode
from tests.controller.world import choose_dataset


def test_each_key_for_a_run_is_kept_when_two_hospitals_are_ready_at_once(consortium):
    """The thread that takes this site's own post holds a run as it was before the collector took a letter."""
    choose_dataset(consortium.project)
    run = consortium.start(coordinator_data=True)
    read_before = Run.objects.select_related("project", "plan").get(pk=run.pk)
    for peer in consortium.others:
        assert consortium.ready_letter(peer, run).receive().state == "taken"
    own = {"ready": True, "code": "", "card": here.keys().run_card(run.uid).to_json()}
    handlers.handle_here("ready", read_before, 0, 0, encode(own))
    run.refresh_from_db()
    assert set(run.keys) == {here.site(), *(peer.uid for peer in consortium.others)}
    assert run.state == "running"

"""Home, the inbox, help, and what is nowhere."""

from tests.e2e.states import State


def full() -> None:
    """Two projects, runs in several states, something to decide, a line that is down."""
    from django.utils import timezone

    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Identity, Run
    from tests.controller.world import ADMIN, World

    world = World()
    name = "Low birth weight and smoking in the first three months of pregnancy"
    study = world.study("University Hospital Northfield", "Southgate", name=name)
    study.ready()
    ours = world.consortium("Lakeside", name="Falls on the wards")
    run = ours.computing()
    for peer in ours.others:
        ours.update(peer, run).receive()
    waiting = world.consortium("Riverside", name="Sepsis within 48 hours")
    actions.stop_run(ADMIN, waiting.start())
    done = world.consortium("Hilltop", name="Age at admission").computing()
    Run.objects.filter(pk=done.pk).update(state="succeeded", ended_at=timezone.now())
    world.study("Westbrook", name="Readmission within 30 days").propose()
    Identity.objects.filter(pk=1).update(
        line_trouble="We cannot reach the router at fl.example.org. Your data is safe and nothing was lost. "
        "There is no answer at all: if this lasts, ask IT whether port 443 is open.",
        line_trouble_since=timezone.now(),
    )


STATES = {
    "home, empty": State("home", "/", role="researcher"),
    "home, full": State("home", "/", full, role="researcher"),
    "inbox, empty": State("inbox", "/inbox/", role="viewer"),
    "inbox, full": State("inbox", "/inbox/", full, role="researcher"),
    "help": State("help", "/help/", role="viewer"),
    "help, nothing found": State("help", "/help/?q=xyzzy", role="viewer"),
    "accessibility": State("accessibility", "/help/accessibility/", role="viewer"),
    "no such page": State("", "/nowhere/", role="researcher", status=404),
}

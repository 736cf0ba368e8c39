"""Setting up."""

from typing import Any

from tests.e2e.states import State


def unnamed() -> None:
    """A site that `controller start` has just made."""
    from friendlyfl.controller.models import Identity

    Identity.objects.update(name="")


def done() -> None:
    from tests.controller.world import World, choose_dataset

    choose_dataset(World().consortium("Northfield").project)


def connected() -> None:
    """Connected, and the line is down."""
    from django.utils import timezone

    from friendlyfl.controller.models import Identity
    from tests.controller.world import World

    World()
    Identity.objects.update(
        answered_at=timezone.now(),
        line_trouble="We cannot reach the router at fl.example.org. Your data is safe and nothing was lost.",
        line_trouble_since=timezone.now(),
    )


def no_name(page: Any) -> None:
    page.get_by_label("Name of this hospital").fill("")
    page.get_by_role("button", name="Save").click()


def nobody_there(page: Any) -> None:
    page.get_by_label("Address of the Routing Server").fill("http://127.0.0.1:9")
    page.get_by_label("Enrolment code").fill("ABCD-EFGH")
    page.get_by_role("button", name="Check connection").click()


STATES = {
    "setup, first day": State("setup", "/setup/", unnamed, role="site-admin"),
    "setup, done": State("setup", "/setup/", done, role="viewer"),
    "setup_name, error": State("setup_name", "/setup/name/", role="site-admin", act=no_name, status=400),
    "setup_connect": State("setup_connect", "/setup/connect/", role="site-admin"),
    "setup_connect, error": State(
        "setup_connect", "/setup/connect/", role="site-admin", act=nobody_there, status=400
    ),
    "setup_connect, connected": State("setup_connect", "/setup/connect/", connected, role="site-admin"),
    "setup_connect, no name": State("setup_connect", "/setup/connect/", unnamed, role="site-admin"),
}

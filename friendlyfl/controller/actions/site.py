"""Verbs about this site itself: its name, the router it uses, its rules."""

from typing import Any

from friendlyfl.client.router import Router
from friendlyfl.controller import here, line
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import Identity, Policy
from friendlyfl.controller.setup import check_name
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.tasks.disclosure import Policy as Rules

LIMITS = {"memory": "bytes of memory for the runner", "seconds": "of wall time for one round"}


def rename_site(actor: Actor, name: str) -> Identity:
    """Name this site, here and at the router if it is connected. Who has met it in a project keeps the name they know.

    Raises UnreachableError, and changes nothing, when the router cannot be told.
    """
    with acting(actor, "rename_site", name, needs="site-admin"):
        kept = check_name(name)
        row = here.identity()
        if row.router and kept != row.name:
            with line.noting() as router:
                router.update_me(name=kept)
        Identity.objects.filter(pk=1).update(name=kept)
        return here.identity()


def check_router(actor: Actor, address: str, enrolment: str = "", *, ca_file: str = "") -> str:
    """Try the way to a Routing Server, and a code if there is one, without using it. Returns the server's address.

    Raises what `connect_router` would raise.
    """
    with acting(actor, "check_router", address, needs="site-admin"):
        router = _to_enrol(address, enrolment, ca_file, plain_inside=False)
        try:
            router.health()
            if enrolment:
                router.check_enrolment()
            return router.address
        finally:
            router.close()


def connect_router(
    actor: Actor,
    address: str,
    enrolment: str,
    *,
    description: str = "",
    ca_file: str = "",
    plain_inside: bool = False,
) -> Identity:
    """Make this site known to a Routing Server, with the one-time code its administrator gave.

    Raises UnreachableError, or the RS's own refusal of the code.
    """
    with acting(actor, "connect_router", address, needs="site-admin"):
        row = here.identity()
        if row.router:
            raise ConflictError("connected", f"This site is connected to {row.router} already.")
        if not row.name:
            raise ConflictError("no_name", "Name this hospital first: others will see the name.", who="you")
        router = _to_enrol(address, enrolment, ca_file, plain_inside)
        router.health()
        router.enrol_site(row.site, row.name, description, here.keys().signed_card)
        Identity.objects.filter(pk=1).update(
            router=router.address, ca_file=ca_file, plain_inside=plain_inside
        )
        return here.identity()


def _to_enrol(address: str, enrolment: str, ca_file: str, plain_inside: bool) -> Router:
    """A line to a Routing Server that does not know this site yet."""
    return Router(
        address,
        here.keys().identity,
        site=here.site(),
        ca_file=ca_file or None,
        plain_inside=plain_inside,
        enrolment=enrolment,
    )


def set_policy(actor: Actor, changes: dict[str, Any]) -> Policy:
    """Change rules of this site (of tasks.disclosure.Policy) or the runner's limits (`LIMITS`); None lifts one."""
    with acting(actor, "set_policy", ", ".join(sorted(changes)), needs="site-admin"):
        row = Policy.get()
        rules = {name: value for name, value in changes.items() if name not in LIMITS}
        limits = {name: value for name, value in changes.items() if name in LIMITS}
        given = {name: value for name, value in limits.items() if value is not None}
        if any(type(value) not in (int, float) or value <= 0 for value in given.values()):
            raise UsageError("policy_value", "A limit of the runner is a number above 0.")
        # Only what was decided here is kept: a default may move with a version, as the list of analyses does.
        decided = {**row.rules, **rules}
        whole = Rules.from_json(decided).to_json()
        row.rules = {name: whole[name] for name in decided}
        kept = {name: value for name, value in row.limits.items() if name not in limits}
        row.limits = {**kept, **{name: int(value) for name, value in given.items()}}
        row.save()
        return row


def policy() -> dict[str, Any]:
    """The rules in force, defaults included, and the runner's limits."""
    row = Policy.objects.filter(pk=1).first() or Policy()  # looking writes nothing
    return {**Rules.from_json(row.rules).to_json(), **row.limits}

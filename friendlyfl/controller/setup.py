"""From nothing to a site: the home, its database, its keys, its one row. Safe to repeat after a crash."""

import secrets
import uuid

from friendlyfl.controller.home import Home
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.core.limits import NAME

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def create_site(home: Home, name: str) -> str:
    """Make a site in this home and return the one-time code for its first site-admin.

    Raises ConflictError `exists` when a site lives there already.
    """
    if not name.strip() or len(name) > NAME or not name.isprintable():
        raise UsageError("name", f"Give this hospital a name of 1 to {NAME} characters.")
    home.create()
    from friendlyfl.controller import open_home

    open_home(home.folder)
    from friendlyfl.controller.keyring import Keyring
    from friendlyfl.controller.models import Identity

    if Identity.objects.exists():
        raise ConflictError("exists", f"There is a site in {home.folder} already: {Identity.get().name}.")
    site = _site_uid(home)
    ring = Keyring.create(home, site)
    Identity.objects.create(
        pk=1,
        site=site,
        name=name,
        fingerprint=ring.identity.fingerprint,
        instance=str(uuid.uuid4()),
    )
    home.database.chmod(0o600)
    return new_code()


def new_code() -> str:
    """A one-time code for a site-admin account; an earlier one is worthless from now on."""
    from django.contrib.auth.hashers import make_password

    from friendlyfl.controller.models import Identity

    code = "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(3))
    Identity.objects.filter(pk=1).update(first_code=make_password(code))
    return code


def _site_uid(home: Home) -> str:
    """A new uid; after a crash the one that the keys already name."""
    import json

    from friendlyfl.wire.keys import SignedCard, check_card

    card = home.sub("keys") / "standing-card.json"
    if card.exists():
        return check_card(SignedCard.from_json(json.loads(card.read_text()))).site
    return str(uuid.uuid4())

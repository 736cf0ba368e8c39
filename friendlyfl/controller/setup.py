"""From nothing to a site: the home, its database, its keys, its one row. Safe to repeat after a crash.

A site may be made before it has a name: nothing that is signed holds it, so the first person gives it in the browser.
"""

import secrets
import uuid

from friendlyfl.controller.home import Home
from friendlyfl.core.errors import BrokenError, ConflictError, UsageError
from friendlyfl.core.limits import NAME

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
NOT_OURS_BUT_HARMLESS = ("lost+found",)  # what a fresh disk has on it


def check_name(name: str) -> str:
    """The hospital's name as it is kept.

    Raises UsageError `name`.
    """
    kept = name.strip()
    if not kept or len(kept) > NAME or not kept.isprintable():
        raise UsageError("name", f"Give this hospital a name of 1 to {NAME} characters.")
    return kept


def begin(home: Home) -> str:
    """Make a site without a name where there is none yet; returns the one-time code while nobody has used it, or "".

    A code cannot be shown twice, so a site that was begun here and has neither name nor people gets a new one. That of
    a site made by `controller init` was printed there and stays.
    """
    if not home.exists:
        check_empty(home)
        return _make(home, "")
    from friendlyfl.controller import open_home

    open_home(home.folder)
    from friendlyfl.controller.models import Identity, Person

    row = Identity.objects.filter(pk=1).first()
    if row is None:  # a crash in the middle of its making
        return _make(home, "")
    return new_code() if not row.name and not Person.objects.exists() else ""


def check_empty(home: Home) -> None:
    """Raise unless a new site may be made in this folder: nothing of anybody's lies there, and no lost site's keys."""
    if any(home.sub("keys").glob("*")):
        raise BrokenError(
            "home_damaged",
            f"The database is missing in {home.folder}, but the keys of a site are there. Restore it from a back-up.",
        )
    if home.sub("secret_key").exists() or not home.folder.exists():
        return
    if any(path.name not in NOT_OURS_BUT_HARMLESS for path in home.folder.iterdir()):
        raise BrokenError(
            "no_home",
            f"There is no FriendlyFL site in {home.folder}, and other files are. Name an empty folder with --home, or "
            f"make the site there all the same with: friendlyfl controller init --home {home.folder}",
            who="you",
        )


def create_site(home: Home, name: str) -> str:
    """Make a site in this home and return the one-time code for its first site-admin.

    Raises ConflictError `exists` when a site lives there already.
    """
    return _make(home, check_name(name))


def _make(home: Home, name: str) -> str:
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

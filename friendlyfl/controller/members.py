"""Who belongs to a project, by the signed manifests accepted here, and whose key is pinned.

The decisions are wire.trust's; this module finds the records for them and keeps what was accepted. No network.
"""

import functools
import json
from typing import Any, NamedTuple

from django.db import transaction

from friendlyfl.controller import here
from friendlyfl.controller.models import Manifest, Peer, Project, Run
from friendlyfl.core.errors import WireError
from friendlyfl.wire import trust
from friendlyfl.wire.keys import Card, SignedCard, check_card


def public_of(site: str) -> bytes:
    """The identity key pinned for a site (or our own).

    Raises WireError `unknown_sender`.
    """
    if site == here.site():
        return here.keys().identity.public
    return card_of(site).public


def card_of(site: str) -> Card:
    """The newest standing card of a pinned site, checked against the pin."""
    if site == here.site():
        return here.keys().card
    return _pin(site).card


def card_sha256(site: str) -> str:
    """The hash by which a site's post names its standing card."""
    return here.keys().signed_card.sha256 if site == here.site() else _pin(site).card_sha256


class Pin(NamedTuple):
    """What is pinned of another site."""

    fingerprint: str
    card: Card
    card_sha256: str


# A pin, an accepted epoch and a key told for a run never change, so each is read once a process.
REMEMBERED = 1024
_pins: dict[str, Pin] = {}
_epochs: dict[tuple[str, int], tuple[trust.Manifest, str]] = {}
_run_keys: dict[tuple[str, str], Card] = {}


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Once it is committed, never before: what an open transaction sees may still be undone."""
    if len(known) >= REMEMBERED:
        known.clear()
    transaction.on_commit(lambda: known.__setitem__(key, value))


def _pin(site: str) -> Pin:
    if site not in _pins:
        peer = Peer.objects.filter(site=site).first()
        if peer is None:
            raise WireError("unknown_sender", "A message came from a site that this hospital does not know.")
        signed = SignedCard.from_json(peer.card)
        card = check_card(signed, fingerprint=peer.fingerprint, site=site)
        found = Pin(peer.fingerprint, card, signed.sha256)
        _remember(_pins, site, found)
        return found
    return _pins[site]


def run_card(signed: dict, site: str, run: str) -> Card:
    """Check a run card that came in a run's first post: signed by the pinned identity, made for this run."""
    read = SignedCard.from_json(signed)
    card = check_card(read, fingerprint=fingerprint_of(site), site=site)
    if card.use != run:
        raise WireError("card_misused", "A key that was made for another run came with this one.")
    return card


def run_key(run: Run, site: str) -> Card | None:
    """The card of a site's key for this run, if it has told it."""
    if (run.uid, site) not in _run_keys:
        if site not in run.keys:
            return None
        card = run_card(run.keys[site], site, run.uid)
        _remember(_run_keys, (run.uid, site), card)
        return card
    return _run_keys[(run.uid, site)]


def fingerprint_of(site: str) -> str:
    """The pinned fingerprint of a site."""
    if site == here.site():
        return here.keys().identity.fingerprint
    return _pin(site).fingerprint


def pin(site: str, name: str, signed: SignedCard) -> Peer:
    """Remember a site's identity. A site that is pinned already must show the same one.

    Raises WireError `key_changed` when it does not; post from there then stops until a person looks.
    """
    card = check_card(signed, site=site)
    peer = Peer.objects.filter(site=site).first()
    shown = card.fingerprint
    if peer is None:
        return Peer.objects.create(site=site, name=name, fingerprint=shown, card=signed.to_json())
    if peer.fingerprint != shown:
        raise WireError(
            "key_changed",
            f"{peer.name} shows another identity key than the one pinned here. Nothing was accepted from there. "
            "Call them and compare the safety number before you go on.",
            who="the site-admin",
        )
    return peer


# --- manifests ---


def current(project: Project) -> tuple[trust.Manifest, str]:
    """The manifest held now, and its hash.

    Raises WireError `no_manifest` while none is held.
    """
    row = project.manifests.last()
    if row is None:
        raise WireError("no_manifest", f"This hospital holds no member list of {project.name} yet.")
    return _parsed(json.dumps(row.signed), project.coordinator), row.sha256


def at_epoch(project: Project, epoch: int) -> tuple[trust.Manifest, str]:
    """The manifest of an epoch, and its hash."""
    if (project.uid, epoch) in _epochs:
        return _epochs[(project.uid, epoch)]
    row = project.manifests.filter(epoch=epoch).first()
    if row is None:
        raise WireError(
            "no_manifest", f"This hospital holds no member list number {epoch} of {project.name}."
        )
    found = _parsed(json.dumps(row.signed), project.coordinator), row.sha256
    _remember(_epochs, (project.uid, epoch), found)
    return found


@functools.lru_cache(maxsize=256)
def _parsed(signed: str, coordinator: str) -> trust.Manifest:
    return trust.check_manifest(trust.SignedManifest.from_json(json.loads(signed)), public_of(coordinator))


def accept(project: Project, signed: trust.SignedManifest) -> trust.Manifest:
    """Take the next epoch of the membership; one that is held already changes nothing.

    Raises WireError when it is not signed by the coordinator, skips an epoch or does not follow the one held.
    """
    held = project.manifests.last()
    if held is not None and held.sha256 == signed.sha256:
        return current(project)[0]
    before = current(project)[0] if held else None
    manifest = trust.accept_next(
        before, held.sha256 if held else None, signed, public_of(project.coordinator)
    )
    if manifest.project != project.uid:
        raise WireError("wrong_project", "A member list of another project was offered for this one.")
    Manifest.objects.create(
        project=project, epoch=manifest.epoch, sha256=signed.sha256, signed=signed.to_json()
    )
    project.epoch = manifest.epoch
    project.save(update_fields=["epoch"])
    return manifest


def name_of(site: str) -> str:
    """The name of a site, for people of this hospital."""
    if site == here.site():
        return here.identity().name
    peer = Peer.objects.filter(site=site).first()
    return peer.name if peer else f"site {site[:8]}"

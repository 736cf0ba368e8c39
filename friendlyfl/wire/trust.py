"""Who belongs to a project, which card is the newest, which post has a slot: pure decisions.

No storage and no clock here: the caller keeps what was accepted and hands it in again. `keys` checks a single
card; this module compares it with the past.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical, fields
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.keys import SIGNATURE, Card, Identity, SignedCard, check_card, fingerprint, verify

COORDINATOR, PARTICIPANT = "coordinator", "participant"
_WHAT = "list of members"
_MANIFEST_KEYS = ("v", "project", "epoch", "prev", "members", "policy")
_POLICY = {"encryption": "required", "secagg": False, "min_sites": 1, "threshold": 0, "plan_sha256": None}


@dataclass(frozen=True)
class Member:
    site: str
    role: str
    fingerprint: str


@dataclass(frozen=True)
class Manifest:
    """Who belongs, in one epoch. Signed by the coordinator; the Routing Server cannot add anybody."""

    v: int
    project: str
    epoch: int
    prev: str | None
    members: tuple[Member, ...]
    policy: dict[str, Any]

    def member(self, site: str) -> Member:
        """The member with this uid, or WireError `not_a_member`."""
        for member in self.members:
            if member.site == site:
                return member
        raise WireError(
            "not_a_member",
            "This post comes from or goes to a hospital that is not a member of the project, so it was "
            "thrown away. If it should be one, the coordinator must accept it first.",
        )

    @property
    def coordinator(self) -> Member:
        return next(member for member in self.members if member.role == COORDINATOR)


@dataclass(frozen=True)
class SignedManifest:
    """The exact bytes of a manifest and their signature."""

    raw: bytes
    signature: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    def to_json(self) -> dict[str, str]:
        return {"manifest": b64(self.raw), "signature": b64(self.signature)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SignedManifest":
        found = fields.record(value, ("manifest", "signature"), _WHAT)
        return cls(
            fields.octets(found, "manifest", _WHAT, most=limits.MANIFEST),
            fields.octets(found, "signature", _WHAT, exactly=SIGNATURE),
        )


def make_manifest(
    identity: Identity,
    *,
    project: str,
    epoch: int,
    prev: str | None,
    members: Iterable[Member],
    policy: Mapping[str, Any] | None = None,
) -> SignedManifest:
    """The coordinator's next list. Epochs count from 1; `prev` is the SHA-256 of the epoch before, if any.

    What `policy` leaves out takes its default: no secure sum, no minimum of sites, no plan yet.
    """
    ordered = sorted(members, key=lambda member: member.site)
    raw = canonical.dumps(
        {
            "v": 1,
            "project": project,
            "epoch": epoch,
            "prev": prev,
            "members": [{"site": m.site, "role": m.role, "fingerprint": m.fingerprint} for m in ordered],
            "policy": {**_POLICY, **(policy or {})},
        }
    )
    signed = SignedManifest(raw, identity.sign("manifest", raw))
    check_manifest(signed, identity.public)
    return signed


def check_manifest(signed: SignedManifest, coordinator_public: bytes) -> Manifest:
    """The manifest, if the coordinator with this key signed it and it is well formed."""
    verify(coordinator_public, "manifest", signed.raw, signed.signature)
    found = fields.record(canonical.loads(signed.raw, limit=limits.MANIFEST), _MANIFEST_KEYS, _WHAT)
    fields.integer(found, "v", _WHAT, least=1, most=1)
    epoch = fields.integer(found, "epoch", _WHAT, least=1, most=fields.COUNT)
    if found["prev"] is not None:
        fields.hexadecimal(found, "prev", _WHAT, octets=32)
    if (found["prev"] is None) != (epoch == 1):
        fields.refuse("manifest_prev", _WHAT, "it does not say which list came before it")
    manifest = Manifest(
        1,
        fields.uid(found, "project", _WHAT),
        epoch,
        found["prev"],
        _members(found["members"]),
        _policy(found["policy"]),
    )
    if manifest.coordinator.fingerprint != fingerprint(coordinator_public):
        fields.refuse("manifest_signer", _WHAT, "the hospital that signed it is not its coordinator")
    return manifest


def _members(value: object) -> tuple[Member, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= limits.RECIPIENTS:
        fields.refuse("manifest_members", _WHAT, f"it does not name 1 to {limits.RECIPIENTS} hospitals")
    members = []
    for item in value:
        entry = fields.record(item, ("site", "role", "fingerprint"), _WHAT)
        if entry["role"] not in (COORDINATOR, PARTICIPANT):
            fields.refuse(
                "manifest_role", _WHAT, "a hospital in it has a role that this version does not know"
            )
        members.append(
            Member(
                fields.uid(entry, "site", _WHAT),
                entry["role"],
                fields.hexadecimal(entry, "fingerprint", _WHAT, octets=32),
            )
        )
    if len({m.site for m in members}) < len(members) or len({m.fingerprint for m in members}) < len(members):
        fields.refuse("manifest_twice", _WHAT, "it names a hospital or a key twice")
    if sum(m.role == COORDINATOR for m in members) != 1:
        fields.refuse("manifest_coordinator", _WHAT, "it does not name exactly one coordinator")
    return tuple(members)


def _policy(value: object) -> dict[str, Any]:
    policy = fields.record(value, tuple(_POLICY), _WHAT)
    if policy["encryption"] != "required":
        fields.refuse(
            "manifest_encryption", _WHAT, "it does not require encryption, and there is no other way"
        )
    if type(policy["secagg"]) is not bool:
        fields.refuse("manifest_secagg", _WHAT, "its field 'secagg' is not yes or no")
    fields.integer(policy, "min_sites", _WHAT, least=1, most=limits.RECIPIENTS)
    fields.integer(policy, "threshold", _WHAT, most=limits.RECIPIENTS)
    if policy["plan_sha256"] is not None:
        fields.hexadecimal(policy, "plan_sha256", _WHAT, octets=32)
    return policy


def accept_next(
    held: Manifest | None, held_sha256: str | None, new: SignedManifest, coordinator_public: bytes
) -> Manifest:
    """The manifest to hold from now on.

    The first one, the next one, or the held one again. Everything else is refused.
    """
    manifest = check_manifest(new, coordinator_public)
    if held is None:
        if manifest.epoch != 1:
            fields.refuse("manifest_first", _WHAT, "the first list of this project is missing")
        return manifest
    if manifest.project != held.project:
        fields.refuse("manifest_project", _WHAT, "it belongs to another project")
    if new.sha256 == held_sha256:
        return held
    if manifest.epoch == held.epoch:
        raise WireError(
            "manifest_split",
            "Two different lists of members carry the same number. Nothing is sent in this project until "
            "the coordinator's hospital has been telephoned and has settled it.",
            who="the coordinator",
        )
    if manifest.epoch < held.epoch:
        fields.refuse("manifest_old", _WHAT, "a newer list is held already")
    if manifest.epoch > held.epoch + 1:
        fields.refuse("manifest_gap", _WHAT, "a list between the one held and this one is missing")
    if manifest.prev != held_sha256:
        fields.refuse("manifest_chain", _WHAT, "it does not continue the list that is held")
    if manifest.coordinator != held.coordinator:
        fields.refuse("manifest_takeover", _WHAT, "it names another coordinator than before")
    return manifest


def decide_slot(held: str | None, digest: str) -> bool:
    """True for new post, False for a repeat of what is held; other post in a taken slot is equivocation."""
    if held is None:
        return True
    if held == digest:
        return False
    raise WireError(
        "equivocation",
        "The sender said two different things in the same place. The first is kept, the second was thrown "
        "away; telephone the sender: its Controller may have been restored from an old copy, or run twice.",
    )


def accept_card(newest: Card | None, signed: SignedCard, *, fingerprint: str, site: str) -> Card:
    """The card, if this identity and site signed it and it is not older than the newest seen **of its use**.

    Standing cards and the cards of each run are counted apart: a run's card makes no standing one old.
    """
    card = check_card(signed, fingerprint=fingerprint, site=site)
    if newest is None or card == newest:
        return card
    if (card.site, card.use) != (newest.site, newest.use):
        raise WireError(
            "card_use",
            "Two key cards of different uses were compared. Nothing was accepted; this is a fault of this "
            "program.",
        )
    if card.seq == newest.seq:
        raise WireError(
            "card_split",
            "A hospital has given out two different key cards under one number. Neither is used from now "
            "on until that hospital has been telephoned: its Controller may run twice.",
        )
    if card.seq < newest.seq:
        raise WireError(
            "card_old",
            "The key card is older than one already known, so it was not accepted. Fetch the newest card "
            "and try again.",
        )
    if card.seq == newest.seq + 1 and card.prev != hashlib.sha256(_raw(newest)).hexdigest():
        raise WireError(
            "card_chain",
            "The key card does not continue the card before it, so it was not accepted. Telephone that "
            "hospital.",
        )
    return card


def _raw(card: Card) -> bytes:
    """A card's bytes are canonical, so they can be had again from its fields."""
    return canonical.dumps(dict(vars(card)))

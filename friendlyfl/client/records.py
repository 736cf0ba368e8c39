"""The rows of a `MemoryHouse` and how it says no. What happens to them lives in `house` and `mail`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from friendlyfl.core.errors import FriendlyError
from friendlyfl.wire.keys import STANDING, Card, SignedCard, check_card
from friendlyfl.wire.trust import Manifest, SignedManifest

Body = dict[str, Any]
Reply = tuple[int, Any]


class Refused(FriendlyError):
    """The house's no, with the status that the real server would give."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status

    @classmethod
    def not_found(cls) -> "Refused":
        return cls(404, "not_found", "There is no such thing here, or it is not yours to see.")


@dataclass
class Site:
    uid: str
    name: str
    description: str
    fingerprint: str
    public: bytes
    cards: list[SignedCard]
    holder: str = ""  # the Controller instance that has the lease
    fence: int = 0

    def newest(self, use: str) -> Card | None:
        found = [card for card in map(check_card, self.cards) if card.use == use]
        return found[-1] if found else None

    @property
    def standing(self) -> SignedCard:
        return [card for card in self.cards if check_card(card).use == STANDING][-1]


@dataclass
class Project:
    uid: str
    name: str
    description: str
    coordinator: str
    created_at: str
    state: str = "open"
    plan_sha256: str = ""
    steps: list[Any] = field(default_factory=list)
    invitations: dict[str, Body] = field(default_factory=dict)
    signed: list[SignedManifest] = field(default_factory=list)
    epochs: list[Manifest] = field(default_factory=list)
    left: set[str] = field(default_factory=set)

    def holds(self, site: str) -> bool:
        """Whether the site is in the project now."""
        if site == self.coordinator:
            return True
        return bool(self.epochs) and site not in self.left and self.role(site, self.epochs[-1]) is not None

    @staticmethod
    def role(site: str, epoch: Manifest) -> str | None:
        return next((member.role for member in epoch.members if member.site == site), None)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def require(body: Any, *names: str, also: tuple[str, ...] = ()) -> Body:
    """A body with these fields and no unknown ones, as the real server insists."""
    if not isinstance(body, dict) or not set(names) <= set(body) <= {*names, *also}:
        raise Refused(400, "wrong_fields", f"This takes the fields {', '.join((*names, *also))}.")
    return body

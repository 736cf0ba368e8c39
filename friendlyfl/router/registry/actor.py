"""Who asks: one frozen value made from the one credential of a request. Rights derive from it and are
stored nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Enrolment, Site, User


class Kind(StrEnum):
    ANONYMOUS = "anonymous"
    PERSON = "person"
    ADMINISTRATOR = "administrator"
    SITE = "site"
    REVOKED = "revoked"
    ENROLMENT = "enrolment"  # a person who holds a one-time code and may make one site with it


@dataclass(frozen=True)
class Actor:
    """`user` is set for people and for an enrolment code, `site` for sites."""

    kind: Kind
    user: User | None = None
    site: Site | None = None
    enrolment: Enrolment | None = None

    @property
    def is_administrator(self) -> bool:
        return self.kind is Kind.ADMINISTRATOR

    @property
    def key(self) -> str:
        """A stable name for logs and idempotency keys."""
        if self.site is not None:
            return f"site:{self.site.uid}"
        if self.user is not None:
            return f"user:{self.user.uid}"
        return "anonymous"


ANONYMOUS = Actor(Kind.ANONYMOUS)

"""What the tables share: the text form of a UUID and the manager that starts every query from the asker."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.db import models

from ..registry.actor import Actor, Kind


def new_uid() -> str:
    return str(uuid.uuid4())


class _Text(models.CharField):
    """Plain text to a migration: the short names below are for reading the models."""

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", list(args), kwargs


class UidField(_Text):
    """A UUID as its 36 characters, so that both databases hold the same text and plain SQL can compare it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 36)
        kwargs.setdefault("default", new_uid)
        super().__init__(*args, **kwargs)


class HexField(_Text):
    """Lower-case hexadecimal text, 64 characters unless told: a SHA-256."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 64)
        super().__init__(*args, **kwargs)


class VisibleQuerySet(models.QuerySet):
    """The start of every query made for somebody: an actor without a rule of its own sees nothing."""

    def visible_to(self, actor: Actor) -> Self:
        match actor.kind:
            case Kind.ADMINISTRATOR:
                return self.seen_by_administrator()
            case Kind.SITE if actor.site is not None:
                return self.seen_by_site(actor.site.pk)
            case Kind.REVOKED if actor.site is not None:
                return self.seen_by_revoked(actor.site.pk)
            case Kind.PERSON if actor.user is not None:
                return self.seen_by_person(actor.user.pk)
        return self.none()

    def seen_by_administrator(self) -> Self:
        return self.none()

    def seen_by_site(self, site: int) -> Self:
        return self.none()

    def seen_by_revoked(self, site: int) -> Self:
        return self.none()

    def seen_by_person(self, user: int) -> Self:
        return self.none()

"""People who have an account at the Routing Server, and what they may hold: a token, an enrolment code."""

from __future__ import annotations

from typing import Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone

from .base import HexField, UidField, VisibleQuerySet


class UserQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        return self.all()

    def seen_by_site(self, site: int) -> Self:
        return self.filter(sites__pk=site)

    def seen_by_person(self, user: int) -> Self:
        return self.filter(pk=user)


class Users(UserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False


class User(AbstractUser):
    """A person. `is_staff` makes an administrator; only the admin site and the command line can set it."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    uid = UidField(unique=True, editable=False)
    name = models.CharField("full name", max_length=100, blank=True)

    objects = Users()  # type: ignore[misc]

    class Meta:
        db_table = "ffl_user"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.username


class Token(models.Model):
    """A person's token for scripts, ended after 12 hours. Only its hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    digest = HexField(unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "ffl_token"

    def __str__(self) -> str:
        return f"token of {self.user}"


class EnrolmentQuerySet(VisibleQuerySet):
    def seen_by_administrator(self) -> Self:
        return self.all()


class Enrolment(models.Model):
    """A one-time code with which one user makes one site. The code is derived (registry.people), only its
    hash is kept.
    """

    uid = UidField(unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="enrolments")
    digest = HexField(unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    objects = EnrolmentQuerySet.as_manager()

    class Meta:
        db_table = "ffl_enrolment"
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"enrolment of {self.user}"

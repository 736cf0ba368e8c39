"""People: logging in and out, tokens, accounts, and the one-time codes with which a site is enrolled."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from friendlyfl.core import limits

from ..models import Enrolment, Token, User
from ..refusals import Refusal, not_found
from ..registry import audit, people
from ..registry.actor import Actor, Kind
from . import incoming as take
from . import outgoing as out
from .authentication import person
from .base import Endpoint, find
from .policy import Role, role_of


class _PasswordEndpoint(Endpoint):
    """A route that checks a password. The tries are counted even when the request fails."""

    one_transaction = False

    def check(self, request: Request, username: str, password: str) -> User:
        """The user, or 401 in the same words and the same time for known and unknown names."""
        wait = people.seconds_to_wait(username, self.address)
        if wait:
            raise Refusal(
                429,
                "too_many_passwords",
                f"Too many passwords were tried; wait {wait} seconds and try again.",
                who="you",
                retry_after=wait,
            )
        user = authenticate(request._request, username=username, password=password)
        if user is None:
            self.note("login.refused", "user", outcome="refused")
            raise Refusal(
                401, "wrong_password", "The name or the password is not right; try again.", who="you"
            )
        return user


class Login(_PasswordEndpoint):
    """Begin a session in this browser; it ends after 12 hours."""

    route = "login"
    takes = {"POST": take.LoginIn}
    gives = {"POST": out.UserOut}

    def post(self, request: Request) -> Response:
        user = self.check(request, **self.body(request))
        login(request._request, user)
        request._request.session.set_expiry(limits.LOGIN_KEPT)
        audit.did(person(user), "login", f"user:{user.uid}", address=self.address)
        return self.give(out.UserOut, user)


class TokenView(_PasswordEndpoint):
    """A token for scripts, sent as `Authorization: Token ...`; it ends after 12 hours."""

    route = "token"
    takes = {"POST": take.LoginIn}
    gives = {"POST": out.TokenOut}

    def post(self, request: Request) -> Response:
        user = self.check(request, **self.body(request))
        token, expires_at = people.make_token(user)
        audit.did(person(user), "token", f"user:{user.uid}", address=self.address)
        return self.give(out.TokenOut, {"token": token, "expires_at": expires_at}, 201)


class Logout(Endpoint):
    """End this session, or this token."""

    route = "logout"

    def post(self, request: Request) -> Response:
        self.note("logout", self.actor.key)
        authorization = request.headers.get("Authorization", "")
        if authorization:
            people.end_token(authorization.partition(" ")[2])
        else:
            logout(request._request)
        return Response(status=204)


class Users(Endpoint):
    """Accounts. Each sees its own; an administrator sees all and makes new ones."""

    route = "users"
    takes = {"POST": take.UserIn}
    gives = {"GET": out.UserOut, "POST": out.UserOut}
    paged = creates = True

    def get(self, request: Request) -> Response:
        return self.give_page(out.UserOut, User.objects.visible_to(self.actor))

    def post(self, request: Request) -> Response:
        fields = self.body(request)
        password = fields.pop("password")
        user = User(**fields)
        try:
            User.username_validator(user.username)
        except DjangoValidationError as error:
            raise _field("username", error) from error
        _check_password(password, user)
        user.set_password(password)
        try:
            with transaction.atomic():
                if User.objects.filter(username__iexact=user.username).exists():
                    raise IntegrityError
                user.save()
        except IntegrityError as error:
            raise Refusal(409, "name_taken", "Somebody has this username already; choose another.") from error
        self.note("user.made", f"user:{user.uid}")
        return self.give(out.UserOut, user, 201)


class _OneUser(_PasswordEndpoint):
    """Read and change one account."""

    takes = {"PATCH": take.UserChangeIn}
    gives = {"GET": out.UserOut, "PATCH": out.UserOut}
    user: User

    @property
    def own(self) -> bool:
        actor = self.actor
        return actor.user == self.user or (actor.site is not None and actor.site.owner_id == self.user.pk)

    def get(self, request: Request, user: str = "") -> Response:
        return self.give(out.UserOut, self.user)

    def patch(self, request: Request, user: str = "") -> Response:
        fields = self.body(request)
        current, password = fields.pop("current_password", None), fields.pop("password", None)
        if self.own and (password or "email" in fields):
            if current is None:
                raise Refusal(400, "current_password", "Send current_password to change e-mail or password.")
            self.check(request, self.user.username, current)
        with transaction.atomic():
            self._change(request, fields, password)
        return self.give(out.UserOut, self.user)

    def _change(self, request: Request, fields: dict[str, Any], password: str | None) -> None:
        for name, value in fields.items():
            setattr(self.user, name, value)
        if password is not None:
            _check_password(password, self.user)
            self.user.set_password(password)
            Token.objects.filter(user=self.user).delete()
        self.user.save()
        if password is not None and self.actor.user == self.user and not request.headers.get("Authorization"):
            update_session_auth_hash(request._request, self.user)
        self.note("user.changed", f"user:{self.user.uid}")


class OwnUser(_OneUser):
    """One's own account; for a site its owner's."""

    route = "user-me"

    def locate(self, actor: Actor) -> Role:
        if actor.kind in (Kind.PERSON, Kind.ADMINISTRATOR) and actor.user is not None:
            self.user = actor.user
        elif actor.kind is Kind.SITE and actor.site is not None and actor.site.owner is not None:
            self.user = actor.site.owner
        elif actor.kind is Kind.SITE:
            raise not_found()
        return role_of(actor)


class OneUser(_OneUser):
    """An account by its uid."""

    route = "user"

    def locate(self, actor: Actor) -> Role:
        self.user = find(User.objects.visible_to(actor), uid=self.kwargs["user"])
        return Role.ADMINISTRATOR if actor.is_administrator else Role.SELF

    def delete(self, request: Request, user: str = "") -> Response:
        """The account's sites stay."""
        if self.own:
            raise Refusal(
                409, "own_account", "You cannot delete your own account; ask another administrator."
            )
        with transaction.atomic():
            self.note("user.deleted", f"user:{self.user.uid}")
            self.user.delete()
        return Response(status=204)


class Enrolments(Endpoint):
    """One-time codes: each lets one user create one site within 14 days."""

    route = "enrolments"
    takes = {"POST": take.EnrolmentIn}
    gives = {"GET": out.EnrolmentOut, "POST": out.EnrolmentOut}
    paged = creates = True

    def get(self, request: Request) -> Response:
        return self.give_page(
            out.EnrolmentOut, Enrolment.objects.visible_to(self.actor).select_related("user")
        )

    def post(self, request: Request) -> Response:
        user = User.objects.filter(uid=self.body(request)["user"], is_active=True).first()
        if user is None:
            raise Refusal(
                422, "unknown_user", "There is no account with this uid; make one first.", who="you"
            )
        enrolment = people.make_enrolment(user)
        self.note("enrolment.made", f"user:{user.uid}")
        enrolment.code = people.enrolment_code(enrolment)  # type: ignore[attr-defined]
        return self.give(out.EnrolmentOut, enrolment, 201)

    def kept(self, answer: Any) -> Any:
        return {name: value for name, value in answer.items() if name != "code"}

    def repeated(self, answer: Any) -> Any:
        enrolment = Enrolment.objects.filter(uid=answer["uid"]).first()
        return {**answer, "code": people.enrolment_code(enrolment)} if enrolment else answer


class OneEnrolment(Endpoint):
    """Take a code back."""

    route = "enrolment"
    enrolment: Enrolment

    def locate(self, actor: Actor) -> Role:
        self.enrolment = find(Enrolment.objects.visible_to(actor), uid=self.kwargs["enrolment"])
        return role_of(actor)

    def delete(self, request: Request, enrolment: str) -> Response:
        self.note("enrolment.taken_back", f"user:{self.enrolment.user.uid}")
        self.enrolment.delete()
        return Response(status=204)


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        raise _field("password", error) from error


def _field(name: str, error: DjangoValidationError) -> Refusal:
    sentences = [str(message) for message in error.messages]
    return Refusal(
        400,
        "bad_field",
        f"The field {name!r} is not as it must be: {sentences[0]}",
        who="you",
        extra={"fields": {name: sentences}},
    )

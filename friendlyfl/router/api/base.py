"""What every resource of the records does alike: one credential, a policy, strict queries, one transaction a write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from django.db import IntegrityError, models, transaction
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..models import IdempotencyKey, Project, Run
from ..refusals import Refusal, not_found
from ..registry import audit
from ..registry.actor import ANONYMOUS, Actor
from .fields import In
from .paging import PAGING, page_of
from .policy import ByPolicy, Role, role_in, role_of

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Row = TypeVar("Row", bound=models.Model)


class Endpoint(APIView):
    """A route of the API. `route` is its name in the policy, `takes` and `gives` its records by verb."""

    permission_classes = [ByPolicy]
    route: ClassVar[str]
    takes: ClassVar[dict[str, type[In]]] = {}
    gives: ClassVar[dict[str, Any]] = {}
    query: ClassVar[frozenset[str]] = frozenset()  # the query arguments it knows
    paged: ClassVar[bool] = False  # GET is a list in pages
    creates: ClassVar[bool] = False  # POST makes something and takes an Idempotency-Key
    one_transaction: ClassVar[bool] = True
    any_lease_for: ClassVar[frozenset[str]] = (
        frozenset()
    )  # verbs that a site may ask without the current lease
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    @property
    def actor(self) -> Actor:
        return getattr(self.request, "auth", None) or ANONYMOUS

    # What a route says of itself

    def locate(self, actor: Actor) -> Role:
        """Find what the address names among what `actor` may see, or 404; return the role it gives."""
        return role_of(actor)

    # What happens before a verb

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._check_query(request)
        verb = request.method or ""
        if verb in WRITES:
            self._check_body(request, verb)
            if self.one_transaction:
                name = verb.lower()
                setattr(self, name, partial(self._write, getattr(self, name)))

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        request._request.ffl_actor = self.actor.key
        if (request.method or "").lower() not in self._verbs():
            raise MethodNotAllowed(request.method or "")

    def _verbs(self) -> set[str]:
        return {name for name in self.http_method_names if hasattr(self, name)}

    @property
    def allowed_methods(self) -> list[str]:
        return sorted(name.upper() for name in self._verbs())

    def _check_query(self, request: Request) -> None:
        known = self.query | (PAGING if self.paged and request.method in {"GET", "HEAD"} else frozenset())
        for name in request.query_params:
            if name not in known or len(request.query_params.getlist(name)) > 1:
                raise Refusal(
                    400,
                    "unknown_argument",
                    f"The address carries an argument this route does not take: {name[:40]!r}.",
                )

    def _check_body(self, request: Request, verb: str) -> None:
        """A verb that takes nothing gets an empty body or {}."""
        if verb not in self.takes and request._request.body.strip() not in {b"", b"{}"}:
            raise Refusal(400, "no_body", "This request takes no fields; send it without a body.")

    # Writing

    def _write(
        self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        with transaction.atomic():
            if self.creates and request.method == "POST" and "Idempotency-Key" in request.headers:
                return self._once(request, partial(handler, request, *args, **kwargs))
            return handler(request, *args, **kwargs)

    def _once(self, request: Request, make: Callable[[], Response]) -> Response:
        """The same key and body again: the same answer. The same key with another body: 409."""
        key = request.headers["Idempotency-Key"]
        if not 1 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
            raise Refusal(
                400, "idempotency_key", "Write an Idempotency-Key of 1 to 128 printable characters."
            )
        same = {"actor": self.actor.key, "route": request.path.rstrip("/")[:200], "key": key}
        digest = hashlib.sha256(request._request.body).hexdigest()
        known = IdempotencyKey.objects.filter(**same).first()
        if known is not None:
            if known.body_sha256 != digest:
                raise Refusal(
                    409,
                    "idempotency_conflict",
                    "This Idempotency-Key was used with another body; take a new key.",
                )
            return Response(self.repeated(known.answer), known.status)
        response = make()
        try:
            with transaction.atomic():
                kept = self.kept(response.data)
                IdempotencyKey.objects.create(
                    **same, body_sha256=digest, status=response.status_code, answer=kept
                )
        except IntegrityError as error:
            raise Refusal(
                409, "same_request", "The same request is being answered just now; ask again.", retry_after=1
            ) from error
        return response

    def kept(self, answer: Any) -> Any:
        """What of an answer is stored for a repeat; a route that tells a secret leaves it out."""
        return answer

    def repeated(self, answer: Any) -> Any:
        """The stored answer as it is given again."""
        return answer

    # Helpers for the verbs

    def body(self, request: Request) -> dict[str, Any]:
        """The checked fields of the body."""
        record = self.takes[request.method or ""](data=request.data)
        record.is_valid(raise_exception=True)
        return dict(record.validated_data)

    def give(self, record: type[serializers.Serializer], row: Any, status: int = 200) -> Response:
        return Response(record(row, context={"actor": self.actor}).data, status)

    def give_page(self, record: type[serializers.Serializer], rows: models.QuerySet) -> Response:
        return Response(page_of(self.request, rows, partial(self._one, record)))

    def _one(self, record: type[serializers.Serializer], row: Any) -> Any:
        return record(row, context={"actor": self.actor}).data

    def note(self, action: str, thing: str, project: str = "", outcome: str = "done") -> None:
        """Write the audit, in the transaction of what was done."""
        audit.did(self.actor, action, thing, project=project, address=self.address, outcome=outcome)

    @property
    def address(self) -> str:
        return str(self.request.META.get("REMOTE_ADDR", ""))[:64]

    def read_fields(self, request: Request) -> dict[str, str]:
        return {name: request.query_params[name] for name in request.query_params}


def find(rows: models.QuerySet[Row], **names: Any) -> Row:
    """The row, or the same 404 as for one that does not exist."""
    row = rows.filter(**names).first()
    if row is None:
        raise not_found()
    return row


class ProjectEndpoint(Endpoint):
    """A route below projects/{project}/: the role is the asker's role in that project."""

    project: Project

    def locate(self, actor: Actor) -> Role:
        rows = Project.objects.visible_to(actor).select_related("coordinator")
        self.project = find(rows, uid=self.kwargs["project"])
        return role_in(actor, self.project)


class RunEndpoint(Endpoint):
    """A route below runs/{run}/."""

    run: Run

    def locate(self, actor: Actor) -> Role:
        rows = Run.objects.visible_to(actor).select_related("project__coordinator")
        self.run = find(rows.prefetch_related("seats__site"), uid=self.kwargs["run"])
        return role_in(actor, self.run.project)

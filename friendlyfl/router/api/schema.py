"""OpenAPI from what each route says of itself (`takes`, `gives`), with the relay's part merged in."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from ..relay.openapi import OPENAPI_PATHS, SECURITY_SCHEMES
from ..settings import PREFIX
from .outgoing import ProblemOut
from .paging import PAGING

CREDENTIALS: dict[str, Any] = {
    **SECURITY_SCHEMES,
    "session": {"type": "apiKey", "in": "cookie", "name": "ffl_session"},
    "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <token>"},
    "enrolment": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Enrolment <code>",
    },
}


class Described(AutoSchema):
    """Reads the records of a verb from the view's two tables, and a field's form from the field."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        if not self.view.get_authenticators():
            return []
        return [{name: []} for name in CREDENTIALS]

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        form = getattr(field, "form", None)
        return (
            form() if form is not None else super()._map_serializer_field(field, direction, bypass_extensions)
        )

    def get_operation_id(self) -> str:
        return f"{self.view.route}-{self.method}".lower()

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix(PREFIX).split("/")[0] or "root"]

    def get_request_serializer(self) -> Any:
        return self.view.takes.get(self.method)

    def get_response_serializers(self) -> Any:
        given = self.view.gives.get(self.method)
        if given is not None and self.method == "GET" and self.view.paged:
            given = _page_of(given)
        status = "201" if self.method == "POST" and self.view.creates else "200" if given else "204"
        return {status: given, "4XX": ProblemOut}

    def get_override_parameters(self) -> list[Any]:
        """The query arguments that the route takes, and the key that makes a creating POST repeatable."""
        if self.method == "POST" and self.view.creates:
            return [OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)]
        if self.method != "GET":
            return []
        names = sorted(self.view.query)
        paging = [OpenApiParameter(name, int) for name in sorted(PAGING)] if self.view.paged else []
        return [OpenApiParameter(name, str) for name in names] + paging

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # lists are described as pages


@cache
def _page_of(record: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """A page of a list, as the class that the schema's generator wants."""
    fields = {
        "count": serializers.IntegerField(),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": record(many=True),
    }
    return type(f"{record.__name__.removesuffix('Out')}PageOut", (serializers.Serializer,), fields)


def one_path_each(endpoints: list[tuple[str, Any, str, Any]]) -> list[tuple[str, Any, str, Any]]:
    """Every path answers with and without its last slash; the schema names the one with it."""
    return [endpoint for endpoint in endpoints if endpoint[0].endswith("/")]


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document. The relay describes itself; both parts are one document."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    relay = {PREFIX + path.lstrip("/"): item for path, item in OPENAPI_PATHS.items()}
    components = {**found["components"], "securitySchemes": CREDENTIALS}
    return {**found, "components": components, "paths": {**found["paths"], **relay}}

"""OpenAPI from what each route says of itself (`takes`, `gives`), with the relay's part merged in."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from ..settings import PREFIX
from .outgoing import ProblemOut


class Described(AutoSchema):
    """Reads the records of a verb from the view's two tables."""

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
        return []

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # lists are described as pages


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


def add_relay(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The relay describes itself; both parts are one document."""
    from ..relay.openapi import OPENAPI_PATHS, SECURITY_SCHEMES

    result["paths"] |= {PREFIX + path.lstrip("/"): item for path, item in OPENAPI_PATHS.items()}
    result.setdefault("components", {}).setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
    return result

"""The browsable face of the records: Django REST framework's pages, with our refusals in place of its own."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

from friendlyfl.core.errors import FriendlyError


class BrowsableRenderer(BrowsableAPIRenderer):
    """Shows a form for a verb only to those who may use it."""

    def show_form_for_method(self, view: Any, method: str, request: Request, obj: Any) -> bool:
        try:
            return bool(super().show_form_for_method(view, method, request, obj))
        except FriendlyError:
            return False

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        if method == "OPTIONS":
            return None
        return super().get_rendered_html_form(data, view, method, request)

"""Django as an ASGI application for this house: a few threads that keep their database connections.

Django's own handler gives every request a thread and a connection of its own, and hops between them for each
middleware. Here the whole of a request is done by one thread of a small pool.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase

THREADS = 8


class Records(ASGIHandler):
    """ASGIHandler with a synchronous middleware chain in a pool."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="records")

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, context.run, self._answer, request)

    def _answer(self, request: HttpRequest) -> Any:
        close_old_connections()  # one that broke is replaced; the others stay open
        return self.get_response(request)

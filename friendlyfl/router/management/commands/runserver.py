"""`manage.py runserver [addrport]`: records and relay together, for development, with reload.

The same ASGI application as in production, by uvicorn; Django's own server could not serve the relay.
"""

from __future__ import annotations

import os
import re
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser

from friendlyfl.router import serving

_ADDRPORT = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):)?(?P<port>\d{1,5})")


class Command(BaseCommand):
    help = "Serve records and relay for development; the code is loaded again when it changes."
    requires_system_checks = []  # run below, with the line about migrations

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("addrport", nargs="?", default="8000", help="port, or address:port (8000)")
        parser.add_argument("--noreload", action="store_true", help="do not load changed code again")

    def handle(self, *args: Any, **options: Any) -> None:
        found = _ADDRPORT.fullmatch(options["addrport"])
        if found is None or not 0 <= int(found["port"]) <= 65535:
            raise CommandError("Write a port, or an address and a port: 8000 or 127.0.0.1:8000.")
        host, port = (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])
        serving.refuse_plain_http(host)
        self.check()
        if os.environ.get("FFL_RUNSERVER_TOLD") != "1":  # the reloader starts this file again
            os.environ["FFL_RUNSERVER_TOLD"] = "1"
            if serving.unapplied_migrations():
                self.stdout.write("The database is not up to date; run: python3 manage.py migrate")
            self.stdout.write(f"Serving at {serving.address(host, port)} (stop with Ctrl-C)")
        # Changed code is loaded at once: waiting polls are cut, and the Controllers poll again by themselves.
        server = serving.uvicorn_options(host, port) | {"timeout_graceful_shutdown": 1}
        uvicorn.run(reload=not options["noreload"], **server)

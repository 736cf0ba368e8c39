"""The Routing Server's tests: one house a process, on SQLite or, with FRIENDLYFL_TEST_DATABASE=postgres, PostgreSQL.

Nothing is rolled back between tests: each makes people, sites and projects of its own, as hospitals would, and the
server's threads have to see them. Django is set up here, before any test module of this room is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.router.postgres import PostgresServer

HOME = Path(tempfile.mkdtemp(prefix="friendlyfl-router-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def _set_up_django() -> None:
    module = "friendlyfl.router.settings"
    if os.environ.setdefault("DJANGO_SETTINGS_MODULE", module) != module:
        pytest.exit("The Routing Server's tests need a process of their own: pytest tests/router", 4)
    os.environ["FRIENDLYFL_ROUTER_HOME"] = str(HOME)
    for name in ("ALLOWED_HOSTS", "TRUSTED_PROXY", "DEBUG", "PAYLOAD_STORE", "DATABASE_HOST", "SECRET_KEY"):
        os.environ.pop(name, None)
    os.environ["REQUESTS_PER_SECOND"] = os.environ["STRANGERS_PER_SECOND"] = "100000"
    if os.environ.get("FRIENDLYFL_TEST_DATABASE") == "postgres":
        server = PostgresServer()
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = server.make_database("friendlyfl-router")
    else:
        os.environ.pop("DATABASE_URL", None)
    import django
    from django.conf import settings

    # Real hashing takes half a second on purpose; here it would be most of the time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    django.setup()


_set_up_django()


@pytest.fixture(scope="session")
def database() -> None:
    """The tables, made by the migrations as at a first start."""
    from friendlyfl.router import serving

    serving.migrate()


@pytest.fixture(scope="session")
def server(database: None) -> Iterator[object]:
    """The whole ASGI application, records and relay, with its lifespan running."""
    from friendlyfl.router.asgi import application
    from tests.router.world import Line

    with Line(application) as line:
        yield line


@pytest.fixture(scope="module")
def world(server: object) -> object:
    """Alice coordinates, Bob and Dora take part, Charlie is a stranger, Rita's site is revoked."""
    from tests.router.world import World

    return World(server)

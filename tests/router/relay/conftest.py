"""A relay to ask, on a fresh database of either kind.

The tables are made once, straight from the models, and copied for each test: so several relays with histories of their
own can live in one process, beside the house's one database.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from friendlyfl.router.relay.database import Engine, PostgresEngine, SQLiteEngine
from tests.router.relay.asking import Relay
from tests.router.relay.world import World, make_tables


@pytest.fixture(scope="session")
def new_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Engine]]:
    """Makes databases with all tables and no rows."""
    if os.environ.get("FRIENDLYFL_TEST_DATABASE") == "postgres":
        yield from _postgres()
        return
    folder = tmp_path_factory.mktemp("databases")
    template = SQLiteEngine(folder / "template.sqlite3")
    make_tables(template)

    def copy() -> Engine:
        path = folder / f"{uuid.uuid4().hex}.sqlite3"
        shutil.copy(template.path, path)
        return SQLiteEngine(path)

    yield copy


def _postgres() -> Iterator[Callable[[], Engine]]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    known = conninfo_to_dict(os.environ["DATABASE_URL"])
    parameters = {name: known[name] for name in ("host", "port", "user")}
    with psycopg.connect(**parameters, dbname="postgres", autocommit=True) as house:
        house.execute("CREATE DATABASE template_relay")
        make_tables(PostgresEngine(**parameters, dbname="template_relay"))

        def create() -> Engine:
            name = f"relay_{uuid.uuid4().hex}"
            house.execute(f"CREATE DATABASE {name} TEMPLATE template_relay")
            return PostgresEngine(**parameters, dbname=name)

        yield create


@pytest.fixture
def world(new_engine: Callable[[], Engine], tmp_path: Path) -> Iterator[World]:
    made = World(new_engine(), tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def relay(world: World) -> Iterator[Relay]:
    asker = Relay(world.service())
    with asker.http:
        yield asker

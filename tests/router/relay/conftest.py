"""A relay to ask, on a fresh database of either kind.

The tables are made once, straight from the models, apart from the house's one database. Each test begins with empty
ones: a copy of the file on SQLite, truncated tables on PostgreSQL.
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
        house.execute("CREATE DATABASE relay")
        engine = PostgresEngine(**parameters, dbname="relay")
        make_tables(engine)
        with psycopg.connect(**parameters, dbname="relay", autocommit=True) as inside:
            found = inside.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            everything = ", ".join(name for (name,) in found)

            def empty() -> Engine:
                inside.execute(f"TRUNCATE {everything} RESTART IDENTITY CASCADE")
                return PostgresEngine(**parameters, dbname="relay")

            yield empty


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

"""Plain SQL on the tables that Django made, for SQLite and PostgreSQL alike.

Statements are written once, in the words of PostgreSQL but with `?` for a value and `IN (?*)` for a list of values; an
`Engine` spells them for its database. It also knows how to connect, how to begin, how to make one commit lazy, and
what a broken connection is. SQLite has no row locks: there `BEGIN IMMEDIATE` has locked everything already.

What does not live here: which thread runs a statement (commits), what statements mean (admission, accept, inbox,
uploads, expiry).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

Row = Sequence[Any]

BUSY_TIMEOUT = 20  # seconds that a statement waits for another's lock before the asker is told to try again


class Engine:
    """What the two databases have in common; `connection` is theirs, in autocommit mode."""

    postgres = False

    def connect(self) -> Any:
        """A new connection in autocommit mode: transactions are begun and ended in words."""
        raise NotImplementedError

    def begin(self, connection: Any, *, durable: bool) -> None:
        """Begin a transaction that may write. A durable one is on disk when `COMMIT` returns."""
        raise NotImplementedError

    def execute(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement; the cursor that holds its rows."""
        raise NotImplementedError

    def many(self, connection: Any, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for many rows."""
        raise NotImplementedError

    def time(self, at: datetime) -> Any:
        """An instant (UTC) as Django's DateTimeField keeps it."""
        return at

    def is_broken(self, connection: Any) -> bool:
        """Whether the connection has to be thrown away."""
        return False


class SQLiteEngine(Engine):
    """One file, WAL, and `synchronous=FULL` wherever an answer promises that something is kept."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            uri=self.path.startswith("file:"),
            cached_statements=256,
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def begin(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        # NORMAL in WAL mode still survives a killed process; only a power cut can take such a commit, and the next
        # FULL commit, which syncs the same log, carries it along. Who may commit lazily: admission.py.
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")

    def execute(self, connection: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        spelled = _for_sqlite(sql)
        if "json_each" in spelled:  # takes a list of any length as one value, so one statement serves all
            values = [json.dumps(value) if isinstance(value, list) else value for value in values]
        return connection.execute(spelled, values)

    def many(self, connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        connection.executemany(_for_sqlite(sql), rows)

    def time(self, at: datetime) -> str:
        return at.replace(tzinfo=None).isoformat(" ", "microseconds")


class PostgresEngine(Engine):
    """The production database. psycopg is imported here only: an RS on SQLite does not need it."""

    postgres = True

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(
            **({"connect_timeout": BUSY_TIMEOUT} | self.parameters),
            autocommit=True,
            application_name="friendlyfl-relay",
            options=f"-c lock_timeout={BUSY_TIMEOUT * 1000} -c timezone=UTC",
        )

    def begin(self, connection: Any, *, durable: bool) -> None:
        connection.execute("BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off")

    def execute(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> Any:
        return connection.execute(_for_postgres(sql), values)

    def many(self, connection: Any, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        listed = list(rows)
        if len(listed) == 1:  # executemany opens a pipeline, which costs more than it saves for one row
            connection.execute(_for_postgres(sql), listed[0])
            return
        with connection.cursor() as cursor:
            cursor.executemany(_for_postgres(sql), listed)

    def is_broken(self, connection: Any) -> bool:
        return bool(connection.closed or connection.broken)


@lru_cache(maxsize=512)
def _for_postgres(sql: str) -> str:
    return sql.replace("IN (?*)", "= ANY(?)").replace("?", "%s")


@lru_cache(maxsize=512)
def _for_sqlite(sql: str) -> str:
    return sql.replace("IN (?*)", "IN (SELECT value FROM json_each(?))").replace(" FOR UPDATE", "")


class Database:
    """One connection and the shorthands in which the relay speaks to it. Used by one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """The connection, made when first needed and again after it broke."""
        if self._connection is None:
            self._connection = self.engine.connect()
        return self._connection

    def begin(self, *, durable: bool) -> None:
        self.engine.begin(self.connection, durable=durable)

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo; a connection that cannot even do that is dropped, and the next use makes a new one."""
        try:
            if self._connection is not None and not self.engine.is_broken(self._connection):
                self._connection.execute("ROLLBACK")
        except Exception:
            self.close()
        else:
            if self._connection is not None and self.engine.is_broken(self._connection):
                self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def one(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""
        row: Row | None = self.engine.execute(self.connection, sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[Row]:
        """All rows."""
        rows: list[Row] = self.engine.execute(self.connection, sql, values).fetchall()
        return rows

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        """A few rows in one statement: `VALUES *` stands for them. What RETURNING names comes back."""
        groups = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
        return self.all(
            sql.replace("VALUES *", f"VALUES {groups}"), *(value for row in rows for value in row)
        )

    def run(self, sql: str, *values: Any) -> int:
        """How many rows the statement touched."""
        return int(self.engine.execute(self.connection, sql, values).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for many rows."""
        self.engine.many(self.connection, sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A durable transaction of its own, for jobs that run outside the writer's thread."""
        self.begin(durable=True)
        try:
            yield
            self.commit()
        except BaseException:
            self.roll_back()
            raise


def engine_from(settings: dict[str, Any]) -> Engine:
    """The engine for one entry of Django's DATABASES, as Django itself uses it now (tests included)."""
    if settings["ENGINE"].endswith("sqlite3"):
        return SQLiteEngine(settings["NAME"])
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    parameters = {ours: settings[theirs] for theirs, ours in names.items() if settings.get(theirs)}
    extra = {
        name: value
        for name, value in (settings.get("OPTIONS") or {}).items()
        if name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "service", "passfile", "connect_timeout")
    }
    return PostgresEngine(**parameters, **extra)


def answers(engine: Engine) -> bool:
    """Whether the database answers at all. For `health/ready/`."""
    database = Database(engine)
    with closing(database):
        return database.one("SELECT 1") is not None

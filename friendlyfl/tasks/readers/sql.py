"""A table or query of a database: SQLite and PostgreSQL, read only, in one transaction, some rows at a time.

One statement, SELECT or WITH, and no other; the database itself refuses to write. No sentence from here holds a
password.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import close_names, level_text
from friendlyfl.tasks.places import Place, shown
from friendlyfl.tasks.readers import pieces
from friendlyfl.tasks.readers.pieces import Piece
from friendlyfl.tasks.readers.reading import library, opened
from friendlyfl.tasks.sniff import unique_names

CONNECT_SECONDS = 10
LONGEST_INTEGER = 10**18
_QUERY = re.compile(r"(?:select|with)\b", re.IGNORECASE)


class SqlReading:
    """One result set. It is read once, from its beginning to its end."""

    def __init__(self, place: Place, hashing: bool = True) -> None:
        self.place = place
        self.where = shown(place.where.partition("#")[0])
        self.sqlalchemy = library("sqlalchemy", "a database")
        self.refused: dict[str, str] = {}
        self.notes: tuple[str, ...] = ()
        self._hash = hashlib.sha256() if hashing else None
        self._engine = self._sqlite() if place.kind == "sqlite" else self._postgresql()
        try:
            self._connection = self._connected()
            try:
                self._result = self._started()
            except self.sqlalchemy.exc.DBAPIError as error:
                raise self._refused(error) from None
        except BaseException:
            self.close()
            raise
        self.headers = tuple(map(str, self._result.keys()))
        self.names, notes = unique_names(list(self.headers))
        self.notes = (*self.notes, *notes)
        kind = "a query" if _is_query(place.part) else f"the table {place.part}"
        self.words = (
            f"Rows of {kind} in {self.where}, {len(self.names)} columns with the types of their values."
        )

    def _sqlite(self) -> Any:
        path = self.place.file.absolute()
        opened(path)
        address = f"file:{quote(str(path))}?mode=ro"
        return self.sqlalchemy.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(address, uri=True, timeout=CONNECT_SECONDS),
            poolclass=self.sqlalchemy.pool.NullPool,
        )

    def _postgresql(self) -> Any:
        library("psycopg", "PostgreSQL", "pip install 'friendlyfl[postgres]'")
        try:
            address = self.sqlalchemy.make_url(self.place.address).set(drivername="postgresql+psycopg")
        except (self.sqlalchemy.exc.ArgumentError, ValueError):
            raise UsageError(
                "file_address",
                f"The address {self.where} cannot be understood: write "
                "postgresql://user:${PASSWORD_VARIABLE}@host:5432/database#table.",
            ) from None
        return self.sqlalchemy.create_engine(
            address,
            poolclass=self.sqlalchemy.pool.NullPool,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "options": "-c default_transaction_read_only=on",
            },
            hide_parameters=True,
        )

    def _connected(self) -> Any:
        try:
            connection = self._engine.connect()
            if self.place.kind == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
                connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master LIMIT 1"
                ).all()  # is it a database?
                return connection
            return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        except (self.sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            why = str(error)
            if self.place.kind == "sqlite":
                what = "cannot be read as an SQLite database: check that it is one"
            elif "authentication failed" in why or "no password supplied" in why:
                what = "does not accept this user and password"
            elif re.search(r'database "[^"]*" does not exist', why):
                what = "has no database of this name"
            else:
                what = "cannot be reached: check its address, and that it runs and lets this machine in"
            raise UsageError("file_unreachable", f"The database {self.where} {what}.") from None

    def _started(self) -> Any:
        statement = self._statement()
        options = {"stream_results": True, "no_parameters": True}
        return self._connection.execution_options(**options).exec_driver_sql(statement)

    def _statement(self) -> str:
        part = self.place.part.strip().removesuffix(";").strip()
        if _is_query(part):
            if ";" in part:
                raise UsageError(
                    "file_query", "A query is one statement: take out the semicolon, even one within quotes."
                )
            if not re.search(r"\border\s+by\b", part, re.IGNORECASE):
                self.notes = (
                    "The query does not say ORDER BY: the order of rows is the database's, and may change.",
                )
            return part
        inspector = self.sqlalchemy.inspect(self._connection)
        schema, name = self._table(inspector, part)
        quoted = self._engine.dialect.identifier_preparer.quote_identifier
        key = inspector.get_pk_constraint(name, schema=schema).get("constrained_columns") or []
        if not key:
            self.notes = (
                "The table has no primary key: the order of rows is the database's, and may change.",
            )
        order = f" ORDER BY {', '.join(map(quoted, key))}" if key else ""
        return f"SELECT * FROM {'.'.join(quoted(word) for word in (schema, name) if word)}{order}"  # noqa: S608  # names that the database itself listed

    def _table(self, inspector: Any, part: str) -> tuple[str | None, str]:
        """Schema and table that the database has under this name."""
        dotted = part.split(".", 1)
        for schema, name in ((None, part), *([(dotted[0], dotted[1])] if len(dotted) == 2 else [])):
            if inspector.has_table(name, schema=schema):
                return schema, name
        known = [*inspector.get_table_names(), *inspector.get_view_names()]
        raise UsageError(
            "file_table",
            f"The database {self.where} has no table “{part}”.{close_names(part, known)} "
            "A query must begin with SELECT or WITH.",
        )

    def _refused(self, error: Any) -> UsageError:
        why = str(error.orig).strip().splitlines()
        return UsageError(
            "file_query",
            f"The database {self.where} refuses the query: {why[0] if why else 'no reason given'}.",
        )

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, dict[str, Piece]]]:
        places = {name: self.names.index(name) for name in columns}
        if self._hash:
            self._hash.update(json.dumps(self.headers).encode())
        held: list[Any] = []
        try:
            while found := self._result.fetchmany(rows):
                held += found
                if len(held) < rows:
                    continue
                yield rows, self._cut(held[:rows], places)
                held = held[rows:]
        except self.sqlalchemy.exc.DBAPIError as error:
            raise self._refused(error) from None
        if held:
            yield len(held), self._cut(held, places)

    def _cut(self, rows: list[Any], places: dict[str, int]) -> dict[str, Piece]:
        if self._hash:
            for row in rows:
                self._hash.update(json.dumps([_written(value) for value in row]).encode())
        return {name: _piece(name, [row[place] for row in rows]) for name, place in places.items()}

    def digest(self) -> str:
        assert self._hash is not None
        return self._hash.hexdigest()

    def close(self) -> None:
        if hasattr(self, "_result"):
            self._result.close()
        if hasattr(self, "_connection"):
            self._connection.close()
        self._engine.dispose()


def _is_query(part: str) -> bool:
    return bool(_QUERY.match(part))


def _written(value: Any) -> str | None:
    """A value for the digest: the same for the same value, whatever the driver makes of it."""
    if value is None:
        return None
    return value.hex() if isinstance(value, (float, bytes)) else str(value)


def _piece(name: str, values: list[Any]) -> Piece:
    """Some values of a column, by what they are: numbers, dates or words; a mixture becomes words."""
    gone = np.array([value is None for value in values], dtype=np.bool_)
    present = [value for value in values if value is not None]
    kinds = {_kind(name, value) for value in present}
    if not kinds:
        return pieces.empty(len(values))
    if kinds == {"truth"}:
        return pieces.piece("integer", [int(bool(value)) for value in values], gone, [pieces.TRUTH])
    if kinds == {"moment"}:
        days = [_wall(value) for value in values]
        return pieces.of_moments(np.array(days, dtype="datetime64[us]"))
    if kinds <= {"integer", "decimal", "number"}:
        whole = kinds == {"integer"} or (
            kinds <= {"integer", "decimal"}
            and all(value == int(value) and _exponent(value) >= 0 for value in present)
        )
        if whole and all(abs(value) < LONGEST_INTEGER for value in present):
            return pieces.piece("integer", [int(value or 0) for value in values], gone)
        if not whole:
            doubles = [np.nan if value is None else float(value) for value in values]
            return pieces.of_numbers(np.array(doubles, dtype=np.float64))
    long = [pieces.TOO_LONG] if kinds <= {"integer", "decimal"} else []
    index, different = pd.factorize(np.array([_word(value) for value in values], dtype=object))
    return pieces.of_texts(index, [str(word) for word in different], long)


def _kind(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, Decimal):
        return "decimal" if value.is_finite() else "number"
    if isinstance(value, dt.date):
        return "moment"
    if isinstance(value, (str, uuid.UUID)):
        return "text"
    what = "bytes" if isinstance(value, (bytes, memoryview)) else "lists, documents, times or durations"
    raise UsageError(
        "column_type", f"Column “{name}” holds {what}: leave it out of the query, or cast it there."
    )


def _exponent(value: Any) -> int:
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return exponent if isinstance(exponent, int) else -1


def _wall(value: Any) -> Any:
    """A moment as the clock of its own time zone shows it."""
    return value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value


def _word(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:f}" if isinstance(value, Decimal) else level_text(value)

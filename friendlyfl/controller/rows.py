"""Rows on the path of a round, read and written by statements that are made once.

Django makes its SQL anew at each call, which takes ten times as long as SQLite needs to carry it out, and a round of
one site reads and writes some fifty rows. Here are the plain forms a round needs, on Django's own connection, in its
transactions and with its fields' own conversions: conditions are equalities joined by "and", and nothing equals None.
Everything else (lists for pages, joins, changes of many kinds) is Django's, and so are the tables themselves.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

_thread = threading.local()
Row = TypeVar("Row", bound=models.Model)


def first(model: type[Row], order: str = "", *, without: Sequence[str] = (), **where: Any) -> Row | None:
    """The first row that fits, or None. `order` is a field, after "-" if downwards; fields named in `without` stay in
    the database until they are looked at."""
    found = _select(model, order, tuple(without), " LIMIT 1", where)
    return found[0] if found else None


def every(model: type[Row], order: str = "", **where: Any) -> list[Row]:
    """All rows that fit."""
    return _select(model, order, (), "", where)


def get(model: type[Row], *, without: Sequence[str] = (), **where: Any) -> Row:
    """The row that fits; `model.DoesNotExist` if none does."""
    found = first(model, without=without, **where)
    if found is None:
        raise model.DoesNotExist  # type: ignore[attr-defined]
    return found


def value(model: type[models.Model], name: str, **where: Any) -> Any:
    """One field, as the database stores it, of the row that fits; `model.DoesNotExist` if none does."""
    database = _database()
    sql, fields = _value(model, name, tuple(where))
    found = _execute(database, sql, _values(fields, where, database)).fetchone()
    if found is None:
        raise model.DoesNotExist  # type: ignore[attr-defined]
    return found[0]


def count(model: type[models.Model], **where: Any) -> int:
    """How many rows fit."""
    database = _database()
    sql, fields = _count(model, tuple(where))
    return int(_execute(database, sql, _values(fields, where, database)).fetchone()[0])


def insert(row: Row, *, known: bool = False) -> Row:
    """Write a new row and return it, with its key; `known`: it may be there already, and then stays as it is."""
    database = _database()
    sql, fields = _insert(type(row), known)
    values = [field.get_db_prep_save(field.pre_save(row, True), database) for field in fields]
    added = _execute(database, sql, values)
    if isinstance(row._meta.pk, models.AutoField):
        row.pk = added.lastrowid
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    return row


def update(model: type[models.Model], where: dict[str, Any], **values: Any) -> int:
    """Change the rows that fit; returns how many there were."""
    database = _database()
    sql, changed, fields = _update(model, tuple(values), tuple(where))
    saved = [
        field.get_db_prep_save(value, database) for field, value in zip(changed, values.values(), strict=True)
    ]
    return _execute(database, sql, [*saved, *_values(fields, where, database)]).rowcount


def update_lazily(model: type[models.Model], where: dict[str, Any], **values: Any) -> int:
    """`update` as a transaction of its own that does not wait for the disk: a killed process loses nothing, a power cut
    may undo it. For what is only found out again then."""
    _execute(_database(), "PRAGMA synchronous = NORMAL", [])
    try:
        return update(model, where, **values)
    finally:
        _execute(_database(), "PRAGMA synchronous = FULL", [])


def save(row: models.Model, *names: str) -> None:
    """Write these fields of a row that is there already."""
    update(type(row), {"pk": row.pk}, **{name: getattr(row, name) for name in names})


def _select(
    model: type[Row], order: str, without: tuple[str, ...], tail: str, where: dict[str, Any]
) -> list[Row]:
    database = _database()
    found = _selection(model, order, without, tail, tuple(where))
    rows = []
    for raw in _execute(database, found.sql, _values(found.fields, where, database)):
        cells = list(raw)
        for place, column, convert in found.conversions:
            cells[place] = convert(cells[place], column, database)
        rows.append(model.from_db(DEFAULT_DB_ALIAS, found.names, cells))
    return rows


def _database() -> BaseDatabaseWrapper:
    """This thread's connection, open. Django's own look-up takes as long as a small SELECT."""
    if not hasattr(_thread, "database"):
        _thread.database = connections[DEFAULT_DB_ALIAS]
    _thread.database.ensure_connection()
    database: BaseDatabaseWrapper = _thread.database
    return database


def _execute(database: BaseDatabaseWrapper, sql: str, values: list[Any]) -> sqlite3.Cursor:
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        found: sqlite3.Cursor = database.connection.execute(sql, values)
    return found


def _values(fields: tuple[Any, ...], where: dict[str, Any], database: BaseDatabaseWrapper) -> list[Any]:
    return [
        field.get_db_prep_value(value.pk if isinstance(value, models.Model) else value, database)
        for field, value in zip(fields, where.values(), strict=True)
    ]


# --- statements, each made once; names in them are those of our own tables, values are always bound ---


class _Selection(NamedTuple):
    sql: str
    fields: tuple[Any, ...]  # of the conditions
    names: tuple[str, ...]  # of the columns read
    conversions: tuple[tuple[int, Any, Callable[..., Any]], ...]  # where a column is not read as it is stored


@cache
def _selection(
    model: type[models.Model], order: str, without: tuple[str, ...], tail: str, where: tuple[str, ...]
) -> _Selection:
    database = connections[DEFAULT_DB_ALIAS]
    read = [field for field in model._meta.concrete_fields if field.name not in without]
    conversions = []
    for place, field in enumerate(read):
        column = field.get_col(model._meta.db_table)
        for convert in (*database.ops.get_db_converters(column), *field.get_db_converters(database)):
            conversions.append((place, column, convert))
    columns = ", ".join(f'"{field.column}"' for field in read)
    sql = f"SELECT {columns} FROM {_table(model)}{_condition(model, where)}"  # noqa: S608
    if order:
        down = " DESC" if order.startswith("-") else ""
        sql += f' ORDER BY "{_field(model, order.removeprefix("-")).column}"{down}'
    names = tuple(field.attname for field in read)
    return _Selection(sql + tail, _fields(model, where), names, tuple(conversions))


@cache
def _value(model: type[models.Model], name: str, where: tuple[str, ...]) -> tuple[str, tuple[Any, ...]]:
    sql = f'SELECT "{_field(model, name).column}" FROM {_table(model)}{_condition(model, where)} LIMIT 1'  # noqa: S608
    return sql, _fields(model, where)


@cache
def _count(model: type[models.Model], where: tuple[str, ...]) -> tuple[str, tuple[Any, ...]]:
    sql = f"SELECT COUNT(*) FROM {_table(model)}{_condition(model, where)}"  # noqa: S608
    return sql, _fields(model, where)


@cache
def _insert(model: type[models.Model], known: bool) -> tuple[str, tuple[Any, ...]]:
    fields = tuple(field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField))
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join("?" * len(fields))
    unless = " OR IGNORE" if known else ""
    return f"INSERT{unless} INTO {_table(model)} ({columns}) VALUES ({places})", fields


@cache
def _update(
    model: type[models.Model], names: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, tuple[Any, ...], tuple[Any, ...]]:
    changed = _fields(model, names)
    said = ", ".join(f'"{field.column}" = ?' for field in changed)
    sql = f"UPDATE {_table(model)} SET {said}{_condition(model, where)}"  # noqa: S608
    return sql, changed, _fields(model, where)


def _condition(model: type[models.Model], where: tuple[str, ...]) -> str:
    said = " AND ".join(f'"{field.column}" = ?' for field in _fields(model, where))
    return f" WHERE {said}" if said else ""


def _fields(model: type[models.Model], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(_field(model, name) for name in names)


def _field(model: type[models.Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _table(model: type[models.Model]) -> str:
    return f'"{model._meta.db_table}"'

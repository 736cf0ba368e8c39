"""Tables and queries of a database: read only, some rows at a time, and never a password in what is said."""

import datetime as dt
import sqlite3
import uuid

import pandas as pd
import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats, places
from tests.router.postgres import PostgresServer

SECRET = "s3cr3t#/@ %40"


@pytest.fixture
def registry(tmp_path):
    """A database of three patients; its address."""
    path = tmp_path / "registry of ünits.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE patients (id INTEGER PRIMARY KEY, age INTEGER, bmi REAL, sex TEXT, seen TEXT, odd);
        INSERT INTO patients VALUES (3, 50, 2.5, ' f ', '2020-12-31', 1), (1, 60, 30, 'm', '2019-01-01', 'x'),
          (2, NULL, NULL, '', NULL, 2.5);
        CREATE VIEW adults AS SELECT age FROM patients WHERE age > 55;
        CREATE TABLE "Two Words" ("a b" INTEGER);
        INSERT INTO "Two Words" VALUES (1);
        CREATE TABLE raw (a BLOB);
        INSERT INTO raw VALUES (x'00');
        """
    )
    connection.close()
    return f"sqlite:///{path}"


def trouble(where, **options):
    with pytest.raises(UsageError) as caught:
        formats.read(where, **options)
    return caught.value


def test_a_table_in_the_order_of_its_key(registry):
    source = formats.read(f"{registry}#patients")
    assert source.frame["id"].tolist() == [1, 2, 3] and source.frame["bmi"].tolist()[::2] == [30.0, 2.5]
    assert source.frame["sex"].tolist()[::2] == ["m", "f"] and source.column("sex").n == 2
    kinds = {column.name: column.type for column in source.columns}
    assert (kinds["age"], kinds["bmi"], kinds["sex"]) == ("integer", "number", "factor")
    assert "every value is a date" in source.column("seen").notes[0]
    assert source.column("odd").odd[0].row == 1 and source.frame["odd"].tolist() == ["x", "2.5", "1"]
    assert not source.notes[1].startswith("The table has no primary key")


def test_a_query_a_view_and_names_with_blanks(registry):
    source = formats.read(f"{registry}#select age, age AS age, 'a%:b' AS w from patients order by id; ")
    assert list(source.frame) == ["age", "age_2", "w"] and source.frame["w"].tolist() == ["a%:b"] * 3
    assert any("occurs more than once" in note for note in source.notes)
    assert not any("ORDER BY" in note for note in source.notes)
    assert any(
        "ORDER BY" in note
        for note in formats.read(f"{registry}#WITH t AS (SELECT 1 AS a) SELECT * FROM t").notes
    )
    assert formats.read(f"{registry}#adults").rows == 1
    assert formats.names(f"{registry}#Two Words") == ("a b",)


def test_the_digest_is_of_all_rows_whatever_columns_are_asked_for(registry):
    whole = formats.read(f"{registry}#patients")
    assert formats.read(f"{registry}#patients", columns=["age"]).digest == whole.digest
    connection = sqlite3.connect(registry.removeprefix("sqlite:///"))
    connection.execute("UPDATE patients SET sex = 'm' WHERE id = 3")
    connection.commit()
    assert formats.read(f"{registry}#patients", columns=["age"]).digest != whole.digest
    assert formats.stamp(f"{registry}#patients") is None


def test_batches_are_cut_at_the_same_rows(registry):
    found = list(formats.batches(f"{registry}#patients", columns=["id", "odd"], rows=2))
    assert [frame.index.tolist() for frame in found] == [[0, 1], [2]]
    assert pd.concat([frame["id"] for frame in found]).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("part", "code", "says"),
    [
        ("#patient", "file_table", "Did you mean “patients”?"),
        ("#delete from patients", "file_table", "SELECT"),
        ("#select 1; delete from patients", "file_query", "semicolon"),
        ("#select nothing from patients", "file_query", "nothing"),
        ("#selec age from patients", "file_table", "SELECT"),
        ("#with x as (select 1) delete from patients", "file_query", "readonly"),
        ("", "file_table", "#TABLE"),
        ("#raw", "column_type", "“a” holds bytes"),
        ("#select * from patients where id > 9", "dataset_empty", "no rows"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(registry, part, code, says):
    error = trouble(registry + part)
    assert error.code == code and says in error.message
    assert formats.read(f"{registry}#patients").rows == 3


def test_what_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "t.db").write_bytes(b"not a database at all" * 100)
    assert trouble(f"sqlite:///{tmp_path}/t.db#a").code == "file_unreachable"
    assert trouble(f"sqlite:///{tmp_path}/none.db#a").code == "dataset_missing"
    assert not (tmp_path / "none.db").exists()
    assert trouble("mysql://h/d#t").code == "file_kind"
    assert trouble("sqlite://t.db#a").code == "file_address"
    assert trouble("postgresql://me@[bad/db#a").code in ("file_address", "file_unreachable")


def test_an_address_is_shown_without_its_password():
    hidden = [
        ("postgresql://me:pw@h/d#t", "postgresql://me:…@h/d#t"),
        ("postgresql://me:p@w/x@h/d#t", "postgresql://me:…@h/d#t"),
        ("postgresql://h/d?user=me&password=pw#t", "postgresql://h/d?user=me&password=…#t"),
        ("postgresql://me:${PW}@h/d#t", "postgresql://me:${PW}@h/d#t"),
        ("postgresql://me@h/d#select 'a:b@c'", "postgresql://me@h/d#select 'a:b@c'"),
        ("/data/a:b@c.csv", "/data/a:b@c.csv"),
    ]
    for where, expected in hidden:
        assert places.shown(where) == expected


def test_a_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    monkeypatch.delenv("NOT_SET", raising=False)
    where = "postgresql://me:${DB_PASSWORD}@127.0.0.1:1/d#t"
    assert SECRET not in places.filled(where) and "%23" in places.filled(where)
    for given in (where, places.filled(where)):
        error = trouble(given)
        assert error.code == "file_unreachable"
        assert SECRET not in error.message and "s3cr3t" not in error.message
    assert "${NOT_SET}" in trouble("postgresql://me:${NOT_SET}@h/d#t").message
    assert places.filled("/data/${DB_PASSWORD}.csv") == "/data/${DB_PASSWORD}.csv"


def test_places_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.absolute("t.csv") == str(tmp_path / "t.csv")
    assert places.absolute("t.xlsx#A b") == f"{tmp_path}/t.xlsx#A b"
    assert places.absolute("sqlite:///t.db#a") == f"sqlite:///{tmp_path}/t.db#a"
    assert places.absolute("postgresql://h/d#t") == "postgresql://h/d#t"


@pytest.fixture(scope="module")
def postgres():
    server = PostgresServer()
    try:
        yield server.make_database("registry")
    finally:
        server.stop()


def test_postgresql(postgres):
    import psycopg

    key = uuid.uuid4()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA clinic")
        connection.execute(
            "CREATE TABLE clinic.patients (id int primary key, age smallint, bmi numeric(5,2), dose double precision,"
            " units numeric(8,0), sex text, born date, seen timestamptz, dead boolean, code uuid, doc jsonb)"
        )
        row = (
            70,
            "22.50",
            0.1,
            5,
            "f",
            dt.date(1950, 2, 28),
            dt.datetime(2020, 1, 2, tzinfo=dt.UTC),
            True,
            key,
        )
        for number in (2, 1, 3):
            connection.execute(
                "INSERT INTO clinic.patients VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{}')",
                (number, *row),
            )
        connection.execute("CREATE SEQUENCE counter")
    where = f"{postgres}#select id, age, bmi, dose, units, sex, born, dead, code, 7 % 4 as m, '1'::int as one from"
    source = formats.read(f"{where} clinic.patients order by id")
    assert source.frame["id"].tolist() == [1, 2, 3] and source.frame["bmi"].tolist() == [22.5] * 3
    kinds = {column.name: column.type for column in source.columns}
    assert kinds["units"] == kinds["age"] == kinds["dead"] == "integer" and kinds["born"] == "date"
    assert source.frame["code"].tolist() == [str(key)] * 3 and source.frame["dose"].tolist() == [0.1] * 3
    assert source.frame["m"].tolist() == [3] * 3 and source.frame["one"].tolist() == [1] * 3
    assert trouble(f"{postgres}#clinic.patients").message.startswith("Column “doc” holds lists")
    cut = list(formats.batches(f"{postgres}#select generate_series(1, 5) as n", rows=2))
    assert [frame["n"].tolist() for frame in cut] == [[1, 2], [3, 4], [5]]
    for query in (
        "with x as (delete from clinic.patients returning id) select * from x",
        "select nextval('counter')",
    ):
        error = trouble(f"{postgres}#{query}")
        assert error.code == "file_query" and (
            "read-only" in error.message or "data-modifying" in error.message
        )
    assert trouble(f"{postgres}#select nothing").code == "file_query"
    assert "no database of this name" in trouble(f"{postgres}x#t").message
    assert trouble(f"{postgres}#patient").code == "file_table"

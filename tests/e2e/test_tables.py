"""Tables as hospitals have them, and tables with something wrong: a sentence each, and nothing of them has left."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from friendlyfl import datasets
from tests.e2e.house import ENDED, STUDY, TWO, House, assert_plain
from tests.router.postgres import PostgresServer

Rows = list[dict[str, str]]


def write(path: Path, rows: Rows, columns: list[str] | None = None) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Lakeside's third of the data."""
    with datasets.path("randhie", 3).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", autouse=True)
def two(built: House) -> None:
    built.two_are_enough()


def changed(**cells: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{**row, **cells} if number % 50 == 0 else row for number, row in enumerate(rows)]


def test_what_a_hospitals_spreadsheet_saves_is_read(house: House) -> None:
    """A byte order mark, semicolons and decimal commas; tabs, Windows-1252 and one column more."""
    north, lake = house.north, house.lake
    assert house.files[1].read_bytes().startswith(b"\xef\xbb\xbf") and b";" in house.files[1].read_bytes()
    for site, path in ((north, house.files[1]), (lake, house.files[2])):
        site.run("dataset", "add", "again", str(path))
        described = json.loads(
            site.ask("SELECT description FROM controller_dataset WHERE name = 'again'")[0][0]
        )
        kinds = {column["name"]: column["type"] for column in described["columns"]}
        assert kinds["age"] == kinds["visited"] == "integer" and kinds["income"] == "number", site.name
        site.run("dataset", "remove", "again")
    pooled = sum(len(table) for table in datasets.load("randhie").values())
    assert json.loads(house.reference)["2"]["n"]["used"] == pooled


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"age;visited\r\n", "no rows"),
        (b"\x00\x01\x02\xff\xfe\x81\x8d" * 99, "cannot be read"),
        (None, "no file"),
    ],
)
def test_what_is_no_table_is_not_added(
    house: House, tmp_path: Path, content: bytes | None, word: str
) -> None:
    path = tmp_path / "patients.csv"
    if content is not None:
        path.write_bytes(content)
    before = house.lake.json("dataset", "list")
    sentence = house.lake.refused("dataset", "add", "patients", str(path))
    assert word in sentence and "patients.csv" in sentence
    assert house.lake.json("dataset", "list") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "age"} for row in rows], ("no column", "“age”")),
        (changed(age="forty"), ("“age”", "“forty”", "rows 1, 51", "should be a number")),
        (changed(health="splendid"), ("“health”", "“splendid”", "none of its levels", "excellent, good")),
        (changed(age="400"), ("“age”", "“400”", "outside the allowed range")),
        (lambda rows: rows[:3], ("too few rows",)),
    ],
    ids=["missing column", "text among numbers", "unknown level", "out of range", "three rows"],
)
def test_what_is_wrong_is_said_before_a_plan_is_approved(
    house: House, tmp_path: Path, rows: Rows, change: Callable[[Rows], Rows], words: tuple[str, ...]
) -> None:
    """Here, to this hospital's own people, with the rows to look at."""
    path = write(tmp_path / "wrong.csv", change(rows))
    with house.table(house.lake, TWO, path):
        said = house.lake.type("dataset", "check", "-p", TWO)
    assert said.code == 1
    for line in said.out.strip().splitlines():
        assert_plain(line)
    for word in words:
        assert word in said.out


def test_three_rows_never_leave_and_the_others_go_on(house: House, tmp_path: Path, rows: Rows) -> None:
    lake = house.lake
    before = len(lake.json("ledger"))
    with house.table(lake, TWO, write(tmp_path / "three.csv", rows[:3])):
        number = house.start_run(TWO)
        results = json.loads(house.succeed(number, TWO))
        refusal = "Refused by the hospital's rule: too few rows would be described."
        lines = [line for line in lake.json("ledger")[before:] if line["type"] not in ("log", "progress")]
        assert [line["type"] for line in lines] == ["ready"]
        assert "Nothing was sent" in lines[0]["what"] and refusal in lines[0]["what"]
        assert lines[0]["numbers"] == 0 and lines[0]["rows"] is None
        # The coordinator is told who and why, the others are not.
        assert any(f"Without Lakeside: {refusal}" == note for note in results["1"]["notes"])
        assert results["1"]["privacy"]["refused"][0]["rule"] == "rows"
        assert results["1"]["n"]["used"] == 1214 + 1037
        shared = house.wait("the Result", lambda: json.loads(house.results(number, TWO, house.north)))
        assert not [note for note in shared["1"]["notes"] if "Without" in note]
        assert shared["1"]["privacy"]["refused"] == [] and shared["1"]["n"]["per_site"] is None
        assert "too few rows" in lake.run("run", "show", "-p", TWO)
        [seat] = [seat for seat in house.show(number, TWO)["seats"] if seat["site"] == "Lakeside"]
        assert (seat["status"], seat["reason"]) == ("left", refusal)


def test_where_all_are_needed_three_rows_end_the_run(house: House, tmp_path: Path, rows: Rows) -> None:
    with house.table(house.lake, STUDY, write(tmp_path / "three.csv", rows[:3])):
        number = house.start_run()
        seen = house.end(number)
    assert seen["state"] == "failed"
    assert "Fewer hospitals" in seen["reason"] and "too few rows" in seen["reason"]
    assert_plain(seen["reason"])
    assert "Lakeside" in house.marys.run("run", "show", "-p", STUDY)
    house.wait("the end here", lambda: house.show(number, site=house.north)["state"] == "failed")
    assert "Lakeside" not in house.north.run("run", "show", "-p", STUDY)
    assert house.results(number).strip() == "{}"


def test_a_column_with_one_value_at_one_hospital_is_a_column_like_any_other(
    house: House, tmp_path: Path, rows: Rows
) -> None:
    constant = write(tmp_path / "constant.csv", [{**row, "female": "1"} for row in rows])
    with house.table(house.lake, TWO, constant):
        assert "fit the plan" in house.lake.run("dataset", "check", "-p", TWO)
        results = json.loads(house.succeed(house.start_run(TWO), TWO))
    assert results["2"]["n"]["used"] == 3123 and results["2"]["aliased"] == []


def test_a_postgresql_database_serves_a_run_like_the_file_it_was_filled_from(
    house: House, rows: Rows
) -> None:
    """Lakeside reads its third of the data out of its own database: the same Results to the last bit."""
    expected = house.reference
    lake, on = house.lake, ("-p", STUDY)
    server = PostgresServer()
    try:
        where = server.make_database("registry")
        with psycopg.connect(where, autocommit=True) as connection:
            fill(connection, rows)
        lake.run("dataset", "add", "registry", f"{where}#select * from clinic.visits order by row")
        lake.run("dataset", "use", "registry", *on)
        try:
            assert "fit the plan" in lake.run("dataset", "check", *on)
            assert house.succeed(house.start_run()) == expected
            with psycopg.connect(where, autocommit=True) as connection:
                connection.execute("UPDATE clinic.visits SET age = 400 WHERE row = 7")
            said = lake.type("dataset", "check", *on)
            assert said.code == 1 and "“age”" in said.out and "outside the allowed range" in said.out
        finally:
            house.wait(
                "the end here", lambda: all(run["state"] in ENDED for run in lake.json("run", "list", *on))
            )
            lake.run("dataset", "use", "study", *on)
            lake.run("dataset", "remove", "registry")
    finally:
        server.stop()


def fill(connection: psycopg.Connection, rows: Rows) -> None:
    """A table with a type for each column: numbers as numbers, words as words, an empty cell as NULL."""
    dictionary = datasets.dictionary("randhie")
    kinds = {"integer": "integer", "number": "double precision"}
    columns = [
        f'"{name}" {kinds.get(dictionary[name]["type"], "text") if name in dictionary else "text"}'
        for name in rows[0]
    ]
    connection.execute("CREATE SCHEMA clinic")
    connection.execute(f"CREATE TABLE clinic.visits (row serial primary key, {', '.join(columns)})")
    names = ", ".join(f'"{name}"' for name in rows[0])
    with connection.cursor().copy(f"COPY clinic.visits ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([value or None for value in row.values()])

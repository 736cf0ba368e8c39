"""Workbooks as people make them: what is read, what is said of it, and what is refused."""

import datetime as dt
import zipfile

import openpyxl
import pandas as pd
import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats
from friendlyfl.tasks.readers import excel


@pytest.fixture
def book(tmp_path):
    def make(rows, sheets=("Data",), change=lambda sheet: None):
        made = openpyxl.Workbook()
        for number, title in enumerate(sheets):
            sheet = made.active if not number else made.create_sheet()
            sheet.title = title
            for row in rows if not number else [["other"], [number]]:
                sheet.append(row)
        change(made.worksheets[0])
        made.save(tmp_path / "t.xlsx")
        return tmp_path / "t.xlsx"

    return make


def trouble(where, **options):
    with pytest.raises(UsageError) as caught:
        formats.read(where, **options)
    return caught.value


def repacked(path, change):
    """The workbook with some of its parts changed; a part changed to None is left out."""
    with zipfile.ZipFile(path) as old:
        parts = {one.filename: old.read(one) for one in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, raw in {**parts, **change(parts)}.items():
            new.writestr(name, raw)
    return path


def test_cells_of_all_kinds(book):
    day = dt.datetime(2020, 2, 29)
    rows = [
        ["n", "x", "stored", "comma", "word", "day", "moment", "truth", "mixed", "code"],
        [1, 1.5, "10", "1,5", " a ", day, dt.datetime(2020, 1, 2, 3, 4), True, 1, "007"],
        [None, 2, 11, "2,25", "b", None, dt.datetime(2020, 1, 3), False, "old", "008"],
        [3, None, "12.5", None, "  ", day, None, None, 2.5, None],
    ]
    source = formats.read(book(rows))
    frame = source.frame
    assert frame["n"].tolist()[::2] == [1, 3] and source.column("n").type == "integer"
    assert frame["x"].tolist()[:2] == [1.5, 2.0] and source.column("x").decimals == 1
    assert frame["stored"].tolist() == [10.0, 11.0, 12.5]
    assert frame["comma"].tolist()[:2] == [1.5, 2.25] and source.column("comma").notes
    assert frame["word"].tolist()[:2] == ["a", "b"] and source.column("word").n == 2
    assert source.column("day").type == "date" and frame["day"][2] == pd.Timestamp("2020-02-29")
    assert frame["moment"][0] == pd.Timestamp("2020-01-02")
    assert "The time of day was left out." in source.column("moment").notes
    assert frame["truth"].tolist()[:2] == [1, 0] and source.column("truth").notes
    (odd,) = source.column("mixed").odd
    assert (odd.row, odd.line, odd.value) == (2, 3, "old")
    assert frame["code"].tolist()[:2] == ["007", "008"]


def test_levels_are_read_as_they_are_written(book):
    path = book([["g", "t"], [1, True], ["01", False], [2.5, None]])
    frame = formats.read(path, types={"g": "factor", "t": "factor"}).frame
    assert frame["g"].tolist() == ["1", "01", "2.5"] and frame["t"].tolist()[:2] == ["TRUE", "FALSE"]


def test_the_first_row_with_anything_in_it_names_the_columns(book):
    rows = [
        [],
        [None],
        [None, "age", None, "sex", None, 2020],
        [],
        [None, 1, None, "f"],
        [],
        [],
        [None, 2, 7, "m"],
        [],
        [],
    ]
    source = formats.read(book(rows))
    assert list(source.frame) == ["age", "column_2", "sex", "2020"]
    assert source.frame["age"].tolist() == [1, 2] and source.frame["column_2"].tolist()[1] == 7
    assert "3 empty rows were left out." in source.notes
    assert any("“column_2”" in note for note in source.notes)
    assert formats.names(book(rows)) == ("age", "column_2", "sex", "2020")


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        ([["Patients of 2020"], [], ["age", "sex"], [1, "f"]], "file_header", "Row 3"),
        ([[1, 2], [3, 4]], "file_header", "numbers, not column names"),
        ([["age"]], "dataset_empty", "no rows"),
        ([], "dataset_empty", "is empty"),
        ([["age"], [1], [2, "a remark"]], "file_header", "Row 3"),
    ],
)
def test_what_is_no_table_is_a_sentence(book, rows, code, says):
    error = trouble(book(rows))
    assert error.code == code and says in error.message


def test_a_sheet_is_chosen_by_its_name(book, tmp_path):
    path = book([["age"], [1]], sheets=("First", "Follow-up"))
    first = formats.read(path)
    assert list(first.frame) == ["age"]
    assert any("2 sheets" in note and "t.xlsx#Follow-up" in note for note in first.notes)
    assert list(formats.read(f"{path}#Follow-up").frame) == ["other"]
    assert formats.names(f"{path}#Follow-up") == ("other",)
    assert "Did you mean “Follow-up”?" in trouble(f"{path}#Followup").message

    def hide(sheet):
        sheet.sheet_state = "hidden"

    assert list(formats.read(book([["age"], [1]], sheets=("First", "Second"), change=hide)).frame) == [
        "other"
    ]


def test_a_file_may_have_the_sign_in_its_own_name(book, tmp_path):
    path = book([["age"], [1]]).rename(tmp_path / "a#b.xlsx")
    assert list(formats.read(path).frame) == ["age"]


def test_merged_cells_are_said(book):
    source = formats.read(
        book([["a", "b"], [1, 2], [None, 3]], change=lambda sheet: sheet.merge_cells("A2:A3"))
    )
    assert source.column("a").n == 1 and any("merged cells" in note for note in source.notes)


def test_formulas_give_their_stored_values(book):
    path = book([["a", "b"], [1, "=A2*2"], [2, "=A3*2"]])
    assert trouble(path).code == "file_formula" and "B2" in trouble(path).message

    def computed(parts):
        raw = parts["xl/worksheets/sheet1.xml"].decode()
        for row in ("2", "3"):
            raw = raw.replace(f"<f>A{row}*2</f><v />", f"<f>A{row}*2</f><v>{row}</v>")
            raw = raw.replace(f"<f>A{row}*2</f><v></v>", f"<f>A{row}*2</f><v>{row}</v>")
        assert raw.count("</f><v>") == 2
        return {"xl/worksheets/sheet1.xml": raw.encode()}

    source = formats.read(repacked(path, computed))
    assert source.frame["b"].tolist() == [2, 3]


def test_a_row_of_formulas_alone_is_no_empty_row(book):
    assert trouble(book([["a", "b"], ["=1", "=2"]])).code in ("file_formula", "dataset_empty")
    assert trouble(book([["a", "b"], [1, 2], ["=1", "=2"], [3, 4]])).code == "file_formula"


def test_errors_in_cells_are_odd_rows(book):
    source = formats.read(book([["a"], [1], ["#DIV/0!"], [3]]))
    assert source.column("a").odd[0].row == 2 and source.column("a").type != "integer"
    source = formats.read(book([["a"], [1], ["#N/A"], [3]]))
    assert "declare it as missing" in source.column("a").notes[0]
    assert formats.read(book([["a"], [1], ["#N/A"], [3]]), missing=["#N/A"]).column("a").type == "integer"


def test_what_unfolds_to_too_much_is_refused(book, monkeypatch):
    path = book([["a"], [1]])

    def bomb(parts):
        return {"xl/worksheets/sheet1.xml": parts["xl/worksheets/sheet1.xml"] + b" " * 20_000_000}

    monkeypatch.setattr(excel, "UNFOLDED_BYTES", 10_000_000)
    bombed = repacked(path, bomb)
    assert bombed.stat().st_size < 100_000 and trouble(bombed).code == "file_size"
    monkeypatch.setattr(excel, "CELLS", 3)
    assert trouble(book([["a"], [1], [2], [3]])).code == "file_size"
    monkeypatch.setattr(excel, "PARTS", 2)
    assert trouble(book([["a"], [1]])).code == "file_size"


def test_a_sheet_that_says_it_is_endless_is_read_as_it_is(book):
    def wide(parts):
        raw = parts["xl/worksheets/sheet1.xml"]
        assert b'ref="A1:A2"' in raw
        return {"xl/worksheets/sheet1.xml": raw.replace(b'ref="A1:A2"', b'ref="A1:XFD1048576"')}

    assert formats.read(repacked(book([["a"], [1]]), wide)).rows == 1


def test_a_document_type_and_a_protected_workbook_are_refused(book, tmp_path):
    def entity(parts):
        raw = parts["xl/workbook.xml"]
        return {"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + raw}

    assert "document type" in trouble(repacked(book([["a"], [1]]), entity)).message
    (tmp_path / "t.xlsx").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    assert "password" in trouble(tmp_path / "t.xlsx").message

"""Reading CSV files as hospitals write them: every style gives the same table, every broken file a sentence."""

import csv
import datetime
import hashlib
import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import chunks
from friendlyfl.tasks.source import OddRow, Source, read_csv, sniff

STYLES = {
    "R": {"separator": ",", "decimal": ".", "encoding": "utf-8", "end": "\n"},
    "quoted commas": {"separator": ",", "decimal": ",", "encoding": "utf-8", "end": "\n"},
    "German Excel": {"separator": ";", "decimal": ",", "encoding": "utf-8-sig", "end": "\r\n"},
    "old Windows": {"separator": ";", "decimal": ",", "encoding": "cp1252", "end": "\r\n"},
    "laboratory": {"separator": "\t", "decimal": ".", "encoding": "cp1252", "end": "\r\n"},
    "pipes": {"separator": "|", "decimal": ".", "encoding": "utf-8", "end": "\r"},
    "Unicode text": {"separator": "\t", "decimal": ",", "encoding": "utf-16", "end": "\r\n"},
}
LETTERS = "abcxyzäéßØñABC"
WORDS = st.text(alphabet=LETTERS + " ,;|\t'\"-.0123456789\n", max_size=12).map(lambda t: ("x" + t).strip())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.decimals(
    -1000, 1000, places=1, allow_nan=False
).map(float)


def write(path: Path, raw: str | bytes) -> Path:
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


@pytest.fixture
def reading(tmp_path):
    return lambda raw, **options: read_csv(write(tmp_path / "file.csv", raw), **options)


def cell(value, decimal):
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value).replace(".", decimal)
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def in_style(rows, separator, decimal, encoding, end):
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL  # Python's writer leaves \n bare there
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(
        [cell(value, decimal) for value in row] for row in rows
    )
    return text.getvalue().encode(encoding)


def same(series, values):
    """Every value the same; doubles to the last bit."""
    assert len(series) == len(values)
    for found, value in zip(series.tolist(), values, strict=True):
        if value is None:
            assert pd.isna(found)
        elif isinstance(value, float):
            assert math.copysign(1, found) == math.copysign(1, value) and float(found) == value
        elif isinstance(value, datetime.date):
            assert found.date() == value if isinstance(found, datetime.datetime) else found == value
        else:
            assert found == value


@st.composite
def tables(draw):
    n = draw(st.integers(1, 25))

    def column(values, first):
        return [first, *draw(st.lists(st.none() | values, min_size=n, max_size=n))]

    return {
        "row": list(range(n + 1)),
        "whole": column(st.integers(-(10**15), 10**15), 7),
        "number": column(NUMBERS, 0.5),
        "word": column(WORDS, "Müller"),
        "day": column(st.dates(), datetime.date(2020, 2, 29)),
    }


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_every_style_reads_back_equal(style, table, reading):
    source = reading(in_style([list(table), *zip(*table.values(), strict=True)], **STYLES[style]))
    assert list(source.frame.columns) == list(table)
    assert [str(dtype) for dtype in source.frame.dtypes] == [
        "Int64",
        "Int64",
        "float64",
        "string",
        "datetime64[s]",
    ]
    for name, values in table.items():
        same(source.frame[name], values)
        described = source.column(name)
        assert (described.n, described.n_missing) == (len(values) - values.count(None), values.count(None))
    assert source.rows == len(table["row"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20))
def test_fifteen_digits_of_R_give_the_nearest_double(values, reading):
    written = [format(value, ".15g") for value in values]
    source = reading("x,y\n0.5,a\n" + "".join(f"{text},a\n" for text in written), types={"x": "number"})
    assert source.frame["x"].tolist()[1:] == [float(text) for text in written]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_sentence(raw, reading):
    try:
        source = reading(raw)
    except UsageError as error:
        assert error.message.endswith(".") and len(error.message) < 300
    else:
        assert source.rows == len(source.frame) > 0


PLAIN = st.text(alphabet=LETTERS + " .-0123456789", max_size=6) | st.integers(-99, 99).map(str)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.none() | st.lists(PLAIN, min_size=3, max_size=3), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t|"),
    chunk=st.integers(1, 5),
)
def test_the_quick_way_reads_what_the_careful_way_reads(rows, separator, chunk, reading):
    """Files without quote marks are cut by another engine; a quote mark in the header asks for the careful one."""
    body = "".join(f"{separator.join(row or ())}\n" for row in rows)
    found = []
    for header in (("a", "b", "c"), ("a", "b", '"c"')):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "CHUNK", chunk)
            try:
                found.append(reading(separator.join(header) + "\n" + body))
            except UsageError as error:
                found.append(str(error))
    quick, careful = found
    if isinstance(quick, str):
        assert quick == careful
    else:
        pd.testing.assert_frame_equal(quick.frame, careful.frame)
        assert quick.notes == careful.notes and quick.columns[:2] == careful.columns[:2]


def test_chunks_change_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    rows = [
        [i, rng.normal(), "NA" if i == 70 else i % 7, f"p{i}\nq" if i % 50 == 0 else "a"] for i in range(200)
    ]
    path = write(tmp_path / "f.csv", in_style([["id", "x", "late", "text"], *rows], ",", ".", "utf-8", "\n"))
    whole = read_csv(path)
    monkeypatch.setattr(chunks, "CHUNK", 9)
    fractions = []
    parts = read_csv(path, progress=fractions.append)
    pd.testing.assert_frame_equal(whole.frame, parts.frame)
    assert parts == Source(
        whole.columns, whole.guessed, whole.digest, 200, whole.file_notes, frame=parts.frame
    )
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    # Rows 1 and 51 take two lines, and the header one: row 71 starts on line 74.
    assert parts.column("late").odd == (OddRow(71, 74, "NA"),)


BROKEN = {
    b"": "is empty",
    b"\xef\xbb\xbf": "is empty",
    b"\n \n": "is empty",
    b"age,sex\n": "header line but no rows",
    b"age;sex\n;\n;\n": "header line but no rows",
    b"a,b\n1,2\n3\n": "Row 2 (line 3) of file.csv has 1 cell, but the header names 2 columns",
    b'a,b\n"x\ny",2\n\n3,4,5\n': "Row 2 (line 5) of file.csv has 3 cells",
    b'a,b\n1,"2\n3,4\n': "quote mark",
    b'a,b\n1,"2"x\n3,4\n': "Line 2 of file.csv has a quote mark out of place",
    b'"a,b\n1,2\n': "quote mark that is not closed",
    b"1,2\n3,4\n": "holds numbers, not column names",
    b"a,b\n\x81,2\n": "neither UTF-8 nor Windows-1252",
    b"\xff\xfea": "neither UTF-8 nor Windows-1252",
    b"a,b\n\0\0,2\n": "not a text file",
    b"\xd0\xcf\x11\xe0\xa1\xb1": "old Excel workbook",
    b"\x1f\x8b\x08": "compressed",
    b"%PDF-1.7": "a PDF",
    b"PAR1....": "Parquet",
    b"SQLite format 3\0": "SQLite",
    b"<html><body>": "web page",
    b'[{"a": 1}]': "JSON",
    b'a,b\n1,"' + b"x" * 200_000 + b'"\n': "131,072 letters",
}


@pytest.mark.parametrize("raw", BROKEN)
def test_every_broken_file_gets_one_sentence(raw, reading):
    with pytest.raises(UsageError) as caught:
        reading(raw)
    assert BROKEN[raw] in caught.value.message and caught.value.message.endswith(".")


def test_a_workbook_says_that_it_is_one(tmp_path):
    path = tmp_path / "book.csv"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(UsageError, match="Excel workbook or a zip file"):
        read_csv(path)


def test_no_file_a_folder_and_an_unknown_encoding(tmp_path, reading):
    for path, words in ((tmp_path / "no.csv", "There is no file"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=words):
            read_csv(path)
    with pytest.raises(UsageError, match="not known"):
        reading("a,b\n1,2\n", encoding="klingon")
    with pytest.raises(UsageError, match="cannot be read as UTF-8"):
        reading("a,b\n1,é\n".encode("cp1252"), encoding="utf-8")


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = write(tmp_path / "f.csv", "a,b\n1,2\n")

    def grow(fraction):
        if fraction == 0.9:
            write(path, "a,b\n1,2\n3,4\n")

    with pytest.raises(UsageError, match="changed while it was read") as caught:
        read_csv(path, progress=grow)
    assert caught.value.code == "dataset_changed"


def test_names_are_made_unique_and_said(reading):
    source = reading('age, age ,,age_2,"two\nlines"\n1,2,3,4,5\n')
    assert list(source.frame.columns) == ["age", "age_3", "column_3", "age_2", "two lines"]
    assert "The name “age” occurs more than once: column 2 is called “age_3” here." in source.notes
    assert "Column 3 has no name: column 3 is called “column_3” here." in source.notes


def test_digest_guesses_and_chosen_columns(tmp_path):
    raw = "\ufeffa;b;c\n1,5;Müller;x\n;;\n\n".encode()
    path = write(tmp_path / "f.csv", raw)
    source = read_csv(path, columns=["c", "a"])
    assert source.digest == hashlib.sha256(raw).hexdigest() == sniff(path).digest
    assert source.guessed.startswith(
        "Text in UTF-8 with a byte order mark, 3 columns separated by semicolons"
    )
    assert list(source.frame.columns) == ["c", "a"] and source.rows == 1
    assert (
        "2 blank lines were left out." in source.notes
        and "Column “a”: Read with decimal commas." in source.notes
    )
    with pytest.raises(UsageError, match="no column “cc”. Did you mean “c”"):
        read_csv(path, columns=["cc"])


def test_one_column_blank_lines_and_excels_first_line(reading):
    assert reading("age\n12\n\n14\n").frame["age"].tolist() == [12, 14]
    assert reading("sep=;\na;b\n1;2\n").frame["b"].tolist() == [2]
    assert reading("a|b\n1|2,5\n").frame["b"].tolist() == [2.5]


def test_missing_only_where_declared(reading):
    text = "age,score\n12,-9\nNA,3\n-9,.\n7,NA\n"
    plain = reading(text)
    age = plain.column("age")
    assert age.type == "text" and age.odd == (OddRow(2, 3, "NA"),) and age.odd_count == 1
    assert "declare it as missing" in age.notes[0]
    assert plain.column("score").odd == (OddRow(3, 4, "."), OddRow(4, 5, "NA"))
    declared = reading(text, missing={"age": ["NA"], "score": [".", "NA", "-9"]})
    assert declared.frame["age"].isna().tolist() == [False, True, False, False]
    assert "-9 is the only value below 0, in 1 row." in declared.column("age").notes[0]
    assert declared.frame["score"].isna().tolist() == [True, False, True, True]
    assert reading(text, missing=["NA", ".", "-9"]).frame["age"].tolist()[0] == 12


def test_odd_rows_are_at_most_ten(reading):
    source = reading("x,y\n" + "a,0\nb,0\n" * 8 + "".join(f"{i},0\n" for i in range(60)))
    x = source.column("x")
    assert (x.odd_count, len(x.odd), x.type) == (16, 10, "text")
    assert "except in 16 rows (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)" in x.notes[0]


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (["1.234", "0,5"], None, None),  # a point that decides nothing beside a decimal comma
        (["1.234,5", "2.000"], [1234.5, 2000.0], "Thousands"),
        (["1,234.5", "2,000"], [1234.5, 2000.0], "Thousands"),
        (["1,234,567", "12"], [1234567, 12], "Thousands"),
        (["1 234,5", "12"], [1234.5, 12.0], "Thousands"),
        (["1'234.5", "12"], [1234.5, 12.0], "Thousands"),
        (["1\u202f234", "12"], [1234, 12], "Thousands"),
        (["1.234", "2.345"], None, "nothing in the file decides"),
        (["1,234", "2,345"], None, "nothing in the file decides"),
        (["1.5", "1,5"], None, None),
        (["12,34.5", "1"], None, None),
        (["007", "12"], None, "would be lost"),
        (["12345678901234567890", "1"], None, "would be lost"),
        (["1e999", "1"], None, None),
        (["1_000", "1"], None, None),
        (["٣", "1"], None, None),
        (["nan", "inf"], None, None),
        (["1e-3", "+2"], [0.001, 2.0], None),
        ([".5", "-0"], [0.5, 0.0], None),
    ],
)
def test_separators_of_thousands_only_without_doubt(cells, values, note, reading):
    source = reading("x;y\n" + "".join(f"{text};a\n" for text in cells))
    x = source.column("x")
    if values is None:
        assert source.frame["x"].tolist() == cells and x.type in ("text", "factor")
    else:
        assert source.frame["x"].tolist() == values and x.type in ("integer", "number")
    if note:
        assert any(note in line for line in x.notes)


def test_a_persons_word_on_decimals(reading):
    text = "x;y\n1.234;1\n2.345;2\n"
    assert reading(text, decimal=".").frame["x"].tolist() == [1.234, 2.345]
    german = reading(text, decimal=",")
    assert german.frame["x"].tolist() == [1234, 2345]
    assert "Thousands separators were taken out." in german.column("x").notes
    with_proof = reading("x;y\n1,234;1,5\n2,345;2\n")
    assert with_proof.frame["x"].tolist() == [1.234, 2.345]


@pytest.mark.parametrize(
    ("cells", "first", "note"),
    [
        (["2020-01-31", "1999-12-01"], "2020-01-31", None),
        (["31.01.2020", "1.2.1999"], "2020-01-31", "day, month"),
        (["01/31/2020", "2/1/1999"], "2020-01-31", "month, day"),
        (["2020-01-31 00:00:00", "1999-12-01T00:00"], "2020-01-31", None),
        (["2020-01-31 13:45", "1999-12-01 00:00"], "2020-01-31", "time of day"),
        (["9999-12-31", "0001-01-01"], "9999-12-31", None),
        (["03.03.2020", "04.04.2020"], "2020-03-03", "day, month"),
        (["03.04.2020", "05.06.2020"], None, "cannot be told apart"),
        (["31.01.2020", "01.31.2020"], None, "some month first"),
        (["31.01.2020", "2020-01-31"], None, "two ways"),
        (["31.02.2020", "30.01.2020"], None, "except in 1 row (1)"),
    ],
)
def test_dates_only_without_doubt(cells, first, note, reading):
    source = reading("d;y\n" + "".join(f"{text};a\n" for text in cells))
    d = source.column("d")
    if first is None:
        assert source.frame["d"].tolist() == cells and d.type in ("text", "factor")
    else:
        assert d.type == "date" and str(source.frame["d"].iloc[0])[:10] == first
    assert note is None or any(note in line for line in d.notes)


def test_types_that_a_person_chose(reading):
    text = "when,code,n\n03/04/2020,1,1\n05/06/2020,2,2.0\n"
    source = reading(text, types={"when": "date m.d.Y", "code": "factor", "n": "integer"})
    assert source.frame["when"].dt.month.tolist() == [3, 5]
    assert source.column("code").levels == ("1", "2") and source.frame["code"].tolist() == ["1", "2"]
    assert source.frame["n"].tolist() == [1, 2] and str(source.frame["n"].dtype) == "Int64"
    assert str(reading(text, types={"code": "number"}).frame["code"].dtype) == "float64"
    for wish, words in (
        ({"when": "number"}, "“when” holds text in 2 rows (1, 2)"),
        ({"when": "date"}, "cannot be told apart"),
        ({"code": "date"}, "“code” holds something other than dates in 2 rows"),
        ({"code": "ratio"}, "cannot be “ratio”"),
        ({"cod": "text"}, "Did you mean “code”"),
    ):
        with pytest.raises(UsageError) as caught:
            reading(text, types=wish)
        assert words in caught.value.message
    with pytest.raises(UsageError, match=r"holds numbers with decimals in 1 row \(2\)"):
        reading("n,m\n1,a\n2.5,a\n", types={"n": "integer"})


def test_factors_levels_and_empty_columns(reading):
    source = reading("sex,id,none\nf,p1,\nM,p2,\nf,p3,\n" + "".join(f"f,q{i},\n" for i in range(30)))
    assert source.column("sex").levels == ("f", "M") and source.column("sex").type == "factor"
    assert source.column("id").type == "text"
    assert source.column("none").type == "empty" and source.frame["none"].isna().all()


def test_no_sentence_of_an_error_holds_a_value(reading):
    with pytest.raises(UsageError) as caught:
        reading("age,name\n12,x\nMrs Secret,x\n", types={"age": "number"})
    assert "Secret" not in caught.value.message


def test_no_note_holds_a_patients_number(reading):
    text = "id;x;d\n00471234;7.123;03.04.2021\n00471235;8.456;05.06.2021\n"
    words = " ".join(reading(text).notes)
    assert "would be lost" in words and "nothing in the file decides" in words and "told apart" in words
    assert not any(cell in words for cell in ("0047", "7.123", "8.456", "2021"))

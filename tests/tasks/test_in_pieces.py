"""Tables read some rows at a time: the same table as when it is read whole, in memory that does not grow with it."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import chunks, formats, source, tally

ROWS = 60


def german(row: int) -> list[str]:
    return [
        str(row),
        f"{row},5",
        f"{row % 28 + 1:02d}.03.2020",
        "größer" if row % 2 else "kleiner",
        f'"Z{row}\r\nzwei"',
    ]


def text(newline: str = "\r\n", quoted: bool = True) -> str:
    head = ["n", "wert", "tag", "wort", "notiz"]
    lines = [
        head,
        *([*german(row)[:4], german(row)[4] if quoted else f"Z{row}"] for row in range(1, ROWS + 1)),
    ]
    return newline.join(";".join(line) for line in lines) + newline


FILES = {
    "byte order mark": text().encode("utf-8-sig"),
    "Latin-1": text().encode("cp1252"),
    "UTF-16": text().encode("utf-16"),
    "no quote marks": text("\n", quoted=False).encode(),
    "blank lines": text("\n", quoted=False).replace("\n7;", "\n\n7;").encode() + b";;;;\n\n",
}


@pytest.fixture(params=[1, 7, 13, 60, 1000])
def cut(request, monkeypatch):
    """Pieces of so many rows, and nothing kept from the first look."""
    monkeypatch.setattr(chunks, "CHUNK", request.param)
    monkeypatch.setattr(source, "HELD", 0)
    return request.param


@pytest.mark.parametrize("kind", FILES)
def test_a_csv_file_as_hospitals_write_it(kind, cut, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(FILES[kind])
    frames = list(formats.batches(path))
    assert max(map(len, frames)) <= cut and sum(map(len, frames)) == ROWS
    whole = pd.concat(frames)
    assert whole.index.tolist() == list(range(ROWS))
    rows = range(1, ROWS + 1)
    assert whole["n"].tolist() == list(rows) and str(whole["n"].dtype) == "Int64"
    assert whole["wert"].tolist() == [row + 0.5 for row in rows]
    assert whole["tag"].tolist() == [pd.Timestamp(2020, 3, row % 28 + 1) for row in rows]
    assert whole["wort"].tolist() == ["größer" if row % 2 else "kleiner" for row in rows]
    notes = [
        german(row)[4].strip('"') if '"' in FILES[kind].decode("cp1252", "replace") else f"Z{row}"
        for row in rows
    ]
    if kind == "UTF-16":
        notes = [german(row)[4].strip('"') for row in rows]
    assert whole["notiz"].tolist() == notes
    known = formats.read(path)
    pd.testing.assert_frame_equal(whole, known.frame, check_exact=True)
    assert formats.survey(path) == source.Survey(
        known.columns, known.guessed, known.digest, known.rows, known.file_notes
    )
    assert sum(map(len, formats.batches(path, columns=[]))) == ROWS


# What only a late row decides, and what the column then is from its first row on.
LATE = {
    "whole numbers, then one with decimals": ("2.5", "float64", None),
    "whole numbers, then a word": ("x", "string", "except in 1 row (50)"),
    "whole numbers, then nothing": ("", "Int64", None),
    "whole numbers, then a code": ("007", "string", "Leading zeros"),
    "whole numbers, then thousands": ("1 000", "Int64", "Thousands separators"),
}


@pytest.mark.parametrize("kind", LATE)
def test_the_last_rows_decide_for_the_first(kind, cut, tmp_path):
    last, dtype, note = LATE[kind]
    path = tmp_path / "t.csv"
    rows = [*("1" if row % 2 else "30" for row in range(49)), last]
    path.write_text("a,b\n" + "".join(f"{row},z\n" for row in rows))
    frames = list(formats.batches(path, columns=["a"]))
    assert {str(frame["a"].dtype) for frame in frames} == {dtype}
    column = formats.survey(path).column("a")
    assert note is None or any(note in said for said in column.notes)
    pd.testing.assert_frame_equal(
        pd.concat(frames), formats.read(path, columns=["a"]).frame, check_exact=True
    )
    if last == "x":
        assert [(odd.row, odd.line, odd.value) for odd in column.odd] == [(50, 51, "x")]


def test_a_refusal_names_the_rows_of_the_file_and_not_of_the_piece(cut, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{'x' if row in (31, 45) else row},{row}.5\n" for row in range(1, 51)))
    with pytest.raises(UsageError, match=r"“a” holds text in 2 rows \(31, 45\)"):
        list(formats.batches(path, types={"a": "number"}))
    with pytest.raises(UsageError, match=r"“b” holds numbers with decimals in 50 rows \(1, 2, .*, 10, …\)"):
        list(formats.batches(path, types={"b": "integer"}))


def test_a_file_that_changes_between_two_pieces_is_refused(cut, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 50)
    pieces = formats.batches(path)
    next(pieces)
    path.write_text("a,b\n" + "1,y\n" * 51)
    with pytest.raises(UsageError) as caught:
        list(pieces)
    assert caught.value.code == "dataset_changed"


@pytest.mark.parametrize("large", ["1e300", "12345678901234567890.0", "-9e16"])
def test_a_number_too_large_for_whole_numbers_is_refused_as_one(large, tmp_path):
    path = tmp_path / "t.csv"
    for others in ("1,2\n", "NA,2\n1,2\n"):
        path.write_text(f"a,b\n{others}{large},1\n")
        with pytest.raises(UsageError, match=f"more than 15 digits in 1 row .{others.count(chr(10)) + 1}."):
            formats.read(path, types={"a": "integer"}, missing=["NA"])


@pytest.mark.parametrize(
    "words",
    [
        [f"1{row} {row % 10}00" for row in range(10, 60)],
        [f"{row % 28 + 1}.{row % 12 + 1}.2020 12:{row:02d}" for row in range(50)],
        [*(f"{row}.{row}" for row in range(40)), "NA", "n/a"],
        [*(f"P{row:04d}" for row in range(40)), "1.5"],
        [*(f"{row:04d}" for row in range(50))],
        [*(f"1,{row}" for row in range(100, 150)), "1.234,5", "2,75"],
    ],
    ids=["thousands", "moments", "numbers and gaps", "patients", "codes", "decimal commas"],
)
def test_of_very_many_words_the_same_is_said(words, tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "".join(f"{word};z\n" for word in words))
    known = formats.read(path)
    monkeypatch.setattr(chunks, "CHUNK", 6)
    monkeypatch.setattr(tally, "MOST_WORDS", 9)
    found = formats.read(path)
    pd.testing.assert_frame_equal(found.frame, known.frame, check_exact=True)
    one, other = found.column("a"), known.column("a")
    for name in ("type", "n", "n_missing", "decimals", "date_format", "odd", "odd_count", "notes", "levels"):
        assert getattr(one, name) == getattr(other, name), name


def test_of_very_many_words_one_with_decimals_is_no_whole_number(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    words = [*(f"{row} 000,0" for row in range(1, 40)), "2,5", "7,0"]
    path.write_text("a;b\n" + "".join(f"{word};z\n" for word in words))
    for most, where in ((100, r"1 row \(40\)"), (9, "row 40 and perhaps in others")):
        monkeypatch.setattr(chunks, "CHUNK", 6)
        monkeypatch.setattr(tally, "MOST_WORDS", most)
        with pytest.raises(UsageError, match=f"holds numbers with decimals in {where}."):
            formats.read(path, types={"a": "integer"})
    path.write_text("a;b\n" + "".join(f"{word};z\n" for word in words if word != "2,5"))
    found = formats.read(path, types={"a": "integer"}).frame["a"].tolist()
    assert found == [*(row * 1000 for row in range(1, 40)), 7]


PEAK = """
import resource, sys
from pathlib import Path
from friendlyfl.tasks import formats
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.intake import Intake
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
path, folder = sys.argv[1:]
dictionary = Dictionary.parse({"age": {"type": "integer", "range": [0, 120]}})
warm = Path(folder) / "warm.csv"
warm.write_text("age,crp\\n" + "50,1.5\\n" * 20_000)
formats.survey(warm)
Intake(str(warm), (), None, dictionary).columns({"age"}, Path(folder) / "w")
before = peak()
rows = formats.survey(path).rows
made = Intake(path, (), None, dictionary).columns({"age"}, Path(folder) / "c")
assert len(made) == rows
print(round(peak() - before), int(made.read("age").sum()))
"""


@pytest.mark.slow
def test_a_large_csv_file_takes_the_memory_of_some_rows(tmp_path):
    path = tmp_path / "large.csv"
    rng = np.random.default_rng(7)
    total = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("id;age;crp;lab;sex\n")
        for start in range(0, 2_000_000, 10_000):
            age, crp = rng.integers(18, 99, 10_000), rng.lognormal(1, 1, 10_000)
            total += int(age.sum())
            file.writelines(
                f"P{start + row};{age[row]};{str(crp[row]).replace('.', ',')};{row % 97},25;{'mf'[row % 2]}\n"
                for row in range(10_000)
            )
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), str(tmp_path)], capture_output=True, text=True, timeout=170
    )
    assert ran.returncode == 0, ran.stderr
    grown, sum_ = map(int, ran.stdout.split())
    # Held whole, the columns alone are 2,000,000 rows * 5 columns * 9 bytes and more: about 250 MB.
    assert grown < 120 and sum_ == total and path.stat().st_size > 70e6

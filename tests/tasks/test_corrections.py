"""What a person corrected of a table's guesses, what is described of it, and how it fits a dictionary."""

import pytest

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import formats
from friendlyfl.tasks.alike import same_levels, same_names
from friendlyfl.tasks.corrections import Corrections
from friendlyfl.tasks.description import describe
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.intake import Intake
from friendlyfl.tasks.mapping import Mapping


def test_corrections_are_kept_as_they_were_said():
    said = {
        "types": {"age": "integer"}, "missing": {"age": ["NA", "-9"]}, "separator": ";", "decimal": ",",
        "encoding": "cp1252",
    }  # fmt: skip
    read = Corrections.from_json(said)
    assert read.to_json() == said and read.csv == {"separator": ";", "decimal": ",", "encoding": "cp1252"}
    assert read.codes(("x",), ("age", "sex")) == {"age": ("x", "NA", "-9"), "sex": ("x",)}
    assert Corrections.from_json(None).to_json() == {} and Corrections().codes(("x",), ("age",)) == ("x",)
    assert Corrections.from_json({"missing": {"age": " NA, -9 ,"}}).missing == {"age": ("NA", "-9")}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"separator": "x"}, "separator"),
        ({"decimal": ";"}, "decimal"),
        ({"encoding": "utf-7"}, "encoding"),
        ({"types": {"age": "poetry"}}, "types"),
        ({"missing": {"age": ["x" * 101]}}, "missing"),
        ({"colour": "red"}, "corrections"),
        ([], ""),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_field(said, code):
    if not code:
        assert Corrections.from_json(said) == Corrections()
        return
    with pytest.raises(UsageError) as error:
        Corrections.from_json(said)
    assert error.value.code == code


def test_a_description_has_what_a_person_looks_at(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "age;sex;when;empty;text\n"
        + "".join(f"{20 + n};{'wm'[n % 2]};2024-01-{1 + n:02};;word {n} of many\n" for n in range(20))
        + "old;w;2024-02-01;;" + "long " * 30 + "\n"
    )  # fmt: skip
    found = describe(formats.read(path))
    age, sex, when, empty, text = found["columns"]
    assert age["type"] == "text" and age["odd"] == [[21, 22, "old"]] and age["odd_count"] == 1
    assert sex["values"] == [["m", 10], ["w", 11]]
    assert (when["low"], when["high"]) == ("2024-01-01", "2024-02-01")
    assert empty == {"name": "empty", "type": "empty", "n": 0, "missing": 21}
    assert "values" not in text  # one of them is too long to be told apart when cut
    assert found["file"][0].endswith("blanks around cells are ignored.")


def test_a_fit_tells_every_column_at_once(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "AGE,code,w\n" + "".join(f"{20 + n},0{n % 2},{n},\n"[:-2] + "\n" for n in range(20)) + ",00,x\n"
    )
    dictionary = Dictionary.parse(
        {
            "age": {"type": "integer", "range": [0, 120]},
            "code": {"type": "factor", "levels": ["00", "01"]},
            "w": {"type": "number"},
            "away": {"type": "text"},
        }
    )
    found = Intake(str(path), [], None, dictionary).fit(lambda share: None)
    assert found["rows"] == 21 and found["columns"]["age"] == {"n": 20, "missing": 1, "problem": ""}
    assert found["columns"]["code"]["n"] == 21 and "away" not in found["columns"]
    assert "“x” in row 21" in found["columns"]["w"]["problem"]
    mapping = Mapping.from_json({"v": 1, "columns": {"away": {"column": "gone"}, "w": {"column": "w"}}})
    corrected = Corrections.from_json({"missing": {"w": ["x"]}})
    found = Intake(str(path), [], mapping, dictionary, corrected).fit(lambda share: None)["columns"]
    assert found["w"] == {"n": 20, "missing": 1, "problem": ""}
    assert found["away"]["problem"] == "The table has no column “gone”."


def test_a_corrected_date_is_read_by_a_run(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("day\n" + "".join(f"0{1 + n % 9}.02.2024\n" for n in range(20)))
    dictionary = Dictionary.parse({"day": {"type": "date"}})
    with pytest.raises(UsageError):
        Intake(str(path), [], None, dictionary).columns({"day"}, tmp_path / "a")
    said = Corrections.from_json({"types": {"day": "date d.m.Y", "gone": "text"}})
    made = Intake(str(path), [], None, dictionary, said).columns({"day"}, tmp_path / "b")
    assert made.read("day")[0] == 19754


def test_names_and_levels_that_are_only_written_otherwise():
    assert same_names(["age", "bmi", "x"], ["Age", "B M_I", "x", "X"]) == {
        "age": "Age",
        "bmi": "B M_I",
        "x": "x",
    }
    assert same_names(["age"], ["AGE", "Age"]) == {}
    assert same_levels(["male", "Other", "other"], ["MALE", "OTHER", "male"]) == {"MALE": "male"}

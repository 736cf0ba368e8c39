"""`friendlyfl simulate`: files in, a Result out, and a sentence with the right exit code for whatever is wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from friendlyfl.cli import main as cli
from friendlyfl.tasks import registry
from tests.tasks.mean import DICTIONARY, Endless, Fragile, Mean, Products, patients

TASKS = {"mean": Mean, "products": Products, "endless": Endless, "fragile": Fragile}


@pytest.fixture(autouse=True)
def tiny_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    find = registry.find
    monkeypatch.setattr(registry, "find", lambda name, version=None: TASKS.get(name) or find(name, version))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = []
    for site, rows in enumerate((40, 30), start=1):
        path = tmp_path / f"site_{site}.csv"
        patients(rows, site).to_csv(path, index=False)
        paths.append(str(path))
    (tmp_path / "dict.json").write_text(json.dumps({"dictionary": DICTIONARY.to_json()}))
    return paths


def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program."""
    runner = CliRunner()
    result: Result = runner.invoke(_program, ["simulate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


class _Program:
    """`main` reads sys.argv; the runner hands arguments over instead."""

    name = "friendlyfl"

    def main(self, args: list[str], prog_name: str, **_: Any) -> None:
        before, sys.argv = sys.argv, [prog_name, *args]
        try:
            cli.main()
        finally:
            sys.argv = before


_program: Any = _Program()


def sites(files: list[str]) -> list[str]:
    return [part for path in files for part in ("--site", path)]


def test_where_chooses_rows(files: list[str]) -> None:
    given = ["mean", *sites(files), "--set", "outcome=age", "--rules", "off", "--json", "-"]
    code, out, _ = call(*given, "--where", "sex in (female) and age > 50")
    rows = pd.concat([patients(40, 1), patients(30, 2)])
    chosen = rows[(rows["sex"] == "female") & (rows["age"] > 50)]
    assert code == 0 and json.loads(out)["n"]["used"] == len(chosen)
    code, _, said = call(*given, "--where", "sex is female")
    assert code == 2 and "at “is” (character 5)" in said


def test_a_result_as_json(files: list[str], tmp_path: Path) -> None:
    dictionary = ["--dictionary", str(tmp_path / "dict.json")]
    code, out, err = call("mean", *sites(files), *dictionary, "--set", "outcome=age", "--json", "-")
    assert (code, err) == (0, "")
    assert json.loads(out)["n"]["used"] == 70
    path = tmp_path / "out.json"
    assert call("mean", *sites(files), *dictionary, "--set", "outcome=age", "--json", str(path)) == (
        0,
        "",
        "",
    )
    assert json.loads(path.read_text()) == json.loads(out)


def test_tables_for_a_person_and_an_inferred_dictionary(files: list[str]) -> None:
    code, out, err = call("products", *sites(files), "--set", "outcome=died", "--set", "predictors=age,sex")
    assert code == 0 and "Coefficients" in out and "sexmale" in out and "used 70" in out
    assert "inferred from all 2 files" in err
    assert json.loads(err[err.index("{") :])["race"]["levels"] == ["black", "other", "white"]


def test_a_refusal_is_3_and_out_is_written(files: list[str], tmp_path: Path) -> None:
    patients(7).to_csv(files[1], index=False)
    out = tmp_path / "out.json"
    code, _, err = call("mean", *sites(files), "--set", "outcome=age", "--json", str(out))
    result = json.loads(out.read_text())
    assert code == 3 and err.splitlines()[-1].startswith("Site 2: Refused by the hospital's rule")
    assert result["privacy"]["refused"][0]["rule"] == "rows" and result["statistics"] == {}


def test_no_answer_is_4_and_out_is_written(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code, _, err = call("endless", *sites(files), "--set", "outcome=age", "--json", str(out))
    assert code == 4 and err.splitlines()[-1] == "No answer after 3 rounds."
    assert json.loads(out.read_text())["notes"] == ["No answer after 3 rounds."]


def write(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["kaplan_meyer"], "Did you mean “kaplan_meier”"),
        (["mean", "--set", "outcome=agee"], "Did you mean “age”"),
        (["mean", "--set", "outcom=age"], "no parameter “outcom”"),
        (["mean", "--set", "outcome"], "--set name=value"),
        (["mean", "--set", "outcome=age", "--set", "outcome=crp"], "set twice"),
        (["mean"], "Outcome (outcome) is missing"),
        (["mean", "--set", "outcome=age", "--secure-sum"], "later version"),
        (["mean", "--set", "outcome=age", "--dictionary", "nowhere.json"], "cannot be read"),
        (["mean", "--set", "outcome=age", "--dictionary", "BROKEN"], "not a JSON file"),
        (["mean", "--set", "outcome=age", "--dictionary", "EMPTY"], "one entry for each column"),
        (["mean", "--set", "outcome=age", "--json", "no/such/folder.json"], "cannot be written"),
        (["mean", "--set", "outcome=age", "--site", "nowhere.csv"], "does not exist"),
        (["mean", "--set", "outcome=age", "--site", "FOLDER"], "is a folder"),
        (["mean", "--set", "outcome=age", "--site", "HEADER"], "no rows"),
        (["mean", "--set", "outcome=age", "--site", "NOTHING"], "empty"),
        (["mean", "--set", "outcome=age", "--site", "OTHER"], "no column “age”"),
        (
            ["mean", "--set", "outcome=age", "--dictionary", "DICT", "--site", "BAD"],
            "Site 3: “age” holds “old” in row 2",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], says: str, files: list[str], tmp_path: Path
) -> None:
    made = {
        "BROKEN": write(tmp_path, "broken.json", "{"),
        "EMPTY": write(tmp_path, "empty.json", "{}"),
        "DICT": str(tmp_path / "dict.json"),
        "HEADER": write(tmp_path, "header.csv", "age,sex\n"),
        "NOTHING": write(tmp_path, "nothing.csv", ""),
        "OTHER": write(tmp_path, "other.csv", "weight,sex\n" + "70,male\n" * 30),
        "BAD": write(tmp_path, "bad.csv", "age,sex\n44,male\nold,male\n45,female\n"),
        "FOLDER": str(tmp_path),
    }
    name, *rest = [made.get(argument, argument) for argument in arguments]
    code, out, err = call(name, *sites(files), *rest)
    last = err.splitlines()[-1]
    assert code == 2 and out == "" and says in last and last.endswith((".", "?"))


def test_click_s_own_sentences_are_2() -> None:
    assert call("mean")[0] == 2
    assert call("mean", "--site", "a.csv", "--rules", "maybe")[0] == 2


def test_a_fault_of_a_task_is_no_traceback(files: list[str]) -> None:
    code, _, err = call("fragile", *sites(files), "--set", "outcome=age")
    assert (
        code == 1 and "stopped with a fault of its own (ZeroDivisionError" in err and "Traceback" not in err
    )


def test_factors_keep_what_is_written(files: list[str], tmp_path: Path) -> None:
    """01 and 1 are two levels where the dictionary says so; NA is missing."""
    ward = write(tmp_path, "ward.csv", "ward,age\n" + "01,30\n1,40\nNA,50\n" * 20)
    entry = {"ward": {"type": "factor", "levels": ["01", "1"]}, "age": {"type": "integer", "range": [0, 120]}}
    dictionary = write(tmp_path, "wards.json", json.dumps(entry))
    given = ["--set", "outcome=age", "--set", "group=ward", "--dictionary", dictionary, "--json", "-"]
    code, out, _ = call("mean", "--site", ward, *given)
    assert code == 0 and json.loads(out)["statistics"]["mean"] == 35 and json.loads(out)["n"]["dropped"] == 20


def test_help_is_quick_and_light() -> None:
    """The command line starts without pandas, scipy or Django."""
    for module, heavy in [
        ("cli.simulate", {"pandas", "scipy", "django", "numpy"}),
        ("tasks", {"pandas", "scipy"}),
    ]:
        code = f"import sys, friendlyfl.{module}; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

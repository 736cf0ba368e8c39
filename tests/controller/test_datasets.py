"""Datasets of every kind at a hospital: registered, read for a run, and no password where people look."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from friendlyfl.cli.checkup import OK
from friendlyfl.cli.checkup_records import datasets
from friendlyfl.cli.dataset import dataset
from friendlyfl.controller import actions, preflight
from friendlyfl.controller.models import AuditLine, Dataset
from friendlyfl.controller.runner.passing import Passed, arrived
from friendlyfl.core.errors import UsageError
from tests.controller.test_runner import NEVER, begin, local, opening, start
from tests.controller.world import RESEARCHER, choose_dataset

__all__ = ["start"]

FRAME = pd.DataFrame({"age": [20 + n % 60 for n in range(60)], "died": [int(n % 3 == 0) for n in range(60)]})
HIDDEN = "postgresql://reader:s3cr3t@127.0.0.1:1/registry#patients"


def written(kind: str, folder: Path) -> str:
    path = folder / f"births.{kind}"
    if kind == "sqlite":
        connection = sqlite3.connect(path)
        FRAME.to_sql("births", connection)
        connection.close()
        return f"sqlite:///{path}#select age, died from births order by rowid"
    getattr(FRAME, {"csv": "to_csv", "parquet": "to_parquet", "xlsx": "to_excel"}[kind])(path, index=False)
    return str(path)


@pytest.fixture
def state(start) -> Passed:
    return begin(start(opening(None)))


def test_every_kind_sends_the_same_bits(start, state, tmp_path):
    sent = set()
    for kind in ("csv", "parquet", "xlsx", "sqlite"):
        seat = start(opening(written(kind, tmp_path)))
        opened = seat.open(**NEVER)
        assert opened["problems"] == [] and opened["rows"] == 60
        answer = local(seat, state)
        assert answer["rows"] == 60
        sent.add(arrived(answer["content"]))
    assert len(sent) == 1


def test_a_database_may_change_during_a_run_and_a_file_may_not(start, state, tmp_path):
    for kind, trouble in (("sqlite", None), ("parquet", "dataset_changed")):
        where = written(kind, tmp_path)
        seat = start(opening(where))
        seat.open(**NEVER)
        path = tmp_path / f"births.{kind}"
        if trouble:
            FRAME.head(50).to_parquet(path)
        else:
            connection = sqlite3.connect(path)
            connection.execute("DELETE FROM births WHERE age < 30")
            connection.commit()
            connection.close()
        answer = local(seat, state)
        assert answer.get("trouble") == trouble and answer.get("rows", 60) == 60


def test_a_database_that_changed_ends_a_run_whose_child_was_started_anew(start, state, tmp_path):
    where = written("sqlite", tmp_path)
    seat = start(opening(where))
    seat.open(**NEVER)
    seat.end()
    assert local(seat, state)["rows"] == 60
    connection = sqlite3.connect(tmp_path / "births.sqlite")
    connection.execute("UPDATE births SET age = age + 1 WHERE rowid = 7")
    connection.commit()
    connection.close()
    assert local(seat, state)["rows"] == 60
    seat.end()
    assert local(seat, state)["trouble"] == "dataset_changed"


def test_a_database_that_does_not_answer_is_a_trouble_without_the_password(start):
    answer = start(opening(HIDDEN)).open(**NEVER)
    assert answer["trouble"] == "dataset_missing" and "cannot be reached" in answer["sentence"]
    assert "s3cr3t" not in str(answer)


@pytest.mark.parametrize("kind", ["parquet", "xlsx", "sqlite"])
def test_a_dataset_is_registered_and_looked_after(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = written(kind, tmp_path).replace(f"{tmp_path}/", "")
    row, source = actions.add_dataset(RESEARCHER, "births", where)
    assert row.rows == 60 == source.rows and str(tmp_path) in row.path
    assert [column["type"] for column in row.description["columns"]] == ["integer", "integer"]
    (finding,) = datasets()
    assert finding.state == OK and "births" in finding.words


def test_a_password_is_shown_nowhere(consortium, home):
    with pytest.raises(UsageError) as caught:
        actions.add_dataset(RESEARCHER, "registry", HIDDEN)
    assert "s3cr3t" not in caught.value.message
    project = consortium.project
    choose_dataset(project)
    Dataset.objects.filter(pk=project.dataset.pk).update(path=HIDDEN)
    assert "s3cr3t" not in str(list(datasets()))
    for options in ([], ["--json"]):
        listed = CliRunner().invoke(dataset, ["list", "--home", str(home.folder), *options])
        assert listed.exit_code == 0 and "reader" in listed.output and "s3cr3t" not in listed.output
    assert "s3cr3t" not in str(list(AuditLine.objects.values()))


def test_a_password_from_the_environment_reaches_the_child_only(consortium, monkeypatch):
    monkeypatch.setenv("REGISTRY_PASSWORD", "s3cr3t")
    where = HIDDEN.replace("s3cr3t", "${REGISTRY_PASSWORD}")
    project = consortium.project
    choose_dataset(project)
    Dataset.objects.filter(pk=project.dataset.pk).update(path=where)
    project.refresh_from_db()
    assert preflight.described(project)["path"] == HIDDEN
    assert Dataset.objects.get(pk=project.dataset.pk).path == where


def test_guesses_are_corrected_on_the_command_line(home, tmp_path):
    path = tmp_path / "stays.csv"
    path.write_text("day;weight;smoker\n" + "".join(f"0{1 + n % 9}.02.2024;1,5;{n % 3}\n" for n in range(30)))
    actions.add_dataset(RESEARCHER, "stays", str(path))
    before = Dataset.objects.get()

    def typed(*arguments: str):
        return CliRunner().invoke(dataset, ["describe", "stays", *arguments, "--home", str(home.folder)])

    assert "day" in typed().output and Dataset.objects.get().corrections == {}
    said = typed("--type", "day=date d.m.Y", "--missing-in", "smoker=2", "--decimal", ",", "--missing", "NA")
    assert said.exit_code == 0 and "date" in said.output, said.output
    row = Dataset.objects.get()
    assert row.corrections == {
        "types": {"day": "date d.m.Y"}, "missing": {"smoker": ["2"]}, "decimal": ",",
    }  # fmt: skip
    assert row.missing == ["NA"] and row.digest == before.digest and row.state == "ready"
    refused = typed("--type", "weight=integer")
    assert isinstance(refused.exception, UsageError) and "holds numbers with decimals" in str(
        refused.exception
    )
    assert Dataset.objects.get().description == row.description
    typed("--type", "day=")
    assert Dataset.objects.get().description["columns"][0]["type"] == "text"

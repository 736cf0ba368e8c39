"""The results of a run as requests meet them: every kind of Result, files, who sees what, and what is not there."""

import csv
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from friendlyfl.controller import actions, figures
from friendlyfl.controller.models import AuditLine, Result, Run
from friendlyfl.tasks import registry
from friendlyfl.tasks.publication import tables_of
from friendlyfl.tasks.report import Result as Read
from friendlyfl.tasks.saying.pieces import Num
from tests.controller import answers
from tests.controller.world import ADMIN, Consortium, Study

PASSWORD = "a calm and long sentence"
TASKS = [name for name, task in registry.every() if not task.lacks()]


@pytest.fixture
def client() -> Client:
    client = Client(SERVER_NAME="localhost", raise_request_exception=False)
    client.force_login(actions.add_person(ADMIN, "rosa", "researcher", PASSWORD))
    return client


def read(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return " ".join(unescape(answer.content.decode()).split())


def of(run: Run) -> str:
    return f"/runs/{run.pk}/results/"


def one(consortium: Consortium, name: str) -> Run:
    return answers.ended(answers.coordinated(consortium, name), [answers.example(name)])


# --- the page ---


@pytest.mark.parametrize("name", TASKS)
def test_every_kind_of_result_has_a_page(client, consortium: Consortium, name):
    run = answers.coordinated(consortium, name)
    example = answers.example(name)
    answers.ended(run, [example])
    said = read(client, of(run))
    main = re.sub(r"<[^>]+>", " ", said.split("<main")[1].split("</main>")[0])
    assert 'class="lead found">' in said and "<table" in said and "n = " in main
    assert not re.search(r"\b(NaN|nan|None|null)\b|significan|p_value|ci_lower|[{}]", main)
    assert "How this was computed" in main and f"version {example['version']}" in main
    assert said.count("<img") == len(example["figures"]) and 'alt=""' not in said
    assert len(said) < 60_000


def test_warnings_come_after_the_sentence_and_hidden_numbers_say_that_they_are(
    client, consortium: Consortium
):
    said = read(client, of(one(consortium, "feasibility")))
    lead, warning, table = (
        said.index('class="lead found"'),
        said.index("To bear in mind"),
        said.index("<table"),
    )
    assert lead < warning < table
    assert (
        "hidden: fewer than 5" in said
        and "Hidden: at a hospital fewer than 5 people are counted there" in said
    )


def test_several_steps_begin_with_a_sentence_each(client, consortium: Consortium):
    run = answers.coordinated(consortium, "table_one", "logistic_regression")
    answers.ended(run, [answers.example("table_one"), answers.example("logistic_regression")])
    said = read(client, of(run))
    assert "In one sentence each" in said and said.count('class="lead found"') == 2
    assert "Step 2: Logistic regression" in said and "1.06 times the odds" in said.split("Step 1:")[0]


def test_many_steps_are_read_page_by_page_with_few_questions_to_the_database(client, consortium: Consortium):
    run = answers.coordinated(consortium, *["table_one"] * 12)
    answers.ended(run, [answers.example("table_one")] * 12)
    first, last = read(client, of(run)), read(client, f"{of(run)}?page=3")
    assert first.count('class="lead found"') == 5 and "Later steps" in first
    assert last.count('class="lead found"') == 2 and "Earlier steps" in last
    with CaptureQueriesContext(connection) as asked:
        client.get(of(run))
    assert len([query for query in asked if query["sql"].startswith("SELECT")]) <= 12


WITHOUT_DRAWING = """
import json, sys
from types import SimpleNamespace
from django.conf import settings
settings.configure(USE_I18N=False)
from friendlyfl.controller.plans import PlanStep
from friendlyfl.controller.portal import answer
for name, parameters, result, dictionary in json.load(sys.stdin):
    plan = SimpleNamespace(dictionary=dictionary, seats=["a", "b"])
    made = answer.of(PlanStep(1, name, "1.0", name, parameters), plan, result)
    assert made.tables and made.figures, name
assert not any(module.startswith("matplotlib") for module in sys.modules)
"""


def test_the_page_is_made_without_drawing():
    names = ("logistic_regression", "kaplan_meier", "table_one", "roc", "calibration", "fedavg_sklearn")
    given = [
        (name, dict(registry.find(name).example), answers.example(name), answers.CLINIC)
        for name in names
        if name in TASKS
    ]
    run = [sys.executable, "-c", WITHOUT_DRAWING]
    subprocess.run(run, input=json.dumps(given), text=True, check=True)


def test_numbers_follow_the_language_on_the_page():
    page = Template("{% load results %}{{ number|said }}")
    with translation.override("de"):
        assert page.render(Context({"number": Num(-1234.5, 1)})) == "−1.234,5"
    with translation.override("en"):
        assert page.render(Context({"number": Num(-1234.5, 1)})) == "−1,234.5"


# --- files ---


def test_files_hold_all_digits_in_the_way_of_programs(client, consortium: Consortium):
    run = one(consortium, "logistic_regression")
    result = answers.example("logistic_regression")
    table = client.get(f"{of(run)}1/tables/coefficients.csv")
    assert table["Content-Disposition"] == 'attachment; filename="ours-run-1-step-1-coefficients.csv"'
    rows = list(csv.DictReader(io.StringIO(table.content.decode())))
    assert [float(row["estimate"]) for row in rows] == [row["estimate"] for row in result["coefficients"]]
    assert json.loads(client.get(f"{of(run)}1/result.json").content) == result
    with zipfile.ZipFile(io.BytesIO(client.get(f"{of(run)}pack.zip").content)) as pack:
        assert {"result.json", "methods.md", "tables/coefficients.csv"} <= set(pack.namelist())
    assert client.get(f"{of(run)}1/pack.zip").status_code == 200
    kinds = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}
    for kind, start in kinds.items():
        assert client.get(f"{of(run)}1/figures/1/{kind}").content.startswith(start)
    lines = list(AuditLine.objects.filter(verb="download_result").values_list("object", flat=True))
    assert "result.json of step 1 of run 1 of Ours" in lines and len(lines) == 7


def test_only_texts_are_marked_in_a_table_for_spreadsheets(client, consortium: Consortium):
    run = one(consortium, "logistic_regression")
    row = Result.objects.get(run=run)
    row.result["coefficients"][0]["term"] = "=cmd()"
    row.save()
    [first, second, *_] = client.get(f"{of(run)}1/tables/coefficients.csv").content.decode().splitlines()[1:]
    assert first.startswith("'=cmd(),-4.99") and second.startswith("age,0.05")


@pytest.mark.parametrize(
    "place",
    [
        *("1/tables/nothing.csv", "1/tables/..%2F.csv", "2/result.json"),
        *("1/figures/9.svg", "1/figures/1/exe", "1/figures/0/pdf"),
    ],
)
def test_files_that_are_not_there(client, consortium: Consortium, place):
    assert client.get(of(one(consortium, "logistic_regression")) + place).status_code == 404


def test_a_figure_is_drawn_once(client, consortium: Consortium, monkeypatch):
    run = one(consortium, "cox")
    figures._made.clear()
    first = client.get(f"{of(run)}1/figures/1.svg")
    assert first["Content-Type"] == "image/svg+xml" and b"<svg" in first.content
    monkeypatch.setattr(figures, "_draw", lambda *given: pytest.fail("drawn again"))
    began = time.perf_counter()
    assert client.get(f"{of(run)}1/figures/1.svg").content == first.content
    assert time.perf_counter() - began < 0.1
    monkeypatch.setattr(figures, "_draw", lambda *given: b"x")
    for number in range(figures.KEPT + 5):
        figures.drawn({"n": number}, {}, 1, "svg")
    assert len(figures._made) == figures.KEPT
    figures._made.clear()


def test_a_viewer_looks_and_takes_nothing_away(consortium: Consortium):
    run = one(consortium, "logistic_regression")
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "vera", "viewer", PASSWORD))
    said = read(client, of(run))
    assert "A researcher or a site-admin of this hospital can download" in said and ".csv" not in said
    assert client.get(f"{of(run)}1/figures/1.svg").status_code == 200
    for file in ("pack.zip", "1/pack.zip", "1/result.json", "1/tables/coefficients.csv", "1/figures/1/pdf"):
        assert client.get(of(run) + file).status_code == 403


# --- a hospital that takes part ---


def test_a_shared_result_is_the_same_page_without_any_other_hospital(client, study: Study):
    names = ["Northfield", "Southgate"]
    result = json.loads(json.dumps(answers.example("meta_analysis")))
    result["n"]["per_site"] = [{"site": 1, "used": 4321, "dropped": 0}]
    result["privacy"]["refused"] = [{"site": 2, "rule": "rows", "sentence": "Southgate refused."}]
    run = answers.taken_part(study, "meta_analysis")
    answers.ended(run, [answers.shared(result)])
    said = read(client, of(run)) + client.get(f"{of(run)}1/result.json").content.decode()
    with zipfile.ZipFile(io.BytesIO(client.get(f"{of(run)}pack.zip").content)) as pack:
        said += "".join(
            pack.read(name).decode(errors="replace") for name in pack.namelist() if name[-3:] != "pdf"
        )
    for other in (names[1], study.others[0].uid, "4321"):
        assert other not in said.replace(json.dumps(study.others[0].uid), "")
    # Not even by its number: the estimates of one hospital are the coordinator's to read.
    assert {row["site"] for rows in _forests(run) for row in rows} == {"fixed", "random"}


def _forests(run: Run) -> list[list[dict[str, Any]]]:
    result = Read.from_json(run.results.get().result)
    return [rows for name, rows in tables_of(result).items() if name.startswith("forest")]


def test_a_result_that_is_not_shared_says_so(client, study: Study):
    run = answers.ended(answers.taken_part(study, "table_one", rules={"share_result": False}), [])
    said = read(client, of(run))
    assert "The plan does not share its results, so they stay at Northfield" in said
    assert "Ask Northfield about the results." in said and "Southgate" not in said


# --- nothing there ---


def test_without_a_result_the_page_says_why_and_what_to_do(client, consortium: Consortium):
    run = consortium.computing()
    assert "Each step's result appears here when the step is done." in read(client, of(run))
    answers.ended(run, [], "failed", "below_quorum:late")
    said = read(client, of(run))
    assert (
        "There is no result, because this run failed." in said
        and "Fewer hospitals than the plan asks for" in said
    )
    answers.ended(run, [], "stopped", "stopped_by:adam")
    assert "because this run was stopped. " in re.sub(r"<[^>]+>", " ", read(client, of(run)))
    assert client.get(f"{of(run)}pack.zip").status_code == 404 and read(client, "/runs/99/results/", 404)


def test_a_run_that_ended_after_its_first_step_shows_it_and_says_so(client, consortium: Consortium):
    run = answers.coordinated(consortium, "table_one", "cox")
    answers.ended(run, [answers.example("table_one")], "failed", "below_quorum:late")
    said = read(client, of(run))
    assert "This run ended before all steps were done." in said and "720 patients are described" in said


def test_a_result_that_nobody_can_read_spoils_nothing_else(client, study: Study):
    run = answers.taken_part(study, "table_one", "t_test")
    broken = json.loads(json.dumps(answers.example("t_test")))
    broken["tables"]["groups"] = [{"mean": 1.0}, {"group": {}, "mean": "x"}]
    answers.ended(run, [answers.example("table_one"), broken])
    said = read(client, of(run))
    assert "This result is written in a way that this version cannot show." in said
    assert "720 patients are described" in said and "the whole result (JSON)" in said


def test_a_refusal_comes_first(client, consortium: Consortium):
    run = answers.ended(answers.coordinated(consortium, "kaplan_meier"), [answers.refusal()])
    said = read(client, of(run))
    assert said.index("There is no answer: a hospital’s rules") < said.index("Why there is no answer")
    assert "No number was sent." in said and "<table" not in said

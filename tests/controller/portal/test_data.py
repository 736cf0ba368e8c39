"""Data, dictionary and mapping as people meet them: what the pages say, what is kept, and what nobody else reads."""

import io
import json
import os
import stat
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.controller import actions, mappings, readings
from friendlyfl.controller.models import AuditLine, Dataset, Departure, Mapping, Reading
from friendlyfl.core.errors import ConflictError, UsageError
from tests.controller.portal.visitor import said
from tests.controller.world import ADMIN, DICTIONARY, RESEARCHER, choose_dataset

PASSWORD = "a calm and long sentence"
NAME = "Zebedee Quill"  # a patient whose name stands where an age should
CSV = (
    "\ufeffage;sex;bmi;note\n"
    + "".join(f"{20 + n % 60};{'w' if n % 3 else 'm'};{20 + n % 9},5;\n" for n in range(59))
    + f"{NAME};w;22,5;\n"
)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Read in this process and at once: the child itself is tried by `test_a_table_is_read_in_a_child`."""

    def ask(request, watch):
        from friendlyfl.controller.runner import child

        answer = child._answer(
            lambda asked: child._looking(asked["do"], asked, watch.progress), json.loads(json.dumps(request))
        )
        watch.told = 0.0
        watch()
        return answer

    monkeypatch.setattr(readings, "_ask", ask)
    monkeypatch.setattr(readings, "in_background", readings.do)


@pytest.fixture
def client() -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "rosa", "researcher", PASSWORD))
    return client


@pytest.fixture
def viewer() -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "vera", "viewer", PASSWORD))
    return client


def send(client: Client, path: str, status: int = 302, once: str = "k1", **fields):
    answer = client.post(path, {"once": once, **fields})
    assert answer.status_code == status, answer.content.decode()[-2500:]
    return answer if status == 302 else " ".join(answer.content.decode().split())


def file(text: str, name: str = "births.csv", encoding: str = "utf-8") -> io.BytesIO:
    made = io.BytesIO(text.encode(encoding))
    made.name = name
    return made


def given(client: Client, text: str = CSV, name: str = "births", **more) -> Dataset:
    send(client, "/data/add/", once=f"add-{name}", name=name, file=file(text), **more)
    return Dataset.objects.get(name=name)


def saved(client: Client) -> Dataset:
    row = given(client)
    send(client, f"/data/{row.pk}/save/", once="save")
    row.refresh_from_db()
    return row


# --- datasets ---


def test_without_a_dataset_the_page_names_the_next_act(client, viewer):
    text = said(client, "/data/")
    assert text.index("Stays in this hospital.") < text.index("No datasets yet.")
    assert 'href="/data/add/"' in text
    assert 'href="/data/add/"' not in said(viewer, "/data/")
    assert viewer.get("/data/add/").status_code == 403


def test_a_given_file_lies_in_the_home_and_is_described_before_it_is_saved(client, home, consortium):
    row = given(client, missing="NA, -9")
    assert row.state == "looked" and row.rows == 60 and row.missing == ["NA", "-9"]
    [kept] = home.sub("tables").iterdir()
    assert str(kept) == row.path and "births" not in kept.name
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and kept.read_text("utf-8") == CSV
    text = said(client, f"/data/{row.pk}/")
    assert "A file that was given here: births.csv" in text and "UTF-8 with a byte order mark" in text
    assert "separated by semicolons" in text and "Read with decimal commas" in text
    assert "Column “age” holds text in 1 row (60). Shown here only, never sent." in text
    assert f"“{NAME}”" in text and "Empty: there is no value in any row." in text
    assert "Save the dataset" in text
    with pytest.raises(ConflictError):
        actions.use_dataset(RESEARCHER, consortium.project, row)
    send(client, f"/data/{row.pk}/save/")
    assert "births is saved." in said(client, f"/data/{row.pk}/")


def test_a_viewer_reads_columns_and_counts_but_no_value_of_a_patient(client, viewer):
    row = saved(client)
    text = said(viewer, f"/data/{row.pk}/")
    assert "holds text in 1 row (60)" in text and '<td class="n">60</td>' in text
    assert NAME not in text and "m, w" not in text and "Remove this dataset" not in text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "", "file": CSV}, "Give the dataset a name."),
        ({"name": "births"}, "Choose a file, or say below where the table lies."),
        ({"name": "births", "file": ""}, "The file is empty."),
        ({"name": "births", "file": CSV, "where": "/data/x.csv"}, "Choose a file or give a place, not both."),
        ({"name": "births", "where": "oracle://host/db#t"}, "is not read"),
        ({"name": "births", "where": "postgresql://r:s3cr3t@h/d#t"}, "Leave the password out of the address"),
        ({"name": "births", "where": "postgresql://h/d#t", "password": "s3cr3t"}, "before the @"),
        ({"name": "births", "where": "postgresql://r@h/d"}, "Say which table or query"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(client, home, fields, sentence):
    for once in ("a", "b"):  # twice
        sent = {**fields, **({"file": file(fields["file"])} if "file" in fields else {})}
        text = send(client, "/data/add/", 400, once=once, missing="-9", **sent)
        assert sentence in text and "<title>Error:" in text and 'value="-9"' in text
        assert "s3cr3t" not in text
    assert not Dataset.objects.exists() and list(home.sub("tables").iterdir()) == []


def test_a_kind_that_is_never_read_is_refused_with_what_to_do(client, home):
    made = file("x", "table.sas7bdat")
    text = send(client, "/data/add/", 400, name="births", file=made)
    assert "a SAS file: write the table as CSV" in text
    assert list(home.sub("tables").iterdir()) == []


def test_a_file_beyond_the_limit_is_refused_with_the_way_round(client, settings_limit):
    text = send(client, "/data/add/", 400, name="births", file=file(CSV + " " * (4 << 20)))
    assert "The file is larger than 1 MiB. Put it on the Controller" in text


@pytest.fixture
def settings_limit(monkeypatch):
    from django.conf import settings

    monkeypatch.setattr(settings, "UPLOAD_BYTES", 1000)


def test_nobody_else_can_put_a_file_anywhere(viewer, home):
    assert viewer.post("/data/add/", {"once": "k", "name": "x", "file": file(CSV)}).status_code == 403
    assert Client(SERVER_NAME="localhost").post("/data/add/", {"file": file(CSV)}).status_code == 302
    assert Client(SERVER_NAME="localhost").post("/login/", {"file": file(CSV)}).status_code == 400
    assert list(home.sub("tables").iterdir()) == []


def test_sent_twice_it_is_added_once(client):
    first = send(client, "/data/add/", name="births", file=file(CSV))
    again = send(client, "/data/add/", name="births", file=file(CSV))
    assert first["Location"] == again["Location"] and Dataset.objects.count() == 1


def test_the_sites_own_folder_is_no_dataset(client, home):
    for where in (f"sqlite:///{home.database}#controller_person", str(home.sub("secret_key"))):
        text = send(client, "/data/add/", 400, name="own", where=where)
        assert "That lies in FriendlyFL&#x27;s own folder." in text
    with pytest.raises(UsageError):
        actions.add_dataset(ADMIN, "own", f"sqlite:///{home.database}#controller_person")


def test_a_password_is_kept_and_never_shown(client):
    where = "postgresql://reader@127.0.0.1:1/registry#patients"
    send(client, "/data/add/", name="registry", where=where, password="s3c r3t")
    row = Dataset.objects.get()
    assert row.path == "postgresql://reader:s3c%20r3t@127.0.0.1:1/registry#patients"
    text = said(client, f"/data/{row.pk}/")
    assert "cannot be reached" in text and "It was not changed, and nothing of it was kept." in text
    for secret in ("s3c", "r3t"):
        assert secret not in text and secret not in said(client, "/data/")
    assert "s3c" not in str(list(AuditLine.objects.values())) + str(list(Reading.objects.values()))


def test_corrections_are_kept_with_the_dataset_and_used_by_everything_that_reads(client, world):
    text = "code;day;weight\n" + "".join(f"0{n % 3};0{1 + n % 9}.02.2024;1.5\n" for n in range(30))
    row = given(client, text)
    kinds = {column["name"]: column["type"] for column in row.description["columns"]}
    assert kinds["day"] == "text"  # day and month cannot be told apart
    page = f"/data/{row.pk}/correct/"
    assert "Type of day" in said(client, page)
    send(
        client,
        page,
        once="c",
        missing="NA",
        separator=";",
        type_0="factor",
        type_1="date d.m.Y",
        missing_0="02",
    )
    row.refresh_from_db()
    assert row.corrections == {
        "types": {"code": "factor", "day": "date d.m.Y"}, "missing": {"code": ["02"]}, "separator": ";",
    }  # fmt: skip
    code, day, _ = row.description["columns"]
    assert day["type"] == "date" and day["low"] == "2024-02-01"
    assert code["values"] == [["00", 10], ["01", 10]] and code["missing"] == 10
    assert "corrected here" in said(client, f"/data/{row.pk}/")
    project = _project(
        client, row, {"day": {"type": "date"}, "code": {"type": "factor", "levels": ["00", "01"]}}
    )
    send(client, f"/projects/{project.pk}/mapping/try/", once="try")
    checked = said(client, f"/projects/{project.pk}/mapping/")
    assert "The mapped columns fit." in checked and "Fits: 20 values, 10 missing." in checked
    send(client, page, once="d", missing="", type_1="date m.d.Y")
    assert "The mapped columns fit." in said(client, f"/projects/{project.pk}/mapping/")


def test_a_correction_that_cannot_be_is_said_and_changes_nothing(client):
    row = saved(client)
    before = row.description
    send(client, f"/data/{row.pk}/correct/", once="c", type_0="integer")
    row.refresh_from_db()
    assert row.description == before and row.corrections == {}
    text = said(client, f"/data/{row.pk}/")
    assert "Column “age” holds text in 1 row (60)." in text and "what was read before still holds" in text
    send(client, f"/data/{row.pk}/correct/", 400, once="d", type_0="poetry")


def test_reading_is_followed_and_what_lost_its_process_is_read_again(client, monkeypatch):
    monkeypatch.setattr(readings, "in_background", lambda row: None)
    row = given(client)
    Reading.objects.update(share=0.43)
    text = said(client, f"/data/{row.pk}/")
    assert "The table is being read: 43 %." in text and "hx-get" in text and "Refresh" in text
    assert "43 %" in said(client, f"/data/{row.pk}/reading/") and "being read" in said(client, "/data/")
    assert "is being read just now" in send(client, f"/data/{row.pk}/again/", 409, once="x")
    Reading.objects.update(heard_at="2020-01-01T00:00:00Z")
    assert "Reading was interrupted" in said(client, f"/data/{row.pk}/")
    monkeypatch.setattr(readings, "in_background", readings.do)
    send(client, f"/data/{row.pk}/again/", once="y")
    fragment = said(client, f"/data/{row.pk}/reading/")
    assert "The table is read." in fragment and "hx-get" not in fragment


def test_what_breaks_is_logged_without_a_value(client, monkeypatch, home):
    def broken(request, watch):
        raise RuntimeError(NAME)

    monkeypatch.setattr(readings, "_ask", broken)
    monkeypatch.setattr(readings, "in_background", lambda row: readings._alone(row.pk))
    row = given(client)
    assert "Something went wrong while the table was read." in said(client, f"/data/{row.pk}/")
    assert NAME not in "".join(path.read_text() for path in home.sub("logs").iterdir())


def test_a_dataset_is_removed_after_asking_and_its_copy_with_it(client, consortium, home):
    row = saved(client)
    actions.use_dataset(RESEARCHER, consortium.project, row)
    text = said(client, f"/data/{row.pk}/remove/")
    assert "Remove births?" in text and "Ours" in text and "the copy that was given here is deleted" in text
    send(client, f"/data/{row.pk}/remove/")
    assert not Dataset.objects.exists() and list(home.sub("tables").iterdir()) == []
    assert consortium.project.dataset is None and "births is forgotten." in said(client, "/data/")


def test_a_dataset_that_serves_a_run_is_not_removed(client, study):
    study.ready()
    row = Dataset.objects.get()
    assert "under way" in send(client, f"/data/{row.pk}/remove/", 409)
    assert "under way" in send(client, f"/data/{row.pk}/correct/", 400, once="k2", missing="")


def test_a_dataset_is_chosen_for_a_project(client, study):
    row = saved(client)
    text = said(client, f"/data/{row.pk}/")
    assert "This dataset serves no project yet." in text and "Births" in text
    assert "Choose a project." in send(client, f"/data/{row.pk}/use/", 400, project="")
    answer = send(client, f"/data/{row.pk}/use/", once="k2", project=study.project.pk)
    assert answer["Location"] == f"/projects/{study.project.pk}/mapping/"
    assert "Births" in said(client, "/data/")


def test_a_table_is_read_in_a_child(client, tmp_path, monkeypatch):
    """The real way: a process of its own, and a page that is told how far it is."""
    monkeypatch.undo()
    started = time.monotonic()
    row = given(client)
    assert time.monotonic() - started < 1.5  # the page did not wait for it
    readings.settle()
    row.refresh_from_db()
    assert row.state == "looked" and row.rows == 60 and os.listdir(row.path.rsplit("/", 2)[0] + "/work") == []


# --- the dictionary ---


def _project(client, row, dictionary):
    actions.save_dataset(RESEARCHER, row)
    row.refresh_from_db()
    project = actions.create_project(RESEARCHER, "Ours", "What helps?")
    if dictionary:
        actions.set_dictionary(RESEARCHER, project, dictionary)
    actions.use_dataset(RESEARCHER, project, row)
    return project


@pytest.fixture
def ours(client, consortium):
    row = saved(client)
    actions.use_dataset(RESEARCHER, consortium.project, row)
    return consortium.project


def page(project, rest: str = "") -> str:
    return f"/projects/{project.pk}/dictionary/{rest}"


def test_columns_are_taken_over_without_what_only_few_patients_have(client, ours):
    text = said(client, page(ours))
    assert "No columns are agreed on yet." in text and "Nothing about a single patient belongs in it." in text
    row = ours.dataset
    answer = client.get(page(ours, "from/"), {"dataset": row.pk})
    assert answer["Location"] == page(ours, f"from/{row.pk}/")
    assert "sex" in said(client, page(ours, f"from/{row.pk}/"))
    assert "Choose at least one column." in send(client, page(ours, f"from/{row.pk}/"), 400)
    send(client, page(ours, f"from/{row.pk}/"), once="k2", columns=["0", "1", "2"])
    ours.refresh_from_db()
    assert ours.dictionary == {
        "age": {"type": "text"},  # a name stands in it, so it is no number here: a person decides
        "sex": {"type": "factor", "levels": ["m", "w"]},
        "bmi": {"type": "number", "range": [20, 30], "step": 0.1},
    }
    assert NAME not in json.dumps(ours.dictionary) and NAME not in said(client, page(ours))
    assert "Every column of this dataset" not in said(client, page(ours, f"from/{row.pk}/"))


@pytest.mark.parametrize(
    ("column", "entry"),
    [
        ({"type": "integer", "low": 17, "high": 89}, {"type": "integer", "range": [10, 90]}),
        ({"type": "integer", "low": 0, "high": 1}, {"type": "integer", "range": [0, 2]}),
        (
            {"type": "integer", "low": 0, "high": 1, "values": [["0", 9], ["1", 5]]},
            {"type": "integer", "range": [0, 1]},
        ),
        (
            {"type": "integer", "low": -3, "high": 7, "values": [["-3", 9], ["7", 1]]},
            {"type": "integer", "range": [-3, 8]},
        ),
        (
            {"type": "number", "low": 0.013, "high": 104.2, "decimals": 3},
            {"type": "number", "range": [0.01, 200], "step": 0.001},
        ),
        ({"type": "factor", "values": [["a", 5], ["rare", 4]]}, {"type": "factor", "levels": ["a"]}),
        ({"type": "factor", "values": [["rare", 4]]}, {"type": "text"}),
        ({"type": "date", "low": "1931-02-03", "high": "2024-01-01"}, {"type": "date"}),
        ({"type": "empty"}, {"type": "text"}),
    ],
)  # fmt: skip
def test_a_guess_for_all_hospitals_says_nothing_of_single_patients(column, entry):
    from friendlyfl.controller.actions.dictionary import guessed

    assert guessed(column) == entry


def test_a_column_is_added_changed_and_removed(client, ours):
    fields = {"name": "age", "label": "Age", "type": "integer", "unit": "years", "low": "0", "high": "120"}
    assert "Give the column a name." in send(client, page(ours, "add/"), 400, **{**fields, "name": ""})
    text = send(client, page(ours, "add/"), 400, once="k2", name="sex", type="factor", label="Sex")
    assert "Name the categories, one a line." in text and 'value="Sex"' in text
    assert "Write a number" in send(client, page(ours, "add/"), 400, once="k3", **{**fields, "low": "none"})
    send(client, page(ours, "add/"), once="k4", **fields)
    send(client, page(ours, "add/"), once="k5", name="sex", type="factor", levels="w\nm\n")
    assert "a column called age already" in send(client, page(ours, "add/"), 400, once="k6", **fields)
    assert 'value="120"' in said(client, page(ours, "0/"))
    send(client, page(ours, "0/"), once="k7", was="age", **{**fields, "name": "age_years", "high": "110"})
    ours.refresh_from_db()
    assert list(ours.dictionary) == ["age_years", "sex"] and ours.dictionary["age_years"]["range"] == [0, 110]
    assert "Open the column again" in send(client, page(ours, "1/"), 409, once="k8", was="other", **fields)
    assert "Remove sex?" in said(client, page(ours, "1/remove/"))
    send(client, page(ours, "1/remove/"), once="k9", was="sex")
    send(client, page(ours, "0/remove/"), once="k10", was="age_years")
    ours.refresh_from_db()
    assert ours.dictionary == {} and client.get(page(ours, "0/")).status_code == 404


def test_a_participant_reads_what_is_not_mapped_first_and_changes_nothing(client, study):
    assert "it comes here with the plan" in said(client, page(study.project))
    study.propose(dictionary={**DICTIONARY, "weight": {"type": "number", "unit": "kg"}})
    choose_dataset(study.project)
    text = said(client, page(study.project))
    assert "One column has nothing of this hospital yet." in text and "Only the coordinator changes" in text
    assert text.index(">weight<") < text.index(">age<") and text.count("Not mapped") == 1
    for rest in ("add/", "0/", "0/remove/", "from/1/"):
        assert client.get(page(study.project, rest)).status_code == 404
        assert client.post(page(study.project, rest), {"once": rest, "name": "x"}).status_code == 404
    for path in (page(study.project), f"/projects/{study.project.pk}/mapping/", "/data/"):
        for other in study.others:
            assert other.name not in said(client, path) and other.uid not in said(client, path)


# --- the mapping ---


@pytest.fixture
def asked(client, study):
    """A plan from Northfield, and a table here that calls things otherwise."""
    text = "alter,geschlecht,weight_lb,born,in\n" + "".join(
        f"{30 + n},{'wm'[n % 2]},{100 + n},1960-03-0{1 + n % 9},2020-03-05\n" for n in range(40)
    )
    row = given(client, text)
    actions.save_dataset(RESEARCHER, row)
    study.propose(
        dictionary={
            "age": {"type": "integer", "range": [0, 120]},
            "sex": {"type": "factor", "levels": ["female", "male"]},
            "weight": {"type": "number", "unit": "kg", "range": [20, 300]},
        },
    )
    actions.use_dataset(RESEARCHER, study.project, Dataset.objects.get(pk=row.pk))
    return study.project


def mapping(project, rest: str = "") -> str:
    return f"/projects/{project.pk}/mapping/{rest}"


def test_columns_are_mapped_one_by_one_and_each_is_a_version(client, asked):
    assert "3 columns are not mapped yet." in said(client, mapping(asked))
    assert "Which column here is “age”?" in said(client, mapping(asked, "0/"))
    send(client, mapping(asked, "0/"), once="a", was="age", column="born", derive="years_between", to="in")
    text = send(client, mapping(asked, "1/"), 200, once="b", was="sex", column="geschlecht")
    assert "What the values of geschlecht mean" in text and "“w” (in 20 rows)" in text
    assert Mapping.objects.count() == 1  # not kept before its values were looked at
    sex = {"was": "sex", "column": "geschlecht", "shown": "geschlecht"}
    text = send(client, mapping(asked, "1/"), 400, once="c", **sex, recode_0="1")
    assert "Choose a category for “w”, or no value." in text
    send(client, mapping(asked, "1/"), once="d", **sex, recode_0="1", recode_1="0")
    weight = {"was": "weight", "column": "weight_lb", "factor": "0,4536"}
    assert "Write a whole number" in send(
        client, mapping(asked, "2/"), 400, once="e", **weight, decimals="1.5"
    )
    send(client, mapping(asked, "2/"), once="f", **weight, decimals="1")
    row = asked.mappings.last()
    assert row.version == 3 and row.mapping["columns"] == {
        "age": {"column": "born", "derive": "years_between", "to": "in"},
        "sex": {"column": "geschlecht", "recode": {"m": "male", "w": "female"}},
        "weight": {"column": "weight_lb", "factor": 0.4536, "offset": 0.0, "decimals": 1},
    }
    text = said(client, mapping(asked))
    assert "whole years from “born” to “in”" in text and "recoded (m → male, w → female)" in text
    assert "times 0.4536, rounded to 1 decimals" in text and "This is version 3" in text
    send(client, mapping(asked, "try/"), once="g")
    assert said(client, mapping(asked)).count("Fits: 40 values, 0 missing.") == 3
    bound = {"was": "age", "column": "alter", "derive": "at_least"}
    assert "Write the bound" in send(client, mapping(asked, "0/"), 400, once="i", **bound)
    send(client, mapping(asked, "0/"), once="j", was="age", column="")
    text = said(client, mapping(asked))
    assert "The mapping was changed since the last check." in text and "One column is not mapped yet." in text


def test_what_does_not_fit_is_said_with_its_rows_and_shown_here_only(client, viewer, study):
    row = saved(client)
    study.propose(dictionary={"age": {"type": "integer"}, "sex": {"type": "factor", "levels": ["W", "M"]}})
    actions.use_dataset(RESEARCHER, study.project, row)
    page = f"/projects/{study.project.pk}/mapping/"
    assert "“sex”, recoded (m → M, w → W)" in said(client, page)  # by name, capitals aside
    before = Departure.objects.count()
    send(client, page + "try/")
    text = said(client, page)
    assert "One column does not fit." in text and f"“{NAME}” in row 60" in text
    assert Departure.objects.count() == before
    assert NAME not in said(viewer, page) and NAME not in said(client, "/") + said(client, "/data/")
    assert mappings.unmapped(study.project, {"age": {}, "other": {}}) == ["other"]


def test_nothing_is_checked_before_a_dataset_is_chosen(client, study):
    study.propose()
    page = f"/projects/{study.project.pk}/mapping/"
    assert "Choose the dataset that serves this project first." in said(client, page)
    assert "Choose the dataset that serves Births first." in send(client, page + "try/", 409)
    assert client.get(page + "0/").status_code == 409 and client.get(page + "9/").status_code == 404


def test_each_page_asks_the_database_a_fixed_number_of_times(client, ours):
    send(client, page(ours, f"from/{ours.dataset.pk}/"), once="take", columns=["0", "1", "2", "3"])
    send(client, f"/projects/{ours.pk}/mapping/try/", once="try")
    for number in range(30):
        Dataset.objects.create(name=f"more {number}", path=f"/x/{number}.csv", rows=1, digest="")
    dataset = f"/data/{ours.dataset.pk}/"
    for path in (
        "/data/", dataset, dataset + "correct/", page(ours), page(ours, "0/"), f"/projects/{ours.pk}/mapping/",
        f"/projects/{ours.pk}/mapping/0/", f"/projects/{ours.pk}/mapping/check/",
    ):  # fmt: skip
        said(client, path)
        with CaptureQueriesContext(connection) as asked:
            said(client, path)
        reads = [query["sql"][:120] for query in asked if query["sql"].startswith("SELECT")]
        assert len(reads) <= 12, (path, reads)

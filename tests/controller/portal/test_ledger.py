"""The ledger's pages: lines, their numbers, files, the check of the chain, and how they do with 100,000 lines."""

import asyncio
import csv
import io
import json
import time

import numpy as np
import pytest
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext, override_settings

from friendlyfl.controller import chain, contents, departed, here, ledger, runs
from friendlyfl.controller.models import Departure
from friendlyfl.core import seat as core_seat
from friendlyfl.wire import canonical
from friendlyfl.wire.codec import encode
from friendlyfl.wire.keys import verify
from friendlyfl.wire.update import Update
from tests.controller.portal.test_requests import signed_in
from tests.controller.world import Study

NUMBERS = {
    "n": np.array([0.0, 30.0, 0.0]),
    ".hidden:n": np.array([1.0, 0.0, 1.0]),
    "information": np.arange(60.0).reshape(3, 20) + 1 / 3,
    ".used": np.array(60.0),
}


@pytest.fixture
def viewer() -> Client:
    return signed_in("viewer")


@pytest.fixture
def sent(study: Study) -> Study:
    """A run whose first round was sent, and then a refusal."""
    run = study.ready()
    assert study.state(run).receive().state == "taken"
    digest = contents.keep(Update.of([NUMBERS]).to_bytes())
    facts = {"what": "Totals over this hospital's rows (n, information)", "numbers": 67, "rows": 60}
    facts["rules"] = "rows 20, cell 5"
    runs.job_done(study.job("local"), runs.SEAT, core_seat.UpdateMade(1, 1, digest, 3.0), facts)
    assert study.state(run, 2).receive().state == "taken"
    runs.job_done(study.job("local", round=2), runs.SEAT, core_seat.Refused(1, 2, "refused_cell", 4.0))
    return study


def fill(study: Study, count: int) -> None:
    """Lines in a good chain, quickly."""
    before, rows = ledger.FIRST, []
    for n in range(1, count + 1):
        row = Departure(
            n=n,
            at=f"2026-{1 + n * 11 // (count + 1):02}-{1 + n % 28:02}T10:00:00.000+00:00",
            project=study.uid if n % 10 else "other",
            type="progress",
            to=[study.coordinator.uid],
            what="Progress: 10% of this hospital's part of the round is done",
            bytes=300,
            before=before,
        )
        row.hash = before = ledger.line_hash(row)
        rows.append(row)
    Departure.objects.bulk_create(rows, batch_size=5000)


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_an_empty_ledger_says_so(viewer):
    said = read(viewer, "/ledger/")
    assert "Nothing has ever left this hospital." in said and "Check the chain" not in said


def test_each_line_says_when_to_whom_what_and_how_much(viewer, sent):
    said = read(viewer, "/ledger/")
    assert "4 messages left since" in said
    for words in (
        "Approval of the plan, by adam", "This hospital is ready; its key for this run", "Totals over", ">67<",
        "Northfield", "Births", "Run 1, step 1, round 1", "at least 20 patients, groups of at least 5",
        Departure.objects.last().hash[:8],
        '<span class="tag wait">Nothing was sent</span> Refused by the hospital&#x27;s rule',
    ):  # fmt: skip
        assert words in said, words
    for other in sent.others:
        assert other.name not in said and other.uid not in said


def test_a_line_says_whose_exception_it_left_by(viewer):
    rules = "rows 10, cell 5, exception to rows by maria weber until 2027-03-31"
    Departure.objects.create(n=1, at="2026-01-05T10:00:00.000+00:00", what="Totals", rules=rules, hash="y")
    said = read(viewer, "/ledger/")
    assert "groups of at least 5, “rows” loosened by an exception of maria weber until 2027-03-31" in said


def test_lines_of_a_project_and_of_some_days(viewer, sent):
    fill_from = Departure.objects.get(type="update").at[:10]
    Departure.objects.create(n=99, at="2020-01-05T23:59:59.999+00:00", project="x", what="Long ago", hash="y")
    assert "1 message in this choice." in read(viewer, "/ledger/?since=2020-01-05&until=2020-01-05")
    assert "Long ago" not in read(viewer, f"/ledger/?project={sent.uid}")
    said = read(viewer, f"/ledger/?project={sent.uid}&since={fill_from}&until={fill_from}")
    assert "4 messages in this choice." in said and f"?project={sent.uid}&amp;since=" in said
    assert "Nothing left in this choice." in read(viewer, "/ledger/?until=2019-01-01")
    for wrong in ("since=soon", "until=2020-13-01", "project=nowhere"):
        answer = viewer.get(f"/ledger/?{wrong}")
        assert answer.status_code == 400 and "There is a problem" in answer.content.decode()
    assert "Long ago" in read(viewer, "/ledger/?until=9999-12-31")


def test_a_line_in_full_and_for_a_site_admin_its_numbers(viewer, sent):
    line = Departure.objects.get(type="update")
    said = read(viewer, f"/ledger/{line.n}/")
    assert line.hash in said and line.plain_sha256 in said and "over 60 rows" in said and "adam, " in said
    assert "A site-admin of this hospital can open them." in said and "fewer than 5" not in said
    admin = signed_in("site-admin")
    said = read(admin, f"/ledger/{line.n}/")
    assert "<code>information</code>" in said and "0.333333333333333" in said and "fewer than 5" in said
    assert "The first rows of 3 × 20." in said and "Patients used" in said
    contents.forget([line.plain_sha256])
    assert "no longer kept here" in read(admin, f"/ledger/{line.n}/")
    assert viewer.get("/ledger/999/").status_code == 404
    for other in sent.others:
        assert other.name not in said and other.uid not in said


def test_contents_that_are_no_update_are_shown_as_values(study):
    content = encode({"step": 1, "inner": {"beta": np.zeros((2, 2, 2)), "word": "so far"}, "list": [1, 2]})
    line = Departure(type="state", plain_sha256=contents.keep(content))
    opened = departed.opened(line)
    assert dict(opened.values) == {"step": "1", "inner.word": "so far", "list": "[1, 2]"}
    assert [(array.name, array.shape, len(array.rows)) for array in opened.numbers] == [
        ("inner.beta", (2, 2, 2), 4)
    ]
    assert departed.opened(Departure(type="update", plain_sha256=contents.keep(b"not numbers"))) is None
    assert departed.opened(Departure(type="update", plain_sha256="f" * 64)) is None


# --- files ---


def test_the_csv_has_every_line_and_nothing_a_spreadsheet_would_compute(viewer, sent):
    Departure.objects.create(
        n=50, at="2030-01-01T00:00:00+00:00", what="=1+1", rules="@x", approval="-2", hash="h"
    )
    answer = viewer.get("/ledger/ledger.csv")
    assert answer["Content-Type"].startswith("text/csv") and "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [int(row["n"]) for row in rows] == list(Departure.objects.values_list("n", flat=True))
    assert rows[0]["hash"] == Departure.objects.first().hash and rows[0]["to"] == sent.coordinator.uid
    assert (rows[-1]["what"], rows[-1]["rules"], rows[-1]["approval"]) == ("'=1+1", "'@x", "'-2")
    some = viewer.get(f"/ledger/ledger.csv?project={sent.uid}").getvalue().decode()
    assert len(some.splitlines()) == len(rows)  # a head, and one line less
    assert viewer.get("/ledger/ledger.csv?since=soon").status_code == 302


def test_the_json_is_signed_at_its_end(viewer, sent):
    whole = json.loads(viewer.get("/ledger/ledger.json").getvalue())
    assert len(whole["lines"]) == Departure.objects.count() == whole["end"]["n"]
    before = ledger.FIRST
    for line in whole["lines"]:
        assert line["before"] == before
        before = canonical.digest("departure", canonical.dumps({name: line[name] for name in ledger.HASHED}))
        assert before == line["hash"]
    assert whole["end"] == {"site": here.site(), "n": len(whole["lines"]), "hash": before}
    public = canonical.unb64(whole["public_key"])
    verify(public, departed.SIGNED, canonical.dumps(whole["end"]), canonical.unb64(whole["signature"]))
    assert whole["fingerprint"] == here.keys().identity.fingerprint == canonical.digest("id", public)


def test_an_empty_ledger_is_a_file_too(viewer):
    assert json.loads(viewer.get("/ledger/ledger.json").getvalue())["lines"] == []
    assert len(viewer.get("/ledger/ledger.csv").getvalue().splitlines()) == 1


def test_a_long_file_is_made_part_by_part_as_the_controller_serves_it(study, monkeypatch):
    monkeypatch.setattr(departed, "BATCH", 100)
    fill(study, 350)
    client = AsyncClient()
    client.cookies = signed_in("viewer").cookies

    async def parts() -> list[bytes]:
        answer = await client.get("/ledger/ledger.csv")
        return [part async for part in answer.streaming_content]

    with override_settings(ALLOWED_HOSTS=["testserver"]):
        found = asyncio.run(parts())
    assert len(found) == 5 and len(b"".join(found).splitlines()) == 351


# --- the chain ---


def check(client: Client) -> str:
    answer = client.post("/ledger/check/", {"once": str(time.monotonic())})
    assert answer["Location"] == "/ledger/check/"
    while not chain.last().done:
        read(client, "/ledger/check/")
        time.sleep(0.01)
    return read(client, "/ledger/check/")


def test_the_chain_is_computed_again(viewer, sent):
    assert "Not checked yet" in read(viewer, "/ledger/check/")
    said = check(viewer)
    assert (
        "Unbroken" in said and "All 4 lines were checked." in said and Departure.objects.last().hash in said
    )
    assert "The last check found 4 lines, unbroken." in read(viewer, "/ledger/")
    Departure.objects.filter(n=2).update(numbers=7)
    said = check(viewer)
    assert "Broken" in said and "Line 2: it was changed after it was written." in said
    assert "The last check found a break." in read(viewer, "/ledger/")
    Departure.objects.filter(n=2).delete()
    assert "Line 3: lines 2 to 2 are missing." in check(viewer)
    part = viewer.get("/ledger/check/", headers={"HX-Request": "true"}).content.decode()
    assert "<h1>" not in part and "hx-get" not in part  # done: it is not asked again


# --- many lines ---


@pytest.mark.parametrize("lines", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_lines_take_few_questions(viewer, study, lines):
    fill(study, lines)
    for path in (
        "/ledger/",
        f"/ledger/?page={lines // 60}",
        f"/ledger/?project={study.uid}&since=2026-03-01",
        "/ledger/7/",
    ):
        viewer.get(path)
        with CaptureQueriesContext(connection) as queries:
            begun = time.perf_counter()
            answer = viewer.get(path)
            took = time.perf_counter() - begun
        reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        print(path, f"{took * 1000:.0f} ms", len(reads), len(answer.content))
        assert len(reads) <= 12, reads
        assert len(answer.content) < 60_000
    assert f"{lines} messages left since" in read(viewer, "/ledger/").replace(",", "")

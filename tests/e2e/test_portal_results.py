"""Interaction 8 on real processes: read and take away. The numbers are those of one table with everybody's rows."""

import csv
import io
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from friendlyfl import datasets
from tests.e2e.house import STUDY, House


def pooled() -> tuple[dict[str, tuple[float, float, float]], Any]:
    """Odds ratios and their limits by statsmodels, from all rows in one table."""
    import pandas as pd
    import statsmodels.api as sm

    rows = pd.concat(datasets.load("randhie").values(), ignore_index=True)
    used = rows[["visited", "age", "female"]].dropna().astype(float)
    fit = sm.Logit(used["visited"], sm.add_constant(used[["age", "female"]])).fit(
        disp=0, method="newton", tol=1e-14
    )
    limits = fit.conf_int()
    return {
        name: (math.exp(fit.params[name]), math.exp(limits[0][name]), math.exp(limits[1][name]))
        for name in ("age", "female")
    }, rows


def table(page: Any, step: int, caption: str) -> list[list[str]]:
    """The cells of a table by its caption."""
    found = page.locator(f"#step-{step} table", has=page.locator("caption", has_text=caption)).first
    rows: list[list[str]] = found.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => Array.from(row.cells).map(cell => cell.textContent.trim()))"
    )
    return rows


def downloaded(page: Any, click: Callable[[], Any]) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_read_and_take_away(house: House, desk: Callable[..., Any]) -> None:
    assert house.reference
    [(pk,)] = house.marys.ask(
        "SELECT r.id FROM controller_run r JOIN controller_project p ON p.id = r.project_id"
        " WHERE p.name = ? AND r.state = 'succeeded' ORDER BY r.id LIMIT 1",
        STUDY,
    )
    page = desk(house.marys, role="researcher")
    page.goto(f"/runs/{pk}/results/")
    odds, everybody = pooled()

    # the numbers of the page, to all digits shown
    for row, name in zip(table(page, 2, "odds ratios"), ("age", "female"), strict=True):
        ratio, lower, upper = (f"{value:.2f}" for value in odds[name])
        assert row[1:3] == [ratio, f"{lower} to {upper}"], row
    lead = page.locator("#step-2 .found").inner_text()
    ratio, lower, upper = (f"{value:.2f}" for value in odds["age"])
    assert f"{ratio} times the odds" in lead and f"(95% CI {lower} to {upper})" in lead
    ages = everybody["age"].dropna().astype(float)
    [age] = [row for row in table(page, 1, "Who the patients are") if row[0].endswith("mean (SD)")][:1]
    shown = re.fullmatch(r"([\d.]+) \(([\d.]+)\)", age[1])
    assert shown is not None
    for text, value in zip(shown.groups(), (ages.mean(), ages.std()), strict=True):
        assert text == f"{value:.{len(text.partition('.')[2])}f}"

    # files
    name, content = downloaded(page, page.locator("#step-2").get_by_role("link", name="factors (CSV)").click)
    assert name == "who-sees-a-doctor-run-1-step-2-coefficients.csv"
    rows = {row["term"]: row for row in csv.DictReader(io.StringIO(content.decode()))}
    for term, numbers in odds.items():
        for key, value in zip(("estimate", "ci_lower", "ci_upper"), numbers, strict=True):
            assert math.exp(float(rows[term][key])) == pytest.approx(value, rel=1e-9)
    name, content = downloaded(page, page.get_by_role("link", name="Download the publication pack").click)
    assert name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(content)) as pack:
        inside = set(pack.namelist())
        approvals = pack.read("plan/approvals.csv").decode()
    for step in ("step-1-table_one", "step-2-logistic_regression"):
        own = {path.removeprefix(f"{step}/") for path in inside if path.startswith(step)}
        assert {"methods.md", "patients.csv", "software.csv", "result.json"} <= own
        assert {"reproduce/analysis.R", "reproduce/analysis.py", "reproduce/simulate.sh"} <= own
        assert any(path.startswith("tables/") for path in own)
    figures = [path for path in inside if path.startswith("step-2-logistic_regression/figures/")]
    assert {path.rpartition(".")[2] for path in figures} == {"svg", "pdf", "csv"}
    assert {"dictionary.json", "plan/plan.json", "plan/plan.sha256", "README.txt"} <= inside
    assert all(site.name in approvals for site in (house.north, house.lake))

    # paper: sentence, table, figure, footnotes, and whose page it is
    assert page.evaluate(DRAWN)
    page.emulate_media(media="print")
    printed = page.locator("main").inner_text()
    for words in (lead, "odds ratios", "n = 3,1", "SHA-256", "How this was computed", STUDY):
        assert words in printed, words
    assert "Download" not in printed
    assert b"/Image" in (paper := page.pdf()) or b"/Form" in paper
    assert paper.count(b"/Type /Page") >= 3

    # a hospital that takes part reads the same, and of no other hospital
    shared = house.wait(
        "the Result",
        lambda: house.north.ask(
            "SELECT r.id FROM controller_run r JOIN controller_project p ON p.id = r.project_id"
            " WHERE p.name = ? AND r.state = 'succeeded' ORDER BY r.id LIMIT 1",
            STUDY,
        ),
    )
    there = desk(house.north, role="viewer")
    there.goto(f"/runs/{shared[0][0]}/results/")
    assert there.locator("#step-2 .found").inner_text() == lead
    assert "Lakeside" not in there.content() and house.lake.uid not in there.content()


DRAWN = "() => Array.from(document.images).every(image => image.complete && image.naturalWidth > 100)"

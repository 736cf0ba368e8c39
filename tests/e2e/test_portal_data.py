"""Adding a dataset at the portal: tables as hospitals save them, long ones, and a patient's name that stays there."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.testing.canaries import scan
from tests.e2e.house import House

PATIENT = "Zebedee Quillfeather"  # stands where an age should
PROJECT = "Weights at home"
ROWS = 1_000_000


def saved_by_excel(path: Path) -> Path:
    """A byte order mark, semicolons, decimal commas, an empty column, and a name in a column of numbers."""
    rows = "".join(f"{20 + n % 60};{'wm'[n % 2]};{60 + n % 30},{n % 10};\r\n" for n in range(200))
    path.write_bytes(f"\ufeffage;Sex;Weight kg;Remark\r\n{rows}{PATIENT};w;71,5;\r\n".encode())
    return path


def in_latin_1(path: Path) -> Path:
    rows = "".join(f"{n}\t{('Münster', 'Köln')[n % 2]}\r\n" for n in range(50))
    path.write_bytes(f"Nummer\tStraße\r\n{rows}".encode("latin-1"))
    return path


@pytest.fixture
def marys(house: House, desk: Callable[..., Any]) -> Any:
    """St Mary's portal, and every address that its browser asks for."""
    page = desk(house.marys, role="researcher")
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    return page


@pytest.fixture
def project(house: House) -> Iterator[None]:
    house.marys.run("project", "create", PROJECT)
    yield
    house.marys.run("project", "close", "-p", PROJECT, "--yes")


def add(page: Any, name: str, path: Path) -> None:
    page.goto("/data/add/")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Choose a file").set_input_files(path)
    page.get_by_role("button", name="Read the table").click()
    page.get_by_role("heading", name=name).wait_for()


def read(page: Any) -> None:
    """Wait where a person waits, until the table is read."""
    page.locator("#reading[hx-get]").wait_for(state="detached", timeout=90_000)
    if page.get_by_role("link", name="See what was found").count():
        page.get_by_role("link", name="See what was found").click()
    page.get_by_role("heading", name="Columns").wait_for()


def read_again(page: Any) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Read the table again").click()
    read(page)


def line(page: Any, name: str) -> str:
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    return " ".join(row.inner_text().split())


def test_a_dataset_from_the_file_to_the_mapping(
    house: House, marys: Any, project: None, tmp_path: Path
) -> None:
    page, seen = marys, []
    add(page, "At home", saved_by_excel(tmp_path / f"{PATIENT}.csv"))
    read(page)
    text = page.inner_text("main")
    assert "UTF-8 with a byte order mark" in text and "separated by semicolons" in text
    assert line(page, "Weight kg").startswith("Weight kg number 201 0 60 to 89.9")
    assert line(page, "Remark").startswith("Remark empty 0 201")
    assert "Column “age” holds text in 1 row (201). Shown here only, never sent." in line(page, "age")
    assert PATIENT in line(page, "age")

    # a wrong correction is said and changes nothing; the right one is kept
    page.get_by_role("link", name="Correct what was guessed").click()
    page.get_by_label("Type of age").select_option("whole number")
    read_again(page)
    assert "The table could not be read so." in page.inner_text("main")
    assert "Column “age” holds text in 1 row (201)." in page.inner_text("main")
    page.get_by_role("link", name="Correct what was guessed").click()
    page.get_by_label("Type of age").select_option("whole number")
    page.get_by_label("Codes for “no value” in age").fill(PATIENT)
    read_again(page)
    assert line(page, "age").startswith("age whole number corrected here 200 1 20 to 79")
    page.get_by_role("button", name="Save the dataset").click()
    dataset = page.url

    # the dictionary with a click, this hospital's columns onto it, and a check
    page.get_by_label("Project").select_option(PROJECT)
    page.get_by_role("button", name="Use for this project").click()
    page.get_by_role("heading", name="This hospital's columns").wait_for()
    mapping = page.url
    page.goto(mapping.replace("mapping", "dictionary"))
    page.get_by_label("From a dataset of this hospital").select_option("At home")
    page.get_by_role("button", name="Choose columns").click()
    for name in ("age", "Sex", "Weight kg"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Add the chosen columns").click()
    assert line(page, "age").startswith("age whole number 10 to 80 Mapped")
    page.get_by_role("link", name="Change Sex").click()
    page.get_by_label("Categories (categories only)").fill("female\nmale")
    page.get_by_role("button", name="Save the column").click()
    seen.append(page.content())
    page.get_by_role("link", name="Map this hospital's columns").click()
    page.get_by_role("link", name="Change Sex").click()
    page.get_by_label("“w” (in 101 rows)").select_option("female")
    page.get_by_label("“m” (in 100 rows)").select_option("male")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Check the data").click()
    page.get_by_text("The mapped columns fit.").wait_for(timeout=60_000)
    page.goto(mapping)
    assert "✓ Fits Fits: 200 values, 1 missing." in line(page, "age")
    assert "recoded (m → male, w → female)" in line(page, "Sex")

    # the patient is on the dataset's own pages and nowhere else
    for path in ("/", "/inbox/", "/data/", "/data/add/", "/projects/", "/ledger/", mapping, "/help/"):
        page.goto(path)
        seen.append(page.content())
    assert not [place for place in seen if PATIENT in place or "Quillfeather" in place]
    assert not [url for url in page.asked if "uillfeather" in url]
    logs = [house.marys.process.log, *(house.marys.home / "logs").iterdir()]
    found, files, _ = scan(
        [*logs, house.router_home, house.router.log, house.north.home], {"a patient": PATIENT}
    )
    assert found == [] and files > 5

    page.goto(dataset)
    page.get_by_role("link", name="Remove this dataset").click()
    page.get_by_role("button", name="Remove the dataset").click()
    page.get_by_text("At home is forgotten.").wait_for()
    assert list((house.marys.home / "tables").iterdir()) == []


@pytest.mark.slow
def test_a_long_table_shows_how_far_it_is_and_other_letters_are_read(
    house: House, marys: Any, tmp_path: Path
) -> None:
    page, path = marys, tmp_path / "long.csv"
    block = "".join(f"{n},{n % 2},{n % 97 / 10},{n % 31}.5,{'ABC'[n % 3]}\n" for n in range(1000))
    path.write_text("patient,died,lactate,height,ward\n" + block * (ROWS // 1000))
    started = time.monotonic()
    add(page, "Long", path)
    assert time.monotonic() - started < 10
    shares: list[int] = []
    while "The table is being read" in (text := page.request.get(f"{page.url}reading/").text()):
        shares += [int(share) for share in re.findall(r"read: (\d+) %", text)]
        asked = time.monotonic()
        assert page.request.get("/data/").status == 200  # pages answer meanwhile
        assert time.monotonic() - asked < 5
        page.wait_for_timeout(300)
    assert shares == sorted(shares) and any(0 < share < 100 for share in shares), shares
    read(page)
    assert "1,000,000 rows, 5 columns" in page.inner_text("main")
    assert line(page, "lactate").startswith("lactate number 1,000,000 0 0 to 9.6")
    add(page, "Streets", in_latin_1(tmp_path / "streets.txt"))
    read(page)
    assert "Windows-1252, 2 columns separated by tabs" in page.inner_text("main")
    assert line(page, "Straße").startswith("Straße categories 50 0 Köln, Münster")
    for name in ("Long", "Streets"):
        house.marys.run("dataset", "remove", name)
    assert list((house.marys.home / "tables").iterdir()) == []

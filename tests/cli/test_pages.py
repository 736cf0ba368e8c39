"""What the pages say about a hospital's side is what the programs do."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.mapping import Mapping, apply
from friendlyfl.tasks.source import read_csv
from tests.cli.keyboard import type_here
from tests.cli.test_words import EVERY

ROOT = Path(__file__).resolve().parents[2]
SITE = (ROOT / "docs" / "it-guide.md").read_text("utf-8")
DATA = (ROOT / "docs" / "data.md").read_text("utf-8")
PAGES = [
    SITE,
    DATA,
    *((ROOT / "docs" / name).read_text("utf-8") for name in ("operations.md", "quick-start.md")),
    (ROOT / "README.md").read_text("utf-8"),
]


def test_every_command_and_option_on_the_pages_exists() -> None:
    seen = 0
    for line in re.findall(r"friendlyfl (?=[a-z])([^`\n\"|]+)", "\n".join(PAGES)):
        words = tuple(re.split(r"[.,;:)]?\s+", line.strip()))
        known = max((path for path in EVERY if words[: len(path)] == path), key=len)
        if not known:
            continue
        seen += 1
        assert not type_here(*known, "--help").out.count("COMMAND [ARGS]") or len(known) == 1, line
        options = set(re.findall(r"(?<= )--?[a-z][a-z-]*", line))
        told = type_here(*known, "--help").out
        assert all(re.search(rf"{option}\b", told) for option in options), line
    assert seen > 30


def test_the_mapping_of_the_page_maps(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```", DATA, re.MULTILINE | re.DOTALL)
    table = tmp_path / "patients.csv"
    table.write_text(
        "birth_date;admitted;Geschlecht;weight_lb;temperature\n"
        "1960-05-01;2024-04-30;w;150;38,2\n"
        "1985-12-24;2024-12-24;m;200,5;37,1\n"
        "2000-02-29;2024-02-29;w;;-9\n"
    )
    dictionary = Dictionary.parse(
        {
            "age": {"type": "integer", "unit": "years", "range": [0, 120]},
            "female": {"type": "integer", "range": [0, 1]},
            "weight": {"type": "number", "unit": "kg"},
            "fever": {"type": "integer", "range": [0, 1]},
        }
    )
    mapped = apply(Mapping.from_json(json.loads(block)), read_csv(table).frame, dictionary)
    assert mapped["age"].tolist() == [63, 39, 24]
    assert mapped["female"].tolist() == [1, 0, 1]
    assert mapped["weight"].tolist()[:2] == [68.0, 90.9] and mapped["weight"].isna().tolist()[2]
    assert mapped["fever"].tolist()[:2] == [1, 0] and mapped["fever"].isna().tolist()[2]


def test_settings_of_a_site_on_the_page_are_those_that_are_read() -> None:
    source = "".join(
        (ROOT / "friendlyfl" / "controller" / name).read_text("utf-8") for name in ("settings.py", "home.py")
    )
    read = set(re.findall(r'os\.environ\.get\("([A-Z_]+)"', source)) - {"XDG_DATA_HOME", "LOCALAPPDATA"}
    told = set(re.findall(r"^\| `([A-Z_]+)`", SITE, re.MULTILINE))
    assert told == read - {"FRIENDLYFL_PORTAL_PORT"}  # which `controller start` sets itself


def test_folders_on_the_page_are_those_that_are_made() -> None:
    from friendlyfl.controller.home import FOLDERS

    table = SITE.split("| in the folder | holds |")[1].split("\n\n")[0]
    assert {name for name in FOLDERS if f"`{name}/" in table} == set(FOLDERS)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_the_service_on_the_page_is_one(tmp_path: Path) -> None:
    (unit,) = re.findall(r"^```ini\n(.*?)^```", SITE, re.MULTILINE | re.DOTALL)
    program = shutil.which("true")
    path = tmp_path / "friendlyfl.service"
    path.write_text(unit.replace("/opt/friendlyfl/.venv/bin/friendlyfl", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert not [line for line in done.stderr.splitlines() if "friendlyfl.service" in line], done.stderr

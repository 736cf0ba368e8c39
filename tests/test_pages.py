"""The code on the documentation's pages runs, and prints what the page says it prints."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from friendlyfl.tasks.mapping import Mapping

DOCS = Path(__file__).resolve().parent.parent / "docs"
RUNNABLE = ("task-author-guide.md",)


@pytest.mark.parametrize("page", RUNNABLE)
def test_code_on_the_page_runs(page: str) -> None:
    blocks = re.findall(
        r"^```(python|text)\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    for number, (kind, text) in enumerate(blocks, start=1):
        if kind == "text":
            assert printed.rstrip() == text.rstrip(), f"{page}, block {number}"
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, f"{page}, block {number}", "exec"), names)
        printed = out.getvalue()
    assert blocks


def test_the_mapping_on_the_page_is_one() -> None:
    page = (DOCS / "data.md").read_text("utf-8")
    (text,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(Mapping.from_json(json.loads(text)).columns) == 4


def test_settings_on_the_page_are_those_that_are_read() -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    source = (DOCS.parent / "friendlyfl" / "router" / "settings.py").read_text("utf-8")
    source += (DOCS.parent / "friendlyfl" / "router" / "environment.py").read_text("utf-8")
    read = set(re.findall(r"""(?:text|flag|number|listing)\(\s*"([A-Z_]+)\"""", source))
    assert (
        read - {name for name in read if f"`{name}`" in page or f"`_{name.split('_')[-1]}`" in page} == set()
    )

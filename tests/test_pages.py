"""The code on the documentation's pages runs, and prints what the page says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

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

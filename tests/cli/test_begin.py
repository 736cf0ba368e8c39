"""From nothing to a portal with one command, and back in after a forgotten password."""

import re
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.testing.consortium import Process
from tests.cli.keyboard import one_sentence, type_at, type_here

PASSWORDS = ("a calm and long sentence", "another calm and long sentence")


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "controller.sqlite3")) as database:
        return database.execute(sql).fetchall()


def test_start_makes_the_site_and_prints_an_address_and_a_code(tmp_path: Path) -> None:
    home, log = tmp_path / "new" / "home", tmp_path / "log"
    process = Process(
        ["controller", "start", "--home", str(home), "--port", "0"], log, r"portal at (http://\S+/)", {}
    )
    codes, cards = [], []
    for _ in range(2):  # nobody has used the code yet: it cannot be shown again, so there is a new one
        process.start()
        codes += re.findall(r"One-time code for the first account: (\S+)", log.read_text())
        cards.append((home / "keys" / "standing-card.json").read_bytes())
        process.stop()
        assert process.returncode in (0, -signal.SIGTERM)
    assert len(set(codes)) == 2 and len(set(cards)) == 1
    assert home.stat().st_mode & 0o777 == 0o700
    [(name, router)] = ask(home, "SELECT name, router FROM controller_identity")
    assert (name, router) == ("", "")
    shown, renamed, named = type_at(
        home, ["site", "show"], ["site", "rename", " St Mary's "], ["site", "show"]
    )
    assert "no name yet" in shown.out and "St Mary's" in renamed.out and named.out.startswith("St Mary's  (")
    log.write_text("")
    process.start()
    process.stop()
    assert "One-time code" not in log.read_text() and "connect it in the portal" in log.read_text()


def test_start_touches_nothing_of_anybody_else(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")
    said = type_here("controller", "start", "--home", str(tmp_path))
    one_sentence(said, 1)
    assert "other files are" in said.err and [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_start_makes_no_new_site_over_the_keys_of_an_old_one(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    (home / "controller.sqlite3").unlink()
    said = type_here("controller", "start", "--home", str(home))
    one_sentence(said, 1)
    assert "Restore it from a back-up." in said.err and not (home / "controller.sqlite3").exists()


@pytest.mark.parametrize(("password", "code"), [(PASSWORDS[1], 0), ("Birnbaum", 2)])
def test_a_forgotten_password_is_replaced(copy_of: Callable[[], Path], password: str, code: int) -> None:
    home = copy_of()
    add = ["site", "add-person", "maria", "--role", "site-admin", "--password-file", "-"]
    [made] = type_at(home, add, answer=PASSWORDS[0])
    assert made.code == 0, made
    stored = "SELECT password FROM controller_person"
    before = ask(home, stored)
    reset = ["controller", "reset-password", "maria", "--password-file", "-"]
    [said] = type_at(home, reset, answer=f"{password}\n")
    assert said.code == code, said
    if code:
        one_sentence(said, 2)
        assert "12 characters" in said.err
    else:
        assert said.out == "maria signs in with the new password from now on.\n"
    assert (ask(home, stored) == before) is bool(code)
    [(outcome,)] = ask(home, "SELECT outcome FROM controller_auditline WHERE verb = 'set_password'")
    assert outcome == ("failed: password" if code else "done") and password not in said.out + said.err

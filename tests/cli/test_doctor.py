"""The doctor: every state that it tells apart, made on a copy of a site, and the exit code that goes with it."""

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from friendlyfl import __version__
from friendlyfl.cli import checkup
from friendlyfl.controller.home import Home
from tests.cli.keyboard import Said, a_python, one_sentence, type_at, type_here
from tests.client.fake_server import closed_port, playing, raw, says

DOCTOR = ["doctor", "--json"]


def states(said: Said, check: str) -> list[tuple[str, str]]:
    """State and words of each finding about one thing."""
    assert said.trace == "" and said.err == ""
    return [(one["state"], one["words"]) for one in said.json["findings"] if one["check"] == check]


def only(found: list[Any]) -> tuple[str, str]:
    """The one finding of a check in this process."""
    [one] = found
    return one.state, one.words


# --- the folder ---


def test_without_a_home_it_says_how_to_make_one(tmp_path: Path) -> None:
    said = type_here("doctor", "--home", str(tmp_path / "none"))
    assert said.code == 0 and said.err == ""
    assert "friendlyfl controller init --home" in " ".join(said.out.split())
    assert "Nothing needs repair; 1 thing to look at." in said.out
    assert not (tmp_path / "none").exists()


def test_a_folder_of_something_else_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")
    said = type_here("doctor", "--json", "--home", str(tmp_path))
    assert said.code == 0 and states(said, "Home")[0][0] == "look"


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    state, words = only(list(checkup.folder(Home(tmp_path / "home"))))
    assert state == "repair" and "not a folder" in words
    one_sentence(type_here("doctor", "--home", str(tmp_path / "home")), 2)


def test_a_new_site_needs_no_repair(site: Path) -> None:
    words, as_json = type_at(site, ["doctor"], DOCTOR)
    assert words.code == as_json.code == 0 and words.trace == words.err == ""
    assert max(map(len, words.out.splitlines())) <= 80
    assert "Nothing needs repair; 2 things to look at." in words.out
    found = {one["check"]: one["state"] for one in as_json.json["findings"]}
    assert found["Connection"] == found["Controller"] == "look"
    assert {state for check, state in found.items() if check not in ("Connection", "Controller")} == {"ok"}
    assert as_json.json["good"] is True and as_json.json["home"] == str(site)


def test_it_changes_nothing(copy_of: Callable[[], Path]) -> None:
    home = copy_of()

    def all_bytes() -> dict[str, bytes]:
        return {
            path.name: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.stat().st_size
        }

    before = all_bytes()
    type_at(home, DOCTOR)
    assert all_bytes() == before


@pytest.mark.parametrize("wide", ["", "keys", "keys/identity.pem", "secret_key", "controller.sqlite3"])
def test_modes_that_are_too_wide(wide: str, copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    (home / wide).chmod(0o755)
    state, words = only(list(checkup.folder(Home(home))))
    assert state == "repair" and words.endswith(f"chmod -R go-rwx {home}")
    assert str(home / wide) in words


def test_wide_modes_hide_nothing_else(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    home.chmod(0o755)
    [said] = type_at(home, DOCTOR)
    assert said.code == 1 and said.json["good"] is False
    assert states(said, "Keys")[0][0] == "ok" and states(said, "Ledger")[0][0] == "ok"


@pytest.mark.parametrize("gone", ["keys", "blobs", "secret_key", "controller.sqlite3"])
def test_parts_that_are_missing(gone: str, copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    path = home / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = [(one.state, one.words) for one in checkup.folder(Home(home))]
    assert ("repair", gone) in [(state, words.split()[0]) for state, words in found]
    said = type_here("doctor", "--json", "--home", str(home)) if gone != "blobs" else type_at(home, DOCTOR)[0]
    assert said.code == 1 and said.trace == ""


@pytest.mark.parametrize(
    ("free", "state"), [(3 << 30, "ok"), (900 << 20, "look"), (150 << 20, "repair"), (0, "repair")]
)
def test_disk(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    assert only(list(checkup.disk(Home(tmp_path / "not" / "yet"))))[0] == state


def test_a_python_that_is_too_new(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(list(checkup.python()))[0] == "ok"
    monkeypatch.setattr(checkup, "NEWEST_PYTHON", (3, 10))
    assert only(list(checkup.python()))[0] == "look"


# --- the database ---


def test_a_damaged_database(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    raw_bytes = bytearray((home / "controller.sqlite3").read_bytes())
    page = 4096
    raw_bytes[3 * page : 5 * page] = b"\xa5" * 2 * page
    (home / "controller.sqlite3").write_bytes(raw_bytes)
    state, words = only(list(checkup.database(Home(home))))
    assert state == "repair" and "back-up" in words
    [said] = type_at(home, DOCTOR)
    assert said.code == 1 and states(said, "Keys") == []  # nothing is asked of what is damaged


def test_something_else_in_place_of_the_database(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    (home / "controller.sqlite3").write_bytes(b"Dear diary, " * 100)
    assert only(list(checkup.database(Home(home))))[0] == "repair"


def change(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "controller.sqlite3")) as opened, opened:
        for statement in statements:
            opened.execute(statement)


def test_a_database_of_a_newer_version(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    change(
        home, "INSERT INTO django_migrations (app, name, applied) VALUES ('controller', '0999_tomorrow', '')"
    )
    state, words = only(list(checkup.database(Home(home))))
    assert state == "repair" and "0999_tomorrow" in words and __version__ in words


def test_a_database_of_an_earlier_version(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    change(home, "DELETE FROM django_migrations WHERE app = 'controller'")
    [said] = type_at(home, DOCTOR)
    assert said.code == 0 and "earlier version" in states(said, "Database")[-1][1]


def test_a_site_that_was_made_by_half(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    change(home, "DELETE FROM controller_identity")
    [said] = type_at(home, DOCTOR)
    assert said.code == 1 and "interrupted" in states(said, "Site")[0][1]


# --- the keys ---


def _another_key(home: Path) -> None:
    from friendlyfl.wire.keys import Identity

    (home / "keys" / "identity.pem").unlink()
    Identity.generate().save(home / "keys" / "identity.pem")


BROKEN_KEYS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another": (_another_key, "another hospital's key"),
    "gone": (lambda home: (home / "keys" / "identity.pem").unlink(), "identity.pem"),
    "damaged": (lambda home: (home / "keys" / "identity.pem").write_bytes(b"-----BEGIN"), "damaged"),
    "no subkey": (lambda home: (home / "keys" / "standing-1.key").unlink(), "missing"),
    "no card": (lambda home: (home / "keys" / "standing-card.json").unlink(), "standing-card.json"),
}


@pytest.mark.parametrize("how", BROKEN_KEYS)
def test_keys(how: str, copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    do, words = BROKEN_KEYS[how]
    do(home)
    [said] = type_at(home, DOCTOR)
    [(state, told)] = states(said, "Keys")
    assert said.code == 1 and state == "repair" and words in told
    assert states(said, "Ledger")[0][0] == "ok"


# --- post, data, ledger ---

MANY_TROUBLES = """
import sys, friendlyfl.controller as controller
site = controller.open(sys.argv[1])
from datetime import timedelta
from django.utils import timezone
from friendlyfl.controller import ledger, here
from friendlyfl.controller.models import Departure, HeldPost, Outbox, Project
project = Project.objects.create(uid="p", name="Study", role="coordinator", coordinator=here.site())
for n, state in enumerate(["waiting", "waiting", "refused", "sent"]):
    row = Outbox.objects.create(msg=f"{n:032}", project=project, type="plan", context={}, blob="", state=state)
    Outbox.objects.filter(pk=row.pk).update(made_at=timezone.now() - timedelta(hours=2))
for n, state in enumerate(["early", "refused", "refused"]):
    HeldPost.objects.create(rs_id=str(n), state=state, post={}, sender=here.site(), code="x", sentence="x")
for path in sys.argv[2:]:
    dataset, _ = site.add_dataset(path.split("/")[-1], path)
site.use_dataset("Study", "gone.csv")
for n in range(4):
    ledger.write(ledger.Leaving(f"line {n}"), project="p", type="plan", to=[])
Departure.objects.filter(n=3).update(what="nothing to see here")
"""


def test_post_data_and_ledger(copy_of: Callable[[], Path], tmp_path: Path) -> None:
    home = copy_of()
    files = {name: tmp_path / f"{name}.csv" for name in ("whole", "changed", "gone")}
    for path in files.values():
        path.write_text("age,weight\n61,72\n58,81\n")
    a_python(MANY_TROUBLES.replace("sys.argv", repr(["", str(home), *map(str, files.values())])))
    files["changed"].write_text("age,weight\n61,72\n")
    files["gone"].unlink()
    words, said = type_at(home, ["doctor"], DOCTOR)
    assert words.code == said.code == 1
    assert "2 things need repair" in words.out
    assert [state for state, _ in states(said, "Outbox")] == ["look", "look"]
    assert "1 message was refused" in states(said, "Outbox")[0][1]
    assert "2 messages wait, the oldest for 2 hours" in states(said, "Outbox")[1][1]
    assert "2 messages were put aside" in states(said, "Held post")[0][1]
    assert "1 message was early" in states(said, "Held post")[1][1]
    data = {text.split("”")[0].strip("“"): (state, text) for state, text in states(said, "Datasets")}
    assert data["whole.csv"][0] == "ok" and "2 rows" in data["whole.csv"][1]
    assert data["changed.csv"][0] == "look" and "not the file that was added" in data["changed.csv"][1]
    assert data["gone.csv"][0] == "repair" and "It serves Study." in data["gone.csv"][1]
    [(state, text)] = states(said, "Ledger")
    assert state == "repair" and "line 3" in text
    [checked] = type_at(home, ["ledger", "--check"])
    assert checked.code == 1 and "Line 3" in checked.err


def test_a_site_that_came_back_from_an_old_copy(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    a_python(f"""
import friendlyfl.controller as controller
site = controller.open({str(home)!r})
from friendlyfl.controller.models import Outbox, Project
project = Project.objects.create(uid="p", name="Study", role="participant", coordinator="x")
Outbox.objects.create(msg="0" * 32, project=project, type="ready", context={{}}, blob="", state="refused",
    trouble="This site has already said something else in this place. (slot_taken)")
""")
    said, shown = type_at(home, DOCTOR, ["site", "outbox"])
    [(state, words)] = states(said, "Outbox")
    assert said.code == 1 and state == "repair" and "old one" in words
    assert "slot_taken" in shown.out and max(map(len, shown.out.splitlines())) <= 80


# --- the line ---


def connect(home: Path, address: str, lease: int = 7) -> None:
    change(home, f"UPDATE controller_identity SET router = '{address}', lease = {lease}")


def me(ahead: float = 0.0) -> dict[str, str]:
    return {
        "server_time": (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat(),
        "oldest_controller": "0.1",
    }


HEALTHY = says(200, {"status": "ok"})


def refusal(status: int, code: str, message: str, **more: Any) -> Any:
    return says(status, {"code": code, "message": message, "who": "the hospital's IT", **more})


def test_what_stands_at_the_other_end(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    replies = [
        raw(200, b"<html>Please log in to the hospital's network</html>", "text/html"),
        says(200, {"name": "some other service"}),
        *(HEALTHY, refusal(426, "controller_too_old", "This Controller is too old; update FriendlyFL.")),
        *(HEALTHY, refusal(401, "bad_signature", "The signature fits no site known here.")),
        *(HEALTHY, refusal(503, "busy", "The Routing Server is being updated.", retry_after=5)),
        *(HEALTHY, says(200, me()), refusal(409, "fenced", "Another copy speaks for it now.")),
        *(HEALTHY, says(200, me(ahead=7400)), says(200, [])),
        *(HEALTHY, says(200, me(ahead=-45)), says(200, [])),
        *(HEALTHY, says(200, {}), says(200, [])),
    ]
    with playing(*replies) as play:
        connect(home, play.address)
        proxy, other, old, unknown, busy, fenced, slow, fast, timeless = type_at(home, *([DOCTOR] * 9))
    assert "A proxy answered" in states(proxy, "Connection")[0][1]
    assert "not a Routing Server" in states(other, "Connection")[0][1]
    assert "too old" in states(old, "Connection")[0][1]
    assert "no site known" in states(unknown, "Connection")[0][1]
    assert {said.code for said in (proxy, other, old, unknown, fenced)} == {1}
    assert (busy.code, states(busy, "Connection")[0][0]) == (0, "look")
    assert states(fenced, "Lease")[0][0] == "repair" and "Another copy" in states(fenced, "Lease")[0][1]
    assert states(fenced, "Clock")[0][0] == states(fenced, "Version")[0][0] == "ok"
    assert states(slow, "Lease")[0][0] == "ok"
    [(state, words)] = states(slow, "Clock")
    assert state == "look" and "2 hours behind" in words and "signed again" in words
    [(state, words)] = states(fast, "Clock")
    assert state == "look" and "seconds ahead of" in words
    assert slow.code == fast.code == timeless.code == 0
    assert states(timeless, "Clock")[0][0] == "look"


def test_when_nobody_answers_the_rest_is_still_looked_at(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    port = closed_port()
    connect(home, f"http://127.0.0.1:{port}")
    change(
        home,
        "UPDATE controller_identity SET line_trouble = 'silent', line_trouble_since = '2026-03-03 14:02:00'",
    )
    [said] = type_at(home, DOCTOR)
    [(state, words)] = states(said, "Connection")
    assert said.code == 1 and state == "repair"
    assert f"nothing answers on port {port}" in words and "since 2026-03-03 14:02 UTC" in words
    assert states(said, "Clock") == [] and states(said, "Ledger")[0][0] == "ok"


def test_a_ca_file_that_went_away(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    connect(home, "https://fl.example.org")
    change(home, "UPDATE controller_identity SET ca_file = '/nowhere/ca.pem'")
    [said] = type_at(home, DOCTOR)
    assert said.code == 1 and "ca.pem" in states(said, "Connection")[0][1]


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: 1 / 0)
    said = type_here("doctor", "--json", "--home", str(tmp_path / "none"))
    assert said.code == 1 and "could not be checked" in states(said, "Disk")[0][1]
    assert states(said, "Home")[0][0] == "look"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks there")
def test_a_running_controller_is_seen_and_not_disturbed(copy_of: Callable[[], Path]) -> None:
    home = Home(copy_of())
    assert home.holder is None and not home.running
    ask = f"print(Home.locate({str(home.folder)!r}).holder)"
    code = f"from friendlyfl.controller.home import Home\n{ask}"
    with home.lock():
        held = int(a_python(code))
    assert held > 0 and a_python(code).strip() == "None"

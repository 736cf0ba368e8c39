"""The home on the disk: who may read it, one process at a time, bytes whole or not at all, keys that are forgotten."""

import hashlib
import json
import os
import stat
import subprocess
import sys

import pytest

from friendlyfl.controller import here, ledger
from friendlyfl.controller.home import FOLDERS, Home, write_durably
from friendlyfl.controller.keyring import Keyring
from friendlyfl.controller.models import Departure
from friendlyfl.controller.setup import create_site
from friendlyfl.core.errors import BrokenError, ConflictError, UsageError
from friendlyfl.wire.keys import check_card


@pytest.fixture
def place(tmp_path) -> Home:
    made = Home(tmp_path / "site")
    made.create()
    return made


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_is_its_owners_alone(place):
    os.umask(os.umask(0))
    assert mode(place.folder) == 0o700 and mode(place.sub("secret_key")) == 0o600
    assert all(mode(place.sub(name)) == 0o700 for name in FOLDERS)
    secret = place.sub("secret_key").read_bytes()
    place.create()
    assert place.sub("secret_key").read_bytes() == secret and len(secret) >= 50
    place.check()


@pytest.mark.parametrize("name", ["", *FOLDERS])
def test_a_folder_that_others_can_read_stops_the_start(place, name):
    (place.sub(name) if name else place.folder).chmod(0o750)
    with pytest.raises(BrokenError) as error:
        place.check()
    assert error.value.code == "home_open" and "chmod 700" in error.value.message


@pytest.mark.parametrize("name", ["secret_key", "keys/identity.pem"])
def test_a_secret_that_others_can_read_stops_the_start(place, name):
    place.sub(name).write_text("secret")
    place.sub(name).chmod(0o640)
    with pytest.raises(BrokenError) as error:
        place.check()
    assert error.value.code == "key_open" and "chmod 600" in error.value.message


def test_what_is_missing_is_said_with_its_repair(tmp_path, place):
    with pytest.raises(BrokenError) as error:
        Home(tmp_path / "nothing").check()
    assert error.value.code == "no_home" and "friendlyfl controller init" in error.value.message
    place.sub("blobs").rmdir()
    with pytest.raises(BrokenError) as error:
        place.check()
    assert error.value.code == "home_damaged"
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokenError) as error:
        Home(tmp_path / "file" / "home").create()
    assert error.value.code == "home_unwritable"


def test_one_process_runs_on_a_home(place):
    assert not place.running
    with place.lock():
        with pytest.raises(ConflictError) as error, place.lock():
            raise AssertionError
        assert error.value.code == "already_running"
        code = (
            f"from friendlyfl.controller.home import Home; print(Home.locate({str(place.folder)!r}).running)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "True"
    assert not place.running


def test_contents_are_kept_by_digest(place, tmp_path):
    digest = place.keep(b"content")
    assert digest == hashlib.sha256(b"content").hexdigest() == place.keep(b"content")
    assert place.blob(digest).read_bytes() == b"content" and mode(place.blob(digest)) == 0o600
    half = place.sub("work") / "finished"
    half.write_bytes(b"content of a job")
    assert place.blob(place.keep_file(half)).read_bytes() == b"content of a job" and not half.exists()


def test_a_write_that_is_cut_off_leaves_the_old_file(place, monkeypatch):
    path = place.sub("work") / "file"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_durably(path, b"new and longer")
    assert path.read_bytes() == b"old" and [p.name for p in path.parent.iterdir()] == ["file"]


# --- keys ---


def test_making_keys_twice_makes_them_once(place):
    first = Keyring.create(place, "11111111-1111-4111-8111-111111111111")
    again = Keyring.create(place, "11111111-1111-4111-8111-111111111111")
    assert first.identity.fingerprint == again.identity.fingerprint
    assert first.signed_card == again.signed_card
    assert {mode(path) for path in place.sub("keys").glob("*.key")} == {0o600}
    place.check()


@pytest.mark.parametrize("lost", ["standing-card.json", "standing-1.key"])
def test_a_making_that_was_cut_off_is_finished(place, lost):
    site = "11111111-1111-4111-8111-111111111111"
    first = Keyring.create(place, site)
    for name in ("standing-card.json", lost):
        (place.sub("keys") / name).unlink(missing_ok=True)
    again = Keyring.create(place, site)
    card = check_card(again.signed_card, fingerprint=first.identity.fingerprint, site=site)
    assert card.kid in again.standing


def test_a_run_key_is_one_a_run_and_can_be_forgotten(place):
    ring = Keyring.create(place, "11111111-1111-4111-8111-111111111111")
    run, other = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
    card = ring.run_card(run)
    assert card == ring.run_card(run) == Keyring(place, ring.site).run_card(run)
    assert set(ring.openers(["standing", run, other])) == {*ring.standing, ring.run_subkey(run).kid}
    ring.run_subkey(other)
    ring.erase_run(run)
    ring.erase_run(run)
    assert not ring.holds_run(run) and ring.holds_run(other)
    assert ring.openers([run]) == {}


# --- making a site ---


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "St\nMary"])
def test_a_site_needs_a_name(tmp_path, name):
    with pytest.raises(UsageError):
        create_site(Home(tmp_path / "site"), name)
    assert not (tmp_path / "site").exists()


def test_a_site_is_made_once():
    with pytest.raises(ConflictError) as error:
        create_site(here.home(), "Another")
    assert error.value.code == "exists" and "St Mary's" in error.value.message


# --- the ledger ---


def lines(count: int) -> None:
    for number in range(count):
        facts = {
            "project": "p",
            "run": "",
            "type": "update",
            "to": ["x"],
            "bytes": 10,
            "msg": f"{number:032x}",
        }
        ledger.write(ledger.Leaving(f"line {number}", numbers=3, rows=60), **facts)


def test_the_chain_is_unbroken_as_written():
    lines(5)
    assert [row["n"] for row in ledger.lines()] == [1, 2, 3, 4, 5]
    assert list(ledger.breaks()) == []
    json.dumps(list(ledger.lines()))


@pytest.mark.parametrize("field", [name for name in ledger.HASHED if name not in ("n", "before")])
def test_a_changed_line_is_found(field):
    lines(5)
    row = Departure.objects.get(n=3)
    old = getattr(row, field)
    changed = {str: "changed", int: 7, bool: not old, list: ["y"]}[type(old)]
    Departure.objects.filter(n=3).update(**{field: changed})
    assert list(ledger.breaks()) == [(3, "it was changed after it was written")]


def test_a_line_that_is_gone_moved_or_rewritten_is_found():
    lines(5)
    Departure.objects.filter(n=3).delete()
    assert [n for n, _ in ledger.breaks()] == [4, 4]
    Departure.objects.all().delete()
    lines(5)
    row = Departure.objects.get(n=3)
    row.what = "nothing much"
    row.hash = ledger.line_hash(row)
    row.save()
    assert list(ledger.breaks()) == [(4, "it does not follow the line before it")]

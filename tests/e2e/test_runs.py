"""Runs that do not go the straight way, and what is kept of every run."""

import json
import os
from pathlib import Path

import pytest

from tests.e2e.house import STUDY, TWO, Hospital, House


def children(site: Hospital) -> list[int]:
    """Processes that work in this hospital's home: the runners."""
    work, found = site.home / "work", []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if work in Path(os.readlink(process / "cwd").removesuffix(" (deleted)")).parents:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_stop_ends_the_run_everywhere_and_a_hospital_that_was_away_when_it_comes_back(house: House) -> None:
    marys, north, lake = house.members
    number = house.start_run()
    house.in_round(number)
    assert children(north), "the run was too fast to be stopped"
    lake.process.kill()
    said = marys.run("run", "stop", "-p", STUDY, "--yes")
    assert f"Run {number} is stopped" in said
    marys.run("run", "stop", "-p", STUDY, "--yes")  # twice is fine
    assert house.show(number)["state"] == "stopped"
    house.wait("the stop at Northfield", lambda: house.show(number, site=north)["state"] == "stopped", 10)
    for site in (marys, north):
        house.wait(f"{site.name}'s runners to end", lambda site=site: not children(site), 10)
        house.wait("an empty folder", lambda site=site: not any((site.home / "work").iterdir()), 10)
    assert house.show(number, site=lake)["state"] not in ("stopped", "succeeded", "failed")
    lake.start()
    house.wait("the stop at Lakeside", lambda: house.show(number, site=lake)["state"] == "stopped", 20)
    house.wait("Lakeside's runners to end", lambda: not children(lake), 10)
    for site in house.members:
        assert house.results(number, site=site).strip() == "{}"
        assert "stopped" in site.run("run", "show", "-p", STUDY, "-r", str(number)).lower()
    house.wait("the server's copy", lambda: house.marys.line().runs()[-1]["state"] == "stopped", 20)


def test_two_of_three_go_on_without_one_that_is_gone_and_only_the_coordinator_reads_who(house: House) -> None:
    marys, north, lake = house.members
    house.two_are_enough()
    number = house.start_run(TWO)
    house.in_round(number, name=TWO)
    lake.process.kill()
    try:
        results = json.loads(house.succeed(number, TWO))
    finally:
        lake.start()
    note = "Without Lakeside: The hospital did not answer before the deadline."
    for step in results.values():
        assert step["n"]["used"] in (1214 + 1037, 3123)
        assert (note in step["notes"]) == (step["n"]["used"] < 3123)
    assert note in results["2"]["notes"]
    house.wait("the Result", lambda: len(json.loads(house.results(number, TWO, north))) == 2)
    shared = house.results(number, TWO, north)
    assert "Lakeside" not in shared and "Without" not in shared and lake.uid not in shared
    assert "Lakeside" in marys.run("run", "show", "-p", TWO, "-r", str(number))
    # Whoever was late is told so when it comes back, and its part has ended.
    house.wait("the end at Lakeside", lambda: house.show(number, TWO, lake)["state"] == "stopped", 30)


def test_the_ledgers_and_the_routing_server_tell_the_same(house: House) -> None:
    """Each line of a ledger is one message there, each message there is one line of its sender's ledger."""
    assert house.reference
    house.quiet()
    with house.records() as records:
        found = records.execute(
            "SELECT s.uid, m.digest, m.envelope, m.type, m.blob_length, m.run FROM ffl_message m"
            " JOIN ffl_site s ON s.id = m.sender_id"
        ).fetchall()
    there: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for sender, digest, envelope, type_, length, run in found:
        if digest not in house.forged:
            there.setdefault((sender, json.loads(envelope)["ctx"]["msg"]), []).append((type_, length, run))
    lines: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for site in house.members:
        for line in site.json("ledger"):
            lines.setdefault((site.uid, line["msg"]), []).append((line["type"], line["bytes"], line["run"]))
        assert site.run("ledger", "--check").strip().endswith("unbroken.")
    assert all(len(same) == 1 for same in [*there.values(), *lines.values()])
    assert lines == there
    updates = [line for line in house.north.json("ledger") if line["type"] == "update"]
    assert updates and all(line["rows"] and line["numbers"] and line["approval"] for line in updates)


@pytest.mark.parametrize("where", ["file", "columns"])
def test_a_table_that_changes_in_a_run_ends_this_hospitals_part(
    house: House, tmp_path: Path, where: str
) -> None:
    path = tmp_path / "changing.csv"
    path.write_bytes(house.files[2].read_bytes())
    house.two_are_enough()
    with house.table(house.lake, TWO, path):
        number = house.start_run(TWO)
        house.in_round(number, name=TWO)
        raw = path.read_bytes()
        path.write_bytes(
            raw + raw.splitlines(keepends=True)[-1] if where == "file" else raw.replace(b"age", b"ago", 1)
        )
        results = json.loads(house.succeed(number, TWO))
    assert "Without Lakeside: The hospital's dataset changed since the run began." in results["2"]["notes"]

"""The runner's child and its keeper: good jobs give the same bits, bad ones end by their limits, and nothing leaks."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from friendlyfl.controller import here
from friendlyfl.controller.agent import work
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.models import LogLine, Outbox
from friendlyfl.controller.runner import passing
from friendlyfl.controller.runner.parent import Cancelled, Runner
from friendlyfl.controller.runner.passing import Passed, arrived, passed
from friendlyfl.tasks.report import Result
from friendlyfl.wire.codec import encode
from friendlyfl.wire.update import Update
from tests.controller import bad_tasks
from tests.controller.memory import records
from tests.controller.world import DICTIONARY

NEVER: Any = {"cancelled": lambda: False, "seconds": 60.0}
AGE = {"variables": ["age", "died"]}


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "births.csv"
    path.write_text("age,died\n" + "".join(f"{20 + n % 60},{n % 3 == 0:d}\n" for n in range(60)))
    return path


def opening(
    data: Path | None, task: str = "table_one", parameters: Any = None, **changes: Any
) -> dict[str, Any]:
    step = {
        "seq": 1,
        "task": task,
        "version": "1.0",
        "title": "A step",
        "parameters": parameters or {},
        "criteria": [],
    }
    if task == "table_one":
        step["parameters"] = AGE
    return {
        "do": "open",
        "dictionary": DICTIONARY,
        "steps": [step],
        "sites": 2,
        "site": 1 if data else 0,
        "seed": "s",
        "policy": {},
        "limits": {},
        "dataset": {"path": str(data), "missing": [], "mapping": None} if data else None,
        "described": {"key": "00" * 32, "plan": "p", "releases": [], "last": 0},
        **changes,
    }


@pytest.fixture
def start(tmp_path):
    made: list[Runner] = []

    def runner(opened: dict[str, Any]) -> Runner:
        made.append(Runner(tmp_path / f"work-{len(made)}", opened))
        return made[-1]

    yield runner
    for runner_ in made:
        runner_.close()
        assert not runner_.folder.exists()


def local(runner: Runner, state: Passed, round_: int = 1, **limits: Any) -> dict[str, Any]:
    request = {"do": "local", "step": 1, "round": round_, "state": state, "policy": runner.opened["policy"]}
    request |= {"since": []}
    return runner.ask(request, **{**NEVER, **limits})


@pytest.fixture
def state(tmp_path) -> Passed:
    return passed(encode({".round": 1}), tmp_path / "state")


def begin(lead: Runner) -> Passed:
    return lead.ask({"do": "begin", "step": 1, "round": 1}, **NEVER)["content"]


@pytest.fixture
def bad(monkeypatch, tmp_path):
    bad_tasks.install(monkeypatch, tmp_path)


# --- a good one ---


def test_a_step_from_open_to_result(start, data, tmp_path):
    seat, lead = start(opening(data)), start(opening(None))
    opened = seat.open(**NEVER)
    assert opened["problems"] == [] and opened["rows"] == 60
    assert lead.open(**NEVER)["problems"] == []
    state = begin(lead)
    for round_ in range(1, 10):
        answer = local(seat, state, round_)
        update = answer["content"]
        assert answer["rows"] == 60 and answer["numbers"] == Update.from_bytes(arrived(update)).numbers
        answer = combined(lead, state, update, round_)
        if answer["kind"] == "done":
            break
        state = answer["content"]
    result = Result.from_json(json.loads(arrived(answer["content"])))
    assert result.n.used == 120


def combined(lead: Runner, state: Passed, update: Passed, round_: int = 1) -> dict[str, Any]:
    asked = {"do": "combine", "step": 1, "round": round_, "state": state}
    asked |= {"refused": [], "notes": [], "rules": "on"}
    return lead.ask({**asked, "updates": [{"site": site, "update": update} for site in (1, 2)]}, **NEVER)


def test_a_coordinator_is_told_how_good_the_model_of_a_round_was(start, tmp_path):
    table = tmp_path / "births.csv"
    table.write_text("age,died\n" + "".join(f"{20 + n % 60},{n % 3 == 0:d}\n" for n in range(200)))
    learned = {"outcome": "died", "features": ["age"], "rounds": 1}
    seat = start(opening(table, "fedavg_sklearn", learned))
    lead = start(opening(None, "fedavg_sklearn", learned))
    state, told = begin(lead), []
    for round_ in range(1, 5):
        answer = combined(lead, state, local(seat, state, round_)["content"], round_)
        state = answer["content"]
        told.append(answer["quality"])
    assert answer["kind"] == "done" and told[:2] == [None, None]
    assert [each["counted"] for each in told[2:]] == [0, 1]
    result = Result.from_json(json.loads(arrived(state)))
    losses = {
        (row["round"], "patients trained on" if row["set"] == "train" else "patients held back"): row[
            "log_loss"
        ]
        for row in result.tables["metrics"]
    }
    assert losses == {
        (each["counted"], of): value for each in told[2:] for of, value in each["values"].items()
    }


def test_a_run_goes_on_where_a_task_cannot_say_how_good_a_round_was(start, data, state, bad):
    lead = start(opening(None, "badquality"))
    update = local(start(opening(data, "badquality")), state)["content"]
    answer = combined(lead, begin(lead), update)
    assert answer["kind"] == "state" and answer["quality"] is None
    assert f"no figure of {bad_tasks.NAME}" in (lead.folder / "output.log").read_text()


def test_only_rows_that_meet_the_criteria_of_plan_and_step_are_there(start, data, tmp_path):
    opened = opening(data)
    opened["steps"][0]["criteria"] = ["age >= 30", "died = 1"]
    seat, state = start(opened), begin(start(opening(None)))
    answer = seat.open(**NEVER)
    assert answer["problems"] == [
        {"step": 1, "code": "refused_rows", "sentence": answer["problems"][0]["sentence"]}
    ]
    opened["steps"][0]["criteria"] = ["age >= 30", "not age > 69"]
    seat = start(opened)
    assert seat.open(**NEVER)["problems"] == []
    answer = local(seat, state)
    assert answer["rows"] == 40 and "that meet the inclusion criteria" in answer["what"]
    for last, codes in ((69, ["refused_difference"]), (60, [])):
        second = {**opened["steps"][0], "seq": 2, "criteria": ["age >= 30", f"age <= {last}"]}
        both = {**opened, "steps": [{**second, "seq": 1, "criteria": ["age >= 30", "age <= 72"]}, second]}
        assert [problem["code"] for problem in start(both).open(**NEVER)["problems"]] == codes
    opened["steps"][0]["criteria"] = ["shoe > 3"]
    [problem] = start(opened).open(**NEVER)["problems"]
    assert problem["code"] == "parameters" and "shoe" in problem["sentence"]


def test_the_share_of_the_rows_that_is_done_is_told(start, tmp_path):
    rows = 150_000  # three chunks
    table = tmp_path / "long.csv"
    table.write_text("age,died\n" + "".join(f"{20 + row % 60},{row % 2}\n" for row in range(rows)))
    seat, state = start(opening(table)), begin(start(opening(None)))
    told: list[float] = []
    answer = local(seat, state, progress=told.append)
    assert answer["rows"] == rows
    assert told[0] == pytest.approx(1 / 3) and told == sorted(told) and told[-1] <= 1.0


def test_a_child_killed_between_rounds_is_started_again_with_the_same_bits(start, data, tmp_path):
    seat, state = start(opening(data)), begin(start(opening(None)))
    first = local(seat, state)
    pid = seat._child.pid
    os.kill(pid, 9)
    second = local(seat, state)
    assert seat._child.pid != pid
    assert arrived(first["content"]) == arrived(second["content"])


def test_a_large_content_passes_as_a_file(start, data, monkeypatch, tmp_path):
    seat = start(opening(data))
    state = begin(start(opening(None)))
    small = local(seat, state)["content"]
    monkeypatch.setattr(passing, "SMALL_CONTENT", 10)
    large = passing.passed(arrived(state), tmp_path / "state")
    assert list(small) == ["raw"] and list(large) == ["path"]
    assert local(seat, large)["content"] == small


def test_an_idle_child_has_no_way_out(start, data):
    """No home, no address, no key in its environment or arguments; its folder is its own."""
    seat = start(opening(data))
    seat.open(**NEVER)
    environment = Path(f"/proc/{seat._child.pid}/environ").read_bytes().decode()
    assert "FRIENDLYFL" not in environment and "HOME=" not in environment and "PATH=" not in environment
    assert "OPENBLAS_NUM_THREADS=1" in environment
    assert Path(f"/proc/{seat._child.pid}/cwd").resolve() == seat.folder.resolve()
    assert seat.folder.stat().st_mode & 0o077 == 0


# --- bad ones ---


def test_a_task_that_raises_says_a_code_and_keeps_its_words_here(start, data, state, bad):
    answer = local(start(opening(data, "raises")), state)
    assert answer["trouble"] == "task_failed"
    assert bad_tasks.NAME in answer["sentence"] and "Traceback" in answer["trace"]


def test_a_task_that_prints_cannot_answer_by_printing(start, data, state, bad):
    seat = start(opening(data, "prints"))
    answer = local(seat, state)
    assert answer["numbers"] >= 1 and bad_tasks.NAME not in json.dumps(answer)
    log = seat.folder / "output.log"
    until = time.monotonic() + 5
    while log.read_text().count(bad_tasks.NAME) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert log.read_text().count(bad_tasks.NAME) == 3
    assert bad_tasks.NAME.encode() not in arrived(answer["content"])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("how", ["time", "stop"])
def test_a_task_that_hangs_ends_with_all_it_started(start, data, state, bad, how):
    seat = start(opening(data, "hangs"))
    pid = seat.folder / "pid"
    if how == "time":
        seat.open(**NEVER)
        answer = local(seat, state, seconds=1.5)
        assert answer["trouble"] == "out_of_time"
    else:
        with pytest.raises(Cancelled):
            local(seat, state, cancelled=pid.exists)
    until = time.monotonic() + 3
    while not gone(int(pid.read_text())) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(int(pid.read_text())) and seat._child is None


def test_a_task_that_eats_memory_ends_by_the_sites_limit(start, data, state, bad):
    opened = opening(data, "eats", limits={"memory": 4_000_000_000})
    assert local(start(opened), state)["trouble"] == "out_of_memory"


def test_a_number_that_is_none_is_refused_with_its_name(start, data, state, bad):
    answer = local(start(opening(data, "notanumber")), state)
    assert answer["trouble"] == "bad_number" and "sum" in answer["sentence"]


def test_a_child_that_is_killed_over_a_job_is_asked_again_once(start, data, state, bad):
    seat = start(opening(data, "diesonce"))
    found = Update.from_bytes(arrived(local(seat, state)["content"])).decoded()
    assert np.isclose(found["sum"], 2.5)
    answer = local(start(opening(data, "dies")), state)
    assert answer["trouble"] == "task_failed" and "twice: with 3." in answer["sentence"]


def test_a_task_that_is_not_installed_is_named(start, data):
    problems = start(opening(data, "crystal_ball")).open(**NEVER)["problems"]
    assert [problem["code"] for problem in problems] == ["task_missing"]


def test_a_dataset_edited_between_rounds_is_noticed(start, data, tmp_path):
    seat, state = start(opening(data)), begin(start(opening(None)))
    assert "trouble" not in local(seat, state)
    data.write_text(data.read_text() + "33,1\n")
    assert local(seat, state)["trouble"] == "dataset_changed"


def test_data_that_are_not_there_or_do_not_fit_are_said_in_codes(start, data, tmp_path):
    data.write_text("age,died\n20,7\n")
    assert start(opening(data)).open(**NEVER)["trouble"] == "out_of_range"
    answer = start(opening(tmp_path / "nothing.csv")).open(**NEVER)
    assert answer["trouble"] == "dataset_missing"


def test_an_update_of_another_shape_names_its_site(start, data, tmp_path):
    lead = start(opening(None))
    asked = {
        "do": "combine",
        "step": 1,
        "round": 1,
        "state": begin(lead),
        "refused": [],
        "notes": [],
        "rules": "on",
    }
    asked["updates"] = [
        {"site": site, "update": passed(raw, tmp_path / "update")}
        for site, raw in ((1, Update.of([{"sum": 1.0}]).to_bytes()), (2, b"no update"))
    ]
    assert lead.ask(asked, **NEVER)["bad"] == 2


# --- what of it leaves this hospital ---


def test_a_patients_name_in_an_exception_stays_here(study, bad, tmp_path, data):
    run = study.ready()
    assert study.state(run).receive().state == "taken"
    runner = Runner(here.home().sub("work") / "run", opening(data, "raises"))
    try:
        work._do(study.job("local"), runner, Bell())
    finally:
        runner.close()
    run.refresh_from_db()
    assert (run.state, run.reason) == ("failed", "task_failed")
    assert Outbox.objects.filter(type="trouble").count() == 1
    assert any(bad_tasks.NAME in line.detail for line in LogLine.objects.all())
    found = records()
    del found["LogLine"]
    assert bad_tasks.NAME not in str(found)
    assert not LogLine.objects.filter(sent=False, detail__contains="Jane").exists()

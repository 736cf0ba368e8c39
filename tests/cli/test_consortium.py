"""The command line of two real hospitals with a real Routing Server: what is said on the way to a Result.

A study takes a while to set up, so one test goes through all its stages; the stages stand below it, in their order.
"""

import csv
import os
import re
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from friendlyfl.testing.consortium import Consortium, Site, wait_for
from tests.cli.keyboard import Said, a_python, one_sentence, type_at
from tests.cli.test_doctor import DOCTOR, change, states

STUDY = ["-p", "Study"]
STOP_SECONDS = 2.0
SLOW = 2.0  # a loaded machine is allowed so many times more


class World:
    """Two hospitals; `first` coordinates."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        consortium.start_router()
        self.first = consortium.add_site("st-marys", "St Mary's")
        self.second = consortium.add_site("northfield", "Northfield")
        for site in consortium.sites:
            site.process.launch()
        for site in consortium.sites:
            site.process.wait_ready()

    def first_says(self, *lines: list[str], **extra: str) -> list[Said]:
        return type_at(self.first.home, *lines, **extra)

    def second_says(self, *lines: list[str], **extra: str) -> list[Said]:
        return type_at(self.second.home, *lines, **extra)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Consortium(tmp_path / "consortium") as consortium:
        yield World(consortium)


@pytest.mark.e2e
@pytest.mark.slow  # docs/quick-start.md, which tests/e2e follows, goes most of the same way
def test_a_study_from_nothing_to_its_end(world: World, tmp_path: Path) -> None:
    a_running_site_is_well(world)
    what_cannot_be_done_yet_says_what_comes_first(world)
    a_rule_of_a_run_is_refused_where_it_is_typed(world)
    joining(world)
    a_study_by_hand(world, tmp_path)
    what_was_done_can_be_read(world)
    the_publication_pack_of_a_run(world, tmp_path)
    a_notebook_presses_the_same_buttons(world)
    a_notebook_of_a_viewer_may_not_start_anything(world)
    a_second_start_is_one_sentence(world)
    for number in (signal.SIGTERM, signal.SIGINT):
        a_signal_ends_the_controller_while_it_polls(world, number)
    a_silent_routing_server_does_not_hold_the_controller(world)
    a_port_that_is_taken_is_one_sentence(world)
    a_sleeping_controller_is_said_where_it_matters(world)
    a_copy_that_lost_its_lease_is_told(world)


def fine(*answers: Said) -> None:
    for said in answers:
        assert (said.code, said.trace) == (0, ""), said


def a_running_site_is_well(world: World) -> None:
    wait_for("the lease", lambda: states(world.first_says(DOCTOR)[0], "Lease")[0][0] == "ok")
    [said] = world.first_says(DOCTOR)
    assert said.code == 0
    assert {one["state"] for one in said.json["findings"]} == {"ok"}
    assert f"process {world.first.process.pid}" in states(said, "Controller")[0][1]


def what_cannot_be_done_yet_says_what_comes_first(world: World) -> None:
    made, *early = world.first_says(
        ["project", "create", "Study", "--purpose", "Who are they?"],
        ["project", "create", "Study"],
        ["plan", "show"],
        ["plan", "propose"],
        ["run", "start"],
        ["run", "results"],
        ["run", "watch"],
        ["run", "stop", "--yes"],
        ["project", "accept", "Northfield"],
        ["plan", "add", "table_on", "--set", "variables=age"],
        ["plan", "add", "table_one", "--set", "variables=shoe_size"],
        ["plan", "add", "table_one", "--set", "colour=red"],
        ["plan", "remove", "3"],
        ["plan", "approve"],
        ["plan", "rules", "--set", "quorm=2"],
        ["site", "connect", world.consortium.address, "--enrolment", "X"],
    )
    fine(made)
    for said in early:
        one_sentence(said, said.code)
        assert said.code in (1, 2)
    words = [said.err for said in early]
    assert "friendlyfl plan add" in words[2] or "joined" in words[2]
    assert "friendlyfl run list" in words[4]
    assert "table_one" in words[8]
    [shown, listed, draft, dictionary] = world.first_says(
        ["project", "show"], ["run", "list"], ["plan", "draft"], ["plan", "dictionary"]
    )
    fine(shown, listed, draft, dictionary)
    assert "friendlyfl project invite HOSPITAL" in shown.out
    assert "friendlyfl tasks" in draft.out and "friendlyfl plan dictionary --file" in dictionary.out
    assert "friendlyfl run start" in listed.out


WRONG_RULES = {
    "round_deadline=soon": "seconds",
    "round_deadline=0": "seconds",
    "prepare_deadline=99999999": "seconds",
    "quorum=most": "whole number",
    "quorum=-1": "whole number",
    "share_result=maybe": "yes or no",
    "late=wait": "refuse",
    "secure_sum=yes": "later version",
}


def a_rule_of_a_run_is_refused_where_it_is_typed(world: World) -> None:
    """And not when the plan is proposed, by a sentence about plans that cannot be read."""
    typed = (["plan", "rules", "--set", rule] for rule in WRONG_RULES)
    for (rule, words), said in zip(WRONG_RULES.items(), world.first_says(*typed), strict=True):
        one_sentence(said, 2)
        assert words in said.err and rule.split("=")[0].split("_")[0] in said.err.lower(), said.err
    [kept] = world.first_says(["plan", "rules", "--json"])
    assert kept.json["round_deadline"] == 3600.0 and kept.json["share_result"] is True


def joining(world: World) -> None:
    [invited] = world.first_says(["project", "invite", "Northfield", "--json"])
    code = invited.json["code"]
    wrong, joined, again = world.second_says(
        ["project", "join", code[:-1] + ("A" if code[-1] != "A" else "B")],
        ["project", "join", code],
        ["project", "show"],
    )
    one_sentence(wrong, 2)
    fine(joined, again)
    assert "Waiting to be accepted" in again.out
    shown, accepted, number = world.first_says(
        ["project", "show"],
        ["project", "accept", "Northfield", "--json"],
        ["project", "safety-number", "Northfield"],
    )
    fine(shown, accepted, number)
    assert "friendlyfl project accept Northfield" in shown.out and accepted.json["name"] == "Northfield"
    assert "friendlyfl project verify Northfield" in number.out
    wait_for("membership", lambda: world.second.json("project", "show")["state"] == "open")
    refused = world.second_says(
        ["run", "start"], ["plan", "propose"], ["project", "invite", "X"], ["project", "close", "--yes"]
    )
    for said in refused:
        one_sentence(said, 1)
        assert "St Mary's" in said.err


def a_study_by_hand(world: World, tmp_path: Path) -> None:
    rows = "\n".join(f"{20 + n % 60},{n % 2}" for n in range(60))
    table, dictionary, odd = tmp_path / "a table.csv", tmp_path / "dictionary.json", tmp_path / "odd.json"
    table.write_text(f"age,female\n{rows}\n")
    dictionary.write_text('{"age": {"type": "integer", "range": [0, 120]}, "female": {"type": "integer"}}')
    odd.write_text('{"age": {"type": "integer",}}')
    fine(*world.second_says(["dataset", "add", "ward", str(table)], ["dataset", "use", "ward"]))
    not_json, *drafted = world.first_says(
        ["plan", "dictionary", "--file", str(odd)],
        ["plan", "dictionary", "--file", str(dictionary)],
        ["plan", "add", "table_one", "--set", "variables=age,female"],
        ["plan", "draft"],
        ["plan", "rules", "--set", "round_deadline=60", "--set", "prepare_deadline=60"],
        ["plan", "propose", "--json"],
    )
    one_sentence(not_json, 2)
    assert "line 1, column 28" in not_json.err
    fine(*drafted)
    assert "0 to 120" in drafted[0].out and "variables=age,female" in drafted[2].out
    plan = drafted[-1].json["plan"]
    wait_for("the plan", lambda: world.second.json("project", "show")["plan_sha256"] == plan)
    shown, checked, approved = world.second_says(["plan", "show"], ["dataset", "check"], ["plan", "approve"])
    fine(shown, checked, approved)
    assert "St Mary's" in shown.out and "What leaves" in shown.out and "Who are they?" in shown.out
    wait_for("approval", lambda: "approved" in world.first.json("project", "show")["sites"][1]["decision"])
    [run] = world.first_says(["run", "start"])
    fine(run)
    assert run.out.splitlines() == ["Run 1 of Study has begun.", "Finished. Read it: friendlyfl run results"]
    told = run.err.splitlines()
    assert told and len(told) == len(set(told)), told  # progress, a line for each change
    assert any("Checking the data" in line or "Waiting for hospitals" in line for line in told)


LOOKS = [
    ["run", "list"],
    ["run", "show"],
    ["run", "results"],
    ["run", "logs"],
    ["run", "watch"],
    ["project", "show"],
    ["project", "list"],
    ["plan", "show"],
    ["plan", "rules"],
    ["dataset", "list"],
]


def what_was_done_can_be_read(world: World) -> None:
    for says in (world.first_says, world.second_says):
        for line, said in zip(LOOKS, says(*LOOKS), strict=True):
            fine(said)
            assert said.out and said.err == "", line
            assert not [text for text in said.out.splitlines() if len(text) > 80 and text[:1] in "│┃└┏"]
    hospitals = {"St Mary's", "Northfield"}
    read_logs = ["run", "logs", "--json"]
    wait_for("logs", lambda: {line["hospital"] for line in world.first_says(read_logs)[0].json} == hospitals)
    results, ledger, ended, none = world.first_says(
        ["run", "results", "--json", "-"],
        ["ledger", "--check"],
        ["run", "stop", "--yes"],
        ["run", "show", "-r", "9"],
    )
    fine(results, ledger, ended)
    assert results.json["1"]["task"] == "table_one"
    assert "had ended before" in ended.out
    one_sentence(none, 1)


def the_publication_pack_of_a_run(world: World, tmp_path: Path) -> None:
    """With the plan and the approvals that a hospital holds."""
    pack, theirs = tmp_path / "study.zip", tmp_path / "theirs.zip"
    fine(*world.first_says(["run", "results", "--pack", str(pack)]))
    fine(*world.second_says(["run", "results", "--pack", str(theirs)]))
    [none] = world.first_says(["run", "results", "--step", "9", "--pack", str(tmp_path / "none.zip")])
    one_sentence(none, 1)
    with zipfile.ZipFile(pack) as opened, zipfile.ZipFile(theirs) as other:
        files = set(opened.namelist())
        assert {"methods.md", "patients.csv", "result.json", "dictionary.json", "plan/plan.json"} <= files
        assert "approved the plan" in opened.read("methods.md").decode()
        approvals = list(csv.DictReader(opened.read("plan/approvals.csv").decode().splitlines()))
        (remote,) = approvals  # the coordinator brings no data to this study and so has nothing to approve
        assert (remote["hospital"], remote["decision"]) == ("Northfield", "approved")
        assert re.fullmatch("[0-9a-f]{64}", remote["signed_message_sha256"]) and remote["key_fingerprint"]
        seen = other.read("plan/approvals.csv").decode()
        assert "Northfield" in seen and "St Mary" not in seen
        assert opened.read("plan/plan.json") == other.read("plan/plan.json")


def a_notebook_presses_the_same_buttons(world: World) -> None:
    """The block of the quick start, as a notebook runs it: inside an event loop."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "quick-start.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    cell = block.replace("~/friendlyfl/st-marys", str(world.first.home)).replace("Who sees a doctor", "Study")
    lines = cell.strip().splitlines()
    code = f"""
import asyncio, time

async def cell():
    exec({chr(10).join(lines[:-1])!r}, globals())
    print(eval({lines[-1]!r}))
    print("start_run" in dir(site), "launch" in dir(site), site.start_run.__name__)
    until = time.monotonic() + 60
    while site.overview(run)["state"] not in ("succeeded", "failed", "stopped"):
        assert time.monotonic() < until
        time.sleep(0.2)
        run.refresh_from_db()
    print(run.number, run.state, repr(site))

asyncio.run(cell())
"""
    said = a_python(code).splitlines()
    assert said[0] == "['table_one']" and said[1] == "True False start_run"
    assert said[2].startswith("2 succeeded <St Mary's, as ") and said[2].endswith("(site-admin)>")


def a_notebook_of_a_viewer_may_not_start_anything(world: World) -> None:
    code = f"""
import friendlyfl.controller
from friendlyfl.core.errors import FriendlyError

site = friendlyfl.controller.open({str(world.first.home)!r}, role="viewer")
for act in (lambda: site.start_run("Study"), lambda: site.start_run("Studdy"), lambda: site.fly(),
            lambda: friendlyfl.controller.open({str(world.second.home)!r}),
            lambda: friendlyfl.controller.open({str(world.first.home)!r}, role="king")):
    try:
        act()
    except (FriendlyError, AttributeError) as error:
        print(error)
"""
    said = a_python(code).splitlines()
    assert said[0] == "Only a researcher of this hospital can do that."
    assert "Did you mean Study?" in said[1] and "no verb" in said[2]
    assert "uses the site in" in said[3] and "viewer, researcher, site-admin" in said[4]


def a_second_start_is_one_sentence(world: World) -> None:
    for home, port in ((world.first.home, "0"), (world.second.home, "0")):
        [said] = type_at(home, ["controller", "start", "--port", port])
        one_sentence(said, 1)
        assert f"already runs on {home}" in said.err


def stops(site: Site, number: int, seconds: float = STOP_SECONDS) -> None:
    began = time.monotonic()
    os.kill(site.process.pid, number)
    wait_for("the end", lambda: not site.process.alive, every=0.02)
    assert time.monotonic() - began < seconds * SLOW
    log = site.process.log.read_text()
    assert log.rstrip().endswith("Stopped.") and "Traceback" not in log


def a_signal_ends_the_controller_while_it_polls(world: World, number: int) -> None:
    time.sleep(0.5)  # into the next long poll
    stops(world.second, number)
    world.second.start()


def a_silent_routing_server_does_not_hold_the_controller(world: World) -> None:
    os.kill(world.consortium.router.pid, signal.SIGSTOP)
    try:
        time.sleep(1.0)
        stops(world.second, signal.SIGTERM)
    finally:
        os.kill(world.consortium.router.pid, signal.SIGCONT)


def a_port_that_is_taken_is_one_sentence(world: World) -> None:
    """The second hospital's Controller is stopped by now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        [said] = world.second_says(["controller", "start", "--port", port])
    one_sentence(said, 1)
    assert f"port {port}" in said.err and "--port 0" in said.err


def a_sleeping_controller_is_said_where_it_matters(world: World) -> None:
    stopped, well = world.second_says(["site", "show"], DOCTOR)
    assert "friendlyfl controller start" in stopped.out
    assert states(well, "Controller")[0][0] == "look" and well.code == 0


def a_copy_that_lost_its_lease_is_told(world: World) -> None:
    change(world.second.home, "UPDATE controller_identity SET lease = 99")
    [said] = world.second_says(DOCTOR)
    assert said.code == 1 and states(said, "Lease")[0][0] == "repair"

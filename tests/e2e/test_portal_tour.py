"""The clinician's tour: from the sign-in at the coordinator to a finished logistic regression over three hospitals.

Everything a person does is counted, and nothing is typed that is not a name, a code or a choice. With
FRIENDLYFL_PICTURES set to a folder the pages on the way are written there: the pictures of the clinician's guide.
Once the hospitals have no plan yet, once they are those that `friendlyfl demo --stay` leaves to a newcomer.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from friendlyfl import datasets
from friendlyfl.testing.consortium import Process, wait_for
from tests.e2e.conftest import PASSWORD
from tests.e2e.house import House

PICTURES = os.environ.get("FRIENDLYFL_PICTURES", "")
NAME = "Back in hospital"
PURPOSE = "Which patients with heart failure are back in hospital within 30 days?"
MOST_ACTS = 25
TALL = 1500  # pixels of a page that a picture shows at most


@dataclass
class Hand:
    """What a person's hands do at one desk: every click and every field counts, and reading does not."""

    page: Any
    acts: list[str] = field(default_factory=list)

    def click(self, role: str, name: str, **more: Any) -> None:
        self.acts.append(f"{role} {name}")
        self.page.get_by_role(role, name=name, **more).first.click()

    def fill(self, label: str, text: str) -> None:
        self.acts.append(f"field {label}")
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, value: str) -> None:
        self.acts.append(f"choice {label}")
        self.page.get_by_label(label).select_option(value)

    def tick(self, group: str, value: str) -> None:
        self.acts.append(f"tick {value}")
        self.page.get_by_role("group", name=group).locator(f"input[value={value}]").check()

    def picture(self, name: str) -> None:
        if not PICTURES:
            return
        from PIL import Image

        path = Path(PICTURES) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("window.scrollTo(0, 0)")
        self.page.screenshot(path=path, full_page=True)
        with Image.open(path) as whole:
            whole.crop((0, 0, whole.width, min(whole.height, TALL))).quantize(64).save(path, optimize=True)


@pytest.fixture
def project(house: House, desk: Callable[..., Any]) -> str:
    """Three hospitals in one project, with a table each and columns agreed on: as the rehearsal prepares them."""
    marys, others = house.marys, (house.north, house.lake)
    on = ("-p", NAME)
    marys.run("project", "create", NAME, "--purpose", PURPOSE)
    for site in others:
        site.run("project", "join", marys.json("project", "invite", site.name, *on)["code"])
        marys.run("project", "accept", site.name, *on)
        marys.run("project", "verify", site.name)
        site.run("project", "verify", marys.name)
    files = datasets.export("clinic", house.folder / "clinic", styles=True)
    for site, path in zip(house.members, files, strict=True):
        site.run("dataset", "add", "clinic", str(path))
        house.wait("membership", lambda site=site: site.json("project", "show", *on)["state"] == "open")
        site.run("dataset", "use", "clinic", *on)
        desk(site).context.close()  # there is an account
    dictionary = house.folder / "clinic.json"
    dictionary.write_text(json.dumps(datasets.dictionary("clinic")), encoding="utf-8")
    marys.run("plan", "dictionary", "--file", str(dictionary), *on)
    marys.run("plan", "rules", "--set", "coordinator_data=yes", "--set", "round_deadline=120", *on)
    return NAME


def sign_in(browser: Any, portal: str, user: str = "site-admin", password: str = PASSWORD) -> Hand:
    context = browser.new_context(base_url=portal, viewport={"width": 1100, "height": 800})
    hand = Hand(context.new_page())
    hand.page.goto("/")
    hand.fill("User name", user)
    hand.fill("Password", password)
    hand.picture("sign-in")
    hand.click("button", "Sign in")
    hand.page.get_by_role("heading", name="How things stand").wait_for()
    return hand


def fill_in(hand: Hand, outcome: str, *predictors: str) -> None:
    """From the empty form of a logistic regression to a plan that every hospital is asked about."""
    hand.choose("Outcome", outcome)
    for predictor in predictors:
        hand.tick("Predictors", predictor)
    hand.picture("step")
    hand.click("button", "Add")
    hand.page.get_by_text("was added to the draft").wait_for()
    hand.click("link", "Propose this plan")
    hand.click("button", "Propose this plan")


def approve(hand: Hand) -> None:
    hand.page.get_by_text("every rule is met").first.wait_for(timeout=60_000)
    hand.picture("request")
    hand.click("button", "Approve")
    hand.page.get_by_text("The coordinator is told.").wait_for()


def start(hand: Hand) -> None:
    """Start a run and watch it to its end."""
    hand.page.reload()
    hand.click("link", "Start a run")
    hand.picture("start")
    hand.click("button", "Start")
    hand.page.get_by_text("Finished").first.wait_for(timeout=60_000)  # the page goes on by itself
    hand.picture("run")


def read_result(hand: Hand) -> None:
    hand.click("link", "result")
    hand.page.get_by_text("times the odds").first.wait_for()
    hand.picture("results")


def test_a_clinician_asks_three_hospitals(house: House, browser: Any, project: str) -> None:
    marys = sign_in(browser, house.marys.portal)
    hands = [marys]
    marys.click("link", NAME)
    marys.picture("project")
    marys.click("link", "Add a step")
    marys.picture("catalogue")
    marys.click("link", "Which factors go with a yes/no outcome?")
    marys.click("link", f"Use it in {NAME}")
    fill_in(marys, "readmitted", "age", "treatment")
    for site in (house.north, house.lake):
        house.wait("the request", lambda site=site: site.ask(
            "SELECT 1 FROM controller_plan p JOIN controller_project j ON j.id = p.project_id WHERE j.name = ?", NAME
        ))  # fmt: skip
        other = sign_in(browser, site.portal)
        hands.append(other)
        other.click("link", f"{NAME}: the coordinator asks this hospital to approve or decline a plan.")
        approve(other)
    house.wait("the approvals", lambda: all(
        seat["decision"].startswith("approved")
        for seat in house.marys.json("project", "show", "-p", NAME)["sites"] if seat["role"] == "participant"
    ))  # fmt: skip
    start(marys)
    acts = [act for hand in hands for act in hand.acts]
    assert len(acts) <= MOST_ACTS, acts
    read_result(marys)
    other.page.goto("/ledger/")
    other.picture("ledger")
    for hand in hands:
        hand.page.context.close()


@pytest.fixture
def left_running(tmp_path: Path) -> Iterator[str]:
    """What `friendlyfl demo --stay` has printed by the time it leaves its hospitals to a person."""
    demo = Process(
        ["demo", "--stay"],
        tmp_path / "demo.log",
        "",
        {"TMPDIR": str(tmp_path), "COLUMNS": "80"},
    )
    demo.launch()
    try:
        wait_for("the demo", lambda: "Where to begin" in demo.log.read_text("utf-8"), seconds=240)
        yield demo.log.read_text("utf-8")
    finally:
        demo.stop()
    assert not [path for path in tmp_path.iterdir() if path != demo.log], "the demo left something behind"


@pytest.mark.slow
def test_a_newcomer_asks_the_hospitals_of_the_demo(browser: Any, left_running: str) -> None:
    """With nothing at hand but what the demo prints: the addresses, the logins and where to begin."""
    logins = re.findall(r"(http://\S+/)\n +user (\S+), password (\S+)\n", left_running)
    project = re.findall("“(.+)”", left_running.splitlines()[-1])[0]
    marys, *others = hands = [sign_in(browser, *login) for login in logins]
    assert len(others) == 2
    marys.page.get_by_role("listitem").filter(has_text="this hospital coordinates").wait_for()
    marys.acts.append(f"link {project}")
    marys.page.get_by_role("listitem").get_by_role("link", name=project).click()
    marys.click("link", "Add a step")
    marys.click("link", "Which factors go with a yes/no outcome?")
    marys.click("link", f"Use it in {project}")
    fill_in(marys, "visited", "age", "female")
    for other in others:
        request = other.page.get_by_role("link", name=f"{project}: the coordinator asks")
        wait_for(
            "the request", lambda request=request, other=other: (other.page.reload(), request.count())[1]
        )
        other.click("link", f"{project}: the coordinator asks")
        approve(other)
    begin = marys.page.get_by_role("link", name="Start a run")
    wait_for("the approvals", lambda: (marys.page.reload(), begin.count())[1])
    start(marys)
    acts = [act for hand in hands for act in hand.acts]
    assert len(acts) <= MOST_ACTS, acts
    read_result(marys)
    for hand in hands:
        hand.page.context.close()

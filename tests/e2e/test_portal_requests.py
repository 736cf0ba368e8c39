"""A request in a real Chromium, on real processes: read, checked, approved at one hospital and declined at another."""

from typing import Any

from tests.e2e.house import Hospital, House

NAME = "Who falls ill"
FIT = "This hospital's data fit the plan, and every rule is met."
DONE = {"timeout": 20_000}


def left(site: Hospital) -> list[Any]:
    """What a hospital has done for the project: jobs of the runner, and post to other sites."""
    jobs = site.ask(
        "SELECT j.kind FROM controller_job j JOIN controller_run r ON j.run_id = r.id "
        "JOIN controller_project p ON r.project_id = p.id WHERE p.name = ?",
        NAME,
    )
    post = site.ask(
        "SELECT o.type FROM controller_outbox o JOIN controller_project p ON o.project_id = p.id "
        "WHERE p.name = ? AND NOT o.here",
        NAME,
    )
    return [*jobs, *post]


def request_of(site: Hospital) -> str:
    [(pk,)] = site.ask(
        "SELECT a.id FROM controller_plan a JOIN controller_project p ON a.project_id = p.id WHERE p.name = ?",
        NAME,
    )
    return f"/requests/{pk}/"


def test_a_request_is_approved_here_and_declined_there(house: House, desk: Any) -> None:
    north, lake = house.north, house.lake
    house.draft(NAME, (("table_one", {"variables": "age"}),))
    house.propose(NAME, coordinator_data="yes", quorum="2", prepare_deadline="120", round_deadline="120")
    number = house.start_run(NAME)
    asked = "SELECT 1 FROM controller_run r JOIN controller_project p ON r.project_id = p.id WHERE p.name = ?"
    for site in (north, lake):
        house.wait("the invitation", lambda site=site: site.ask(asked, NAME))

    # A viewer reads it and has no button; reading and checking it does nothing
    page = desk(north, role="viewer")
    page.goto(request_of(north))
    page.get_by_text("A site-admin of this hospital approves or declines this request.").wait_for()
    assert page.get_by_role("button", name="Approve").count() == 0
    assert page.get_by_role("link", name="Decline").count() == 0
    page = desk(north)
    page.goto(request_of(north))
    page.get_by_text(FIT).wait_for(**DONE)  # by itself, without a reload
    assert "Who falls ill" in page.inner_text("h1") and "St Mary's" in page.inner_text("h1")
    assert "St Mary's will receive this hospital's own totals" in page.inner_text("main")
    assert "Lakeside" not in page.content()
    assert left(north) == left(lake) == []

    # The click
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved for all runs until").first.wait_for()
    house.wait("work here", lambda: left(north))
    assert ("approve",) in left(north) and left(lake) == []

    # Declining asks why, and the coordinator reads it in words
    page = desk(lake)
    page.goto(request_of(lake))
    page.get_by_role("link", name="Decline").click()
    page.get_by_role("button", name="Decline this plan").click()
    page.get_by_role("link", name="Choose a reason.").wait_for()
    page.get_by_label("Our ethics board or data protection office has not agreed yet.").check()
    page.get_by_label("In your own words").fill("It meets in May.")
    page.get_by_role("button", name="Decline this plan").click()
    page.get_by_text("Nothing is computed or sent, and the coordinator reads your reason.").wait_for()
    reason = "Our ethics board or data protection office has not agreed yet. It meets in May."
    house.wait(
        "the reason",
        lambda: any(
            site["decision"] == f"declined: {reason}"
            for site in house.marys.json("project", "show", "-p", NAME)["sites"]
        ),
    )
    assert house.succeed(number, NAME)
    assert ("update",) not in left(lake) and not [kind for kind in left(lake) if kind == ("local",)]

    # What left can be read, and its chain holds
    page = desk(north)
    page.goto("/ledger/")
    page.get_by_label("Project").select_option(NAME)
    page.get_by_role("button", name="Show").click()
    page.get_by_text("messages in this choice.").wait_for()
    row = page.get_by_role("row").filter(has_text="totals over this hospital's rows").first
    row.get_by_role("link").click()
    page.get_by_role("heading", name="Patients used").wait_for()
    page.get_by_role("link", name="All lines").click()
    page.get_by_role("button", name="Check the chain").click()
    page.get_by_text("Unbroken").wait_for(**DONE)

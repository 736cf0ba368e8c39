"""Interaction 5 in a real browser, by keyboard alone: add a step, put right a wrong column, reorder, propose again."""

from collections.abc import Callable
from typing import Any

from tests.e2e.house import House

NAME = "Planned by hand"
WHERE = """() => {
  const e = document.activeElement, label = e.labels && e.labels[0];
  return ((label ? label.innerText : e.innerText) || '').replace(/\\s+/g, ' ').trim();
}"""
STOPS = 120


def reach(page: Any, words: str, stops: int = STOPS) -> None:
    """Press Tab until the focus is on what begins with these words."""
    passed = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(WHERE))
        if passed[-1].startswith(words):
            return
    raise AssertionError(f"The keyboard does not reach “{words}”: {passed}")


def follow(page: Any, words: str) -> None:
    """Reach a link or a button, and press Enter on it."""
    reach(page, words)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def questions(page: Any) -> list[str]:
    return page.locator("ol.steps h3").all_inner_texts()


def test_plan_a_step_by_keyboard_alone(house: House, desk: Callable[..., Any]) -> None:
    house.study(NAME, coordinator_data="no")
    [(pk,)] = house.marys.ask("SELECT id FROM controller_project WHERE name = ?", NAME)
    page = desk(house.marys, role="researcher")
    page.goto(f"/projects/{pk}/plan/")
    assert "Proposed. 2 of 2 hospitals have approved." in page.inner_text("main")

    # from the plan to the form of an analysis, by its question
    follow(page, "Add a step")
    follow(page, "Which factors go with a yes/no outcome?")
    follow(page, f"Use it in {NAME}")
    assert page.title().startswith("Logistic regression")

    # choose, with a column that does not exist
    reach(page, "Outcome")
    page.keyboard.type("Saw a doctor")
    reach(page, "Age")
    page.keyboard.press("Space")
    reach(page, "Effects that depend on each other")
    page.keyboard.type("age:shoes")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.title().startswith("Error: ")
    assert page.evaluate("document.activeElement.className") == "errors"
    sentence = "The dictionary has no column “shoes”."
    reach(page, f"Predictors: {sentence}", 3)
    page.keyboard.press("Enter")  # the link leads to its field
    assert page.evaluate(WHERE).startswith("Effects that depend on each other")
    field = page.locator(":focus")
    assert field.get_attribute("aria-invalid") == "true" and field.input_value() == "age:shoes"
    assert page.get_by_label("Outcome").input_value() == "visited"
    assert page.locator("input[value=age]").is_checked()  # every other answer is kept

    # put it right, and order the steps
    page.keyboard.press("Control+A")
    page.keyboard.type("age:female")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "Step 3 was added to the draft." in page.inner_text(".said")
    assert questions(page)[2].startswith("3. Does “Age in whole years” change the odds of")
    follow(page, "Up step 3")
    assert page.evaluate("document.activeElement.id") == "step-2"
    assert questions(page)[1].startswith("2. Does “Age in whole years” change the odds of")
    follow(page, "Up step 2")
    assert questions(page)[0].startswith("1. Does “Age in whole years” change the odds of")
    follow(page, "Down step 1")
    assert questions(page)[1].startswith("2. Does “Age in whole years” change the odds of")

    # the change has ended approvals, and the pages say whose
    approved = [f"{site.name}, approved by " for site in (house.north, house.lake)]
    assert "these approvals no longer count" in page.inner_text("main")
    assert all(words in page.inner_text("main") for words in approved)
    assert "Start a run" not in page.inner_text("main")
    follow(page, "Propose this plan")
    assert "2 other hospitals will see" in page.inner_text("main")
    assert all(words in page.inner_text("main") for words in approved)
    follow(page, "Propose this plan")
    said = page.inner_text("main")
    assert f"Approvals that ended with the plan before: {house.north.name}, {house.lake.name}." in said
    assert "Proposed. 0 of 2 hospitals have approved." in said

    # a hospital that takes part reads the new plan; nobody else is on its page
    house.wait(
        "the plan at Northfield",
        lambda: house.north.ask("SELECT count(*) FROM controller_plan p JOIN controller_project j "
                                "ON j.id = p.project_id WHERE j.name = ?", NAME) == [(2,)],
    )  # fmt: skip
    [(there,)] = house.north.ask("SELECT id FROM controller_project WHERE name = ?", NAME)
    other = desk(house.north, role="researcher")
    other.goto(f"/projects/{there}/plan/")
    assert questions(other) == questions(page)
    text = other.content()
    assert house.lake.name not in text and house.lake.uid not in text
    assert "Only the coordinator, St Mary's, can change the plan." in other.inner_text("main")
    assert other.locator("main form").count() == 0

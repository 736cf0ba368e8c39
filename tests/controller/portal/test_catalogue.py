"""The catalogue's pages: every task that is installed has one, made from what it declares and its example."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.controller import actions, examples
from friendlyfl.controller.examples import Example
from friendlyfl.tasks import catalogue as declared
from friendlyfl.tasks import registry
from tests.controller.world import ADMIN

PASSWORD = "a calm and long sentence"


@pytest.fixture
def vera(home) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "vera", "viewer", PASSWORD))
    return client


@pytest.fixture
def rosa(home) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, "rosa", "researcher", PASSWORD))
    return client


@pytest.fixture
def nothing_known(monkeypatch: Any) -> None:
    """No example is known, and none is begun."""
    monkeypatch.setattr(examples, "_known", {})
    monkeypatch.setattr(examples, "_begun", set(registry.names()))


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return " ".join(answer.content.decode().replace("&#x27;", "'").split())


def test_the_catalogue_lists_every_task_by_its_question(vera):
    page = read(vera, "/catalogue/")
    for name in registry.names():
        task = registry.find(name)
        assert f'href="/catalogue/{name}/">{declared.question(task)}</a>' in page and task.title in page
    assert (
        page.index("Describe the patients") < page.index("Time until an event") < page.index("Find patterns")
    )
    assert "Other analyses" not in page  # every shipped task says where it stands


def test_a_task_without_a_topic_stands_with_the_others(vera, monkeypatch):
    monkeypatch.setattr(registry.find("pca"), "topic", "nowhere")
    assert "Other analyses" in read(vera, "/catalogue/")


@pytest.mark.parametrize("name", registry.names())
def test_every_task_says_what_leaves_and_who_can_read_it(vera, nothing_known, name):
    task = registry.find(name)
    page = read(vera, f"/catalogue/{name}/")
    assert f"<h1>{declared.question(task)}</h1>" in page
    for kind in task.sends.values():
        assert kind.words[1:] in page
    assert declared.reader(task) in page
    for parameter in task.parameters.values():
        assert parameter.label in page
    for reference in task.references:
        assert reference.split(".")[0] in page


def test_the_example_is_waited_for_and_then_there(vera, nothing_known, monkeypatch):
    page = read(vera, "/catalogue/cox/")
    assert "The example is being worked out" in page and 'hx-trigger="every 3s"' in page and "Refresh" in page
    assert vera.get("/catalogue/cox/figures/1.svg").status_code == 404
    examples.work_out("cox")
    part = read(vera, "/catalogue/cox/example/")
    assert "hx-get" not in part and "change the hazard of “Died”?" in part
    assert "up to" in part and "<html" not in part
    figure = vera.get("/catalogue/cox/figures/1.svg")
    assert figure["Content-Type"] == "image/svg+xml" and b"<svg" in figure.content
    assert vera.get("/catalogue/cox/figures/99.svg").status_code == 404
    assert 'alt="' in part and "Strata: one baseline hazard for each hospital." in part


@pytest.mark.parametrize(("task", "rounds"), [("pca", 2), ("logistic_regression", 7), ("chi_square", 1)])
def test_the_example_says_how_many_numbers_left_in_all(vera, task, rounds):
    numbers = examples.work_out(task).numbers
    page = read(vera, f"/catalogue/{task}/")
    assert len(numbers) == rounds
    if rounds == 1:
        assert f"<p>{numbers[0]} numbers, once.</p>" in page
        return
    first, later, every = numbers[0], max(numbers[1:]), sum(numbers)
    assert f"{first} numbers in the first exchange, at most {later} in a later one, {every} in all." in page


def test_an_example_that_hospitals_refuse_says_so(vera):
    examples.work_out("kaplan_meier")
    page = read(vera, "/catalogue/kaplan_meier/")
    assert "Hospitals with the usual rules refuse this example" in page


def test_the_program_that_works_out_an_example_gets_no_secrets(monkeypatch):
    seen: dict[str, Any] = {}

    def run(command: list[str], **how: Any) -> Any:
        seen.update(how["env"])
        raise OSError("no such program")

    monkeypatch.setattr(examples.subprocess, "run", run)
    monkeypatch.setattr(examples, "_known", {})
    monkeypatch.setenv("FRIENDLYFL_SECRET", "hidden")
    assert examples.work_out("pca") == Example()
    assert not any("FRIENDLYFL" in name or "SECRET" in name for name in seen)


def test_a_task_without_an_example_says_so(vera, nothing_known, monkeypatch):
    monkeypatch.setitem(examples._known, "pca", Example())
    assert "There is no example for this analysis." in read(vera, "/catalogue/pca/")


def test_an_unknown_task_is_not_found(vera):
    for path in ("/catalogue/nothing/", "/catalogue/nothing/example/", "/catalogue/nothing/figures/1.svg"):
        assert vera.get(path).status_code == 404


def test_it_is_used_in_a_project_that_this_hospital_coordinates(rosa, vera, consortium, study, nothing_known):
    page = read(rosa, "/catalogue/cox/")
    assert f'href="/projects/{consortium.project.pk}/plan/add/cox/">Use it in Ours' in page
    assert "Births" not in page  # another hospital's to plan
    assert "Use it in" not in read(vera, "/catalogue/cox/")
    page = read(rosa, f"/catalogue/?project={consortium.project.pk}")
    assert (
        "Choose an analysis for Ours" in page and f"/catalogue/cox/?project={consortium.project.pk}" in page
    )
    for wrong in (study.project.pk, "999", "x", "9" * 30, "²"):
        assert "Choose an analysis for" not in read(rosa, f"/catalogue/?project={wrong}")


def test_a_hospital_that_coordinates_nothing_is_told_whose_act_it_is(rosa, study, nothing_known):
    assert "This hospital coordinates no project yet." in read(rosa, "/catalogue/cox/")


def test_pages_ask_the_database_little(rosa, consortium, nothing_known):
    for path in ("/catalogue/", "/catalogue/cox/", f"/catalogue/cox/?project={consortium.project.pk}"):
        rosa.get(path)
        with CaptureQueriesContext(connection) as asked:
            read(rosa, path)
        assert len(asked) <= 12

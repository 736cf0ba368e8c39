"""The plan's pages: drafted step by step from what tasks declare, proposed after a look, and read by participants."""

from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl import datasets
from friendlyfl.controller import actions, approvals
from friendlyfl.controller.models import Approval, Plan, Step
from friendlyfl.controller.portal import step_form
from friendlyfl.tasks import registry
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.params import Flag
from tests.controller.world import ADMIN, RESEARCHER, Consortium, Study

PASSWORD = "a calm and long sentence"
CLINIC = datasets.dictionary("clinic")
LOGISTIC = {"p-outcome": "readmitted", "p-predictors": ["age", "sex"]}


@pytest.fixture
def rosa(home) -> Client:
    return signed_in("rosa", "researcher")


def signed_in(name: str, role: str) -> Client:
    client = Client(SERVER_NAME="localhost", raise_request_exception=True)
    client.force_login(actions.add_person(ADMIN, name, role, PASSWORD))
    return client


@pytest.fixture
def ours(consortium: Consortium) -> Consortium:
    actions.set_dictionary(RESEARCHER, consortium.project, CLINIC)
    return consortium


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return said(answer)


def plan_page(ours: Any, rest: str = "") -> str:
    return f"/projects/{ours.project.pk}/plan/{rest}"


_keys = iter(range(10**6))


def send(client: Client, path: str, once: str = "", **answers: Any) -> Any:
    data = {name.replace("p_", "p-", 1): value for name, value in answers.items()}
    return client.post(path, {"once": once or f"key {next(_keys)}", **data})


def add(client: Client, ours: Any, task: str = "logistic_regression", once: str = "", **answers: Any) -> Any:
    data = {"once": once or f"key {next(_keys)}", **(answers or LOGISTIC)}
    return client.post(plan_page(ours, f"add/{task}/"), data)


def typed(task: Any, values: dict[str, Any]) -> dict[str, Any]:
    """An example's parameters as a browser sends them."""
    answers = step_form.answers_of(task, values, Dictionary.parse(CLINIC))
    return {name: value for name, value in answers.items() if value is not False}


# --- every task of the catalogue ---


@pytest.mark.parametrize("name", registry.names())
def test_every_task_can_be_added_by_its_form(rosa, ours, name):
    task = registry.find(name)
    if task.lacks():
        answer = add(rosa, ours, name, **{"p-outcome": "readmitted", "p-features": "age"})
        assert task.lacks() in unescape(said(answer))
        return
    page = read(rosa, plan_page(ours, f"add/{name}/"))
    values = task.validate(task.example, Dictionary.parse(CLINIC))
    for parameter in task.asked(values).values():
        assert parameter.label in page.replace("&#x27;", "'")
    answer = add(rosa, ours, name, **typed(task, values), act="save")
    assert answer.status_code == 302, said(answer).split("There is a problem")[-1][:500]
    [step] = ours.project.steps.all()
    assert task.validate(step.parameters, Dictionary.parse(CLINIC)) == values
    again = plan_page(ours, "1/")
    edited = {**typed(task, step.parameters), "title": "Ours"}
    assert rosa.post(again, {"once": "k", **edited}).status_code == 302
    step.refresh_from_db()
    assert task.validate(step.parameters, Dictionary.parse(CLINIC)) == values and step.title == "Ours"


def test_what_is_left_empty_is_as_usual(rosa, ours):
    assert add(rosa, ours).status_code == 302
    [step] = ours.project.steps.all()
    assert step.parameters["robust"] == "none" and step.parameters["weights"] is None
    assert step.title == "Logistic regression"
    page = read(rosa, plan_page(ours))
    assert "Do “Age” and “Sex” change the odds of “Back in hospital within 30 days”?" in page
    assert "As usual: Standard errors from the model." in page


def test_flags_can_be_turned_off(rosa, ours):
    assert isinstance(registry.find("chi_square").parameters["yates"], Flag)
    answers = {"p-row": "treatment", "p-column": "readmitted"}
    add(rosa, ours, "chi_square", **answers)
    add(rosa, ours, "chi_square", **answers, **{"p-yates": "on"})
    assert [step.parameters["yates"] for step in ours.project.steps.all()] == [False, True]


# --- the form ---


def test_only_columns_that_fit_are_offered_with_type_and_unit(rosa, ours):
    page = read(rosa, plan_page(ours, "add/logistic_regression/"))
    outcome = page.split('name="p-outcome"')[1].split("</select>")[0]
    assert 'value="readmitted"' in outcome and 'value="sex"' in outcome and 'value="age"' not in outcome
    assert "Back in hospital within 30 days (readmitted) · 0 or 1" in outcome
    predictors = page.split('id="id_p-predictors-group"')[1].split("</fieldset>")[0]
    assert "whole number from 18 to 110, years" in predictors and "physician" not in predictors
    assert "from the model (usual)" in page and "robust (HC0)" in page


def test_strata_of_the_hospital_are_proposed(rosa, ours):
    page = read(rosa, plan_page(ours, "add/cox/"))
    assert '<option value=".site" selected>' in page


def test_a_wrong_column_marks_its_field_and_keeps_every_other_answer(rosa, ours):
    answers = {"p-outcome": "age", "p-predictors": ["bmi", "age"], "p-robust": "HC1", "title": "First look"}
    answer = add(rosa, ours, **answers)
    assert answer.status_code == 400 and not ours.project.steps.exists()
    page = said(answer)
    sentence = (
        "Outcome needs 0 and 1, or a factor with two levels; the dictionary says that “age” is a whole number"
    )
    assert page.count(sentence) == 2 and "<title>Error: " in page
    assert (
        'href="#id_p-outcome"' in page and 'aria-describedby="id_p-outcome-hint id_p-outcome-error"' in page
    )
    assert 'value="bmi" id="id_p-predictors_0" checked' in page and 'value="HC1"' in page
    assert 'value="First look"' in page and '<option value="age" selected>' in page
    field = page.split('name="p-outcome"')[1].split(">")[0]
    assert 'aria-invalid="true"' in field


def test_what_is_missing_is_asked_for_in_words(rosa, ours):
    page = said(add(rosa, ours, **{"p-outcome": "", "p-predictors-with": "age:nothere"}))
    assert "Outcome: choose a column (0 and 1, or a factor with two levels)." in page
    assert "The dictionary has no column “nothere”." in page and 'href="#id_p-predictors-with"' in page
    assert 'value="age:nothere"' in page
    page = said(add(rosa, ours, "t_test", **{"p-outcome": "sbp"}))
    assert "Group: choose a column" in page


@pytest.mark.parametrize(
    ("task", "answers", "sentence"),
    [
        ("kmeans", {"p-variables": ["age", "sbp"], "p-k": "none"}, "must be a number"),
        ("kaplan_meier", {"p-time": "weeks", "p-event": "dead", "p-rho": "-1"}, "must be at least 0"),
        ("kaplan_meier", {"p-time": "weeks", "p-event": "dead", "p-ci": "loglog"}, "must be one of log"),
        ("rank_test", {"p-outcome": "sex", "p-group": "sex"}, "Outcome and group must be different columns"),
        ("feasibility", {"p-conditions": "age => 3"}, "cannot be read"),
        ("feasibility", {"cohort": "age >> 3"}, "cannot be read"),
        ("calibration", {"p-outcome": "readmitted", "p-predicted": "lp:1+2*nobody"}, "nobody"),
    ],
)
def test_a_tasks_own_check_speaks_at_the_form(rosa, ours, task, answers, sentence):
    for _ in range(2):
        answer = add(rosa, ours, task, **answers)
        assert answer.status_code == 400 and sentence in said(answer)
    assert not ours.project.steps.exists()


def test_a_comma_may_stand_for_the_decimal_point(rosa, ours):
    answers = {"p-time": "weeks", "p-event": "dead", "p-group": "treatment", "p-tau": "52,5"}
    assert add(rosa, ours, "kaplan_meier", **answers).status_code == 302
    assert ours.project.steps.get().parameters["tau"] == 52.5


def test_a_long_list_is_narrowed_without_scripts_and_nothing_is_lost(rosa, ours):
    answers = {
        "act": "narrow", "p-outcome": "sex", "p-predictors": ["bmi"], "narrow-predictors": "HEART? age",
        "was-predictors": "",
    }  # fmt: skip
    answers["narrow-predictors"] = "AGE"
    answer = add(rosa, ours, **answers)
    assert answer.status_code == 200 and not ours.project.steps.exists()
    page = said(answer)
    boxes = page.split('id="id_p-predictors-group"')[1].split("</fieldset>")[0]
    assert 'value="age"' in boxes and 'value="bmi" id="id_p-predictors_0" checked' in boxes
    assert 'value="nyha"' not in boxes and "of 23" in boxes and '<option value="sex" selected>' in page
    entered = {**answers, "act": "default"}  # Enter in the box
    assert add(rosa, ours, **entered).status_code == 200
    entered["was-predictors"] = "AGE"  # Enter anywhere else
    assert add(rosa, ours, **entered).status_code == 302


def test_the_order_of_columns_stays_as_it_was_chosen(rosa, ours):
    add(rosa, ours, "table_one", **{"p-variables": ["sbp", "age", "sex"]})
    page = read(rosa, plan_page(ours, "1/"))
    at = [page.index(f'name="p-variables" value="{name}"') for name in ("sbp", "age", "sex", "bmi")]
    assert at == sorted(at)


def test_a_choice_that_asks_for_other_things_shows_them(rosa, ours):
    page = read(rosa, plan_page(ours, "add/meta_analysis/"))
    assert 'name="p-outcome"' in page and 'name="p-time"' not in page and 'value="fields"' in page
    answer = add(rosa, ours, "meta_analysis", **{"act": "fields", "p-model": "cox"})
    assert answer.status_code == 200 and 'name="p-time"' in said(answer)
    assert 'value="fields"' not in read(rosa, plan_page(ours, "add/logistic_regression/"))


def test_another_model_within_a_step_leaves_nothing_of_the_one_before(rosa, ours):
    add(rosa, ours, "meta_analysis", **{"p-model": "logistic_regression", **LOGISTIC})
    cox = {"p-model": "cox", "p-time": "weeks", "p-event": "dead", "p-predictors": ["age"]}
    answer = rosa.post(plan_page(ours, "1/"), {"once": "k", **cox})
    assert answer.status_code == 302
    assert "outcome" not in ours.project.steps.get().parameters


def test_one_sending_adds_one_step(rosa, ours):
    first, second = add(rosa, ours, once="twice"), add(rosa, ours, once="twice")
    assert first["Location"] == second["Location"] and ours.project.steps.count() == 1


def test_a_form_survives_the_end_of_the_session_with_all_its_marks(rosa, ours):
    path = plan_page(ours, "add/logistic_regression/")
    rosa.logout()
    answer = rosa.post(path, {"once": "k", "p-outcome": "dead", "p-predictors": ["sex", "bmi"]})
    assert answer["Location"].startswith("/login/")
    rosa.post("/login/", {"username": "rosa", "password": PASSWORD})
    page = read(rosa, path)
    assert '<option value="dead" selected>' in page
    assert 'value="sex" id="id_p-predictors_0" checked' in page
    assert 'value="bmi" id="id_p-predictors_1" checked' in page


def test_without_a_dictionary_there_is_no_form(rosa, consortium):
    assert "Agree on a data dictionary first" in read(rosa, plan_page(consortium))
    assert rosa.get(plan_page(consortium, "add/table_one/")).status_code == 302


@pytest.mark.parametrize("rest", ["add/nothing/", "7/", "7/move/", "7/remove/"])
def test_what_is_not_there_is_not_found(rosa, ours, rest):
    assert send(rosa, plan_page(ours, rest)).status_code == 404
    assert rosa.get("/projects/99/plan/").status_code == 404


# --- the draft ---


def three(client: Client, ours: Any) -> None:
    for task, answers in (
        ("table_one", {"p-variables": ["age", "sex"]}),
        ("logistic_regression", LOGISTIC),
        ("t_test", {"p-outcome": "sbp", "p-group": "treatment"}),
    ):
        assert add(client, ours, task, **answers).status_code == 302


def tasks(ours: Any) -> list[str]:
    return [step.task for step in ours.project.steps.all()]


def test_steps_move_by_one_place(rosa, ours):
    three(rosa, ours)
    answer = send(rosa, plan_page(ours, "2/move/"), places="-1")
    assert answer["Location"] == plan_page(ours, "#step-1")
    assert tasks(ours) == ["logistic_regression", "table_one", "t_test"]
    assert "“Logistic regression” is step 1 now." in read(rosa, plan_page(ours))
    send(rosa, plan_page(ours, "1/move/"), once="down", places="1")
    send(rosa, plan_page(ours, "1/move/"), once="down", places="1")
    assert tasks(ours) == ["table_one", "logistic_regression", "t_test"]
    assert rosa.get(plan_page(ours, "1/move/")).status_code == 302


def test_removing_asks_first(rosa, ours):
    three(rosa, ours)
    page = read(rosa, plan_page(ours, "2/remove/"))
    assert "Remove step 2 from the plan?" in page and "change the odds of" in page
    assert len(tasks(ours)) == 3
    send(rosa, plan_page(ours, "2/remove/"))
    assert tasks(ours) == ["table_one", "t_test"]


def test_a_step_that_no_longer_fits_says_so(rosa, ours):
    three(rosa, ours)
    fewer = {name: entry for name, entry in CLINIC.items() if name != "sbp"}
    actions.set_dictionary(RESEARCHER, ours.project, fewer)
    page = read(rosa, plan_page(ours))
    assert "The dictionary has no column “sbp”." in page
    assert "Some steps cannot be computed as they are." in read(rosa, plan_page(ours, "propose/"))


def test_a_step_that_hospitals_refuse_says_so(rosa, ours):
    add(rosa, ours, "kaplan_meier", **{"p-time": "weeks", "p-event": "dead"})
    assert "Hospitals with the usual rules will refuse this step." in read(rosa, plan_page(ours))


def test_patients_are_checked_in_words_before_they_are_saved(rosa, ours):
    path = plan_page(ours, "patients/")
    assert "age &gt;= 64 and sex = female" in read(rosa, path)
    answer = send(rosa, path, cohort="age >= 60 and sex = female", act="check")
    assert answer.status_code == 200 and "Age is at least 60 years and Sex is female" in said(answer)
    assert ours.project.cohort == ""
    wrong = send(rosa, path, cohort="age => 60", act="save")
    assert wrong.status_code == 400 and 'href="#id_cohort"' in said(wrong) and "age =&gt; 60" in said(wrong)
    assert send(rosa, path, cohort="age >= 60", act="save").status_code == 302
    assert ours.project.cohort == "age >= 60"
    assert "Only patients of whom: Age is at least 60 years." in read(rosa, plan_page(ours))


def test_rules_are_said_in_words_and_changed_in_hours_and_minutes(rosa, ours):
    page = read(rosa, plan_page(ours))
    for words in ("all of them", "24 hours", "1 hour", "goes to every hospital that took part"):
        assert words in page or (words == "24 hours" and "1 day" in page)
    path = plan_page(ours, "rules/")
    wrong = send(rosa, path, quorum="two", prepare_deadline="", round_deadline="-1")
    page = said(wrong)
    assert wrong.status_code == 400 and "give a whole number, or leave it empty for all" in page
    assert "Say how many hours" in page and "give more than 0" in page and 'value="two"' in page
    assert send(rosa, path, prepare_deadline="9999", round_deadline="1").status_code == 400
    answer = send(rosa, path, quorum="2", prepare_deadline="1.5", round_deadline="10", coordinator_data="on")
    assert answer.status_code == 302
    rules = ours.project.rules
    assert (rules["quorum"], rules["prepare_deadline"], rules["round_deadline"]) == (2, 5400.0, 600.0)
    assert rules["coordinator_data"] is True and rules["share_result"] is False
    page = read(rosa, plan_page(ours))
    assert "at least 2" in page and "1.5 hours" in page and "10 minutes" in page
    assert 'name="prepare_deadline" value="1.5"' in read(rosa, path)


# --- the proposal, and what a change does to it ---


def approve(ours: Consortium) -> None:
    """Every other hospital says yes."""
    plan = Plan.objects.get(project=ours.project, current=True)
    for peer in ours.others:
        word = {"person": "nora", "reason": "", "until": "", "once": False}
        values = {"plan": plan.sha256, "epoch": plan.epoch, **word}
        assert ours.letter(peer, "approve", values).receive().state == "taken"


def test_proposing_shows_first_what_others_will_see(rosa, ours):
    three(rosa, ours)
    page = read(rosa, plan_page(ours, "propose/"))
    assert "2 other hospitals will see" in page and "What helps?" in page
    assert "readmitted" in page and "will receive each hospital&#x27;s own totals" in page
    assert not Plan.objects.exists()
    assert send(rosa, plan_page(ours, "propose/"), once="p")["Location"] == plan_page(ours)
    send(rosa, plan_page(ours, "propose/"), once="p")
    assert Plan.objects.count() == 1
    page = read(rosa, plan_page(ours))
    assert "Proposed. 0 of 2 hospitals have approved." in page and "Start a run" in page


def test_a_changed_plan_voids_approvals_and_says_whose(rosa, ours):
    three(rosa, ours)
    send(rosa, plan_page(ours, "propose/"))
    approve(ours)
    page = read(rosa, plan_page(ours))
    assert "Proposed. 2 of 2 hospitals have approved." in page and "no longer count" not in page
    send(rosa, plan_page(ours, "2/move/"), places="-1")
    for path in (plan_page(ours), plan_page(ours, "propose/")):
        page = read(rosa, path)
        assert "Northfield, approved by nora" in page and "Southgate, approved by nora" in page
    assert "Start a run" not in page
    start = f"/projects/{ours.project.pk}/start/"
    refused = send(rosa, start)
    assert refused.status_code == 409 and "its approvals no longer count" in said(refused)
    send(rosa, plan_page(ours, "2/move/"), places="-1")  # and back again: nothing is changed
    assert "no longer count" not in read(rosa, plan_page(ours))
    send(rosa, plan_page(ours, "1/remove/"))
    send(rosa, plan_page(ours, "propose/"))
    page = read(rosa, plan_page(ours))
    assert "Approvals that ended with the plan before: Northfield, Southgate." in page
    assert "Proposed. 0 of 2 hospitals have approved." in page


def test_any_change_of_the_draft_counts(rosa, ours):
    three(rosa, ours)
    send(rosa, plan_page(ours, "propose/"))
    assert "The draft was changed" not in read(rosa, plan_page(ours))
    for change in (
        lambda: actions.set_cohort(RESEARCHER, ours.project, "age >= 60"),
        lambda: actions.set_rules(RESEARCHER, ours.project, {"quorum": 1}),
        lambda: actions.set_dictionary(RESEARCHER, ours.project, {**CLINIC, "more": {"type": "number"}}),
        lambda: actions.change_step(RESEARCHER, ours.project.steps.first(), {}, title="Who they are"),
    ):
        change()
        assert "The draft was changed" in read(rosa, plan_page(ours))
        send(rosa, plan_page(ours, "propose/"))
        assert "The draft was changed" not in read(rosa, plan_page(ours))


def test_an_approval_that_has_ended_is_none(rosa, ours):
    three(rosa, ours)
    send(rosa, plan_page(ours, "propose/"))
    approve(ours)
    Approval.objects.filter(site=ours.others[0].uid).update(until=approvals.today().replace(year=2020))
    assert "1 of 2 hospitals have approved" in read(rosa, plan_page(ours))


# --- who may, and who sees what ---


def test_a_viewer_reads_and_changes_nothing(rosa, ours):
    three(rosa, ours)
    vera = signed_in("vera", "viewer")
    page = read(vera, plan_page(ours))
    assert "A researcher of this hospital drafts and proposes the plan." in page
    assert "<button" not in page.split("<main")[1] and "Change the rules" not in page
    assert send(vera, plan_page(ours, "1/remove/")).status_code == 403
    assert len(tasks(ours)) == 3


def test_a_participant_reads_the_plan_and_sees_no_other_hospital(rosa, study: Study):
    page = read(rosa, plan_page(study))
    assert "The coordinator has not proposed a plan yet." in page
    step = {
        "seq": 1,
        "version": "1.0",
        "title": "Sizes",
        "task": "table_one",
        "parameters": {"variables": ["age"]},
    }
    plan = study.propose(steps=[step], cohort="age >= 18")
    page = read(rosa, plan_page(study))
    assert "Who are the patients?" in page and "“Sizes”" in page and "Age is at least 18 years" in page
    assert "Only the coordinator, Northfield, can change the plan." in page
    assert "Northfield will receive this hospital&#x27;s own totals." in page
    assert "Southgate" not in page and study.others[0].uid not in page
    assert "<form" not in page.split("<main")[1] and plan.pk
    for rest in ("patients/", "rules/", "propose/", "add/table_one/", "1/", "1/remove/", "1/move/"):
        assert rosa.get(plan_page(study, rest)).status_code == 302
        answer = send(rosa, plan_page(study, rest))
        assert answer.status_code in (403, 404) and "Southgate" not in said(answer)


def test_a_closed_project_is_read_only(rosa, ours):
    three(rosa, ours)
    actions.close_project(ADMIN, ours.project)
    page = read(rosa, plan_page(ours))
    assert "This project is closed." in page and "Add a step" not in page
    assert send(rosa, plan_page(ours, "1/remove/")).status_code == 409


def test_names_are_text_and_nothing_more(rosa, ours):
    nasty = "<script>alert(1)</script>"
    actions.set_dictionary(RESEARCHER, ours.project, {**CLINIC, "x": {"type": "number", "label": nasty}})
    add(rosa, ours, **{"p-outcome": "readmitted", "p-predictors": ["x"], "title": nasty})
    for rest in ("", "1/", "1/remove/", "propose/", "patients/", "add/table_one/"):
        assert "<script>alert" not in read(rosa, plan_page(ours, rest))


def test_pages_ask_the_database_a_fixed_number_of_times(rosa, ours):
    three(rosa, ours)
    send(rosa, plan_page(ours, "propose/"))
    approve(ours)
    rosa.get(plan_page(ours))

    def questions(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            read(rosa, path)
        return len(asked)

    paths = [plan_page(ours, rest) for rest in ("", "propose/", "1/", "patients/", "rules/")]
    before = [questions(path) for path in paths]
    [first] = Step.objects.filter(project=ours.project, seq=1)
    for seq in range(4, 30):
        first.pk, first.seq = None, seq
        first.save()
    after = [questions(path) for path in paths]
    assert max(before + after) <= 12 and after == before


def test_columns_are_never_in_an_address(rosa, ours):
    assert "age" not in add(rosa, ours)["Location"]

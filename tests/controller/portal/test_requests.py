"""The request page: what it says before anybody decides, who may answer, and what an answer does."""

import re
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from friendlyfl.cli.request import describe_request
from friendlyfl.controller import actions, approvals, exceptions, trials
from friendlyfl.controller.models import Approval, Job, Outbox, Peer, Person
from friendlyfl.controller.portal.requests import REASONS
from tests.controller.world import ADMIN, DICTIONARY, Study, choose_dataset

STEPS = [
    {
        "seq": 1,
        "task": "table_one",
        "version": "1.0",
        "title": "Who are they?",
        "parameters": {"variables": ["age"], "group": "died"},
    },
    {
        "seq": 2,
        "task": "logistic_regression",
        "version": "1.0",
        "title": "What goes with death?",
        "parameters": {"outcome": "died", "predictors": ["age"]},
        "cohort": "age >= 30",
    },
]


def signed_in(role: str) -> Client:
    client = Client(SERVER_NAME="localhost")
    person, _ = Person.objects.get_or_create(username=f"the {role}", defaults={"role": role})
    client.force_login(person)
    return client


@pytest.fixture
def admin() -> Client:
    return signed_in("site-admin")


@pytest.fixture
def asked(study: Study) -> Study:
    choose_dataset(study.project)
    study.propose(steps=STEPS, dictionary={**DICTIONARY, "died": {**DICTIONARY["died"], "grid": [0, 1]}})
    return study


def place(study: Study) -> str:
    return f"/requests/{study.project.plans.get(current=True).pk}/"


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content.decode()
    return " ".join(answer.content.decode().split())


def checked(client: Client, path: str) -> str:
    """The page once the dry check has found its answer."""
    client.get(path)
    for _ in range(300):
        answer = client.get(f"{path}check/", headers={"HX-Request": "true"})
        if "HX-Retarget" in answer:
            return read(client, path)
        time.sleep(0.05)
    raise TimeoutError(answer.content.decode())


def test_the_request_says_who_asks_what_for_and_what_leaves(admin, asked):
    said = read(admin, place(asked))
    parts = [
        "Northfield asks this hospital to take part in “Births”",
        "before a site-admin of this hospital says yes",
        "Not verified yet.",
        "This hospital is one of 2 that give data.",
        "Who is born small?",
        "Who are they?",
        "Of these patients only where",
        "Kind of number",
        "numbers of people",
        "Northfield will receive this hospital&#x27;s own totals",
        "Which columns, and how many rows",
        "From the dataset “births” of this hospital: 60 rows.",
        '<th scope="row">Age',
        "Checked on this hospital's data",
        "at least 20",
        "How long does this approval hold?",
        ">Approve</button>",
        ">Decline</a>",
    ]
    places = [said.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    Peer.objects.filter(name="Northfield").update(verified_by="adam")
    assert "Its key was compared by adam" in read(admin, place(asked))
    assert not Job.objects.exists() and not Outbox.objects.exists()


def test_the_dry_check_counts_here_and_sends_nothing(admin, asked):
    said = checked(admin, place(asked))
    assert "60 patients." in said and "Every rule of this hospital is met." in said
    assert "20 patients, in a group of “Died in hospital”" in said and "2 columns, all of them here." in said
    assert "being counted" not in said and "data fit the plan" in said
    assert not Job.objects.exists() and not Outbox.objects.exists()


def first_of(said: str, title: str) -> int:
    """How many numbers the page says that the first round of a step has."""
    found = re.search(rf"<strong>\d\. {re.escape(title)}:</strong> ([\d,]+) numbers", said)
    assert found, said
    return int(found.group(1).replace(",", ""))


def test_the_request_says_how_many_numbers_leave_at_first_later_and_in_all(admin, study):
    choose_dataset(study.project)
    steps = {
        "connection_check": {"rounds": 1, "numbers": 7},
        "t_test": {"outcome": "age", "group": "died"},
        "logistic_regression": {"outcome": "died", "predictors": ["age"]},
        "fedavg_sklearn": {"outcome": "died", "features": ["age"], "rounds": 4, "held_back": 0},
        "table_one": {"variables": ["age"], "group": "died"},
    }
    study.propose(
        steps=[
            {"seq": seq, "task": task, "version": "1.0", "title": task, "parameters": given}
            for seq, (task, given) in enumerate(steps.items(), start=1)
        ],
        dictionary={**DICTIONARY, "died": {**DICTIONARY["died"], "grid": [0, 1]}},
    )
    before = read(admin, place(study))
    assert "in the first round" not in before.partition("Which columns")[0]
    said = checked(admin, place(study))
    assert "<strong>1. connection_check:</strong> 10 numbers, once." in said
    for title, later, rounds in (
        ("t_test", 5 + 3, 8),  # counts and sums of two groups and a size, and three of the platform
        ("logistic_regression", 7 + 2 * 2 + 3, 50),  # two columns, as in the first round
        ("fedavg_sklearn", 3 + 8 + 5 + 2 + 3, 7),  # with two weights
    ):
        first = first_of(said, title)
        whole = first + later * (rounds - 1)
        assert (
            f"{first} numbers in the first round, at most {later} in each later round, and so at most {whole} "
            f"in {rounds} rounds." in said
        )
    first = first_of(said, "table_one")
    assert f"{first} numbers in the first round; how many in a later round is not known before" in said


def test_no_more_rounds_are_promised_than_this_hospital_allows(admin, asked):
    actions.set_policy(ADMIN, {"rounds": 12})
    said = checked(admin, place(asked))
    assert "in 12 rounds." in said and "50 times" not in said


def test_who_decides_reads_which_exception_holds(admin, asked):
    actions.set_policy(ADMIN, {"cell": 25})
    assert "Something stands in the way." in checked(admin, place(asked))
    assert "An exception holds" not in read(admin, place(asked))
    end = exceptions.usual_end()
    entry = actions.allow_exception(ADMIN, asked.project, "cell", 5, "The board agreed.", end)
    said = checked(admin, place(asked))
    assert "data fit the plan" in said and "The board agreed." in said and "Allowed by adam until" in said
    assert "An exception holds: A group may hold as few as 5 patients; the rule asks for 25." in said
    shown = describe_request(asked.project, asked.project.plans.get(current=True))
    assert [row["value"] for row in shown["exceptions"]] == [5] and shown["policy"]["cell"] == 25
    actions.end_exception(ADMIN, entry)
    said = checked(admin, place(asked))
    assert "Something stands in the way." in said and "An exception holds" not in said


def test_the_dry_check_says_what_stands_in_the_way(admin, asked):
    actions.set_policy(ADMIN, {"cell": 25, "rows": 100})
    said = checked(admin, place(asked))
    assert "Something stands in the way." in said
    assert "too few rows would be described" in said
    actions.set_policy(ADMIN, {"cell": 5, "rows": 20})
    assert "data fit the plan" in checked(admin, place(asked))


def test_a_file_that_is_gone_is_said_in_words(admin, asked):
    from pathlib import Path

    Path(asked.project.dataset.path).rename(Path(asked.project.dataset.path).with_suffix(".away"))
    try:
        assert "is not there" in checked(admin, place(asked))
    finally:
        Path(asked.project.dataset.path).with_suffix(".away").rename(asked.project.dataset.path)


def test_a_participant_reads_of_no_other_hospital(admin, asked):
    for said in (checked(admin, place(asked)), read(admin, f"{place(asked)}decline/")):
        for other in asked.others:
            assert other.name not in said and other.uid not in said


def test_approving_until_a_day(admin, asked):
    day = approvals.usual_end()
    sent = {
        "once": "k1",
        "word": "approve",
        "holds": "until",
        "until": day.isoformat(),
        "epoch": asked.project.epoch,
    }
    answer = admin.post(place(asked), sent, follow=True)
    said = " ".join(answer.content.decode().split())
    assert "Approved for all runs until" in said and "Take the approval back" in said
    word = Approval.objects.get()
    assert (word.approved, word.until, word.once, word.person) == (True, day, False, "the site-admin")
    assert admin.post(place(asked), sent)["Location"] == place(asked)  # sent twice
    assert Approval.objects.count() == Outbox.objects.count() == 1


def test_approving_for_one_run_and_taking_it_back(admin, asked):
    sent = {"once": "k1", "word": "approve", "holds": "once", "until": "", "epoch": asked.project.epoch}
    assert "Approved for one run." in admin.post(place(asked), sent, follow=True).content.decode()
    assert Approval.objects.get().once
    said = admin.post(place(asked), {"once": "k2", "word": "revoke"}, follow=True).content.decode()
    assert "The approval is taken back." in said and ">Approve</button>" in said
    assert not Approval.objects.last().approved


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"holds": ""}, "Choose how long the approval holds."),
        ({"until": ""}, "Choose the last day."),
        ({"until": "soon"}, "Write the last day as year, month and day"),
        ({"until": "2020-01-01"}, "Choose a last day from today on"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_approved(admin, asked, changes, sentence):
    sent = {
        "once": "k1",
        "word": "approve",
        "holds": "until",
        "until": "2027-01-31",
        "epoch": asked.project.epoch,
    }
    for _ in range(2):
        answer = admin.post(place(asked), {**sent, **changes})
        said = answer.content.decode()
        assert answer.status_code == 400 and sentence in said and "<title>Error: " in said
    assert not Approval.objects.exists()


def test_a_yes_is_not_given_to_what_came_since(admin, asked):
    path, epoch = place(asked), asked.project.epoch
    asked.grow("Riverside")
    actions.refresh_manifests(asked.project)
    sent = {"once": "k1", "word": "approve", "holds": "once", "epoch": epoch}
    answer = admin.post(path, sent)
    assert answer.status_code == 409 and "The list of hospitals has changed" in answer.content.decode()
    asked.propose(purpose="Something else?")
    answer = admin.post(path, {**sent, "once": "k2", "epoch": asked.project.epoch})
    assert answer.status_code == 409 and "another plan" in answer.content.decode()
    said = read(admin, path)
    assert "Read the plan that holds now" in said and ">Approve</button>" not in said
    assert not Approval.objects.exists()


def test_declining_asks_why_and_the_coordinator_reads_it(admin, asked):
    path = f"{place(asked)}decline/"
    for sent, sentence in (
        ({}, "Choose a reason."),
        ({"why": str(len(REASONS) - 1), "words": " "}, "Write the reason in your own words."),
    ):
        answer = admin.post(path, {"once": "k1", **sent})
        assert answer.status_code == 400 and sentence in answer.content.decode()
    assert not Approval.objects.exists()
    sent = {"once": "k2", "why": "0", "words": "The next meeting\nis in May."}
    said = admin.post(path, sent, follow=True).content.decode()
    reason = "Our ethics board or data protection office has not agreed yet. The next meeting is in May."
    assert Approval.objects.get().reason == reason and reason in said
    assert ">Approve</button>" in said  # one may still change one's mind


@pytest.mark.parametrize("role", ["viewer", "researcher"])
def test_others_read_whose_button_it_is(asked, role):
    client = signed_in(role)
    said = read(client, place(asked))
    assert "A site-admin of this hospital approves or declines this request." in said
    assert ">Approve</button>" not in said and ">Decline</a>" not in said
    assert client.get(f"{place(asked)}decline/").status_code == 403
    sent = {"once": "k1", "word": "approve", "holds": "once", "epoch": asked.project.epoch}
    assert client.post(place(asked), sent).status_code == 403
    assert not Approval.objects.exists()


def test_without_a_dataset_the_page_says_so(admin, study):
    study.propose()
    said = read(admin, place(study))
    assert "First choose the dataset that serves this project." in said
    assert ">Approve</button>" not in said and ">Decline</a>" in said


def test_the_coordinator_reads_its_own_plan(admin, consortium):
    plan = consortium.propose()
    said = read(admin, f"/requests/{plan.pk}/")
    assert "the plan as hospitals read it" in said and "Approve" not in said


def test_an_approval_that_is_over_says_so(admin, asked, monkeypatch):
    actions.approve(ADMIN, asked.project, until=approvals.today())
    tomorrow = approvals.today().replace(year=approvals.today().year + 1)
    monkeypatch.setattr(approvals, "today", lambda: tomorrow)
    said = read(admin, place(asked))
    assert "That day is over." in said and ">Approve</button>" in said
    assert "asks this hospital to approve" not in read(admin, "/")  # nobody is asked before a run needs it
    assert asked.invite(steps=2).state == "standby"
    assert "asks this hospital to approve" in read(admin, "/")


def test_the_check_is_done_again_when_somebody_asks(admin, asked):
    checked(admin, place(asked))
    before = len(trials.trials._known)
    assert admin.post(f"{place(asked)}check/", {"once": "k9"})["Location"] == place(asked)
    assert len(trials.trials._known) == before - 1
    assert "data fit the plan" in checked(admin, place(asked))


def test_a_fixed_number_of_questions_to_the_database(admin, asked):
    checked(admin, place(asked))
    with CaptureQueriesContext(connection) as queries:
        admin.get(place(asked))
    reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert len(reads) <= 12, reads

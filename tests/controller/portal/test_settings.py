"""Settings, people and language: what is shown to whom, what is changed by whom, and that nobody is locked out."""

import datetime

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import trans_real

from friendlyfl.controller import actions, exceptions, here
from friendlyfl.controller.models import AuditLine, Person, Policy, Project, RuleException
from tests.controller.portal.visitor import said
from tests.controller.world import ADMIN, World

PASSWORD, OTHER = "a calm and long sentence", "another calm and long sentence"
PAGES = ("settings", "settings/rules", "settings/exceptions", "settings/analyses", "settings/people",
         "settings/people/add", "settings/account")  # fmt: skip


@pytest.fixture
def adam() -> Person:
    return actions.add_person(ADMIN, "adam", "site-admin", PASSWORD)


@pytest.fixture
def rosa() -> Person:
    return actions.add_person(ADMIN, "rosa", "researcher", PASSWORD)


@pytest.fixture
def client(adam) -> Client:
    return signed_in(adam)


def signed_in(person: Person) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(person)
    return client


def send(client: Client, path: str, once: str = "k", **given: object) -> tuple[int, str]:
    answer = client.post(path, {"once": once, **given})
    return answer.status_code, answer.get("Location") or " ".join(answer.content.decode().split())


def rules(**changes: object) -> dict[str, object]:
    held = actions.policy()
    return {"memory": "", "hours": "", **{n: v for n, v in held.items() if n != "tasks"}, **changes}


# --- what is shown ---


def test_settings_say_who_this_is_and_what_may_leave(client):
    text = said(client, "/settings/")
    assert (
        "St Mary&#x27;s" in text and "Not connected yet." in text and "All as FriendlyFL brings them." in text
    )
    assert here.identity().fingerprint[:4] + " " in text and str(here.home().folder) in text
    World()
    actions.set_policy(ADMIN, {"rows": 30, "memory": 2**31})
    text = said(client, "/settings/")
    assert "https://memory" in text and "Fewest patients an answer may describe: 30 (usually 20)" in text
    assert "2 GiB of memory" in text


def test_the_lower_roles_read_and_change_nothing(rosa):
    client = signed_in(rosa)
    text = said(client, "/settings/")
    assert (
        "A site-admin of this hospital changes these things." in text and str(here.home().folder) not in text
    )
    for path in ("/settings/rules/", "/settings/analyses/"):
        assert "<input" not in said(client, path).split("<main")[1]
        assert client.post(path, {"once": "k", **rules()}).status_code == 403
    assert client.get("/settings/people/").status_code == 403
    assert client.get(f"/settings/people/{rosa.pk}/").status_code == 403
    assert Policy.objects.count() <= 1 and actions.policy()["rows"] == 20


@pytest.mark.parametrize("path", PAGES)
def test_a_page_costs_few_questions_whoever_works_here(client, path):
    Person.objects.bulk_create(Person(username=f"p{n}", role="viewer") for n in range(40))
    client.get(f"/{path}/")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/{path}/").status_code == 200
    assert len([query for query in asked if query["sql"].startswith("SELECT")]) <= 12


# --- rules ---


def test_rules_are_changed_and_noted(client):
    page = said(client, "/settings/rules/")
    assert "nobody is recognised. Usually 5." in page and "An average of a handful" in page
    status, to = send(client, "/settings/rules/", **rules(rows=30, ratio="0.25", memory="1.5", hours="2"))
    assert (status, to) == (302, "/settings/")
    held = actions.policy()
    assert (held["rows"], held["ratio"], held["cell"]) == (30, 0.25, 5)
    assert (held["memory"], held["seconds"]) == (1.5 * 2**30, 7200)
    assert AuditLine.objects.last().object == "memory, ratio, rows, seconds"
    send(client, "/settings/rules/", "k2", **{**rules(), "memory": "", "hours": "2"})
    assert "memory" not in actions.policy() and actions.policy()["seconds"] == 7200
    count = AuditLine.objects.count()
    send(client, "/settings/rules/", "k3", **{**rules(), "hours": "2"})
    assert AuditLine.objects.count() == count  # nothing was changed


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", "0"), ("rows", "many"), ("cell", ""), ("ratio", "2"), ("rounds", "1.5"), ("memory", "-1")],
)
def test_a_wrong_rule_is_said_at_its_field_and_the_others_stay(client, field, value):
    status, text = send(client, "/settings/rules/", **{**rules(), "difference": "7", field: value})
    assert status == 400 and f'<a href="#id_{field}">' in text and ": enter a number from" in text
    assert 'value="7"' in text and actions.policy()["difference"] == 5


def test_analyses_are_allowed_and_forbidden(client):
    actions.set_policy(ADMIN, {"tasks": ["table_one", "cox", "of_ours 2.0"]})
    page = said(client, "/settings/analyses/")
    assert page.count(" checked>") == 2 and "Cox" in page
    status, to = send(client, "/settings/analyses/", tasks=["table_one", "roc"])
    assert (status, to) == (302, "/settings/")
    assert actions.policy()["tasks"] == ["table_one", "roc", "of_ours 2.0"]  # not installed here: kept
    status, text = send(client, "/settings/analyses/", "k2", tasks=["nonsense"])
    assert status == 400 and "Choose from the analyses that are installed here." in text


# --- exceptions ---


@pytest.fixture
def births(world: World) -> Project:
    return world.study("Northfield", name="Births").project


def asked(births: Project, **changes: object) -> dict[str, object]:
    until = exceptions.usual_end().isoformat()
    given = {"project": births.pk, "rule": "rows", "value": "10", "reason": "The board <agreed>."}
    return {**given, "until": until, **changes}


def test_an_exception_is_read_before_it_holds_and_then_shown(client, births):
    page = said(client, "/settings/exceptions/")
    assert (
        "None. Every project is checked by the rules as they stand." in page
        and "Exceptions that are" not in page
    )
    add = "/settings/exceptions/add/"
    page = said(client, add)
    assert "Fewest patients an answer may describe: 20" in page and ">Births</option>" in page
    status, text = send(client, add, **asked(births))
    assert status == 200 and "Allow this exception?" in text and not RuleException.objects.exists()
    assert "An answer may describe as few as 10 patients; the rule asks for 20." in text
    assert "An average of a handful says much" in text and "The board &lt;agreed&gt;." in text
    status, text = send(client, add, **asked(births), back="yes")
    assert status == 200 and 'value="10"' in text and not RuleException.objects.exists()
    for _ in range(2):  # sent twice it counts once
        assert send(client, add, "k2", **asked(births), sure="yes") == (302, "/settings/exceptions/")
    entry = RuleException.objects.get()
    assert (entry.rule, entry.value, entry.person) == ("rows", 10, "adam")
    page = said(client, "/settings/exceptions/")
    assert (
        "as few as 10 patients" in page
        and "Allowed by adam on" in page
        and "The board &lt;agreed&gt;." in page
    )
    assert "1 exception holds for one project." in said(client, "/settings/")
    assert send(client, "/settings/exceptions/", "k3", end=entry.pk) == (302, "/settings/exceptions/")
    page = said(client, "/settings/exceptions/")
    assert (
        "None. Every project" in page and "ended by adam on" in page and "The board &lt;agreed&gt;." in page
    )
    assert send(client, "/settings/exceptions/", "k4", end=entry.pk)[0] == 409
    assert client.post("/settings/exceptions/", {"once": "k5", "end": "x"}).status_code == 404


def test_a_share_is_said_as_columns_for_100_patients(client, births):
    text = send(client, "/settings/exceptions/add/", **asked(births, rule="ratio", value="0.5"))[1]
    assert "A model may have up to 50 columns for 100 patients; the rule allows 33." in text


def test_an_analysis_is_allowed_for_one_project(client, births):
    actions.set_policy(ADMIN, {"tasks": [name for name in actions.policy()["tasks"] if name != "kmeans"]})
    add = "/settings/exceptions/add/"
    status, text = send(client, add, **asked(births, rule="tasks", value=""))
    assert status == 400 and "Choose the analysis." in text and 'id="id_task-error"' in text
    chosen = asked(births, rule="tasks", value="", task="kmeans")
    words = "The analysis “Clusters (k-means)” may be used, which is not on this hospital&#x27;s list."
    assert words in send(client, add, **chosen)[1]
    assert send(client, add, "k2", **chosen, sure="yes") == (302, "/settings/exceptions/")
    entry = RuleException.objects.get()
    assert (entry.rule, entry.task) == ("tasks", "kmeans")
    assert words in said(client, "/settings/exceptions/")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("project", "", "Choose the project."),
        ("project", "999", "Choose the project."),
        ("rule", "time", "Choose the rule."),
        ("task", "cox", "Choose from the analyses that are not allowed yet."),
        ("value", "20", "Enter a number below 20, which the rule asks for, and at least 5."),
        ("value", "4", "at least 5. It must be a whole number."),
        ("value", "many", "Enter the number as digits."),
        ("reason", "  ", "Write the reason."),
        ("reason", "x" * 501, "at most 500 characters"),
        ("until", "", "Choose the last day."),
        ("until", "2020-01-01", "Choose a last day from today on, at most one year ahead."),
    ],
)
def test_what_is_wrong_with_an_exception_is_said_at_its_field(client, births, field, value, words):
    for sure in ({}, {"sure": "yes"}):
        status, text = send(client, "/settings/exceptions/add/", **asked(births, **{field: value}), **sure)
        assert status == 400 and words in text and f'id="id_{field}-error"' in text
    assert not RuleException.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "researcher"])
def test_others_read_exceptions_and_make_none(births, role):
    entry = actions.allow_exception(ADMIN, births, "rows", 10, "Agreed.", exceptions.usual_end())
    client = signed_in(Person.objects.create(username=role, role=role))
    page = said(client, "/settings/exceptions/").split("<main")[1]
    assert "as few as 10 patients" in page and "<form" not in page and "exceptions/add" not in page
    assert client.post("/settings/exceptions/", {"once": "k", "end": entry.pk}).status_code == 403
    assert client.get("/settings/exceptions/add/").status_code == 403
    assert client.post("/settings/exceptions/add/", {"once": "k", **asked(births)}).status_code == 403
    entry.refresh_from_db()
    assert entry.ended_at is None and RuleException.objects.count() == 1


# --- people ---


def test_somebody_gets_an_account_once(client):
    given = {"name": "maria", "role": "researcher", "password": PASSWORD}
    for _ in range(2):
        assert send(client, "/settings/people/add/", **given) == (302, "/settings/people/")
    maria = Person.objects.get(username="maria")
    assert maria.role == "researcher" and maria.check_password(PASSWORD)
    status, text = send(client, "/settings/people/add/", "k2", **given)
    assert status == 400 and "Somebody is called maria already." in text and PASSWORD not in text
    status, text = send(client, "/settings/people/add/", "k3", name="new", role="", password="short")
    assert status == 400 and '<a href="#id_role_0">Choose a role.' in text
    status, text = send(client, "/settings/people/add/", "k3", name="new", role="viewer", password="short")
    assert status == 400 and "at least 12 characters" in text and 'value="new"' in text
    assert "maria" in said(client, "/settings/people/")


def test_a_role_a_password_and_the_switch(client, rosa):
    path, desk = f"/settings/people/{rosa.pk}/", signed_in(rosa)
    assert send(client, path, do="role", role="viewer") == (302, "/settings/people/")
    rosa.refresh_from_db()
    assert rosa.role == "viewer" and desk.get("/").status_code == 200
    assert send(client, path, "k2", do="password", password="short")[0] == 400
    assert send(client, path, "k2", do="password", password=OTHER)[0] == 302
    rosa.refresh_from_db()
    assert rosa.check_password(OTHER) and desk.get("/").status_code == 302  # signed out
    desk = signed_in(rosa)
    assert send(client, path, "k3", do="off")[0] == 302
    assert desk.get("/").status_code == 302 and "switched off" in said(client, path)
    answer = Client(SERVER_NAME="localhost").post("/login/", {"username": "rosa", "password": OTHER})
    assert answer.status_code == 400
    assert send(client, path, "k4", do="on")[0] == 302
    assert signed_in(Person.objects.get(username="rosa")).get("/").status_code == 200
    verbs = list(AuditLine.objects.filter(object__startswith="rosa").values_list("verb", flat=True))
    assert verbs[1:] == [
        "change_role",
        "set_password",
        "set_password",
        "switch_off_person",
        "switch_on_person",
    ]
    assert client.get("/settings/people/9999/").status_code == 404


def test_nobody_locks_out_the_last_site_admin(client, adam):
    path = f"/settings/people/{adam.pk}/"
    status, text = send(client, path, do="role", role="viewer")
    assert status == 400 and "adam is the only site-admin who can sign in here." in text
    status, text = send(client, path, "k2", do="off")
    assert status == 409 and "Make somebody else a site-admin first." in text
    adam.refresh_from_db()
    assert adam.role == "site-admin" and adam.is_active and client.get("/").status_code == 200


# --- the own account ---


def test_everybody_changes_the_own_password_and_stays_signed_in(rosa):
    client = signed_in(rosa)
    assert "rosa, researcher" in said(client, "/") and "You are signed in as rosa." in said(
        client, "/settings/account/"
    )
    path = "/settings/account/"
    status, text = send(client, path, password_now="wrong", password=OTHER)
    assert status == 400 and '<a href="#id_password_now">This is not your password of now.' in text
    status, text = send(client, path, password_now=PASSWORD, password="rosa")
    assert status == 400 and '<a href="#id_password">' in text
    assert send(client, path, password_now=PASSWORD, password=OTHER) == (302, path)
    rosa.refresh_from_db()
    assert rosa.check_password(OTHER) and client.get("/").status_code == 200


def test_guessing_the_own_password_is_slowed_down(rosa):
    client = signed_in(rosa)
    for number in range(5):
        send(client, "/settings/account/", f"k{number}", password_now="wrong", password=OTHER)
    status, text = send(client, "/settings/account/", "k", password_now=PASSWORD, password=OTHER)
    assert status == 409 and "There were too many tries." in text
    rosa.refresh_from_db()
    assert rosa.check_password(PASSWORD)


# --- language ---


@pytest.fixture
def two_languages():
    with override_settings(LANGUAGES=[("en", "English"), ("de", "Deutsch")]):
        _forget()
        yield
    _forget()
    translation.activate("en")


def _forget() -> None:
    """Django remembers which languages there are for the life of the process."""
    trans_real.get_languages.cache_clear()
    trans_real._get_supported_language_variant.cache_clear()


def test_a_day_is_written_so_that_none_can_take_it_for_the_month():
    assert date_format(datetime.date(2026, 12, 9), "DATE_FORMAT") == "9 December 2026"
    assert date_format(datetime.datetime(2026, 12, 9, 8, 5), "DATETIME_FORMAT") == "9 December 2026, 08:05"


def test_one_language_needs_no_choice(rosa):
    assert "Language:" not in said(signed_in(rosa), "/settings/account/")
    assert "Language:" not in said(Client(SERVER_NAME="localhost"), "/login/")


def language_of(text: str) -> str:
    return text.split('<html lang="')[1].split('"')[0]


def test_a_language_is_chosen_on_the_sign_in_page_and_kept_on_this_browser(two_languages):
    client = Client(SERVER_NAME="localhost")
    assert language_of(said(client, "/login/")) == "en" and "Deutsch" in said(client, "/login/")
    answer = client.post("/language/", {"language": "de", "next": "/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert language_of(said(client, "/login/")) == "de"


def test_the_account_goes_before_the_browser(two_languages, rosa):
    client = signed_in(rosa)
    german = {"HTTP_ACCEPT_LANGUAGE": "de"}
    assert 'lang="de"' in client.get("/", **german).content.decode()
    client.post("/language/", {"language": "en", "next": "/settings/account/"})
    rosa.refresh_from_db()
    assert rosa.language == "en" and 'lang="en"' in client.get("/", **german).content.decode()
    other_desk = signed_in(rosa)
    assert 'lang="en"' in other_desk.get("/", **german).content.decode()


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "", "javascript:alert(1)"])
def test_a_language_leads_nowhere_else_and_an_unknown_one_is_not_kept(rosa, next_):
    client = signed_in(rosa)
    answer = client.post("/language/", {"language": "tlh", "next": next_})
    assert answer["Location"] == "/" and settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    assert client.get("/language/").status_code == 405

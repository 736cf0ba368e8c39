"""The portal in a real Chromium: every page in every state, as somebody sees it who cannot see, click or wait well.

What the pages say and whom they let in is tested in tests/controller/test_portal.py.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.controller import site as under_test

CHROMIUM = os.environ.get("FRIENDLYFL_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PASSWORD = "a calm and long sentence"
FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, [tabindex='0']"
SHOTS = os.environ.get("FRIENDLYFL_SCREENSHOTS", "")  # a folder; written for human eyes, never compared
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]


@dataclass
class Seen:
    """A page and everything that a person would not notice: what it asked for and what it complained about."""

    page: Any
    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        words = (
            "There is no Chromium here: install it (on Debian: apt-get install chromium) to test the pages."
        )
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    """The portal as the Controller serves it, in this process and without the agent: pages come from records."""
    _aside(under_test.process_home)
    from django.core.asgi import get_asgi_application

    config = uvicorn.Config(
        get_asgi_application(), host="127.0.0.1", port=0, log_config=None, lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(autouse=True)
def home() -> Iterator[None]:
    yield
    _aside(lambda: under_test._restore(under_test.process_home()))


@pytest.fixture
def look(browser: Any, portal: str) -> Iterator[Callable[..., Seen]]:
    """Open a page in a browser of its own, signed in or not."""
    contexts = []

    def open_page(path: str, *, signed_in: bool = False, **options: Any) -> Seen:
        context = browser.new_context(base_url=portal, **options)
        contexts.append(context)
        if signed_in:
            context.add_cookies([_session(portal)])
        seen = Seen(context.new_page(), [], [])
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(path)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def _session(portal: str) -> dict[str, Any]:
    return _aside(_make_session, portal)


def _make_session(portal: str) -> dict[str, Any]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from friendlyfl.controller.models import Person

    person, _ = Person.objects.get_or_create(username="rosa", defaults={"role": "researcher"})
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": portal}


def _aside(act: Callable[..., Any], *given: Any) -> Any:
    """Playwright keeps an event loop in this thread, in which Django does not touch its database: do it in another."""
    from django.db import connection

    answer: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(act(*given))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answer[0]


# --- states of the house ---


def nothing() -> None:
    """The first day."""


def full() -> None:
    """Two projects, runs in several states, something to decide, a line that is down."""
    from django.utils import timezone

    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Identity, Run
    from tests.controller.world import ADMIN, World

    world = World()
    name = "Low birth weight and smoking in the first three months of pregnancy"
    study = world.study("University Hospital Northfield", "Southgate", name=name)
    study.ready()
    ours = world.consortium("Lakeside", name="Falls on the wards")
    run = ours.computing()
    for peer in ours.others:
        ours.update(peer, run).receive()
    waiting = world.consortium("Riverside", name="Sepsis within 48 hours")
    actions.stop_run(ADMIN, waiting.start())
    done = world.consortium("Hilltop", name="Age at admission").computing()
    Run.objects.filter(pk=done.pk).update(state="succeeded", ended_at=timezone.now())
    world.study("Westbrook", name="Readmission within 30 days").propose()
    Identity.objects.filter(pk=1).update(
        line_trouble="We cannot reach the router at fl.example.org. Your data is safe and nothing was lost. "
        "We try again every 30 seconds. If this lasts, ask IT whether port 443 is open.",
        line_trouble_since=timezone.now(),
    )


def wrong_login(page: Any) -> None:
    page.get_by_label("User name").fill("rosa")
    page.get_by_role("button", name="Sign in").click()


def wrong_first(page: Any) -> None:
    page.get_by_label("One-time code").fill("22222-22222-22222")
    page.get_by_label("User name").fill("adam")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()


@dataclass(frozen=True)
class State:
    path: str
    house: Callable[[], None] = nothing
    signed_in: bool = False
    act: Callable[[Any], None] | None = None
    status: int = 200


STATES = {
    "login": State("/login/"),
    "login, error": State("/login/", act=wrong_login),
    "first": State("/first/"),
    "first, error": State("/first/", act=wrong_first),
    "home, empty": State("/", signed_in=True),
    "home, full": State("/", full, signed_in=True),
    "no such page": State("/nowhere/", signed_in=True, status=404),
}


@pytest.fixture(params=STATES)
def state(request: Any) -> State:
    found = STATES[request.param]
    _aside(found.house)
    return found


def show(look: Callable[..., Seen], state: State, **options: Any) -> Seen:
    seen = look(state.path, signed_in=state.signed_in, **options)
    if state.act is not None:
        state.act(seen.page)
    return seen


def picture(seen: Seen, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        seen.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


# --- what holds for every page in every state ---


def test_page(look: Callable[..., Seen], state: State, portal: str, request: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = show(look, state, viewport={"width": 1100, "height": 800})
    name = request.node.callspec.id.replace(", ", "-").replace(" ", "-")
    picture(seen, name)
    found = Axe().run(seen.page, options={"runOnly": {"type": "tag", "values": list(RULES)}})
    assert found.violations_count == 0, found.generate_report()
    expected = [text for text in seen.complaints if not (state.status == 404 or state.act)]
    assert expected == []  # the browser itself notes every answer of 400 and above
    assert all(url.startswith(portal + "/") for url in seen.requests), seen.requests
    assert seen.page.locator("h1").count() == 1

    # 320 px wide: nothing moves sideways but a table inside its own box
    seen.page.set_viewport_size({"width": 320, "height": 640})
    picture(seen, f"{name}-320")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 320
    seen.page.set_viewport_size({"width": 640, "height": 800})
    seen.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 640

    # colours of one's own, and paper
    seen.page.emulate_media(forced_colors="active", color_scheme="dark")
    picture(seen, f"{name}-forced")
    for tag in seen.page.locator(".tag, .inset").all():
        assert tag.evaluate("e => getComputedStyle(e).borderStyle") == "solid"
    seen.page.emulate_media(media="print", forced_colors="none")
    assert len(seen.page.pdf()) > 1000


def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    look: Callable[..., Seen], state: State
) -> None:
    seen = show(look, state)
    # Begin where a person does: at the top, before the skip link.
    seen.page.evaluate("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    wanted = seen.page.evaluate(f"Array.from(document.querySelectorAll({FOCUSABLE!r})).length")
    walked = []
    for _ in range(wanted):
        seen.page.keyboard.press("Tab")
        walked.append(seen.page.evaluate(WHERE))
    assert len({place["what"] for place in walked}) == wanted, walked
    assert walked[0]["text"] == "Skip to the content"
    for place in walked:
        assert place["ring"] and place["inside"], place
    targets = seen.page.evaluate(SMALL)
    assert targets == []


WHERE = """() => {
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    what: Array.from(document.querySelectorAll('*')).indexOf(e) + ' ' + e.tagName,
    text: e.textContent.trim().slice(0, 40),
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""
SMALL = """() => Array.from(document.querySelectorAll('button, input:not([type=hidden]), .btn, nav a'))
  .map(e => [e.tagName, e.textContent.trim(), e.getBoundingClientRect().height])
  .filter(([tag, text, height]) => height && height < 43.5)"""


def test_without_scripts_everything_is_there(look: Callable[..., Seen], state: State) -> None:
    if state.act is None:
        seen = show(look, state, java_script_enabled=False)
        assert seen.page.locator("h1").count() == 1
        assert seen.page.locator("script").count() == 0


# --- forms, as hands meet them ---


def test_the_first_account_by_keyboard_alone(look: Callable[..., Seen]) -> None:
    from friendlyfl.controller.setup import new_code

    code = _aside(new_code)
    page = look("/login/").page
    page.get_by_role("link", name="Make the first account with the one-time code").press("Enter")
    page.get_by_label("One-time code").focus()
    for text in (code, "adam", PASSWORD):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="How things stand").wait_for()
    assert "adam, site-admin" in page.inner_text("header")
    page.get_by_role("button", name="Sign out").press("Enter")
    page.get_by_label("User name").fill("adam")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="How things stand").wait_for()


@pytest.mark.parametrize(("path", "act"), [("/login/", wrong_login), ("/first/", wrong_first)])
def test_an_error_takes_the_focus_and_leads_to_its_field(
    look: Callable[..., Seen], path: str, act: Any
) -> None:
    page = look(path).page
    act(page)
    page.locator(".errors").wait_for()
    assert page.title().startswith("Error: ")
    assert page.evaluate("document.activeElement.className") == "errors"
    link = page.locator(".errors a").first
    link.press("Enter")
    field = page.locator(link.get_attribute("href"))
    assert field.evaluate("e => e === document.activeElement")
    assert field.get_attribute("aria-invalid") == "true"
    said = field.get_attribute("aria-describedby").split()
    assert any(page.locator(f"#{name}").inner_text() == link.inner_text() for name in said)
    assert page.get_by_label("User name").input_value() in ("rosa", "adam")
    assert page.get_by_label("Password").input_value() == ""


def test_password_managers_know_the_fields(look: Callable[..., Seen]) -> None:
    page = look("/login/").page
    kinds = [page.locator(f"#id_{name}").get_attribute("autocomplete") for name in ("username", "password")]
    page.goto("/first/")
    kinds += [
        page.locator(f"#id_{name}").get_attribute("autocomplete") for name in ("code", "name", "password")
    ]
    assert kinds == ["username", "current-password", "one-time-code", "username", "new-password"]

"""The portal in a real Chromium: every page in every state, as somebody sees it who cannot see, click or wait well.

What the pages say and whom they let in is tested in tests/controller/test_portal.py.
"""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.controller import site as under_test
from tests.e2e import states
from tests.e2e.conftest import PASSWORD
from tests.e2e.longer import longer_words
from tests.e2e.states import State
from tests.e2e.states.entry import wrong_first, wrong_login

STATES = states.collected()
NAMES = {"viewer": "vera", "researcher": "rosa", "site-admin": "adam"}

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SHOTS = os.environ.get("FRIENDLYFL_SCREENSHOTS", "")  # a folder; written for human eyes, never compared


@dataclass
class Seen:
    """A page and everything that a person would not notice: what it asked for and what it complained about."""

    page: Any
    requests: list[str]
    complaints: list[str]


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

    def open_page(path: str, *, role: str = "", **options: Any) -> Seen:
        context = browser.new_context(base_url=portal, **options)
        contexts.append(context)
        if role:
            context.add_cookies([_session(portal, role)])
        seen = Seen(context.new_page(), [], [])
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(path)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def _session(portal: str, role: str) -> dict[str, Any]:
    return _aside(_make_session, portal, role)


def _make_session(portal: str, role: str) -> dict[str, Any]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from friendlyfl.controller.models import Person

    person, _ = Person.objects.get_or_create(username=NAMES[role], defaults={"role": role})
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


# --- what holds for every page in every state ---


@dataclass(frozen=True)
class Scene:
    """A state with its house built: the address is known."""

    state: State
    path: str


@pytest.fixture(params=STATES)
def scene(request: Any) -> Scene:
    state = STATES[request.param]
    made = _aside(state.house)
    return Scene(state, state.path.format(made))


def picture(seen: Seen, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        seen.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_every_page_is_in_a_state() -> None:
    from django.urls import get_resolver

    def names(resolver: Any) -> Iterator[str]:
        for entry in resolver.url_patterns:
            if hasattr(entry, "url_patterns"):
                yield from names(entry)
            else:
                yield entry.name

    _aside(under_test.process_home)
    shown = {state.page for state in STATES.values()} - {""}
    assert shown == set(names(get_resolver())) - states.NO_PAGES


def test_page(look: Callable[..., Seen], scene: Scene, portal: str, request: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    state = scene.state
    seen = look(scene.path, role=state.role, viewport={"width": 1280, "height": 800})
    if state.act is not None:
        state.act(seen.page)
    name = request.node.callspec.id.replace(", ", "-").replace(" ", "-").replace("/", "-")
    picture(seen, name)
    found = Axe().run(seen.page, options={"runOnly": {"type": "tag", "values": list(RULES)}})
    assert found.violations_count == 0, found.generate_report()
    expected = [text for text in seen.complaints if state.status < 400]
    assert expected == []  # the browser itself notes every answer of 400 and above
    assert all(url.startswith(portal + "/") for url in seen.requests), seen.requests
    assert seen.page.locator("h1").count() == 1
    walk(seen.page)

    # 320 px wide: nothing moves sideways but a table inside its own box
    seen.page.set_viewport_size({"width": 320, "height": 640})
    picture(seen, f"{name}-320")
    assert seen.page.evaluate(WIDE, 320) == []
    seen.page.set_viewport_size({"width": 640, "height": 800})
    seen.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert seen.page.evaluate(WIDE, 640) == []

    # colours of one's own, and paper
    seen.page.emulate_media(forced_colors="active", color_scheme="dark")
    picture(seen, f"{name}-forced")
    assert seen.page.evaluate(BORDERLESS) == []
    seen.page.emulate_media(media="print", forced_colors="none")
    assert len(seen.page.pdf()) > 1000

    # without scripts everything is there, and in a language of longer words nothing moves sideways either
    if state.act is None and state.status < 400:
        small = {"width": 320, "height": 640}
        with longer_words():
            plain = look(scene.path, role=state.role, java_script_enabled=False, viewport=small)
        picture(plain, f"{name}-longer")
        assert "SSkkip tto tthhe ccoonntent" in plain.page.content()
        assert plain.page.evaluate(WIDE, 320) == []
        assert plain.page.locator("h1").count() == 1
        assert plain.page.locator("main").inner_text() and plain.complaints == []


def walk(page: Any) -> None:
    """The keyboard reaches everything, and shows where it is."""
    # Begin where a person does: at the top, before the skip link.
    page.evaluate("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    wanted = page.evaluate(FOCUSABLE)
    walked = []
    for _ in range(wanted + INSIDE_A_DATE * page.locator("input[type=date]").count()):
        page.keyboard.press("Tab")
        walked.append(page.evaluate(WHERE))
    assert len({place["what"] for place in walked}) == wanted, walked
    assert walked[0]["text"] == "Skip to the content"
    for place in walked:
        assert place["ring"] and place["inside"], place
    assert page.evaluate(SMALL) == []


INSIDE_A_DATE = 3  # stops beside its first: month, day, year, calendar
# Radio buttons of one name are one stop; what a closed <details> hides is none.
FOCUSABLE = """() => {
  const seen = new Set();
  return Array.from(document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
  )).filter(e => {
    if (e.disabled || !e.checkVisibility({contentVisibilityAuto: true})) return false;
    if (e.type !== 'radio') return true;
    if (seen.has(e.name)) return false;
    seen.add(e.name);
    return true;
  }).length;
}"""
WHERE = """() => {
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    what: Array.from(document.querySelectorAll('*')).indexOf(e) + ' ' + e.tagName,
    text: e.textContent.trim().slice(0, 40),
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""
SMALL = """() => Array.from(document.querySelectorAll(
    'button, input:not([type=hidden]):not([type=checkbox]):not([type=radio]), select, .btn, nav a'
  )).map(e => [e.tagName, e.textContent.trim(), e.getBoundingClientRect().height])
  .filter(([tag, text, height]) => height && height < 43.5)"""
WIDE = """width => document.documentElement.scrollWidth <= width ? [] :
  [`page of ${document.documentElement.scrollWidth}`].concat(Array.from(document.querySelectorAll('body *'))
  .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('.scroll > *'))
  .map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40)).slice(0, 8))"""
BORDERLESS = """() => Array.from(document.querySelectorAll('.tag, .inset')).filter(e => e.checkVisibility())
  .filter(e => getComputedStyle(e).borderStyle !== 'solid').map(e => e.textContent)"""


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

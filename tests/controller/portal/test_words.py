"""Every sentence of ours on every page is in the list of texts, and a reader of another language gets it in theirs."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client

from friendlyfl import datasets
from friendlyfl.controller import models, plans
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.core.errors import ConflictError
from tests.e2e import states
from tests.e2e.longer import WORD, longer, longer_words

STATES = states.collected()
QUIET = ("script", "style", "code", "pre", "textarea")
SPOKEN = ("alt", "aria-label", "title", "placeholder")
ALIKE = 3  # words in a row that did not grow: fewer may be a name
# The same in every language: who is signed in, papers, terms of a model, an inclusion criterion as it was typed.
NO_WORDS = re.compile(
    r"rosa, \S+|.* is at (?:least|most) .*|.* \d{4};\d+:\d+-\d+\.|.*\bvs\b.*|\w+ in \(.*\)|[\w, ]+_[\w, ]+"
)
CODES = re.compile(r"\b[0-9a-f]{8,}\b|\S+\.(?:org|csv|xlsx)\S*")


class Texts(HTMLParser):
    """The texts of a page, those for the ear among them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet += tag in QUIET
        self.found += [value or "" for name, value in attrs if name in SPOKEN]

    def handle_endtag(self, tag: str) -> None:
        self.quiet -= tag in QUIET

    def handle_data(self, data: str) -> None:
        if not self.quiet:
            self.found.append(data)


def texts(client: Client, path: str) -> list[str]:
    page = Texts()
    page.feed(client.get(path).content.decode())
    return [" ".join(text.split()) for text in page.found if text.strip()]


def theirs() -> set[str]:
    """What people of a hospital or a study wrote."""
    found: set[str] = set()
    for kind, names in {
        models.Project: ("name", "purpose"),
        models.Peer: ("name",),
        models.Identity: ("name",),
        models.Step: ("title", "cohort"),
        models.Dataset: ("name",),
        models.Approval: ("reason",),
        models.RuleException: ("reason",),
        models.Invitation: ("label",),
    }.items():
        for name in names:
            found |= set(kind.objects.values_list(name, flat=True))
    for plan in models.Plan.objects.all():
        content = plans.read(bytes(plan.raw))
        found |= {content.name, content.purpose, *(step.title for step in content.steps)}
        found |= set(_texts_in(content.dictionary))
    for project in models.Project.objects.all():
        found |= set(_texts_in(project.dictionary))
    found |= set(_texts_in(datasets.dictionary("clinic")))
    return {line.strip() for text in found for line in text.splitlines()} - {""}


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts_in(one)


def english(text: str, names: list[str]) -> bool:
    """Whether several words in a row did not grow and are nobody's name."""
    text = CODES.sub("·", text)
    for name in names:
        text = text.replace(name, " · ")
    run = 0
    for part in re.findall(r"[^\W\d_]+|[^\w\s]", text):
        if not WORD.fullmatch(part):
            run = 0 if part in "·“”:;()" else run
        elif len(part) > 1:
            run = 0 if _grew(part) else run + 1
        if run == ALIKE:
            return True
    return False


def _grew(word: str) -> bool:
    half = re.match(r"((\w)\2)+", word)
    return bool(half) and any(
        longer(half[0][: 2 * n : 2] + word[2 * n :]) == word for n in range(1, len(half[0]) // 2 + 1)
    )


@pytest.mark.parametrize(
    "name", [name for name, state in STATES.items() if state.act is None and state.status < 400]
)
def test_no_sentence_of_a_page_stays_english(name):
    state = STATES[name]
    path = state.path.format(state.house())
    client = Client(SERVER_NAME="localhost")
    if state.role:
        client.force_login(
            models.Person.objects.get_or_create(username="rosa", defaults={"role": state.role})[0]
        )
    with longer_words():
        shown = texts(client, path)
    names = sorted(theirs(), key=len, reverse=True)
    left = [text for text in shown if not NO_WORDS.fullmatch(text) and english(text, names)]
    assert left == []


def test_what_an_act_refuses_is_said_in_the_readers_language():
    """Errors come from actions in English; the pages that show them translate, at the field and in the list on top."""
    said = "A run is under way. Stop it first."
    form = Plain({})
    form.add_error(None, said)
    shown = {
        "portal/form_errors.html": {"form": form, "problem": said},
        "portal/plan/errors.html": {"form": form, "problem": said},
        "portal/said.html": {"messages": [said]},
        "portal/refused.html": {"error": ConflictError("run_under_way", said)},
    }
    for name, context in shown.items():
        with longer_words():
            page = render_to_string(name, context)
        assert longer(said) in page and said not in page, name

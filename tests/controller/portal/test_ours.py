"""How a sentence that was made in English is found again in the catalogue of another language."""

import subprocess

import pytest

from friendlyfl.cli import word_list
from friendlyfl.controller.portal import ours as finding
from friendlyfl.controller.portal.ours import ours
from friendlyfl.core.texts import EVERY, HOSPITALS, LEFT_OUT
from friendlyfl.core.troubles import LOG, TROUBLES
from friendlyfl.tasks import catalogue, registry
from tests.e2e.longer import longer, longer_words


def test_in_english_a_sentence_stays_as_it_is():
    for text in ("", "The hospital declined this plan.", "Age at admission", *TROUBLES.values()):
        assert ours(text) == text


def test_every_text_with_places_is_found_again_and_never_taken_for_another():
    with longer_words():
        told = [
            template
            for template in finding._templates("en")
            if template.letters >= finding.SURE and not template.of
        ]
        assert len(told) > 300
        for template in told:
            names = dict.fromkeys(finding.PLACE.findall(template.text))
            values = {name: f"Q{place}" for place, name in enumerate(names, start=1)}
            assert ours(template.text.format(**values)) == longer(template.text).format(**values)


def test_names_and_numbers_go_through_unchanged():
    with longer_words():
        said = ours("mail.example.org takes no e-mail for rosa@example.org. Check the addresses.")
        assert said == longer("{a} takes no e-mail for {b}. Check the addresses.").format(
            a="mail.example.org", b="rosa@example.org"
        )
        assert "“The hospital declined this plan.”" in ours(
            "Column “The hospital declined this plan.” cannot be “text”: choose one of text."
        )


def test_sentences_in_a_row_lists_and_brackets_are_translated_part_by_part():
    with longer_words():
        two = [TROUBLES["late"], TROUBLES["clock"]]
        assert ours(" ".join(two)) == " ".join(map(longer, two))
        assert (
            ours("Nobody wrote this sentence. " + two[0]) == f"Nobody wrote this sentence. {longer(two[0])}"
        )
        kept = ours("Not shown for privacy: the number of rows left out and small steps of the flow.")
        assert kept == longer(
            "Not shown for privacy: the number of rows left out and small steps of the flow."
        )


@pytest.mark.parametrize("n", [0, 1, 2, 1234])
def test_a_counted_text_has_the_form_of_its_number(n):
    asked = []
    with longer_words():
        for counted in EVERY:
            assert ours(counted(n)) == longer(counted.one if n == 1 else counted.many).format(n=f"{n:,}")
            asked.append(counted)
    assert HOSPITALS in asked and LEFT_OUT(1).startswith("1 patient was")


def test_a_template_that_a_translator_spoilt_leaves_the_sentence_english(monkeypatch):
    monkeypatch.setattr(finding, "gettext", lambda text: "{unknown}" if "takes no calls" in text else text)
    with longer_words():
        said = "mail.example.org takes no calls on port 25. Check the name and the port."
        assert ours(said) == said


def test_the_list_holds_what_tasks_the_core_and_actions_say():
    found = word_list.words()
    for text in (*TROUBLES.values(), *LOG.values()):
        assert text in found.found
    for _name, task in registry.every():
        assert {task.title, catalogue.question(task), *task.asks} - {""} <= set(found.found)
        for parameter in task.parameters.values():
            assert {parameter.label, parameter.help} - {""} <= set(found.found)
    for text in (
        "{name} has no run yet.",
        "Skip to the content",
        "{host} takes no calls on port {port}. Check the name and the port.",
        "Who the patients are",
        "log-rank with hypergeometric variance{weight}{strata}",
        "We cannot reach the router at {where}. Your data is safe and nothing was lost.",
    ):
        assert text in found.found, text
    assert found.found["%(n)s more sentence"] == "%(n)s more sentences"
    assert not [text for text in found.found if "<-" in text or "SELECT" in text or "import " in text]


def test_the_list_is_a_file_that_gettext_reads(tmp_path):
    words = word_list.words()
    text = word_list.pot(words)
    assert text.count('\nmsgid "') == len(words.found)
    assert 'msgid_plural "{n} hospitals"' in text
    try:
        done = subprocess.run(
            ["msgfmt", "-c", "-o", "/dev/null", "-"], input=text.encode(), capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("gettext's msgfmt is not installed")
    assert done.returncode == 0, done.stderr.decode()

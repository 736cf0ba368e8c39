"""Codes, sentences, errors: what may be said to people, and what may cross between hospitals."""

import pytest

from friendlyfl.core import errors, limits
from friendlyfl.core.troubles import LOG, TROUBLES, known, sentence


@pytest.mark.parametrize("code", [*TROUBLES, *LOG])
def test_a_code_has_one_fixed_sentence_without_a_number(code: str) -> None:
    said = sentence(known(code))
    assert said.endswith(".")
    assert not any(letter.isdigit() for letter in said)
    assert "{" not in said


def test_a_code_means_one_thing() -> None:
    assert not TROUBLES.keys() & LOG.keys()


@pytest.mark.parametrize("code", ["", "Refused_rows", "age > 80", "x" * 1000])
def test_what_a_newer_or_lying_site_says_is_shown_as_unknown(code: str) -> None:
    assert known(code) == "unknown"
    assert sentence(code) == TROUBLES["unknown"]


def test_every_error_says_what_happened_and_who_acts() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.FriendlyError)
    ]
    assert errors.FriendlyError in kinds
    for kind in kinds:
        error = kind("code", "One sentence.")
        assert (str(error), error.code) == ("One sentence.", "code")
        assert error.who == kind.default_who
        assert error.exit_code in (1, 2, 3, 4)
    assert errors.WireError("code", "Words.", who="the coordinator").who == "the coordinator"


def test_a_part_fits_into_the_whole() -> None:
    assert limits.INLINE_BLOB < limits.ENVELOPE <= limits.MESSAGE_BODY
    assert limits.BLOB_CHUNK <= limits.UPLOAD_CHUNK <= limits.STATE_BYTES <= limits.BLOB
    assert limits.RECORD <= limits.MANIFEST <= limits.MESSAGE_BODY
    assert limits.TEXT_BYTES <= limits.STATE_BYTES
    assert limits.POLL_WAIT < limits.CONNECTED_WITHIN
    assert limits.RING_SITES * limits.RING_MAGNITUDE < 2**63  # sums of whole parts stay within a signed word

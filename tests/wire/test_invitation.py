"""Invitation codes as people type them, join proofs, safety numbers."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import invitation
from friendlyfl.wire.invitation import check_join_mac, join_mac, make_code, read_code, safety_number

from .people import ALICE, BOB, MALLORY, OTHER, PROJECT

ROUTER = "https://router.example.org"
FINGERPRINT = ALICE.identity.fingerprint
CODE = make_code(ROUTER, FINGERPRINT, b"s" * 16)


def test_a_code_carries_router_coordinator_and_secret():
    assert [len(group) for group in CODE.split("-")] == [4, *[5] * 13, 1]
    code = read_code(CODE)
    assert code.fits_router(ROUTER) and code.fits(FINGERPRINT) and code.secret == b"s" * 16
    assert not code.fits_router("https://evil.example.org")
    assert not code.fits(BOB.identity.fingerprint)
    assert not code.fits(FINGERPRINT[:32])
    assert len(code.id) == 32 and b"s" * 16 not in bytes.fromhex(code.id)
    assert code.mac_key(PROJECT) != code.mac_key(OTHER)
    assert "s" * 8 not in repr(code)
    assert make_code(ROUTER, FINGERPRINT) != make_code(ROUTER, FINGERPRINT)


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        f"  {CODE}\n",
        CODE.replace("0", "O").replace("1", "l"),
        CODE.replace("1", "I").replace("-", "–"),
        "\n".join(CODE.split("-")),
    ],
)
def test_people_type_it_in_many_ways(typed):
    assert read_code(typed) == read_code(CODE)


@given(st.data())
def test_every_mistyped_or_swapped_letter_is_noticed(data):
    letters = CODE.replace("-", "")
    at = data.draw(st.integers(4, len(letters) - 1))
    if data.draw(st.booleans()) and at + 1 < len(letters) and letters[at] != letters[at + 1]:
        typed = letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :]
    else:
        other = data.draw(
            st.sampled_from([c for c in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if c != letters[at]])
        )
        typed = letters[:at] + other + letters[at + 1 :]
    with pytest.raises(UsageError) as caught:
        read_code(typed)
    assert caught.value.code == "code_typo"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "code_start"),
        ("hello", "code_start"),
        (CODE[5:], "code_start"),
        (CODE[:-1], "code_length"),
        (CODE + "0", "code_length"),
        (CODE[:-1] + "U", "code_letter"),
        (CODE[:-1] + "ä", "code_letter"),
        ("FFL1" + "Z" * 66, "code_typo"),
    ],
)
def test_what_is_no_code(typed, code):
    with pytest.raises(UsageError) as caught:
        read_code(typed)
    assert caught.value.code == code


def test_a_code_of_the_future_says_so():
    body = bytes([2]) + bytes(36)
    number = int.from_bytes(body + zlib.crc32(body).to_bytes(4, "big"), "big") << 2
    letters = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> 5 * i & 31] for i in reversed(range(66)))
    with pytest.raises(UsageError) as caught:
        read_code("FFL1" + letters)
    assert caught.value.code == "code_version"


@given(st.text(max_size=80))
def test_any_text_is_refused_with_our_error(text):
    for typed in (text, "FFL1" + text):
        with pytest.raises(UsageError):
            read_code(typed)


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("https://Router.Example.ORG/", "https://router.example.org"),
        ("router.example.org", "https://router.example.org"),
        ("https://router.example.org:443/friendlyfl/", "https://router.example.org"),
        ("http://LOCALHOST:8000", "http://localhost:8000"),
        ("http://localhost:80", "http://localhost"),
        ("localhost:8000", "https://localhost:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://spital-zürich.example", "https://xn--spital-zrich-klb.example"),
    ],
)
def test_one_router_has_one_address(address, normal):
    assert invitation.normalise_address(address) == normal
    assert read_code(make_code(address, FINGERPRINT)).fits_router(normal)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://",
        "ftp://x",
        "https://a:b@x",
        "https://x:99999",
        "http://[::1",
        "https://" + "a" * 70 + ".org",
        "https:// x",
    ],
)
def test_what_is_no_address(address):
    with pytest.raises(UsageError):
        invitation.normalise_address(address)


@pytest.mark.parametrize(
    ("fingerprint", "secret"), [("ab", b"s" * 16), ("g" * 64, b"s" * 16), (FINGERPRINT, b"s")]
)
def test_codes_are_made_of_proper_parts(fingerprint, secret):
    with pytest.raises(UsageError):
        make_code(ROUTER, fingerprint, secret)


def test_a_joiner_proves_that_it_holds_the_code():
    card = BOB.card()
    key = read_code(CODE).mac_key(PROJECT)
    mac = join_mac(key, card.raw, PROJECT)
    check_join_mac(key, card.raw, PROJECT, mac)
    other_key = read_code(make_code(ROUTER, FINGERPRINT)).mac_key(PROJECT)
    for parts in (
        (other_key, card.raw, PROJECT, mac),
        (key, MALLORY.card().raw, PROJECT, mac),
        (key, card.raw, OTHER, mac),
        (key, card.raw, PROJECT, bytes(32)),
        (key, card.raw, PROJECT, b""),
    ):
        with pytest.raises(WireError) as caught:
            check_join_mac(*parts)
        assert caught.value.code == "join_mac"
    with pytest.raises(WireError) as caught:
        join_mac(key, card.raw, "x")
    assert caught.value.code == "project_uid"


def test_two_sites_see_the_same_safety_number():
    a, b, c = (p.identity.fingerprint for p in (ALICE, BOB, MALLORY))
    number = safety_number(a, b)
    assert number == safety_number(b, a) != safety_number(a, c)
    assert len(number) == 12 and all(len(group) == 5 and group.isdigit() for group in number)

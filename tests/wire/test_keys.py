"""Key files, wraps and cards."""

import os
import stat
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import BrokenError, ConflictError, UsageError, WireError
from friendlyfl.wire import canonical, keyfile, keys
from friendlyfl.wire.keys import Identity, SignedCard, Subkey

from .people import ALICE, BOB, OTHER

PEM_START = (
    b"-----BEGIN " + b"PRIVATE KEY-----"
)  # in two pieces: the house test looks for keys in the repository


def test_an_identity_signs_under_labels():
    signature = ALICE.identity.sign("card", b"raw")
    keys.verify(ALICE.public, "card", b"raw", signature)
    for public, what, raw, given_signature in (
        (BOB.public, "card", b"raw", signature),
        (ALICE.public, "env", b"raw", signature),
        (ALICE.public, "card", b"rax", signature),
        (ALICE.public, "card", b"raw", bytes(64)),
        (ALICE.public, "card", b"raw", b""),
        (b"short", "card", b"raw", signature),
    ):
        with pytest.raises(WireError) as caught:
            keys.verify(public, what, raw, given_signature)
        assert caught.value.code == "bad_signature"


def test_only_requests_are_signed_without_a_label():
    with pytest.raises(UsageError):
        ALICE.identity.sign_http(b"FFL1 env\0{}")


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_an_identity_survives_its_file(tmp_path, passphrase):
    path = tmp_path / "identity.key"
    ALICE.identity.save(path, passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["identity.key"]
    assert Identity.load(path, passphrase).fingerprint == ALICE.identity.fingerprint
    with pytest.raises(ConflictError):
        BOB.identity.save(path)
    assert Identity.load(path, passphrase).fingerprint == ALICE.identity.fingerprint


def test_a_passphrase_protects_the_file(tmp_path):
    path = tmp_path / "identity.key"
    ALICE.identity.save(path, "correct horse")
    assert ALICE.seed not in path.read_bytes()
    for wrong, code in (
        (None, "passphrase_needed"),
        ("", "passphrase_needed"),
        ("Correct horse", "passphrase_wrong"),
    ):
        with pytest.raises(UsageError) as caught:
            Identity.load(path, wrong)
        assert caught.value.code == code


def test_without_a_passphrase_it_is_plain_pkcs8(tmp_path):
    path = tmp_path / "identity.key"
    ALICE.identity.save(path)
    assert path.read_bytes().startswith(PEM_START)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "identity.key"
    ALICE.identity.save(path)
    path.chmod(0o640)
    with pytest.raises(BrokenError) as caught:
        Identity.load(path)
    assert caught.value.code == "key_open" and "chmod 600" in caught.value.message


def test_missing_damaged_and_foreign_files_say_so(tmp_path):
    path = tmp_path / "key"
    for load in (Identity.load, Subkey.load):
        with pytest.raises(BrokenError):
            load(path)
    for raw in (
        b"",
        b"junk",
        b"{",
        b"{}",
        PEM_START + b"\nAAAA\n",
        bytes(70_000),
    ):
        path.write_bytes(raw)
        path.chmod(0o600)
        for load in (lambda p: Identity.load(p, "x"), Subkey.load):
            with pytest.raises(BrokenError) as caught:
                load(path)
            assert caught.value.code == "key_damaged"


def test_one_changed_letter_in_a_subkey_file_is_noticed(tmp_path):
    path = tmp_path / "sub.key"
    BOB.subkey.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Subkey.load(path).public == BOB.subkey.public
    stored = canonical.loads(path.read_bytes(), limit=1000)
    raw = bytearray(canonical.unb64(stored["key"]))
    raw[90] ^= 4
    path.write_bytes(canonical.dumps({**stored, "key": canonical.b64(bytes(raw))}))
    with pytest.raises(BrokenError):
        Subkey.load(path)


def test_erased_is_gone(tmp_path):
    path = tmp_path / "sub.key"
    BOB.subkey.save(path)
    keyfile.erase(path)
    keyfile.erase(path)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_named(tmp_path):
    with pytest.raises(BrokenError) as caught:
        BOB.subkey.save(tmp_path / "missing" / "sub.key")
    assert "missing" in caught.value.message


def test_private_keys_do_not_show_themselves():
    assert ALICE.seed.hex() not in repr(ALICE.identity) and "..." in repr(ALICE.identity)
    assert repr(BOB.subkey) == f"Subkey({BOB.subkey.kid})"


def test_a_wrap_opens_for_its_key_and_place_only():
    wrap = keys.wrap_key(BOB.subkey.public, b"k" * 32, b"here")
    assert len(wrap) == keys.WRAP
    assert BOB.subkey.unwrap(wrap, b"here") == b"k" * 32
    for subkey, raw, info in (
        (ALICE.subkey, wrap, b"here"),
        (BOB.subkey, wrap, b"there"),
        (BOB.subkey, wrap[:-1], b"here"),
        (BOB.subkey, b"", b"here"),
        (BOB.subkey, wrap[:1088] + bytes(32) + wrap[1120:], b"here"),
        (BOB.subkey, keys.wrap_key(BOB.subkey.public, b"k" * 31, b"here"), b"here"),
    ):
        with pytest.raises(WireError) as caught:
            subkey.unwrap(raw, info)
        assert caught.value.code == "wrap_closed"


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(1216),
        b"\xff" * 1184 + BOB.subkey.public[1184:],
        BOB.subkey.public[:1184] + bytes(32),
        BOB.subkey.public[:1184] + b"\1" + bytes(31),
        BOB.subkey.public + b"\0",
    ],
)
def test_improper_encryption_keys_are_refused_before_they_are_used(public):
    with pytest.raises(WireError) as caught:
        keys.wrap_key(public, b"k" * 32, b"")
    assert caught.value.code == "bad_subkey"


# --- cards ---


def test_a_card_says_whose_key_it_is():
    signed = BOB.card()
    card = keys.check_card(signed, fingerprint=BOB.identity.fingerprint, site=BOB.site)
    assert (card.public, card.enc_public, card.kid) == (BOB.public, BOB.subkey.public, BOB.subkey.kid)
    assert SignedCard.from_json(signed.to_json()) == signed


def test_a_card_of_somebody_else_is_refused():
    for expected, code in (
        ({"fingerprint": ALICE.identity.fingerprint}, "card_identity"),
        ({"site": ALICE.site}, "card_site"),
    ):
        with pytest.raises(WireError) as caught:
            keys.check_card(BOB.card(), **expected)
        assert caught.value.code == code


def resigned(person=BOB, **changed):
    value = {**asdict(keys.check_card(BOB.card())), **changed}
    raw = canonical.dumps({key: item for key, item in value.items() if item != "left out"})
    return SignedCard(raw, person.identity.sign("card", raw))


CARDS = {
    "foreign signature": (resigned(ALICE), "bad_signature"),
    "changed bytes": (
        replace(BOB.card(), raw=BOB.card().raw.replace(b'"seq":1', b'"seq":2')),
        "bad_signature",
    ),
    "another's identity": (resigned(id_pub=canonical.b64(ALICE.public)), "bad_signature"),
    "kid of another key": (resigned(kid="00" * 16), "card_kid"),
    "poisoned key": (
        resigned(
            enc_pub=canonical.b64(BOB.subkey.public[:1184] + bytes(32)),
            kid=keys.key_id(BOB.subkey.public[:1184] + bytes(32)),
        ),
        "bad_subkey",
    ),
    "next version": (resigned(v=2), "field_number"),
    "unknown field": (resigned(note="x"), "unknown_field"),
    "missing field": (resigned(prev="left out"), "missing_field"),
    "site that is no uid": (resigned(site="Northfield"), "field_uid"),
    "uid in capitals": (resigned(site=BOB.site.upper().replace("0", "A")), "field_uid"),
    "use that is nothing": (resigned(use="everything"), "field_uid"),
    "number zero": (resigned(seq=0), "field_number"),
    "yes as a number": (resigned(seq=True), "field_number"),
    "text as a number": (resigned(seq="1"), "field_number"),
    "ends before it starts": (resigned(not_after=999), "field_number"),
    "short key": (resigned(enc_pub="AAAA"), "field_length"),
    "long key": (resigned(id_pub=canonical.b64(bytes(40))), "field_bytes"),
    "spare bits": (resigned(id_pub=canonical.b64(BOB.public)[:-2] + "b="), "base64_spelling"),
    "short hash": (resigned(prev="ab"), "field_hex"),
    "capital hash": (resigned(prev="AB" * 32), "field_hex"),
    "a list": (SignedCard(b"[]", BOB.identity.sign("card", b"[]")), "not_a_record"),
    "too large": (SignedCard(bytes(70_000), bytes(64)), "json_size"),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards_that_are_refused(name):
    signed, code = CARDS[name]
    with pytest.raises(WireError) as caught:
        keys.check_card(
            signed, fingerprint=None if name == "another's identity" else BOB.identity.fingerprint
        )
    assert caught.value.code == code


@given(
    st.dictionaries(
        st.sampled_from(["card", "signature", "x"]), st.text(max_size=100) | st.integers() | st.none()
    )
)
def test_any_json_is_a_card_or_refused(value):
    with pytest.raises(WireError):
        keys.check_card(SignedCard.from_json(value), site=OTHER)

"""Manifests, cards and slots: refusals by name, a state machine against a small model, restored servers."""

import hashlib
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical, trust
from friendlyfl.wire.keys import check_card
from friendlyfl.wire.trust import Member, SignedManifest, accept_card, accept_next, decide_slot, make_manifest

from .people import ALICE, BOB, CAROL, MALLORY, MANIFEST, MEMBERS, OTHER, PROJECT


def manifest(epoch=1, prev=None, members=None, project=PROJECT, signer=ALICE, policy=None):
    return make_manifest(
        signer.identity,
        project=project,
        epoch=epoch,
        prev=prev,
        members=members or MEMBERS,
        policy=policy or {},
    )


FIRST = trust.check_manifest(MANIFEST, ALICE.public)
NEXT = manifest(2, MANIFEST.sha256, [*MEMBERS, MALLORY.member()])


def test_a_manifest_says_who_belongs():
    assert FIRST.coordinator == ALICE.member("coordinator")
    assert FIRST.member(BOB.site).fingerprint == BOB.identity.fingerprint
    assert FIRST.policy == {
        "encryption": "required", "secagg": False, "min_sites": 1, "threshold": 0, "plan_sha256": None
    }  # fmt: skip
    with pytest.raises(WireError) as caught:
        FIRST.member(MALLORY.site)
    assert caught.value.code == "not_a_member"
    assert SignedManifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_the_order_of_members_does_not_change_a_manifest():
    assert manifest(members=MEMBERS[::-1]).raw == manifest(members=MEMBERS).raw


def test_the_first_the_next_and_the_same_again_are_accepted():
    held = accept_next(None, None, MANIFEST, ALICE.public)
    assert accept_next(held, MANIFEST.sha256, MANIFEST, ALICE.public) is held
    assert accept_next(held, MANIFEST.sha256, NEXT, ALICE.public).epoch == 2


REFUSED_NEXT = {
    "skips an epoch": (manifest(3, MANIFEST.sha256), "manifest_gap"),
    "another prev": (manifest(2, "00" * 32), "manifest_chain"),
    "another first": (manifest(members=MEMBERS[:2]), "manifest_split"),
    "another project": (manifest(2, MANIFEST.sha256, project=OTHER), "manifest_project"),
    "another signer": (
        manifest(2, MANIFEST.sha256, [MALLORY.member("coordinator")], signer=MALLORY),
        "bad_signature",
    ),
    "another site as coordinator": (
        manifest(2, MANIFEST.sha256, [Member(OTHER, "coordinator", ALICE.identity.fingerprint)]),
        "manifest_takeover",
    ),
}


@pytest.mark.parametrize("name", REFUSED_NEXT)
def test_lists_that_do_not_continue_the_held_one(name):
    new, code = REFUSED_NEXT[name]
    with pytest.raises(WireError) as caught:
        accept_next(FIRST, MANIFEST.sha256, new, ALICE.public)
    assert caught.value.code == code


def test_an_old_list_and_a_late_start_are_refused():
    held = trust.check_manifest(NEXT, ALICE.public)
    with pytest.raises(WireError) as caught:
        accept_next(held, NEXT.sha256, MANIFEST, ALICE.public)
    assert caught.value.code == "manifest_old"
    with pytest.raises(WireError) as caught:
        accept_next(None, None, NEXT, ALICE.public)
    assert caught.value.code == "manifest_first"


def raw_manifest(signer=ALICE, **changed):
    value = {**canonical.loads(MANIFEST.raw, limit=10**5), **changed}
    raw = canonical.dumps({key: item for key, item in value.items() if item != "left out"})
    return SignedManifest(raw, signer.identity.sign("manifest", raw))


def policy(**changed):
    return {key: item for key, item in {**FIRST.policy, **changed}.items() if item != "left out"}


def entries(*members):
    return [{"site": m.site, "role": m.role, "fingerprint": m.fingerprint} for m in members]


MALFORMED = {
    "no encryption": (raw_manifest(policy=policy(encryption="off")), "manifest_encryption"),
    "encryption as a number": (raw_manifest(policy=policy(encryption=1)), "manifest_encryption"),
    "secure sums maybe": (raw_manifest(policy=policy(secagg=1)), "manifest_secagg"),
    "no minimum": (raw_manifest(policy=policy(min_sites=0)), "field_number"),
    "a policy more": (raw_manifest(policy=policy(colour="red")), "unknown_field"),
    "a policy less": (raw_manifest(policy=policy(threshold="left out")), "missing_field"),
    "plan without a hash": (raw_manifest(policy=policy(plan_sha256="")), "field_hex"),
    "epoch zero": (raw_manifest(epoch=0), "field_number"),
    "first with a prev": (raw_manifest(prev="00" * 32), "manifest_prev"),
    "second without": (raw_manifest(epoch=2), "manifest_prev"),
    "nobody": (raw_manifest(members=[]), "manifest_members"),
    "too many": (raw_manifest(members=entries(BOB.member()) * 501), "manifest_members"),
    "no list": (raw_manifest(members={}), "manifest_members"),
    "a site twice": (
        raw_manifest(members=entries(*MEMBERS, Member(BOB.site, "participant", "00" * 32))),
        "manifest_twice",
    ),
    "a key twice": (
        raw_manifest(members=entries(*MEMBERS, Member(OTHER, "participant", BOB.identity.fingerprint))),
        "manifest_twice",
    ),
    "two coordinators": (
        raw_manifest(members=entries(*MEMBERS, MALLORY.member("coordinator"))),
        "manifest_coordinator",
    ),
    "no coordinator": (raw_manifest(members=entries(BOB.member())), "manifest_coordinator"),
    "another coordinator": (raw_manifest(members=entries(BOB.member("coordinator"))), "manifest_signer"),
    "unknown role": (raw_manifest(members=entries(MEMBERS[0], BOB.member("admin"))), "manifest_role"),
    "role as a list": (
        raw_manifest(members=[{**entries(MEMBERS[0])[0], "role": ["coordinator"]}]),
        "manifest_role",
    ),
    "short fingerprint": (raw_manifest(members=entries(Member(BOB.site, "participant", "ab"))), "field_hex"),
    "unknown field": (raw_manifest(note=1), "unknown_field"),
    "foreign signature": (raw_manifest(signer=BOB), "bad_signature"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_manifests_that_are_refused(name):
    signed, code = MALFORMED[name]
    with pytest.raises(WireError) as caught:
        trust.check_manifest(signed, ALICE.public)
    assert caught.value.code == code


def test_cards_are_not_older_than_the_newest_of_their_use():
    first = BOB.card()
    newest = accept_card(None, first, fingerprint=BOB.identity.fingerprint, site=BOB.site)
    second = BOB.card(seq=2, prev=first.sha256, subkey=CAROL.subkey)

    def accept(signed, than):
        return accept_card(than, signed, fingerprint=BOB.identity.fingerprint, site=BOB.site)

    assert accept(first, newest) == newest
    after = accept(second, newest)
    assert after.seq == 2
    assert accept(BOB.card(seq=5, prev="00" * 32), newest).seq == 5  # cards in between were not seen
    for signed, than, code in (
        (first, after, "card_old"),
        (BOB.card(subkey=CAROL.subkey), newest, "card_split"),
        (BOB.card(seq=2, prev="00" * 32), newest, "card_chain"),
        (BOB.card(seq=2, use=OTHER), newest, "card_use"),
        (CAROL.card(), newest, "card_identity"),
    ):
        with pytest.raises(WireError) as caught:
            accept(signed, than)
        assert caught.value.code == code


def test_a_slot_holds_one_thing():
    assert decide_slot(None, "a") is True
    assert decide_slot("a", "a") is False
    with pytest.raises(WireError) as caught:
        decide_slot("a", "b")
    assert caught.value.code == "equivocation"


# --- a state machine: an RS that shows anything, in any order, against a model of a few lines ---


class Histories(RuleBasedStateMachine):
    """Lists and cards are written, sometimes two of a kind; the RS shows any of them at any time."""

    @initialize()
    def start(self):
        self.lists, self.cards = [MANIFEST], [BOB.card()]
        self.held = self.sha256 = self.newest = None
        self.chain, self.slots, self.seen = [], {}, {}

    @rule(after=st.integers(0, 8), skip=st.integers(1, 2), who=st.sampled_from([CAROL, MALLORY]))
    def write_a_list(self, after, skip, who):
        before = self.lists[after % len(self.lists)]
        epoch = trust.check_manifest(before, ALICE.public).epoch + skip
        self.lists.append(
            manifest(epoch, before.sha256, [*MEMBERS[:2], who.member()], policy={"min_sites": 1 + epoch % 3})
        )

    @rule(which=st.integers(0, 20))
    def show_a_list(self, which):
        new = self.lists[which % len(self.lists)]
        value = trust.check_manifest(new, ALICE.public)
        follows = value.epoch == len(self.chain) + 1 and value.prev == (
            self.chain[-1] if self.chain else None
        )
        repeats = bool(self.chain) and new.sha256 == self.chain[-1]
        try:
            self.held = accept_next(self.held, self.sha256, new, ALICE.public)
            self.sha256 = new.sha256
            accepted = True
        except WireError:
            accepted = False
        assert accepted == (follows or repeats)
        if follows and not repeats:
            self.chain.append(new.sha256)

    @rule(after=st.integers(0, 8), skip=st.integers(1, 2), subkey=st.sampled_from([BOB.subkey, CAROL.subkey]))
    def write_a_card(self, after, skip, subkey):
        before = self.cards[after % len(self.cards)]
        self.cards.append(BOB.card(check_card(before).seq + skip, prev=before.sha256, subkey=subkey))

    @rule(which=st.integers(0, 20))
    def show_a_card(self, which):
        signed = self.cards[which % len(self.cards)]
        card, newest = check_card(signed), self.newest
        fits = newest is None or card == newest or card.seq > newest.seq + 1
        if newest is not None and card.seq == newest.seq + 1:
            fits = card.prev == hashlib.sha256(canonical.dumps(vars(newest))).hexdigest()
        try:
            self.newest = accept_card(newest, signed, fingerprint=BOB.identity.fingerprint, site=BOB.site)
            assert fits
        except WireError:
            assert not fits

    @rule(slot=st.integers(0, 3), digest=st.integers(0, 3))
    def show_post(self, slot, digest):
        try:
            new = decide_slot(self.slots.get(slot), str(digest))
        except WireError:
            assert self.seen[slot] != digest
            return
        assert new == (slot not in self.seen)
        self.slots.setdefault(slot, str(digest))
        self.seen.setdefault(slot, digest)

    @invariant()
    def the_held_list_is_the_last_of_one_chain(self):
        if self.held is not None:
            assert (self.held.epoch, self.sha256) == (len(self.chain), self.chain[-1])


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_restored_server_never_gives_one_slot_two_values():
    """Server and sender are put back to old copies at any time; post is made anew with other content."""
    refusals = 0
    for seed in range(300):
        rng = random.Random(seed)
        server, copies, reader = [], [[]], {}
        for _ in range(30):
            what = rng.random()
            if what < 0.5:
                server.append((rng.randrange(4), str(rng.randrange(1000))))
            elif what < 0.65:
                copies.append(list(server))
            elif what < 0.75:
                server = list(rng.choice(copies))
            elif server:
                slot, digest = rng.choice(server)
                try:
                    if decide_slot(reader.get(slot), digest):
                        assert slot not in reader
                        reader[slot] = digest
                    assert reader[slot] == digest
                except WireError:
                    refusals += 1
                    assert reader[slot] != digest
    assert refusals > 100

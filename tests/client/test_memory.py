"""The Routing Server in memory keeps the contract, and misbehaves exactly as the schedule says."""

from collections import Counter

import pytest

from friendlyfl.client.faults import Faults, Mishap, SeededFaults
from friendlyfl.client.house import MemoryHouse
from friendlyfl.client.memory import MemoryRouter
from friendlyfl.core.errors import ForbiddenError, UnreachableError, WireError
from tests.client.contract import Contract, Network, Study, read
from tests.client.hospital import Hospital


class MemoryNetwork(Network):
    def __init__(self, faults: Faults | None = None) -> None:
        self.house = MemoryHouse()
        self.faults = faults

    def router(self, hospital: Hospital) -> MemoryRouter:
        return MemoryRouter(self.house, site=hospital.uid)

    def begin(self) -> Study:
        """A study that was set up in peace; the faults start now."""
        study = Study(self)
        self.house.faults = self.faults or Faults()
        return study


class TestMemory(Contract):
    @pytest.fixture
    def network(self):
        return MemoryNetwork()


class Always(Faults):
    """One kind of mishap, each time."""

    def __init__(self, mishap: Mishap) -> None:
        self.mishap = mishap

    def on_request(self, site, method, path):
        lost = self.mishap in (Mishap.LOSE_REQUEST, Mishap.LOSE_ANSWER)
        return self.mishap if lost and method == "POST" else None

    def on_delivery(self, letter):
        return frozenset({self.mishap})


def test_an_unknown_site_must_enrol_first():
    with pytest.raises(ForbiddenError, match="enrol"):
        MemoryNetwork().router(Hospital("New")).me()


def test_the_next_instance_gets_a_released_lease():
    network = MemoryNetwork()
    hospital, router = network.site("Again")
    network.house.release(hospital.uid)
    assert router.heartbeat("next", 1, "a" * 32).lease == router.lease + 1


def test_a_lost_request_changed_nothing_and_a_lost_answer_hides_what_was_done():
    for mishap, arrived in ((Mishap.LOSE_REQUEST, 0), (Mishap.LOSE_ANSWER, 1)):
        study = MemoryNetwork(Always(mishap)).begin()
        post, blob = study.from_alice()
        with pytest.raises(UnreachableError) as caught:
            study.at_alice.post_message(post, blob)
        assert caught.value.retryable
        assert len(study.at_bob.inbox(0).messages) == arrived


def test_a_repeated_message_comes_in_two_positions():
    study = MemoryNetwork(Always(Mishap.REPEAT)).begin()
    study.at_alice.post_message(*study.from_alice())
    first, second = study.at_bob.inbox(0).messages
    assert first.position < second.position
    assert first.envelope == second.envelope


def test_a_changed_copy_fails_its_check_and_the_good_one_follows():
    for part in range(5):
        faults = Always(Mishap.CORRUPT)
        faults.flip = lambda letter, parts, part=part: (part, 0.5)
        study = MemoryNetwork(faults).begin()
        study.at_alice.post_message(*study.from_alice(b"the plan"))
        bad, good = study.at_bob.inbox(0).messages
        with pytest.raises(WireError):
            read(study.bob, study.alice, study.at_bob, bad)
        assert read(study.bob, study.alice, study.at_bob, good) == b"the plan"


def test_a_changed_copy_that_is_acknowledged_does_not_take_the_blob_of_the_good_one():
    faults = Always(Mishap.CORRUPT)
    study = MemoryNetwork(faults).begin()
    run = study.run()
    content = bytes(500_000)
    study.at_alice.post_message(*study.from_alice(content, type="state", run=run, step=1, round=1))
    bad, good = study.at_bob.inbox(0).messages
    study.at_bob.inbox(bad.position, ack=bad.position)
    assert read(study.bob, study.alice, study.at_bob, good) == content


def test_a_reordered_message_comes_after_the_next_one_or_alone_with_the_next_poll():
    class First(Faults):
        count = 0

        def on_delivery(self, letter):
            self.count += 1
            return frozenset({Mishap.REORDER}) if self.count == 1 else frozenset()

    study = MemoryNetwork(First()).begin()
    posts = [study.from_alice(part=part) for part in range(2)]
    for post, blob in posts:
        study.at_alice.post_message(post, blob)
    assert [m.id for m in study.at_bob.inbox(0).messages] == [posts[1][0].id, posts[0][0].id]
    study = MemoryNetwork(First()).begin()
    study.at_alice.post_message(*study.from_alice())
    assert len(study.at_bob.inbox(0).messages) == 1


def test_a_delayed_message_waits_for_its_polls():
    study = MemoryNetwork(Always(Mishap.DELAY)).begin()
    study.at_alice.post_message(*study.from_alice())
    assert study.at_bob.inbox(0).messages == ()
    assert len(study.at_bob.inbox(0).messages) == 1


def history(seed: int) -> list[str]:
    """Fifty messages over a bad line, sent again until taken, read until all have come."""
    chances = dict.fromkeys(Mishap, 0.2)
    study = MemoryNetwork(SeededFaults(seed, chances)).begin()
    log, opened, cursor, polls = [], {}, 0, 0
    for part in range(50):
        post, blob = study.from_alice(b"plan %d" % part, part=part)
        while True:
            try:
                study.at_alice.post_message(post, blob)
                break
            except UnreachableError as error:
                log.append(error.code)
    while len(opened) < 50 and polls < 200:
        polls += 1
        try:
            page = study.at_bob.inbox(cursor, ack=cursor)
        except UnreachableError as error:
            log.append(error.code)
            continue
        for message in page.messages:
            try:
                content = read(study.bob, study.alice, study.at_bob, message)
            except WireError as error:
                log.append(error.code)
            else:
                log.append(content.decode())
                opened.setdefault(message.id, content)
        cursor = page.next
    assert sorted(opened.values()) == sorted(b"plan %d" % part for part in range(50))
    return log


def test_one_seed_is_one_history_and_nothing_is_lost_in_the_end():
    same, again, other = history(1), history(1), history(2)
    assert [line for line in same if line.startswith("plan")] == [
        line for line in again if line.startswith("plan")
    ]
    assert same != other
    counted = Counter(line for line in same if line.startswith("plan"))
    assert max(counted.values()) > 1  # some came twice
    assert [int(line[5:]) for line in same if line.startswith("plan")] != sorted(
        int(line[5:]) for line in same if line.startswith("plan")
    )

"""What a site may expect of any Routing Server, asked through `Router`: run against memory and the real process."""

import threading
import time
import uuid

import pytest

from friendlyfl.client import exchange
from friendlyfl.client.problems import RouterConflict
from friendlyfl.client.router import Router
from friendlyfl.core import limits
from friendlyfl.core.errors import ConflictError, FriendlyError, NotFoundError
from friendlyfl.wire.canonical import digest
from friendlyfl.wire.invitation import join_mac, make_code, read_code
from friendlyfl.wire.keys import check_card
from friendlyfl.wire.message import parse_envelope
from friendlyfl.wire.seal import Incoming, open_envelope, unseal
from tests.client.hospital import Hospital

PLAN = digest("plan", b"{}")


class Network:
    """One Routing Server and the way to become a site of it."""

    def router(self, hospital: Hospital) -> Router:
        """A router of the site, not enrolled yet."""
        raise NotImplementedError

    def site(self, name: str) -> tuple[Hospital, Router]:
        """A hospital that is enrolled and holds its lease."""
        hospital = Hospital(name)
        router = self.router(hospital)
        router.enrol_site(hospital.uid, hospital.name, "", hospital.card)
        router.lease = self.beat(hospital, router).lease
        return hospital, router

    def beat(self, hospital: Hospital, router: Router):
        hospital.beats += 1
        return router.heartbeat(hospital.uid, hospital.beats, uuid.uuid4().hex)


class Study:
    """A coordinator with one participant in epoch 1."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.alice, self.at_alice = network.site("Alice")
        self.bob, self.at_bob = network.site("Bob")
        self.uid = str(uuid.uuid4())
        self.at_alice.create_project(self.uid, "Strokes", "Who comes back?")
        self.code = self.invite_and_join(self.bob, self.at_bob)
        self.manifest = self.alice.manifest(self.uid, [self.bob])
        self.at_alice.post_manifest(self.uid, self.manifest)

    def invite_and_join(self, hospital: Hospital, router: Router):
        code = read_code(make_code("https://fl.example.org", self.alice.identity.fingerprint))
        self.at_alice.create_invitation(self.uid, code.id, "for a colleague")
        offer = router.invitation(code.id)
        card = check_card(offer.card, site=self.alice.uid)
        assert code.fits(card.fingerprint)
        assert (offer.project, offer.project_name, offer.coordinator) == (self.uid, "Strokes", self.alice.uid)
        assert offer.coordinator_name == "Alice"
        mac = join_mac(code.mac_key(self.uid), hospital.card.raw, self.uid)
        router.join(code.id, hospital.card, mac)
        router.join(code.id, hospital.card, mac)  # a lost answer is asked for again
        return code

    def run(self, number: int = 1) -> str:
        uid = str(uuid.uuid4())
        self.at_alice.create_run(
            uid, project=self.uid, number=number, plan_sha256=PLAN, epoch=1, quorum=1, deadline=None
        )
        return uid

    def from_alice(self, content: bytes = b"plan", **place):
        place = {"type": "plan", **place}
        return self.alice.write([self.bob], content, project=self.uid, manifest=self.manifest, **place)

    def from_bob(self, content: bytes = b"yes", **place):
        place = {"type": "approve", **place}
        return self.bob.write([self.alice], content, project=self.uid, manifest=self.manifest, **place)


def read(hospital: Hospital, sender: Hospital, router: Router, message) -> bytes:
    """What the reader's Controller does with one message."""
    from io import BytesIO

    parts = (
        message.sender,
        message.envelope,
        message.signature,
        message.delivery,
        message.delivery_signature,
    )
    incoming = Incoming(*parts)
    envelope = open_envelope(incoming, sender.identity.public)
    out = BytesIO()
    unseal(
        incoming,
        envelope,
        me=hospital.uid,
        public=sender.identity.public,
        subkeys={hospital.subkey.kid: hospital.subkey},
        bound=limits.STATE_BYTES,
        blob=lambda: router.payload(message.id) if message.blob is None else BytesIO(message.blob),
        out=out,
    )
    return out.getvalue()


class Contract:
    @pytest.fixture
    def study(self, network) -> Study:
        return Study(network)

    # Sites

    def test_it_is_there(self, network):
        router = network.router(Hospital("Nobody yet"))
        assert router.health()["status"]
        assert router.health(ready=True)["status"]

    def test_a_site_enrols_and_reads_its_own_record(self, network):
        hospital, router = network.site("St Mary's")
        me = router.me()
        assert (me["uid"], me["name"], me["fingerprint"]) == (
            hospital.uid,
            "St Mary's",
            hospital.identity.fingerprint,
        )
        assert router.update_me(description="Cardiology")["description"] == "Cardiology"
        assert router.get_site(hospital.uid)["uid"] == hospital.uid

    def test_a_heartbeat_keeps_the_lease_and_a_second_controller_does_not_get_it(self, network):
        hospital = Hospital("Twice")
        router = network.router(hospital)
        router.enrol_site(hospital.uid, hospital.name, "", hospital.card)
        first = router.heartbeat("one", 1, "a" * 32)
        router.lease = first.lease
        assert router.heartbeat("one", 2, "b" * 32).lease == first.lease
        assert (first.projects, first.joins) == ({}, 0)
        with pytest.raises(RouterConflict) as caught:
            router.heartbeat("two", 1, "c" * 32)
        assert (caught.value.code, caught.value.retryable) == ("lease_held", False)

    def test_key_cards_are_kept_and_shown_to_fellows(self, study):
        run = study.run()
        card = study.bob.make_card(run, 1)
        study.at_bob.post_card(card)
        study.at_bob.post_card(card)
        assert [c.raw for c in study.at_alice.cards(study.bob.uid)] == [study.bob.card.raw, card.raw]
        renewed = study.bob.make_card("standing", 2, prev=study.bob.card.sha256)
        study.at_bob.post_card(renewed)
        assert renewed.raw in [c.raw for c in study.at_alice.cards(study.bob.uid)]

    # Projects

    def test_a_project_is_made_read_and_renamed(self, study):
        made = study.at_alice.project(study.uid)
        assert (made["name"], made["epoch"]) == ("Strokes", 1)
        assert study.at_bob.project(study.uid)["uid"] == study.uid
        assert [p["uid"] for p in study.at_alice.projects()] == [study.uid]
        assert study.at_alice.update_project(study.uid, name="Strokes 2")["name"] == "Strokes 2"

    def test_a_project_made_twice_is_one(self, study):
        study.at_alice.create_project(study.uid, "Strokes", "Who comes back?")
        assert len(study.at_alice.projects()) == 1

    def test_steps_are_names_only(self, study):
        step = {"seq": 1, "task": "table_one", "version": "1", "title": "Who", "parameters_sha256": "ab" * 32}
        study.at_alice.put_steps(study.uid, PLAN, [step])
        listed = study.at_bob.steps(study.uid)
        assert listed["plan_sha256"] == PLAN
        assert [s["task"] for s in listed["steps"]] == ["table_one"]

    def test_members_are_named_to_the_coordinator(self, study):
        rows = study.at_alice.participants(study.uid)
        assert {(row["site"], row["role"]) for row in rows} == {
            (study.alice.uid, "coordinator"),
            (study.bob.uid, "participant"),
        }
        assert {row["fingerprint"] for row in rows} == {
            study.alice.identity.fingerprint,
            study.bob.identity.fingerprint,
        }

    def test_every_epoch_is_there_oldest_first(self, study):
        hospital, router = study.network.site("Carol")
        unasked = study.alice.manifest(study.uid, [hospital], epoch=2, prev=study.manifest.sha256)
        with pytest.raises(ConflictError) as caught:
            study.at_alice.post_manifest(study.uid, unasked)
        assert caught.value.code == "not_joined"
        study.invite_and_join(hospital, router)
        both = [study.bob, hospital]
        second = study.alice.manifest(study.uid, both, epoch=2, prev=study.manifest.sha256)
        study.at_alice.post_manifest(study.uid, second)
        study.at_alice.post_manifest(study.uid, second)
        assert [m.raw for m in router.manifests(study.uid)] == [study.manifest.raw, second.raw]

    def test_invitations_show_who_joined_and_when_it_is_done(self, study):
        hospital, router = study.network.site("Carol")
        code = study.invite_and_join(hospital, router)
        listed = {i.id: i for i in study.at_alice.invitations(study.uid)}
        assert listed[study.code.id].state == "accepted"
        joined = listed[code.id]
        assert (joined.state, joined.label) == ("joined", "for a colleague")
        assert (joined.join.site, joined.join.name) == (hospital.uid, "Carol")
        assert joined.join.card.raw == hospital.card.raw
        assert joined.join.mac == join_mac(code.mac_key(study.uid), hospital.card.raw, study.uid)
        beat = study.network.beat(study.alice, study.at_alice)
        assert (beat.joins, beat.projects) == (1, {study.uid: 1})
        study.at_alice.delete_invitation(study.uid, code.id)
        assert code.id not in [i.id for i in study.at_alice.invitations(study.uid)]

    def test_a_stranger_sees_nothing(self, study):
        _, outside = study.network.site("Charlie")
        run = study.run()
        assert outside.projects() == []
        assert outside.runs() == []
        for ask in (
            lambda: outside.project(study.uid),
            lambda: outside.participants(study.uid),
            lambda: outside.manifests(study.uid),
            lambda: outside.run(run),
            lambda: outside.cards(study.alice.uid),
            lambda: outside.logs(run),
        ):
            with pytest.raises(NotFoundError):
                ask()

    def test_a_site_leaves(self, study):
        study.at_bob.remove_participant(study.uid, study.bob.uid)
        with pytest.raises(NotFoundError):
            study.at_bob.project(study.uid)
        assert [row["site"] for row in study.at_alice.participants(study.uid)] == [study.alice.uid]

    def test_an_idle_project_is_archived(self, study):
        study.at_alice.delete_project(study.uid)
        assert study.at_alice.project(study.uid)["state"] == "archived"

    # Runs

    def test_a_run_is_made_once_and_only_one_is_active(self, study):
        uid = study.run()
        again = {"project": study.uid, "number": 1, "plan_sha256": PLAN, "epoch": 1, "quorum": 1}
        study.at_alice.create_run(uid, **again)
        with pytest.raises(ConflictError):
            study.run(number=2)
        assert [r["uid"] for r in study.at_alice.runs(study.uid)] == [uid]
        assert [r["uid"] for r in study.at_alice.active_runs()] == [uid]
        assert study.at_bob.run(uid)["state"] == "standby"

    def test_each_side_sets_its_own_line(self, study):
        uid = study.run()
        study.at_alice.put_status(uid, state="preparing", step=0, round=0)
        study.at_bob.put_status(uid, state="preparing", step=0, round=0, progress=30)
        study.at_alice.put_status(uid, state="running", step=1, round=1, progress=10)
        seen = study.at_alice.run(uid)
        assert (seen["state"], seen["step"], seen["round"]) == ("running", 1, 1)
        seats = {seat["site"]: seat for seat in seen["seats"]}
        assert (seats[study.bob.uid]["state"], seats[study.bob.uid]["progress"]) == ("preparing", 30)
        study.at_alice.put_status(uid, state="failed", step=1, round=1, reason="quorum")
        assert study.at_alice.active_runs() == []
        with pytest.raises(ConflictError):
            study.at_alice.put_status(uid, state="running", step=1, round=2)

    def test_a_stop_is_noted(self, study):
        uid = study.run()
        post, blob = study.from_alice(b"stop", type="stop", run=uid)
        message = study.at_alice.post_message(post, blob)
        study.at_alice.note_stop(uid, message)
        assert study.at_alice.run(uid)["state"] == "stopped"
        assert study.at_alice.run(uid)["stop_message"] == message

    # Post

    def test_a_message_arrives_opens_and_is_acknowledged(self, study):
        post, blob = study.from_alice(b"the plan")
        id = study.at_alice.post_message(post, blob)
        assert id == post.id
        page = study.at_bob.inbox(0)
        [message] = page.messages
        assert (message.id, message.sender) == (id, study.alice.uid)
        assert read(study.bob, study.alice, study.at_bob, message) == b"the plan"
        with study.at_bob.payload(id) as stream:
            assert stream.read() == blob
        assert study.at_bob.message(id)["id"] == id
        study.at_bob.ack(id)
        study.at_bob.ack(id)
        after = study.at_bob.inbox(page.next, ack=page.next)
        assert (after.messages, after.next) == ((), page.next)

    def test_the_same_message_again_is_the_same_message(self, study):
        post, blob = study.from_alice()
        ids = {study.at_alice.post_message(post, blob) for _ in range(3)}
        assert ids == {post.id}
        assert len(study.at_bob.inbox(0).messages) == 1

    def test_another_message_in_the_same_place_is_refused(self, study):
        study.at_alice.post_message(*study.from_alice(b"first"))
        with pytest.raises(RouterConflict) as caught:
            study.at_alice.post_message(*study.from_alice(b"second"))
        assert (caught.value.code, caught.value.retryable) == ("slot_taken", False)
        assert len(study.at_bob.inbox(0).messages) == 1

    def test_a_role_a_reader_or_a_member_that_does_not_fit_is_refused(self, study):
        hospital, outside = study.network.site("Charlie")
        stranger = hospital.write(
            [study.alice], b"hello", project=study.uid, manifest=study.manifest, type="approve"
        )
        to_stranger = study.alice.write(
            [hospital], b"hello", project=study.uid, manifest=study.manifest, type="plan", part=1
        )
        for router, (post, blob) in (
            (study.at_bob, study.from_bob(type="plan")),
            (outside, stranger),
            (study.at_alice, to_stranger),
            (study.at_alice, study.from_bob(part=1)),
        ):
            with pytest.raises(FriendlyError) as caught:
                router.post_message(post, blob)
            assert not caught.value.retryable
        for router in (study.at_alice, study.at_bob, outside):
            assert router.inbox(0).messages == ()

    def test_positions_grow_and_a_cursor_goes_on_where_it_was(self, study):
        posts = [study.from_alice(b"plan %d" % part, part=part) for part in range(5)]
        for post, blob in posts:
            study.at_alice.post_message(post, blob)
        page = study.at_bob.inbox(0)
        assert [m.id for m in page.messages] == [post.id for post, _ in posts]
        positions = [m.position for m in page.messages]
        assert positions == sorted(set(positions))
        assert page.next == positions[-1]
        rest = study.at_bob.inbox(positions[2], ack=positions[2])
        assert [m.position for m in rest.messages] == positions[3:]

    def test_a_waiting_poll_wakes_when_post_comes(self, study):
        got = []

        def wait():
            started = time.monotonic()
            got.append((study.at_bob.inbox(0, wait=10), time.monotonic() - started))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.3)
        study.at_alice.post_message(*study.from_alice())
        thread.join(timeout=15)
        [(page, seconds)] = got
        assert len(page.messages) == 1
        assert seconds < 5

    def test_an_empty_poll_ends_by_itself(self, study):
        started = time.monotonic()
        assert study.at_bob.inbox(0, wait=1).messages == ()
        assert 0.7 < time.monotonic() - started < 5

    @pytest.mark.parametrize("kind", ["bytes", "file"])
    def test_a_large_blob_goes_in_pieces_and_comes_as_a_stream(self, study, tmp_path, kind):
        run = study.run()
        content = bytes(range(256)) * 40_000  # 10 MB: two pieces
        post, blob = study.from_alice(content, type="state", run=run, step=1, round=1)
        source = blob
        if kind == "file":
            source = tmp_path / "sealed"
            source.write_bytes(blob)
        assert study.at_alice.post_message(post, source) == post.id
        assert study.at_alice.post_message(post, source) == post.id
        [message] = study.at_bob.inbox(0).messages
        assert message.blob is None
        assert read(study.bob, study.alice, study.at_bob, message) == content

    def test_an_upload_that_was_cut_goes_on_where_it_was(self, study, monkeypatch):
        run = study.run()
        post, blob = study.from_alice(bytes(range(256)) * 80_000, type="state", run=run, step=1, round=1)
        sent = []
        whole = exchange.Exchange.octets

        def cut(self, method, path, body, headers):
            sent.append(int(headers["upload-offset"]))
            if len(sent) == 2:
                raise RuntimeError("the power went")
            return whole(self, method, path, body, headers)

        monkeypatch.setattr(exchange.Exchange, "octets", cut)
        with pytest.raises(RuntimeError):
            study.at_alice.post_message(post, blob)
        assert study.at_alice.post_message(post, blob) == post.id
        assert sent == [0, 8 << 20, 8 << 20, 16 << 20]

    def test_a_blob_that_is_not_the_envelopes_is_refused(self, study):
        post, blob = study.from_alice()
        with pytest.raises(FriendlyError) as caught:
            study.at_alice.post_message(post, blob[:-1] + bytes([blob[-1] ^ 1]))
        assert not caught.value.retryable
        assert study.at_bob.inbox(0).messages == ()
        assert parse_envelope(post.envelope).ct_len == len(blob)

    def test_logs_are_ids_for_those_who_may_read_them(self, study):
        run = study.run()
        post, blob = study.from_bob(b"line", type="log", run=run)
        id = study.at_bob.post_message(post, blob)
        assert [log["id"] for log in study.at_alice.logs(run)] == [id]
        assert [log["site"] for log in study.at_bob.logs(run)] == [study.bob.uid]

    def test_the_coordinator_may_read_what_was_noted(self, study):
        assert isinstance(study.at_alice.audit(study.uid), list)

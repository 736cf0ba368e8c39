"""What is refused: with a sentence, and with nothing changed at any hospital."""

import hashlib
import json
import uuid

import pytest

from friendlyfl.core.errors import FriendlyError
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.codec import encode
from friendlyfl.wire.keys import Identity
from friendlyfl.wire.message import Post, envelope_bytes, parse_envelope
from tests.e2e import evil
from tests.e2e.house import STUDY, Hospital, House, assert_plain


@pytest.fixture(scope="module")
def run(built: House) -> str:
    """The uid of a run that is over, whose post has all been collected."""
    assert built.reference
    built.quiet()
    return str(
        built.marys.ask("SELECT uid FROM controller_run WHERE state = 'succeeded' ORDER BY id LIMIT 1")[0][0]
    )


def collected(house: House, site: Hospital, position: int) -> None:
    house.wait(f"post number {position} at {site.name}", lambda: site.cursor >= position)


def sentence_of(error: pytest.ExceptionInfo[FriendlyError]) -> str:
    assert_plain(error.value.message)
    print(error.value.message)
    return error.value.code


# --- keys swapped at the Routing Server ---


def test_another_coordinators_key_is_not_believed_by_whoever_holds_a_code(house: House) -> None:
    marys, charlie = house.marys, house.charlie
    code = marys.json("project", "invite", "Charlton", "-p", STUDY)["code"]
    before = charlie.memory()
    with evil.swapped_card(house, marys, *evil.false_card(Identity.generate(), marys.uid)):
        sentence = charlie.refused("project", "join", code)
        assert "another coordinator's key" in sentence and "Nothing was sent" in sentence
        assert charlie.memory() == before
        with house.records() as records:
            joined = records.execute("SELECT COUNT(site_id) FROM ffl_invitation WHERE label = 'Charlton'")
            assert joined.fetchone() == (0,)
    house.settle_doubts()


def test_a_members_swapped_key_opens_no_door(house: House, run: str) -> None:
    """Whoever holds the Routing Server can speak to it in a hospital's name, but to no hospital."""
    marys, lake = house.marys, house.lake
    thief = Identity.generate()
    house.quiet()
    before, position, known = marys.memory(), marys.cursor, marys.held()
    post, blob = evil.letter(house, lake, marys, "leave", encode({"id": "00" * 8}), identity=thief)
    with evil.swapped_identity(house, lake, thief):
        line = lake.line()
        line._exchange.identity = thief
        assert line.post_message(post, blob) == post.id, (
            "the swapped key was not taken by the server: no test"
        )
        collected(house, marys, position + 1)
        [held] = marys.held()[len(known) :]
        assert (held["from"], held["code"]) == ("Lakeside", "bad_signature")
        assert_plain(held["why"])
        assert marys.memory() == before
        # The hospital itself is told that the server does not know it any more.
        house.wait(
            "word of it", lambda: "no site known here" in (lake.json("site", "show")["trouble"] or ""), 40
        )
        assert_plain(lake.json("site", "show")["trouble"])
    lake.process.stop()  # it would come back by itself, after a pause
    lake.start()
    house.wait("the line", lambda: not lake.json("site", "show")["trouble"])


# --- said again, said otherwise ---


def test_the_same_request_is_taken_once_and_the_same_message_changes_nothing(house: House, run: str) -> None:
    north = house.north
    with house.records() as records:
        update = evil.message(records, run, "update", north.uid, 2)
        rows = records.execute(
            "SELECT delivery, signature FROM ffl_delivery WHERE message_id = ?", (update.pk,)
        )
        deliveries = [{"delivery": b64(raw), "signature": b64(signature)} for raw, signature in rows]
    assert update.blob is not None
    body = {
        "envelope": b64(update.envelope),
        "signature": b64(update.signature),
        "deliveries": deliveries,
        "blob": b64(update.blob),
    }
    before, position = house.marys.memory(), house.marys.cursor
    request = evil.signed(house, north, "POST", "messages/", body)
    assert request.send() == (200, {"id": update.id})
    status, told = request.send()
    assert (status, told["code"]) == (401, "replayed_request")
    assert_plain(told["message"])
    assert evil.signed(house, north, "POST", "messages/", body).send() == (200, {"id": update.id})
    assert house.marys.memory() == before and house.marys.cursor == position


def test_post_of_a_round_long_past_is_delivered_again(house: House, run: str) -> None:
    """By the Routing Server, in the middle of another run: nothing happens twice, and the Result is the same."""
    marys, north = house.marys, house.north
    number = house.start_run()
    house.in_round(number, 2)
    [(now,)] = marys.ask("SELECT uid FROM controller_run WHERE number = ?", number)
    with house.router_stopped() as records:
        again = []
        for where, sender, reader, type_ in (
            (run, north, marys, "update"), (run, marys, north, "state"),
            (now, north, marys, "update"), (now, marys, north, "state"), (now, marys, north, "run-invite"),
        ):  # fmt: skip
            found = evil.message(records, where, type_, sender.uid)
            again.append((reader, evil.deliver_again(records, found.pk, reader.uid)))
    assert house.succeed(number) == house.reference
    for reader, position in again:
        collected(house, reader, position)
        assert not [row for row in reader.held() if row["code"] not in ("bad_signature",)]
    for site in (marys, north):
        assert site.ask("SELECT COUNT(*) FROM controller_run WHERE number = ?", number) == [(1,)]
        assert site.ask(
            "SELECT COUNT(*) FROM controller_job j JOIN controller_run r ON r.id = j.run_id"
            " WHERE r.number = ? AND j.kind = 'local'", number
        ) == [(8,)]  # fmt: skip


def test_an_edited_envelope_is_put_aside_and_shown(house: House, run: str) -> None:
    marys, north = house.marys, house.north
    house.quiet()
    before = marys.memory()
    with house.router_stopped() as records:
        update = evil.message(records, run, "update", north.uid, 3)
        envelope = parse_envelope(update.envelope)
        edited = envelope_bytes(
            type(envelope)(**{**vars(envelope), "ct_len": envelope.ct_len, "kc": "00" * 32})
        )
        records.execute("UPDATE ffl_message SET envelope = ? WHERE id = ?", (edited, update.pk))
        position = evil.deliver_again(records, update.pk, marys.uid)
    collected(house, marys, position)
    assert marys.memory() == before
    shown = marys.run("site", "held-post")
    assert "Northfield" in shown and "bad_signature" in shown
    with house.records() as records:
        records.execute("UPDATE ffl_message SET envelope = ? WHERE id = ?", (update.envelope, update.pk))


# --- a stranger ---


def test_a_stranger_posts_into_nothing_and_reads_nothing(house: House, run: str) -> None:
    """Charlton is enrolled at the same Routing Server and knows every uid and digest."""
    marys, charlie = house.marys, house.charlie
    line, before = charlie.line(), marys.memory()
    post, blob = evil.letter(house, charlie, marys, "update", b"numbers", run=run, step=1, round=1)
    with house.records() as records:
        secret = evil.message(records, run, "update", house.north.uid)
        project = records.execute("SELECT uid FROM ffl_project WHERE name = ?", (STUDY,)).fetchone()[0]
    tries = [
        lambda: line.post_message(post, blob),
        lambda: line.message(secret.id),
        lambda: line.payload(secret.id),
        lambda: line.ack(secret.id),
        lambda: line.project(project),
        lambda: line.participants(project),
        lambda: line.manifests(project),
        lambda: line.run(run),
        lambda: line.logs(run),
        lambda: line.cards(marys.uid),
        lambda: line.put_status(run, state="failed", step=1, round=1),
        lambda: line.create_run(
            str(uuid.uuid4()), project=project, number=99, plan_sha256="0" * 64, epoch=1, quorum=1, deadline=60
        ),
    ]  # fmt: skip
    for number, attempt in enumerate(tries):
        with pytest.raises(FriendlyError) as refused:
            attempt()
        assert sentence_of(refused) == "not_found", number
    assert line.projects() == line.runs() == []
    assert line.inbox().messages == ()
    assert marys.memory() == before


def test_a_strangers_upload_is_nobody_elses(house: House, run: str) -> None:
    """It may upload for itself, and then can name the blob in no message of the study."""
    charlie, marys = house.charlie, house.marys
    post, blob = evil.letter(house, charlie, marys, "update", b"n" * 300_000, run=run, step=1, round=1)
    with pytest.raises(FriendlyError) as refused:
        charlie.line().post_message(post, blob)
    assert sentence_of(refused) == "not_found"
    wanted = {
        "length": len(blob),
        "sha256": hashlib.sha256(blob).hexdigest(),
        "message_type": "update",
        "run": run,
    }
    status, told = evil.signed(house, house.north, "POST", "uploads/", wanted).send()
    assert (status, told["complete"]) == (201, False), "another site learnt that these bytes are there"
    status, _ = evil.signed(house, house.north, "DELETE", f"uploads/{told['id']}/").send()
    assert status in (200, 204)


# --- a participant that wants more ---


def test_a_participant_cannot_start_or_stop_a_run(house: House, run: str) -> None:
    north, marys = house.north, house.marys
    before = north.memory(), marys.memory()
    for verb in (("start",), ("repeat",), ("stop", "--yes")):
        sentence = north.refused("run", *verb, "-p", STUDY)
        assert "St Mary's" in sentence and "coordinator" in sentence, sentence
    [(project, epoch)] = north.ask("SELECT uid, epoch FROM controller_project WHERE name = ?", STUDY)
    new = str(uuid.uuid4())
    asked = {
        "uid": new, "project": project, "number": 500, "plan_sha256": "0" * 64, "epoch": epoch, "quorum": 1,
        "deadline": 60, "repeats": None,
    }  # fmt: skip
    for path, body in (("runs/", asked), (f"runs/{run}/stop/", {"message": "0" * 64})):
        status, told = evil.signed(house, north, "POST", path, body).send()
        assert (status, told["code"]) == (403, "not_allowed"), told
        assert_plain(told["message"])
    post, blob = evil.letter(house, north, house.lake, "run-invite", encode({"run": new}), run=new)
    with pytest.raises(FriendlyError) as refused:
        north.line().post_message(post, blob)
    assert sentence_of(refused) == "role"
    assert (north.memory(), marys.memory()) == before


def test_a_participant_reads_its_own_log_and_no_other(house: House, run: str) -> None:
    north, lake, marys = house.north, house.lake, house.marys
    own = {entry["site"] for entry in north.line().logs(run)}
    assert own == {north.uid}
    assert {entry["site"] for entry in marys.line().logs(run)} == {north.uid, lake.uid}
    with house.records() as records:
        secrets = [evil.message(records, run, type_, lake.uid) for type_ in ("log", "update", "ready")]
    for secret in secrets:
        for path in (f"messages/{secret.id}/", f"messages/{secret.id}/payload/"):
            status, told = evil.signed(house, north, "GET", path).send()
            assert (status, told["code"]) == (404, "not_found")
    number = str(north.ask("SELECT number FROM controller_run WHERE uid = ?", run)[0][0])
    shown = {
        what: north.run(*what.split(), "-p", STUDY)
        for what in (
            "run show -r " + number,
            "run logs -r " + number,
            "project show",
            "run list",
            "plan show",
        )
    }
    for what, text in shown.items():
        assert "Lakeside" not in text and lake.uid not in text, what
    assert {line["hospital"] for line in north.json("run", "logs", "-p", STUDY, "-r", number)} == {
        "Northfield"
    }
    assert north.json("run", "show", "-p", STUDY, "-r", number)["seats"] == []
    everybody = {line["hospital"] for line in marys.json("run", "logs", "-p", STUDY, "-r", number)}
    assert everybody == {"St Mary's", "Northfield", "Lakeside"}


def test_a_participant_reads_nobodys_name_or_counts_at_the_routing_server(house: House, run: str) -> None:
    north, lake = house.north, house.lake
    line = north.line()
    [(project,)] = north.ask("SELECT uid FROM controller_project WHERE name = ?", STUDY)
    told = json.dumps([line.project(project), line.participants(project), line.run(run), line.runs(project)])
    assert "Lakeside" not in told
    [seat] = line.run(run)["seats"]
    assert seat["site"] == north.uid
    with pytest.raises(FriendlyError) as refused:
        line.get_site(lake.uid)
    assert sentence_of(refused) == "not_found"


def test_another_ones_post_cannot_be_posted_as_ones_own(house: House, run: str) -> None:
    """Lakeside's Update, which Northfield could have got hold of: neither as it is nor re-signed."""
    north, lake = house.north, house.lake
    before = house.marys.memory()
    post, blob = evil.letter(
        house,
        lake,
        house.marys,
        "update",
        b"numbers",
        identity=north.identity,
        run=run,
        step=1,
        round=1,
    )
    with pytest.raises(FriendlyError) as refused:
        north.line().post_message(post, blob)
    assert sentence_of(refused) == "other_sender"
    with house.records() as records:
        theirs = evil.message(records, run, "update", lake.uid)
        [(raw, signature)] = records.execute(
            "SELECT delivery, signature FROM ffl_delivery WHERE message_id = ?", (theirs.pk,)
        ).fetchall()
    copied = {
        "envelope": b64(theirs.envelope), "signature": b64(theirs.signature),
        "deliveries": [{"delivery": b64(raw), "signature": b64(signature)}],
    }  # fmt: skip
    with pytest.raises(FriendlyError) as refused:
        north.line().post_message(Post.from_json(copied), theirs.blob)
    assert sentence_of(refused) == "other_sender"
    assert house.marys.memory() == before

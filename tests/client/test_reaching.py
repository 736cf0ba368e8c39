"""How a request fails and what a person reads then, against a real server on a real socket."""

import datetime
import socket
import ssl
import threading
import time
from base64 import b64encode
from contextlib import contextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from friendlyfl.client import transport
from friendlyfl.client.problems import BusyError, RouterConflict
from friendlyfl.client.router import Router
from friendlyfl.core.errors import (
    BrokenError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnreachableError,
    UsageError,
    WireError,
)
from friendlyfl.wire.keys import Identity
from friendlyfl.wire.requests import body_digest, read_claim, verify_request
from tests.client.fake_server import closed_port, cut_after, deaf, hang_up, playing, raw, says

SAFE = "Your data is safe and nothing was lost."
ME = Identity.from_seed(bytes(range(32)))


def router(address: str, **options) -> Router:
    return Router(address, ME, **options)


def failure(address: str, code: str, *, retryable: bool = True) -> str:
    with pytest.raises(UnreachableError) as caught:
        router(address).me()
    error = caught.value
    assert (error.code, error.retryable) == (code, retryable)
    assert SAFE in error.message
    return error.message


# It works


def test_every_request_is_signed_over_what_was_sent_and_carries_the_lease():
    with playing(says(200, {"uid": "x"})) as play:
        asker = router(play.address)
        asker.lease = 7
        assert asker.update_me(name="Northfield") == {"uid": "x"}
        seen = play.seen[0]
        claim = read_claim(seen.headers)
        assert (claim.lease, claim.body_sha256) == (7, body_digest(seen.body))
        path, _, query = seen.path.partition("?")
        authority = seen.headers["host"]
        assert authority == f"127.0.0.1:{play.port}"
        verify_request(
            ME.public, method="PATCH", authority=authority, path=path, query=query, headers=seen.headers
        )
        assert seen.headers["user-agent"].startswith("friendlyfl/")


def test_the_query_is_signed_as_it_is_sent():
    with playing(says(200, {"messages": [], "next": 5})) as play:
        page = router(play.address).inbox(5, wait=1, ack=5)
        assert (page.messages, page.next) == ((), 5)
        path, _, query = play.seen[0].path.partition("?")
        assert query == "since=5&wait=1&ack=5"
        verify_request(
            ME.public,
            method="GET",
            authority=play.seen[0].headers["host"],
            path=path,
            query=query,
            headers=play.seen[0].headers,
        )


def test_connections_are_kept_and_a_long_poll_has_its_own():
    with playing(says(200, {"messages": [], "next": 0})) as play:
        asker = router(play.address)
        for _ in range(3):
            asker.inbox(0)
        assert len({seen.connection for seen in play.seen}) == 1
        asker.inbox(0, wait=1)
        assert play.seen[-1].connection != play.seen[0].connection


def test_one_router_serves_many_threads():
    with playing(says(200, {"uid": "x"})) as play:
        asker = router(play.address)
        threads = [threading.Thread(target=lambda: [asker.me() for _ in range(10)]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({read_claim(seen.headers).nonce for seen in play.seen}) == 60


def test_a_list_is_put_together_from_its_pages():
    with playing(
        says(200, {"results": [{"uid": "a"}], "next": "http://elsewhere.example/?page=2"}),
        says(200, {"results": [{"uid": "b"}], "next": None}),
    ) as play:
        assert router(play.address).projects() == [{"uid": "a"}, {"uid": "b"}]
        assert play.seen[1].path.endswith("projects/?page=2")  # the answer's address is not followed


# Whose clock


def test_a_stale_signature_is_signed_once_more_with_the_routers_clock():
    behind = says(401, {"code": "stale_signature", "message": "Late.", "server_time": "2040-01-01T00:00:00Z"})
    with playing(behind, says(200, {"uid": "x"})) as play:
        asker = Router(play.address, ME, clock=lambda: 1_000_000.0)
        asker.me()
        first, second = (read_claim(seen.headers) for seen in play.seen)
        assert first.created == 1_000_000
        assert second.created == 2_208_988_800
        assert first.nonce != second.nonce
        asker.me()
        assert read_claim(play.seen[2].headers).created == 2_208_988_800
        assert asker.clock_offset == 2_207_988_800


def test_a_signature_that_stays_stale_is_told_and_not_tried_for_ever():
    with playing(says(401, {"code": "stale_signature", "message": "Late.", "server_time": "soon"})) as play:
        with pytest.raises(ForbiddenError, match=r"^Late\.$"):
            router(play.address).me()
        assert len(play.seen) == 2


def test_a_request_that_a_proxy_doubled_is_signed_again():
    replayed = says(401, {"code": "replayed_request", "message": "Seen."})
    with playing(replayed, says(200, {"uid": "x"})) as play:
        assert router(play.address).me() == {"uid": "x"}


# Something else answers


@pytest.mark.parametrize(
    "reply",
    [
        raw(200, b"<html>Please log in</html>", "text/html"),
        raw(302, b"", "text/html", {"Location": "http://portal.example/"}),
        raw(200, b"<html>", "application/json"),
        raw(200, b'"a string"', "application/json"),
        raw(200, b'{"a": NaN}', "application/json"),
        raw(200, b"[" * 100_000, "application/json"),
        raw(404, b"<html>not here</html>", "text/html"),
        raw(403, b'{"error": "blocked by filter"}', "application/json"),
    ],
)
def test_a_captive_portal_is_a_proxy_not_data(reply):
    with playing(reply) as play:
        message = failure(play.address, "proxy_answered")
        assert message.startswith(f"A proxy answered instead of the Routing Server at 127.0.0.1:{play.port}.")


def test_an_answer_without_end_is_not_kept():
    with playing(raw(200, b'["' + b"x" * (33 << 20) + b'"]', "application/json")) as play:
        failure(play.address, "proxy_answered")


def test_html_under_a_5xx_is_a_front_door_whose_router_is_down():
    with playing(raw(502, b"<html>Bad Gateway</html>", "text/html")) as play:
        failure(play.address, "gateway")


def test_a_blob_must_come_as_octets():
    with playing(raw(200, b"<html>", "text/html")) as play, pytest.raises(UnreachableError, match="proxy"):
        router(play.address).payload("ab" * 32)


def test_health_tells_a_routing_server_from_anything_else():
    with playing(says(200, {"status": "ok"})) as play:
        assert Router(play.address).health() == {"status": "ok"}
        assert "signature" not in play.seen[0].headers
    for other in (says(200, {"ok": True}), says(200, []), says(404, {"code": "nope", "message": "No."})):
        with playing(other) as play, pytest.raises(UnreachableError) as caught:
            Router(play.address).health()
        assert (caught.value.code, caught.value.retryable) == ("not_a_router", False)


# What the router says


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UsageError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, UsageError),
        (409, ConflictError),
        (413, WireError),
        (415, WireError),
        (422, UsageError),
        (426, BrokenError),
    ],
)
def test_a_refusal_keeps_its_code_and_sentence_and_is_not_retried(status, kind):
    told = {"code": "lease_held", "message": "This site runs on host X.", "who": "the site's administrator"}
    with playing(says(status, told)) as play, pytest.raises(kind) as caught:
        router(play.address).me()
    error = caught.value
    assert (error.code, error.message, error.who) == tuple(told.values())
    assert not error.retryable
    assert len(play.seen) == 1


def test_a_conflict_keeps_what_was_told_and_passes_when_the_router_says_when():
    told = {"code": "cursor_ahead", "message": "Go back.", "last": 7}
    with playing(says(409, told)) as play, pytest.raises(RouterConflict) as caught:
        router(play.address).inbox(9)
    assert (caught.value.told, caught.value.retryable, caught.value.retry_after) == ({"last": 7}, False, None)
    told = {"code": "upload_busy", "message": "Wait.", "retry_after": 5}
    with playing(says(409, told)) as play, pytest.raises(RouterConflict) as caught:
        router(play.address).me()
    assert (caught.value.retryable, caught.value.retry_after) == (True, 5.0)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 507])
def test_patience_is_asked_for_with_retry_after(status):
    told = {"code": "slow_down", "message": "Too fast."}
    with playing(says(status, told, {"Retry-After": "3"})) as play, pytest.raises(BusyError) as caught:
        router(play.address).me()
    assert (caught.value.code, caught.value.retry_after, caught.value.retryable) == ("slow_down", 3.0, True)


@pytest.mark.parametrize(
    ("told", "seconds"), [(5, 5.0), (1e9, 3600.0), (-1, None), ("later", None), (True, None), (None, None)]
)
def test_retry_after_is_believed_within_reason(told, seconds):
    body = {"code": "slow_down", "message": "Too fast.", "retry_after": told}
    with playing(says(429, body)) as play, pytest.raises(BusyError) as caught:
        router(play.address).me()
    assert caught.value.retry_after == seconds


def test_control_characters_never_reach_the_screen():
    told = {"code": "x", "message": "No\x1b[31m way\n", "who": "me\x00"}
    with playing(says(403, told)) as play, pytest.raises(ForbiddenError) as caught:
        router(play.address).me()
    assert (caught.value.message, caught.value.who) == ("No[31m way", "me")


def test_an_answer_of_the_wrong_shape_is_named():
    with playing(says(200, {"messages": "none"})) as play, pytest.raises(WireError) as caught:
        router(play.address).inbox(0)
    assert caught.value.code == "unexpected_answer"


def test_broken_base64_in_one_message_does_not_hide_the_others():
    entry = {"position": 1, "id": "a", "sender": "s", "envelope": "%%", "signature": "", "blob": 7}
    fine = {**entry, "position": 2, "envelope": "AAAA"}
    with playing(says(200, {"messages": [entry, fine], "next": 2})) as play:
        page = router(play.address).inbox(0)
    assert [message.envelope for message in page.messages] == [b"", b"\0\0\0"]
    assert page.messages[0].blob == b""


def test_an_id_that_could_lead_elsewhere_is_never_sent():
    with playing(says(200, {})) as play:
        for odd in ("..", "a/b", "a?x", "", "a b", "é"):
            with pytest.raises(UsageError):
                router(play.address).project(odd)
        assert play.seen == []


def test_without_keys_only_health_is_asked():
    with playing(says(200, {"uid": "x"})) as play:
        with pytest.raises(ForbiddenError) as caught:
            Router(play.address).me()
        assert caught.value.code == "no_identity"


# The line


def test_a_name_nobody_knows():
    assert "name" in failure("https://no-such-host.invalid", "dns")


def test_nothing_listens():
    assert "answers on port" in failure(f"http://127.0.0.1:{closed_port()}", "refused")


def test_a_half_open_connection_is_given_up(monkeypatch):
    monkeypatch.setattr(transport, "READ", 0.2)
    with deaf() as address:
        started = time.monotonic()
        failure(address, "timeout")
        assert time.monotonic() - started < 2


def test_a_poll_waits_for_as_long_as_it_said_and_a_little(monkeypatch):
    monkeypatch.setattr(transport, "READ", 0.05)
    monkeypatch.setattr(transport, "POLL_GRACE", 0.2)

    def slowly(handler):
        time.sleep(0.5)
        says(200, {"messages": [], "next": 0})(handler)

    with playing(slowly) as play:
        assert router(play.address).inbox(0, wait=1).next == 0


def test_a_body_that_dribbles_is_given_up_and_one_that_flows_is_not(monkeypatch):
    monkeypatch.setattr(transport.limits, "BODY_STALL", 0.3)

    with playing(lambda h: slow_list(h, 1)) as play:
        failure(play.address, "timeout")
    with playing(lambda h: slow_list(h, 2048)) as play:
        assert router(play.address).projects() == []


def slow_list(handler, size):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(size * 8 + 2))
    handler.end_headers()
    handler.wfile.write(b"[")
    for _ in range(8):
        handler.wfile.write(b" " * size)
        handler.wfile.flush()
        time.sleep(0.1)
    handler.wfile.write(b"]")


def test_a_large_body_may_take_its_time_as_long_as_it_moves(monkeypatch):
    monkeypatch.setattr(transport, "CONNECT", 0.4)

    def slow_reader(line):
        left = 8 << 20
        while b"\r\n\r\n" not in line.recv(1 << 16, socket.MSG_PEEK):
            pass
        while left > 0 and (came := line.recv(1 << 18)):
            left -= len(came)
            time.sleep(0.03)
        line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: slow_reader(server.accept()[0]), daemon=True).start()
        asker = router(f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        assert asker._exchange.octets("PATCH", "uploads/x/", bytes(8 << 20), {"upload-offset": "0"}) is None
        assert time.monotonic() - started > 0.4


def test_a_refusal_without_a_body_is_asked_again():
    with playing(says(409, {})) as play, pytest.raises(BusyError) as caught:
        router(play.address)._exchange.head("uploads/x/")
    assert caught.value.code == "no_reason_given"


def test_a_cut_answer_is_no_answer_and_a_cut_blob_no_blob():
    with playing(cut_after(100, b'{"uid":')) as play:
        failure(play.address, "cut")
    with playing(cut_after(100, b"x" * 60, "application/octet-stream")) as play:
        with router(play.address).payload("ab" * 32) as stream:
            assert stream.read(60) == b"x" * 60
            with pytest.raises(UnreachableError) as caught:
                stream.read(40)
        assert caught.value.code == "cut"


def test_a_connection_that_went_stale_is_replaced_at_once():
    with playing(says(200, {"uid": "x"}), hang_up, says(200, {"uid": "y"})) as play:
        asker = router(play.address)
        asker.me()
        assert asker.me() == {"uid": "y"}
        assert len({read_claim(seen.headers).nonce for seen in play.seen}) == 3


def test_a_line_that_always_breaks_is_told_after_the_second_time():
    with playing(hang_up) as play:
        failure(play.address, "cut")
        assert len(play.seen) == 2


def test_something_that_does_not_speak_http():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            line, _ = server.accept()
            with line:
                line.recv(1000)
                line.sendall(b"220 mail.example ESMTP ready\r\n")

        threading.Thread(target=greet, daemon=True).start()
        failure(f"http://127.0.0.1:{server.getsockname()[1]}", "not_http")


def test_a_stream_reads_like_a_file():
    blob = bytes(range(256)) * 1000
    with playing(raw(200, blob, "application/octet-stream")) as play:
        asker = router(play.address)
        with asker.payload("ab" * 32) as stream:
            assert stream.readable()
            assert stream.read(1000) == blob[:1000]
            buffer = bytearray(500)
            assert stream.readinto(buffer) == 500
            assert bytes(buffer) == blob[1000:1500]
            assert stream.read() == blob[1500:]
            assert stream.read(10) == b""
        with asker.payload("ab" * 32) as stream:
            stream.read(10)
        with asker.payload("ab" * 32) as stream:  # a stream left in the middle spoils nothing
            assert stream.read() == blob
        assert play.seen[0].connection == play.seen[1].connection != play.seen[2].connection


# Protected lines


def certificate(folder, *, days: int = 1, name: str = "localhost"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}-{days}.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def protected(tmp_path):
    """Starts TLS servers with a certificate each."""
    open_sockets = []

    def start(pem):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        listener = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(listener)
        body = b'{"uid":"x"}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

        def serve():
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(line, server_side=True) as safe:
                        safe.recv(65536)
                        safe.sendall(head + body)
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return f"https://localhost:{listener.getsockname()[1]}"

    yield start
    for listener in open_sockets:
        listener.close()


def test_a_certificate_nobody_vouches_for_stops_with_the_reason(protected, tmp_path):
    address = protected(certificate(tmp_path))
    message = failure(address, "certificate", retryable=False)
    assert "self-signed certificate" in message
    assert "CA file" in message


def test_the_hospitals_ca_file_is_believed(protected, tmp_path):
    pem = certificate(tmp_path)
    assert router(protected(pem), ca_file=pem).me() == {"uid": "x"}


@pytest.mark.parametrize(
    ("days", "name", "reason"), [(-1, "localhost", "expired"), (1, "other.example", "match")]
)
def test_a_ca_file_does_not_excuse_an_ended_or_foreign_certificate(protected, tmp_path, days, name, reason):
    pem = certificate(tmp_path, days=days, name=name)
    with pytest.raises(UnreachableError, match=reason) as caught:
        router(protected(pem), ca_file=pem).me()
    assert caught.value.code == "certificate"


def test_a_ca_file_that_holds_no_certificate_is_this_machines_trouble(tmp_path):
    for path in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        if path.stem == "empty":
            path.write_text("nothing")
        with pytest.raises(BrokenError) as caught:
            router("https://fl.example.org", ca_file=path)
        assert caught.value.code == "ca_file"


def test_a_plain_server_behind_https_is_told():
    with playing(says(200, {"uid": "x"})) as play:
        failure(f"https://127.0.0.1:{play.port}", "tls")


# A hospital's proxy


@contextmanager
def proxy(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"):
    """A forward proxy: it opens the way it is asked for, or says no. Yields its port and what it read."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source, target):
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve():
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                asked.append(client.recv(65536))
                client.sendall(answer)
                if b" 200 " not in answer:
                    client.close()
                    continue
                port = int(asked[-1].split()[1].rsplit(b":", 1)[1])
                far = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, far), (far, client)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.close()


def test_the_hospitals_proxy_is_used_and_reads_nothing(protected, tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    with proxy() as (port, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://nora:a%20word@127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.org")
        assert router(protected(pem), ca_file=pem).me() == {"uid": "x"}
    told = asked[0].decode()
    assert told.startswith("CONNECT localhost:") and len(asked) == 1
    assert f"proxy-authorization: basic {b64encode(b'nora:a word').decode()}".lower() in told.lower()
    assert "/me/" not in told


def test_what_is_excepted_goes_straight(protected, tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert router(protected(pem), ca_file=pem).me() == {"uid": "x"}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused", "it said 403"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_login", "name and a password"),
    ],
)
def test_a_proxy_that_says_no_is_named(monkeypatch, answer, code, words):
    with proxy(answer) as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{port}")
        assert words in failure("https://router.example.org", code)


def test_a_proxy_that_is_not_there_and_one_that_is_no_address(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    assert "ask IT for its address" in failure("https://router.example.org", "proxy_silent")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(BrokenError, match="does not hold the address of a proxy"):
        router("https://router.example.org")

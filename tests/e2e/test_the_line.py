"""The line to the Routing Server: wrong addresses, wrong codes, a clock that is wrong, a server that is away."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from friendlyfl.testing.consortium import free_port
from friendlyfl.wire import invitation
from tests.e2e.house import STUDY, Hospital, House, assert_plain

SHIFT = """
import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: _time_ns() + {seconds} * 10**9
"""


class Page(BaseHTTPRequestHandler):
    """Some other web server, which has a page for everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><body>Welcome to the guest network. Please accept the terms.</body></html>")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """It keeps no log."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def newcomer(built: House) -> Iterator[Hospital]:
    """A hospital that is not connected yet."""
    site = built.add("newcomer", "Newcombe", enrol=False)
    yield site
    site.terminal.close()


def test_a_wrong_address_is_told_from_a_dead_one(house: House, newcomer: Hospital, web: str) -> None:
    code = house.enrolment()
    wrong = {
        f"http://127.0.0.1:{free_port()}": ("cannot reach", "nothing answers"),
        web: ("proxy", "Routing Server"),
        f"{house.address}/some/page": ("not an address", "https://"),
        "ftp://127.0.0.1": ("not an address", "https://"),
        "http://fl.example.org": ("unprotected", "https://"),
        "": ("not an address",),
    }
    for address, words in wrong.items():
        sentence = newcomer.refused("site", "connect", address, "--enrolment", code)
        for word in words:
            assert word in sentence, f"{address}: {sentence}"
        assert newcomer.json("site", "show")["router"] is None
    sentence = newcomer.refused("site", "connect", house.address, "--enrolment", "AAAA-BBBB-CCCC")
    assert "enrolment code" in sentence and "administrator" in sentence
    assert newcomer.json("site", "show")["router"] is None
    # None of it used up the code or spoilt the site.
    newcomer.run("site", "connect", house.address, "--enrolment", code)
    again = newcomer.refused("site", "connect", house.address, "--enrolment", code)
    assert "connected" in again


def test_a_wrong_invitation_code_joins_nothing(house: House) -> None:
    marys, charlie = house.marys, house.charlie
    good = marys.json("project", "invite", "A fourth hospital", "-p", STUDY)["code"]
    letters = [place for place, sign in enumerate(good) if sign.isalnum() and place > 8]
    place = letters[len(letters) // 2]
    typo = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
    fingerprint = marys.identity.fingerprint
    wrong = {
        "nonsense": "FFL1",
        typo: "",
        good[:-3]: "",
        invitation.make_code(house.address, fingerprint): "not known",
        invitation.make_code("https://elsewhere.example", fingerprint): "another Routing Server",
    }
    before = charlie.memory()
    for code, word in wrong.items():
        sentence = charlie.refused("project", "join", code)
        print(sentence)
        assert word in sentence, sentence
        assert code not in sentence, "a code is a secret"
    assert charlie.memory() == before
    used = marys.ask("SELECT code FROM controller_invitation WHERE state = 'accepted' LIMIT 1")[0][0]
    sentence = charlie.refused("project", "join", used)
    assert "was used" in sentence
    assert charlie.memory() == before


@pytest.mark.parametrize("hours", [2, -2])
def test_a_hospital_whose_clock_is_wrong_takes_part(house: House, tmp_path: Path, hours: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHIFT.format(seconds=hours * 3600))
    site = house.lake if hours > 0 else house.marys
    expected = house.reference
    site.process.stop()
    site.start(PYTHONPATH=str(tmp_path))
    try:
        learnt = house.wait(
            "the difference", lambda: site.ask("SELECT clock_offset FROM controller_identity")[0][0]
        )
        assert abs(learnt + hours * 3600) < 60
        assert house.succeed(house.start_run()) == expected
    finally:
        site.process.stop()
        site.start()


def told(site: Hospital) -> str:
    return str(site.json("site", "show")["trouble"])


def shown(site: Hospital) -> str:
    return " ".join(site.run("site", "show").split())


def test_the_routing_server_is_away_for_a_while(house: House) -> None:
    """People are told, nothing is lost, and the run goes on by itself."""
    expected = house.reference
    number = house.start_run()
    house.in_round(number)
    house.router.kill()
    for site in house.members:
        sentence = house.wait("word of it", lambda site=site: site.json("site", "show")["trouble"], 30)
        assert_plain(sentence)
        assert "nothing was lost" in sentence
        # The sentence may change from one try to the next, so both are asked for until they agree.
        house.wait("the same words for people", lambda site=site: told(site) in shown(site), 30)
    sentence = house.marys.refused("project", "invite", "Somebody", "-p", STUDY)
    assert "cannot reach" in sentence
    house.router.start()
    assert house.succeed(number) == expected
    for site in house.members:
        house.wait("the end of the trouble", lambda site=site: not site.json("site", "show")["trouble"], 70)

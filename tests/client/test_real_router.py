"""The contract against the real Routing Server: its own process, uvicorn, SQLite in a temporary folder."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from friendlyfl.client.router import Router
from friendlyfl.core.errors import ConflictError, ForbiddenError, UnreachableError
from tests.client.contract import Contract, Network, Study
from tests.client.hospital import Hospital

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough sentence"
API = "/friendlyfl/api/v1/"


class RealNetwork(Network):
    """A process of the Routing Server and an administrator who hands out enrolment codes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "FRIENDLYFL_ROUTER_HOME": str(home),
            "DJANGO_SUPERUSER_USERNAME": "admin",
            "DJANGO_SUPERUSER_EMAIL": "admin@fl.example",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        for name in ("DATABASE_URL", "ALLOWED_HOSTS", "DJANGO_SETTINGS_MODULE"):
            self.environment.pop(name, None)
        self.manage("migrate")
        self.manage("createsuperuser", "--noinput")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()
        self.token = self.post("auth/token/", {"username": "admin", "password": PASSWORD})["token"]
        self.admin = self.ask("users/me/")["uid"]

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        self.log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "friendlyfl.router.asgi:application"),
                *("--fd", str(self.listener.fileno()), "--log-level", "warning"),
            ],
            env=self.environment,
            cwd=ROOT,
            pass_fds=[self.listener.fileno()],
            stdout=self.log,
            stderr=self.log,
        )
        waiting = Router(self.address)
        for _ in range(200):
            try:
                waiting.health(ready=True)
                return
            except UnreachableError:
                assert self.process.poll() is None, (self.home / "log").read_text()[-3000:]
                time.sleep(0.1)
        raise AssertionError("the Routing Server did not become ready")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)
        self.log.close()

    def ask(self, path: str, body: object = None):
        request = urllib.request.Request(self.address + API + path)
        request.add_header("Accept", "application/json")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if hasattr(self, "token"):
            request.add_header("Authorization", f"Token {self.token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    post = ask

    def router(self, hospital: Hospital) -> Router:
        code = self.post("enrolments/", {"user": self.admin})["code"]
        return Router(self.address, hospital.identity, site=hospital.uid, enrolment=code)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    network = RealNetwork(tmp_path_factory.mktemp("router"))
    yield network
    network.stop()
    network.listener.close()


@pytest.mark.e2e
class TestReal(Contract):
    @pytest.fixture
    def network(self, house):
        return house

    def test_an_unknown_key_is_told_to_enrol(self, house):
        with pytest.raises(ForbiddenError, match="enrol"):
            house.router(Hospital("New")).me()

    def test_a_request_without_its_lease_is_fenced(self, house):
        _, router = house.site("Fenced")
        router.lease -= 1
        for ask in (router.projects, lambda: router.inbox(0)):
            with pytest.raises(ConflictError) as caught:
                ask()
            assert caught.value.code == "fenced"

    @pytest.mark.parametrize("hours", [-2, 2])
    def test_a_site_whose_clock_is_wrong_works(self, house, hours):
        hospital, right = house.site("Wrong clock")
        wrong = Router(house.address, hospital.identity, clock=lambda: time.time() + hours * 3600)
        wrong.lease = right.lease
        assert wrong.inbox(0).messages == ()
        assert wrong.me()["uid"] == hospital.uid
        assert abs(wrong.clock_offset + hours * 3600) < 60

    def test_a_cursor_from_another_world_is_told_where_to_go_on(self, house):
        _, router = house.site("Restored")
        with pytest.raises(ConflictError) as caught:
            router.inbox(99)
        assert (caught.value.code, caught.value.told["last"]) == ("cursor_ahead", 0)

    def test_a_killed_router_keeps_what_it_took_and_the_client_reconnects(self, house):
        study = Study(house)
        post, blob = study.from_alice()
        study.at_alice.post_message(post, blob)
        house.kill()
        house.start()
        assert [m.id for m in study.at_bob.inbox(0).messages] == [post.id]
        assert study.at_alice.post_message(post, blob) == post.id
        assert len(study.at_bob.inbox(0).messages) == 1

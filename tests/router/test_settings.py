"""The start: settings from the environment, refusals in one sentence, the seed's commands as they are written."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json
from friendlyfl.router import settings
print(json.dumps({name: getattr(settings, name) for name in %r}, default=str))
"""
PASSWORD = "five small boats at sea"
START = ("-c", "from friendlyfl.cli.router import router; router()", "start", "--port", "0")


def environment(home: Path, **settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return kept | {"FRIENDLYFL_ROUTER_HOME": str(home), "PYTHONPATH": str(ROOT)} | settings


def run(home: Path, *command: str, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(home, **settings),
        input=given,
        capture_output=True,
        text=True,
    )


def read(home: Path, *names: str, **settings: str) -> dict[str, object]:
    done = run(home, "-c", SHOW % (names,), **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_start_makes_a_home_for_this_account_only(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    first = read(home, "SECRET_KEY", "HOME", "DATABASES", "ALLOWED_HOSTS", "DEBUG", "PAYLOAD_STORE")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secret_key").stat().st_mode) == 0o600
    assert len(first["SECRET_KEY"]) >= 64 and first["SECRET_KEY"] == (home / "secret_key").read_text()
    assert first["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert first["DEBUG"] is False and first["PAYLOAD_STORE"] == f"dir:{home}/payloads"
    database = first["DATABASES"]["default"]
    assert database["NAME"] == str(home / "router.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE" and database["OPTIONS"]["timeout"] == 20
    assert "synchronous=FULL" in database["OPTIONS"]["init_command"]
    assert read(home, "SECRET_KEY") == {"SECRET_KEY": first["SECRET_KEY"]}


def test_a_setting_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("fl.example.org, fl.example.net\n")
    assert read(tmp_path, "ALLOWED_HOSTS", ALLOWED_HOSTS_FILE=str(file)) == {
        "ALLOWED_HOSTS": ["fl.example.org", "fl.example.net"]
    }


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (
            {"DATABASE_URL": "postgresql://u:p%40ss@db.example:6543/fl"},
            ("db.example", 6543, "fl", "u", "p@ss"),
        ),
        (
            {"DATABASE_URL": "postgres://u@/?host=/run/sockets"},
            ("/run/sockets", 5432, "friendlyfl-router", "u", ""),
        ),
        ({"DATABASE_HOST": "db"}, ("db", 5432, "friendlyfl-router", "postgres", "")),
        (
            {"DATABASE_HOST": "db", "DATABASE_PORT": "1234", "DATABASE_NAME": "n", "DATABASE_USER": "u"},
            ("db", 1234, "n", "u", ""),
        ),
    ],
)
def test_postgresql_is_named_by_address_or_by_parts(
    tmp_path: Path, settings: dict[str, str], where: tuple[object, ...]
) -> None:
    database = read(tmp_path, "DATABASES", **settings)["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert tuple(database[name] for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD")) == where


@pytest.mark.parametrize(
    "settings",
    [
        {"DEBUG": "perhaps"},
        {"SECRET_KEY": "correct horse"},
        {"SECRET_KEY": "a" * 60},
        {"ALLOWED_HOSTS": "*"},
        {"ALLOWED_HOSTS": "fl.example.org,*"},
        {"DATABASE_URL": "mysql://x/y"},
        {"DATABASE_URL": "postgresql://host:port/name"},
        {"DATABASE_URL": "sqlite://"},
        {"DATABASE_URL": "postgresql://h/n", "DATABASE_HOST": "h"},
        {"DATABASE_HOST": "db", "DATABASE_PORT": "many"},
        {"DATABASE_PASSWORD_FILE": "/nowhere/at/all", "DATABASE_HOST": "db"},
        {"DEBUG": "1", "DEBUG_FILE": "/nowhere"},
        {"PAYLOAD_STORE": "ftp://x"},
        {"PAYLOAD_STORE": "dir:"},
        {"ALLOW_PLAIN_HTTP": "2"},
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(tmp_path: Path, settings: dict[str, str]) -> None:
    done = run(tmp_path, "-c", "import friendlyfl.router.settings", **settings)
    assert done.returncode == 1
    assert done.stderr.startswith("FriendlyFL cannot start: ") and done.stderr.count("\n") == 1, done.stderr
    assert settings.get("SECRET_KEY", "-") not in done.stderr


def test_a_damaged_secret_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("x")
    done = run(tmp_path, "-c", "import friendlyfl.router.settings")
    assert done.returncode == 1 and "damaged" in done.stderr


def test_the_deployment_checks_are_clean(tmp_path: Path) -> None:
    settings = {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "fl.example.org",
        "TRUSTED_PROXY": "10.0.0.1",
    }
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **settings)
    assert done.returncode == 0 and "(0 silenced)" in done.stdout, done.stdout + done.stderr
    done = run(tmp_path, "manage.py", "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout


def test_runjob_lists_its_jobs(tmp_path: Path) -> None:
    told = run(tmp_path, "manage.py", "runjob", "--help").stdout
    for name in ("check_site_status", "expire_messages", "close_overdue_runs"):
        assert name in told
    assert run(tmp_path, "manage.py", "runjob", "dance").returncode != 0


class Program:
    """A server in a process of its own, on a free port."""

    def __init__(self, home: Path, *command: str, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(home, PYTHONUNBUFFERED="1", **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.told = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told += line
            if "http://" in line:
                self.address = next(word for word in line.split() if word.startswith("http://"))
                return
        raise AssertionError(f"no address was told: {self.told}")

    def get(self, path: str) -> object:
        deadline = time.time() + 20
        while True:
            try:
                with urllib.request.urlopen(self.address + path, timeout=10) as answer:
                    return json.load(answer)
            except OSError:
                assert time.time() < deadline and self.process.poll() is None
                time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path, *START)
    yield program
    program.process.kill()
    program.process.wait()


@pytest.mark.e2e
def test_one_command_migrates_checks_and_serves(started: Program, tmp_path: Path) -> None:
    assert "No user exists yet" in started.told and "friendlyfl router user add" in started.told
    assert started.get("health/ready/") == {"status": "ready"}
    assert "projects" in started.get("")
    begun = time.time()
    assert started.stop() == 0
    assert time.time() - begun < 5
    made = run(
        tmp_path, "-c", "from friendlyfl.cli.router import router; router()",
        "user", "add", "root", "--administrator", "--password-stdin", given=f"{PASSWORD}\n",
    )  # fmt: skip
    assert made.returncode == 0 and "Administrator root made." in made.stdout, made.stderr
    again = Program(tmp_path, *START)
    assert "No user exists" not in again.told
    again.stop()


def test_a_migration_that_fails_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    code = """
import django; django.setup()
from django.db import connection
from friendlyfl.router import serving
from friendlyfl.router.models import User
serving.migrate()
User.objects.create_user("before")
connection.cursor().execute("DELETE FROM django_migrations WHERE app = 'sessions'")
def broken(*args, **kwargs):
    connection.cursor().execute("DROP TABLE ffl_token")
    connection.cursor().execute("DELETE FROM ffl_user")
    raise RuntimeError("half way")
serving.call_command = broken
try:
    serving.migrate()
except RuntimeError:
    print(User.objects.count(), "ffl_token" in connection.introspection.table_names())
"""
    done = run(tmp_path, "-c", code, DJANGO_SETTINGS_MODULE="friendlyfl.router.settings")
    assert done.stdout.strip() == "1 True", done.stderr


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, *START, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith("FriendlyFL cannot start: the database does not answer"), done.stderr


def test_people_and_codes_from_the_command_line(database: None, tmp_path: Path) -> None:
    from click.testing import CliRunner, Result

    from friendlyfl.cli.router import router
    from friendlyfl.router.registry import people

    def say(*arguments: str, given: str = "") -> Result:
        return CliRunner().invoke(router, arguments, input=given)

    name = f"smith-{secrets.token_hex(4)}"
    assert "no user" in say("enrol", name).output
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    assert say("user", "add", name, "--password-file", str(password)).exit_code == 0
    again = say("user", "add", name, "--password-stdin", given=PASSWORD)
    assert again.exit_code == 1 and "exists" in again.output
    for weak in ("12345", "", name):
        assert say("user", "add", f"x{name}", "--password-stdin", given=weak).exit_code == 1
    asked = say("user", "add", f"y{name}", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert asked.exit_code == 0 and PASSWORD not in asked.output
    both = say("user", "add", "z", "--password-stdin", "--password-file", str(password))
    assert both.exit_code == 2
    code = say("enrol", name).output.strip()
    assert len(code) == 39 and code.count("-") == 7
    assert people.find_enrolment(code).user.username == name
    assert name in say("user", "list").output


def test_plain_http_beyond_loopback_needs_a_word(tmp_path: Path) -> None:
    done = run(tmp_path, *START, "--host", "0.0.0.0")
    assert done.returncode == 1 and "plain text" in done.stderr
    done = run(tmp_path, "manage.py", "runserver", "0.0.0.0:0", "--noreload")
    assert done.returncode == 1 and "plain text" in done.stderr


@pytest.mark.e2e
def test_runserver_serves_records_and_relay(tmp_path: Path) -> None:
    """As in the seed: migrate, createsuperuser, runserver."""
    superuser = {
        "DJANGO_SUPERUSER_USERNAME": "root",
        "DJANGO_SUPERUSER_EMAIL": "root@fl.example",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    assert run(tmp_path, "manage.py", "migrate").returncode == 0
    done = run(tmp_path, "manage.py", "createsuperuser", "--noinput", **superuser)
    assert done.returncode == 0, done.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Program(tmp_path, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload")
    try:
        assert program.get("health/") == {"status": "ok"}
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(program.address + "messages/inbox/", timeout=10)
        assert caught.value.code == 401
    finally:
        program.process.kill()
        program.process.wait()

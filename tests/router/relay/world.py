"""A small world for the relay's tests: its own database, four hospitals, one project, and honest senders' bytes.

The tables are Django's own, made straight from the models, so a test can hold several worlds at once and on either
database. What a site sends is signed for real; the wraps inside deliveries are random, since nobody here opens them.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from friendlyfl.router.relay.database import Database, Engine, PostgresEngine, SQLiteEngine
from friendlyfl.router.relay.limiter import Limiter
from friendlyfl.router.relay.service import Service
from friendlyfl.router.relay.store import DirectoryStore
from friendlyfl.wire.canonical import b64, dumps
from friendlyfl.wire.keys import Identity
from friendlyfl.wire.message import SUITE, Context, Envelope, envelope_bytes, envelope_digest, sealed_length
from friendlyfl.wire.requests import sign_request
from friendlyfl.wire.trust import Member, SignedManifest, make_manifest

HOST = "localhost"
PREFIX = "/friendlyfl/api/v1"
WRAP = 1168
NOW = "2030-01-01 00:00:00"


def sealed(length: int) -> bytes:
    """Random bytes as long as a blob with so much content: as much as anybody here can know of one."""
    return os.urandom(sealed_length(length))


def make_tables(engine: Engine) -> None:
    """All tables of the router's models, in an empty database."""
    import django

    django.setup()
    from django.apps import apps
    from django.db.utils import ConnectionHandler

    settings: dict[str, Any] = {"OPTIONS": {}, "TIME_ZONE": None}
    if isinstance(engine, SQLiteEngine):
        settings |= {"ENGINE": "django.db.backends.sqlite3", "NAME": engine.path}
    else:
        assert isinstance(engine, PostgresEngine)
        names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        settings |= {"ENGINE": "django.db.backends.postgresql"}
        settings |= {names[name]: value for name, value in engine.parameters.items()}
    connection = ConnectionHandler({"default": settings})["default"]
    try:
        with connection.schema_editor() as editor:
            for config in apps.get_app_configs():
                for model in config.get_models():
                    editor.create_model(model)
    finally:
        connection.close()


@dataclass
class Hospital:
    """One site and the key that only it has."""

    name: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    identity: Identity = field(default_factory=Identity.generate)
    lease: int = 0
    pk: int = 0
    seq: int = 0
    epoch: int = 1

    def headers(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: str = "",
        over: dict[str, Any] | None = None,
    ) -> dict[str, str]:
        """The headers of one signed request. `over` signs parts of it as something else."""
        asked: dict[str, Any] = {
            "method": method,
            "authority": HOST,
            "path": path,
            "query": query,
            "body_sha256": hashlib.sha256(body).digest(),
            "lease": self.lease,
            "created": int(time.time()),
        }
        return sign_request(self.identity, **(asked | (over or {})))


@dataclass
class Letter:
    """A message as a site would post it, open to a test's mischief."""

    ctx: Context
    blob: bytes
    readers: Sequence[str]
    by: Identity
    over: dict[str, Any] = field(default_factory=dict)

    @property
    def envelope(self) -> bytes:
        made = Envelope(
            1,
            SUITE,
            self.ctx,
            1048576,
            len(self.blob),
            hashlib.sha256(self.blob).hexdigest(),
            "ab" * 32,
        )
        return envelope_bytes(replace(made, **self.over))

    @property
    def id(self) -> str:
        return envelope_digest(self.envelope)

    def body(self, *, inline: bool = True) -> dict[str, Any]:
        raw = self.envelope
        made: dict[str, Any] = {
            "envelope": b64(raw),
            "signature": b64(self.by.sign("env", raw)),
            "deliveries": [self._delivery(raw, site) for site in self.readers],
        }
        return made | ({"blob": b64(self.blob)} if inline else {})

    def _delivery(self, envelope: bytes, site: str) -> dict[str, str]:
        # The same letter has the same bytes whenever it is asked for them, as an outbox has.
        wrap = hashlib.shake_256(envelope + site.encode()).digest(WRAP)
        raw = dumps({"site": site, "kid": "cd" * 16, "wrap": b64(wrap)})
        return {"delivery": b64(raw), "signature": b64(self.by.sign("delivery", raw))}


class World:
    """Alice coordinates, Bob and Dora take part, Charlie is a site of the house but a stranger to the project."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.store = DirectoryStore(folder / "payloads")
        self.db = Database(engine)
        self.alice, self.bob, self.charlie, self.dora = self.sites = [
            Hospital(name) for name in ("Alice", "Bob", "Charlie", "Dora")
        ]
        self.project = str(uuid.uuid4())
        self.project_pk = 0
        self.manifests: dict[int, SignedManifest] = {}
        with self.db.transaction():
            for site in self.sites:
                self._add_site(site)
            self._add_project()

    def service(self, **limits: Any) -> Service:
        """The relay's parts on this world, without speed limits unless a test wants some."""
        fast = {"posts": (1e9, 1e9), "requests": 1e9, "strangers": 1e9}
        return Service(lambda: self.engine, lambda: self.store, Limiter(**(fast | limits)))

    def letter(
        self, sender: Hospital, type: str, readers: Iterable[Hospital], blob: bytes = b"", **ctx: Any
    ) -> Letter:
        """An honest letter. `ctx` changes its place."""
        sender.seq += 1
        epoch = ctx.get("epoch", sender.epoch)
        place: dict[str, Any] = {
            "msg": os.urandom(16).hex(),
            "type": type,
            "content": "application/octet-stream",
            "project": self.project,
            "epoch": epoch,
            "manifest": self.manifests[epoch].sha256 if epoch in self.manifests else "00" * 32,
            "run": None,
            "step": 0,
            "round": 0,
            "part": 0,
            "sender": sender.uid,
            "card": "ef" * 32,
            "seq": sender.seq,
        }
        return Letter(
            Context(**(place | ctx)), blob or sealed(100), [reader.uid for reader in readers], sender.identity
        )

    def plan(self, part: int = 0, *, readers: Iterable[Hospital] | None = None, **over: Any) -> Letter:
        """A plan from Alice to Bob, or to whom it is said."""
        return self.letter(self.alice, "plan", [self.bob] if readers is None else readers, part=part, **over)

    def add_run(self, epoch: int = 1, number: int = 1) -> str:
        uid = str(uuid.uuid4())
        self.db.run(
            "INSERT INTO ffl_run (uid, project_id, number, state, step, round, progress, plan_sha256, epoch, quorum,"
            " repeats, created_at, reason, stop_message) VALUES (?, ?, ?, 'stopped', 0, 0, 0, ?, ?, 1, '', ?, '', '')",
            *(uid, self.project_pk, number, "12" * 32, epoch, NOW),
        )
        return uid

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """One statement past the relay, to set a scene or to look behind it."""
        return (
            self.db.all(statement, *values)
            if statement.startswith("SELECT")
            else [self.db.run(statement, *values)]
        )

    def next_epoch(self, *members: Hospital) -> int:
        """The coordinator signs the next manifest; who is not in it any more is out, who is new is in."""
        epoch = max(self.manifests) + 1
        self._sign(epoch, members)
        self.db.run("UPDATE ffl_project SET epoch = ? WHERE id = ?", epoch, self.project_pk)
        self.db.run("UPDATE ffl_participant SET out_at = ? WHERE project_id = ?", NOW, self.project_pk)
        for site in members:
            if not self.db.run(
                "UPDATE ffl_participant SET out_at = NULL WHERE project_id = ? AND site_id = ?",
                *(self.project_pk, site.pk),
            ):
                self._join(site)
            site.epoch = epoch
        return epoch

    def last_position(self, site: Hospital) -> int:
        row = self.db.one("SELECT last FROM ffl_mailbox WHERE site_id = ?", site.pk)
        assert row is not None
        return int(row[0])

    def _add_site(self, site: Hospital) -> None:
        row = self.db.one(
            "INSERT INTO ffl_site (uid, name, description, fingerprint, public, state, noted_connected, version,"
            " created_at) VALUES (?, ?, '', ?, ?, 'active', ?, '', ?) RETURNING id",
            *(site.uid, site.name, site.identity.fingerprint, site.identity.public.hex(), False, NOW),
        )
        assert row is not None
        site.pk = int(row[0])
        self.db.run("INSERT INTO ffl_mailbox (site_id) VALUES (?)", site.pk)

    def _add_project(self) -> None:
        row = self.db.one(
            "INSERT INTO ffl_project (uid, name, description, coordinator_id, state, plan_sha256, epoch, created_at)"
            " VALUES (?, 'Outcomes', '', ?, 'open', '', 1, ?) RETURNING id",
            *(self.project, self.alice.pk, NOW),
        )
        assert row is not None
        self.project_pk = int(row[0])
        members = (self.alice, self.bob, self.dora)
        self._sign(1, members)
        for site in members:
            self._join(site)

    def _sign(self, epoch: int, members: Sequence[Hospital]) -> None:
        signed = make_manifest(
            self.alice.identity,
            project=self.project,
            epoch=epoch,
            prev=self.manifests[epoch - 1].sha256 if epoch > 1 else None,
            members=[Member(site.uid, self.role(site), site.identity.fingerprint) for site in members],
        )
        self.manifests[epoch] = signed
        row = self.db.one(
            "INSERT INTO ffl_manifest (project_id, epoch, sha256, raw, signature, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            *(self.project_pk, epoch, signed.sha256, signed.raw, signed.signature, NOW),
        )
        assert row is not None
        for site in members:
            self.db.run(
                "INSERT INTO ffl_member (manifest_id, site_id, role, fingerprint) VALUES (?, ?, ?, ?)",
                *(row[0], site.pk, self.role(site), site.identity.fingerprint),
            )

    def _join(self, site: Hospital) -> None:
        self.db.run(
            "INSERT INTO ffl_participant (project_id, site_id, role, fingerprint, joined_at) VALUES (?, ?, ?, ?, ?)",
            *(self.project_pk, site.pk, self.role(site), site.identity.fingerprint, NOW),
        )

    def role(self, site: Hospital) -> str:
        return "coordinator" if site is self.alice else "participant"

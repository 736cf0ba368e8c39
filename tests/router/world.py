"""People and hospitals for the tests of the records, who ask over HTTP with real signatures, tokens and cookies."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal

from friendlyfl.router.models import User
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.keys import STANDING, Identity, SignedCard, Subkey, make_card
from friendlyfl.wire.requests import sign_request
from friendlyfl.wire.trust import COORDINATOR, PARTICIPANT, Member, SignedManifest, make_manifest

API = "/friendlyfl/api/v1/"
PASSWORD = "five small boats at sea"
PLAN = hashlib.sha256(b"plan").hexdigest()
_addresses = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        return self.body["code"] if isinstance(self.body, dict) and "code" in self.body else ""

    def __getitem__(self, name: Any) -> Any:
        return self.body[name]


class Line:
    """The line to the server: its ASGI application in an event loop of its own, with its lifespan running."""

    def __init__(self, application: Any) -> None:
        self._application = application
        transport = httpx.ASGITransport(application, raise_app_exceptions=False, client=("192.0.2.1", 5000))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def __enter__(self) -> Line:
        self._stack = contextlib.ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._application.running()))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def send(self, method: str, address: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        return self._portal.call(self._send, method, address, content, headers)

    async def _send(
        self, method: str, address: str, content: bytes, headers: dict[str, str]
    ) -> httpx.Response:
        self._client.cookies.clear()  # an asker keeps its own
        return await self._client.request(method, address, content=content, headers=headers)


class Asker:
    """Anybody who sends requests. An asker without a credential is anonymous."""

    def __init__(self, client: Line) -> None:
        self.client = client

    def credential(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        return {}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """One request. `headers` are written with underscores; `raw` replaces the JSON of `body`."""
        full = path if path.startswith("/") else API + path
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = {
            "accept": "application/json",
            "user-agent": "tests",
            **self.credential(method, full, query, content),
        }
        if content:
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        address = full + (f"?{query}" if query else "")
        answer = self.client.send(method, address, content, sent)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(
            answer.status_code, answer.json() if is_json and answer.content else answer.text, answer.headers
        )

    def get(self, path: str, query: str = "", **headers: str) -> Answer:
        return self.ask("GET", path, query=query, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> Answer:
        return self.ask("PUT", path, body)

    def patch(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)


class Bearer(Asker):
    """Somebody with a token, or with an enrolment code."""

    def __init__(self, client: Line, authorization: str, user: User | None = None) -> None:
        super().__init__(client)
        self.authorization, self.user = authorization, user

    def credential(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        return {"authorization": self.authorization}


class Hospital(Asker):
    """A site with its keys."""

    def __init__(self, client: Line, name: str, owner: User) -> None:
        super().__init__(client)
        self.name, self.owner = name, owner
        self.uid = str(uuid.uuid4())
        self.identity = Identity.generate()
        self.lease = 0
        self.over: dict[str, Any] = {}  # covered parts to sign differently
        self.cards = [self.card(1)]

    def credential(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        asked: dict[str, Any] = {
            "method": method,
            "authority": "localhost",
            "path": path,
            "query": query,
            "body_sha256": hashlib.sha256(body).digest(),
            "lease": self.lease,
            "created": int(time.time()),
        }
        return sign_request(self.identity, **(asked | self.over))

    def card(self, seq: int, use: str = STANDING, prev: SignedCard | None = None, **over: Any) -> SignedCard:
        fields = {"site": self.uid, "use": use, "seq": seq, "not_before": 0, "not_after": 2**40}
        return make_card(
            self.identity, Subkey.generate(), prev=prev.sha256 if prev else None, **(fields | over)
        )

    def member(self, role: str = PARTICIPANT) -> Member:
        return Member(self.uid, role, self.identity.fingerprint)

    def beat(self, instance: str = "one", n: int = 1) -> Answer:
        answer = self.post("sites/me/heartbeat/", {"instance": instance, "n": n, "id": uuid.uuid4().hex})
        if answer.status == 200:
            self.lease = answer["lease"]
        return answer

    def signed_members(
        self, project: str, epoch: int, members: list[Member], prev: SignedManifest | None = None
    ) -> SignedManifest:
        return make_manifest(
            self.identity, project=project, epoch=epoch, prev=prev.sha256 if prev else None, members=members
        )


class World:
    """Makes people and hospitals, and one project with a run, on demand."""

    def __init__(self, client: Line) -> None:
        self.client = client
        self.anonymous = Asker(client)
        self.admin = self.person("admin", is_staff=True, is_superuser=True)
        self.user = self.person("user")
        self.alice, self.bob, self.charlie, self.dora, self.rita = (
            self.hospital(name) for name in ("Alice", "Bob", "Charlie", "Dora", "Rita")
        )
        self.project, self.manifests = self.make_project(self.alice, self.bob, self.dora)
        self.run = self.make_run(self.alice, self.project)
        assert self.admin.post(f"sites/{self.rita.uid}/revoke/").status == 200

    def person(self, name: str, **rights: bool) -> Bearer:
        from friendlyfl.router.registry import people

        user = User.objects.create_user(
            f"{name}-{uuid.uuid4().hex[:8]}", f"{name}@fl.example", PASSWORD, **rights
        )
        return Bearer(self.client, f"Token {people.make_token(user)[0]}", user)

    def code(self, user: User) -> str:
        made = self.admin.post("enrolments/", {"user": user.uid})
        assert made.status == 201, made
        return str(made["code"])

    def hospital(self, name: str, *, beat: bool = True) -> Hospital:
        owner = self.person(name.lower()).user
        assert owner is not None
        made = Hospital(self.client, name, owner)
        answer = self.enrol(made, self.code(owner))
        assert answer.status == 201, answer
        if beat:
            assert made.beat().status == 200
        return made

    def enrol(self, hospital: Hospital, code: str, **over: Any) -> Answer:
        body = {
            "uid": hospital.uid,
            "name": hospital.name,
            "description": "",
            **hospital.cards[0].to_json(),
        }
        return Bearer(self.client, f"Enrolment {code}").post("sites/", body | over)

    def make_project(self, coordinator: Hospital, *others: Hospital) -> tuple[str, list[SignedManifest]]:
        """A project whose first epoch has all these hospitals."""
        uid = str(uuid.uuid4())
        assert coordinator.post("projects/", {"uid": uid, "name": "A question"}).status == 201
        for other in others:
            self.join(coordinator, uid, other)
        members = [coordinator.member(COORDINATOR), *(other.member() for other in others)]
        first = coordinator.signed_members(uid, 1, members)
        answer = coordinator.post(f"projects/{uid}/manifest/", first.to_json())
        assert answer.status == 201, answer
        return uid, [first]

    def invite(self, coordinator: Hospital, project: str, label: str = "for somebody") -> str:
        code_id = uuid.uuid4().hex
        made = coordinator.post(f"projects/{project}/invitations/", {"id": code_id, "label": label})
        assert made.status == 201, made
        return code_id

    def join(self, coordinator: Hospital, project: str, other: Hospital) -> str:
        code_id = self.invite(coordinator, project)
        body = {**other.cards[0].to_json(), "mac": b64(b"m" * 32)}
        answer = other.post(f"invitations/{code_id}/join/", body)
        assert answer.status == 200, answer
        return code_id

    def run_fields(self, project: str, number: int = 1, **over: Any) -> dict[str, Any]:
        fields = {
            "uid": str(uuid.uuid4()),
            "project": project,
            "number": number,
            "plan_sha256": PLAN,
            "epoch": 1,
            "quorum": 2,
            "deadline": 3600,
            "repeats": None,
        }
        return fields | over

    def make_run(self, coordinator: Hospital, project: str, number: int = 1, **over: Any) -> str:
        made = coordinator.post("runs/", self.run_fields(project, number, **over))
        assert made.status == 201, made
        return str(made["uid"])

    def new_project(self) -> tuple[Hospital, Hospital, str]:
        """A coordinator, a participant and their project, for a test that changes it."""
        project, _ = self.make_project(self.alice, self.bob)
        return self.alice, self.bob, project

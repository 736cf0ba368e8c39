"""The Routing Server's resources as Python: one method for each verb a site uses.

    router = Router("https://fl.example.org", identity)
    router.lease = router.heartbeat(instance, n, id).lease
    page = router.inbox(since=cursor, wait=25, ack=cursor)

Safe to share between threads. Failures are `core.errors`: `UnreachableError` when the router was not reached,
`BusyError` when it asks for patience, else the router's refusal with its own code and sentence; `retryable`
tells which may pass by themselves. Nothing is decided here, and no payload is opened.

Records come as plain dicts with the router's field names; post, cards, manifests as `wire` types, unchecked.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from friendlyfl.client import answers, upload
from friendlyfl.client.address import parse_address
from friendlyfl.client.answers import Beat, InboxPage, Invitation, InvitationOffer, PayloadStream, Record
from friendlyfl.client.exchange import Exchange, path_of
from friendlyfl.client.problems import not_a_router
from friendlyfl.client.transport import HttpTransport
from friendlyfl.core.errors import ForbiddenError, FriendlyError, UnreachableError
from friendlyfl.wire import canonical
from friendlyfl.wire.keys import Identity, SignedCard
from friendlyfl.wire.message import Post, parse_envelope
from friendlyfl.wire.trust import SignedManifest

_PAGES = 1000  # of one list: 200,000 records; more is not an answer but an attack


class Router:
    """One Routing Server, asked by one site. `lease` is the fence number from the last heartbeat."""

    def __init__(
        self,
        address: str,
        identity: Identity | None = None,
        *,
        site: str | None = None,
        ca_file: Path | str | None = None,
        plain_inside: bool = False,
        enrolment: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parsed = parse_address(address, plain_inside=plain_inside)
        self.address = parsed.url
        self.site = site
        self._exchange = Exchange(HttpTransport(parsed, ca_file=ca_file), identity, enrolment, clock)

    @property
    def lease(self) -> int:
        return self._exchange.lease

    @lease.setter
    def lease(self, fence: int) -> None:
        self._exchange.lease = fence

    @property
    def clock_offset(self) -> float:
        """Seconds that the router's clock is ahead of this machine's, learnt when a signature was stale."""
        return self._exchange.clock_offset

    def close(self) -> None:
        self._exchange.transport.close()

    # Is it there

    def health(self, *, ready: bool = False) -> Record:
        """Whether a Routing Server is at this address; with `ready`, whether its database and store are."""
        path = "health/ready/" if ready else "health/"
        try:
            body = self._exchange.json("GET", path, credential="none")
        except UnreachableError:
            raise
        except FriendlyError:
            raise not_a_router(self._exchange.transport.where) from None
        if not isinstance(body, dict) or not isinstance(body.get("status"), str):
            raise not_a_router(self._exchange.transport.where)
        return body

    # This site and others

    def enrol_site(self, uid: str, name: str, description: str, card: SignedCard) -> Record:
        """Makes the site known, with the administrator's one-time code given as `Router(enrolment=...)`."""
        body = {"uid": uid, "name": name, "description": description, **card.to_json()}
        made = self._exchange.json("POST", "sites/", body, credential="enrolment")
        return answers.as_record(made, "the new site")

    def check_enrolment(self) -> None:
        """Whether the server knows the code, without using it up: ForbiddenError `unknown_credential` if not.

        A code opens one door, which makes a site; at any other a known code is told that it may not come in.
        """
        try:
            self._exchange.json("GET", "sites/", credential="enrolment")
        except ForbiddenError as refusal:
            if refusal.code != "not_allowed":
                raise

    def me(self) -> Record:
        return self._record("sites", "me")

    def update_me(self, **fields: str) -> Record:
        """`name`, `description`."""
        changed = self._exchange.json("PATCH", path_of("sites", "me"), fields)
        return answers.as_record(changed, "this site")

    def get_site(self, uid: str) -> Record:
        return self._record("sites", uid)

    def heartbeat(self, instance: str, n: int, id: str) -> Beat:
        body = {"instance": instance, "n": n, "id": id}
        return answers.beat(self._exchange.json("POST", path_of("sites", "me", "heartbeat"), body))

    def post_card(self, card: SignedCard) -> None:
        self._exchange.json("POST", path_of("sites", "me", "keys"), card.to_json())

    def cards(self, site: str) -> list[SignedCard]:
        body = self._record("sites", site, "keys")
        return [answers.card(item) for item in answers.as_records(body.get("cards"), "key cards")]

    # Projects

    def create_project(self, uid: str, name: str, description: str = "") -> Record:
        body = {"uid": uid, "name": name, "description": description}
        return answers.as_record(self._exchange.json("POST", "projects/", body), "the new project")

    def projects(self) -> list[Record]:
        return self._list("projects/")

    def project(self, uid: str) -> Record:
        return self._record("projects", uid)

    def update_project(self, uid: str, **fields: str) -> Record:
        """`name`, `description`, `state`."""
        return answers.as_record(
            self._exchange.json("PATCH", path_of("projects", uid), fields), "the project"
        )

    def delete_project(self, uid: str) -> None:
        """Archives it; the router refuses while a run is active."""
        self._exchange.json("DELETE", path_of("projects", uid))

    def steps(self, project: str) -> Record:
        """`plan_sha256` and `steps`: names of tasks only; parameters travel sealed in the plan."""
        return self._record("projects", project, "steps")

    def put_steps(self, project: str, plan_sha256: str, steps: Sequence[Mapping[str, Any]]) -> Record | None:
        body = {"plan_sha256": plan_sha256, "steps": [dict(step) for step in steps]}
        return self._maybe(self._exchange.json("PUT", path_of("projects", project, "steps"), body))

    def participants(self, project: str) -> list[Record]:
        return self._list(path_of("projects", project, "participants"))

    def remove_participant(self, project: str, site: str) -> None:
        """The coordinator removes a hospital, or this site leaves."""
        self._exchange.json("DELETE", path_of("projects", project, "participants", site))

    def manifests(self, project: str) -> list[SignedManifest]:
        """Every epoch, oldest first."""
        body = self._record("projects", project, "manifest")
        return [
            answers.manifest(item) for item in answers.as_records(body.get("manifests"), "the membership")
        ]

    def post_manifest(self, project: str, signed: SignedManifest) -> None:
        self._exchange.json("POST", path_of("projects", project, "manifest"), signed.to_json())

    # Invitations

    def create_invitation(
        self, project: str, id: str, label: str, expires_at: str | None = None
    ) -> Invitation:
        body = {"id": id, "label": label}
        if expires_at is not None:
            body["expires_at"] = expires_at
        made = self._exchange.json("POST", path_of("projects", project, "invitations"), body)
        return answers.invitation(answers.as_record(made, "an invitation"))

    def invitations(self, project: str) -> list[Invitation]:
        return [answers.invitation(item) for item in self._list(path_of("projects", project, "invitations"))]

    def delete_invitation(self, project: str, id: str) -> None:
        self._exchange.json("DELETE", path_of("projects", project, "invitations", id))

    def invitation(self, id: str) -> InvitationOffer:
        return answers.invitation_offer(self._exchange.json("GET", path_of("invitations", id)))

    def join(self, id: str, card: SignedCard, mac: bytes) -> None:
        body = {**card.to_json(), "mac": canonical.b64(mac)}
        self._exchange.json("POST", path_of("invitations", id, "join"), body)

    # Runs

    def create_run(
        self,
        uid: str,
        *,
        project: str,
        number: int,
        plan_sha256: str,
        epoch: int,
        quorum: int,
        deadline: str | int | None = None,
        repeats: str | None = None,
    ) -> Record:
        """`deadline`: an RFC 3339 time, or whole seconds from now."""
        body = {"uid": uid, "project": project, "number": number, "plan_sha256": plan_sha256, "epoch": epoch}
        body.update(quorum=quorum, deadline=deadline, repeats=repeats)
        return answers.as_record(self._exchange.json("POST", "runs/", body), "the new run")

    def runs(self, project: str | None = None) -> list[Record]:
        return self._list("runs/", {} if project is None else {"project": project})

    def active_runs(self) -> list[Record]:
        return self._list("runs/active/")

    def run(self, uid: str) -> Record:
        return self._record("runs", uid)

    def put_status(
        self,
        run: str,
        *,
        state: str,
        step: int,
        round: int,
        progress: float = 0.0,
        reason: str | None = None,
    ) -> None:
        """Sets this site's own line: the run's copy for its coordinator, the seat for a participant.

        `progress` counts from 0 to 100.
        """
        body: dict[str, Any] = {"state": state, "step": step, "round": round, "progress": progress}
        if reason is not None:
            body["reason"] = reason
        self._exchange.json("PUT", path_of("runs", run, "status"), body)

    def note_stop(self, run: str, message: str) -> None:
        """Tells that the signed `stop` with this id was posted; hospitals act on the envelope only."""
        self._exchange.json("POST", path_of("runs", run, "stop"), {"message": message})

    def logs(self, run: str) -> list[Record]:
        """`id`, `site`, `step`, `part`, `length` of the run's sealed `log` messages."""
        return self._list(path_of("runs", run, "logs"))

    # Post

    def post_message(self, post: Post, blob: bytes | Path | None = None) -> str:
        """Hands over a finished message; returns its id once the router has it safe on disk.

        The same message again gives the same id. A large blob is uploaded first.
        """
        body = dict(post.to_json())
        if blob is not None:
            envelope = parse_envelope(post.envelope)
            if (text := upload.inline(blob, envelope)) is not None:
                body["blob"] = text
            else:
                upload.upload(self._exchange, blob, envelope)
        made = answers.as_record(self._exchange.json("POST", "messages/", body), "the message")
        return str(answers.field(made, "id", str, "the message"))

    def inbox(self, since: int = 0, *, wait: int = 0, ack: int | None = None) -> InboxPage:
        """Messages after `since`, waiting up to `wait` seconds; `ack`: all up to there is stored here."""
        query: dict[str, str | int] = {"since": since, "wait": wait}
        if ack is not None:
            query["ack"] = ack
        return answers.inbox_page(self._exchange.json("GET", "messages/inbox/", query=query, wait=wait))

    def message(self, id: str) -> Record:
        return self._record("messages", id)

    def payload(self, id: str) -> PayloadStream:
        """The message's blob as a binary stream; close it."""
        answer = self._exchange.stream(path_of("messages", id, "payload"))
        return PayloadStream(answer, self._exchange.transport.where, self._exchange.transport.port)

    def ack(self, id: str) -> None:
        """Acknowledges one message out of turn."""
        self._exchange.json("POST", path_of("messages", id, "ack"))

    # What the router noted

    def audit(self, project: str | None = None) -> list[Record]:
        return self._list("audit/", {} if project is None else {"project": project})

    def _record(self, *segments: str) -> Record:
        return answers.as_record(self._exchange.json("GET", path_of(*segments)), segments[0])

    def _maybe(self, body: Any) -> Record | None:
        return None if body is None else answers.as_record(body, "what was sent")

    def _list(self, path: str, query: Mapping[str, str | int] | None = None) -> list[Record]:
        """A whole list, whatever number of pages the router cuts it into."""
        found: list[Record] = []
        for number in range(1, _PAGES + 1):
            asked = dict(query or {}) | ({"page": number} if number > 1 else {})
            body = self._exchange.json("GET", path, query=asked)
            page = body.get("results") if isinstance(body, dict) else body
            found += answers.as_records(page, path.split("/")[0])
            if not isinstance(body, dict) or not body.get("next"):
                break
        return found

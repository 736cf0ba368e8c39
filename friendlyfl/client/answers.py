"""What the Routing Server's answers become: typed for post and keys, plain dicts for records.

Bytes are taken out of base64 and not judged here: signatures and meanings are checked by `wire` at the site.
"""

from dataclasses import dataclass
from io import RawIOBase
from typing import Any, Literal

from friendlyfl.client.problems import unexpected, unreachable
from friendlyfl.client.transport import Answer
from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical
from friendlyfl.wire.keys import SignedCard
from friendlyfl.wire.trust import SignedManifest

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One envelope for this site. A field that was not base64 is empty, so the signature check refuses it:
    broken post is quarantined like any other and does not block what follows."""

    position: int
    id: str
    sender: str
    envelope: bytes
    signature: bytes
    delivery: bytes
    delivery_signature: bytes
    blob: bytes | None  # small blobs come along; otherwise `Router.payload(id)`


@dataclass(frozen=True, slots=True)
class InboxPage:
    messages: tuple[InboxMessage, ...]
    next: int  # the cursor for the next poll, once these messages are stored


@dataclass(frozen=True, slots=True)
class Beat:
    lease: int
    server_time: str
    projects: dict[str, int]  # uid -> newest epoch
    joins: int  # hospitals that used a code and wait for a person here


@dataclass(frozen=True, slots=True)
class Join:
    site: str
    name: str
    card: SignedCard
    mac: bytes


@dataclass(frozen=True, slots=True)
class Invitation:
    """The coordinator's view of a code it handed out."""

    id: str
    label: str
    state: Literal["open", "joined", "accepted", "expired"] | str
    expires_at: str | None
    join: Join | None


@dataclass(frozen=True, slots=True)
class InvitationOffer:
    """What the holder of a code may see of it."""

    project: str
    project_name: str
    coordinator: str
    coordinator_name: str
    card: SignedCard


def as_record(body: Any, what: str) -> Record:
    if not isinstance(body, dict):
        raise unexpected(what)
    return body


def as_records(body: Any, what: str) -> list[Record]:
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise unexpected(what)
    return body


def field(record: Record, name: str, kind: type, what: str) -> Any:
    value = record.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise unexpected(what)
    return value


def beat(body: Any) -> Beat:
    record = as_record(body, "this site's heartbeat")
    projects = field(record, "projects", dict, "this site's heartbeat")
    if not all(isinstance(epoch, int) for epoch in projects.values()):
        raise unexpected("this site's heartbeat")
    return Beat(
        lease=field(record, "lease", int, "this site's heartbeat"),
        server_time=field(record, "server_time", str, "this site's heartbeat"),
        projects=projects,
        joins=field(record, "joins", int, "this site's heartbeat"),
    )


def inbox_page(body: Any) -> InboxPage:
    record = as_record(body, "this site's post")
    messages = as_records(record.get("messages"), "this site's post")
    return InboxPage(tuple(_message(m) for m in messages), field(record, "next", int, "this site's post"))


def _message(record: Record) -> InboxMessage:
    return InboxMessage(
        position=field(record, "position", int, "this site's post"),
        id=field(record, "id", str, "this site's post"),
        sender=field(record, "sender", str, "this site's post"),
        envelope=_bytes(record.get("envelope")),
        signature=_bytes(record.get("signature")),
        delivery=_bytes(record.get("delivery")),
        delivery_signature=_bytes(record.get("delivery_signature")),
        blob=None if record.get("blob") is None else _bytes(record["blob"]),
    )


def _bytes(text: Any) -> bytes:
    try:
        return canonical.unb64(text) if isinstance(text, str) else b""
    except WireError:
        return b""


def card(record: Record) -> SignedCard:
    fields = ("card", "signature")
    return SignedCard.from_json({name: record.get(name) for name in fields})


def manifest(record: Record) -> SignedManifest:
    return SignedManifest.from_json(
        {"manifest": record.get("manifest"), "signature": record.get("signature")}
    )


def invitation(record: Record) -> Invitation:
    what = "an invitation"
    joined = record.get("join")
    return Invitation(
        id=field(record, "id", str, what),
        label=field(record, "label", str, what),
        state=field(record, "state", str, what),
        expires_at=record.get("expires_at"),
        join=None if joined is None else _join(as_record(joined, what)),
    )


def _join(record: Record) -> Join:
    what = "a hospital that wants to join"
    return Join(
        site=field(record, "site", str, what),
        name=field(record, "name", str, what),
        card=card(record),
        mac=canonical.unb64(field(record, "mac", str, what)),
    )


def invitation_offer(body: Any) -> InvitationOffer:
    what = "this invitation"
    record = as_record(body, what)
    project, coordinator = field(record, "project", dict, what), field(record, "coordinator", dict, what)
    return InvitationOffer(
        project=field(project, "uid", str, what),
        project_name=field(project, "name", str, what),
        coordinator=field(coordinator, "site", str, what),
        coordinator_name=field(coordinator, "name", str, what),
        card=card(record),
    )


class PayloadStream(RawIOBase):
    """A blob as it comes over the line, readable once, in constant memory. Use it in a `with`."""

    def __init__(self, answer: Answer, where: str, port: int) -> None:
        self._answer = answer
        self._where, self._port = where, port
        told = answer.headers.get("content-length", "")
        self._left = int(told) if told.isascii() and told.isdigit() else None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Exactly `size` bytes unless the blob ends, as a file would give them."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        parts: list[bytes] = []
        wanted = None if size is None or size < 0 else size
        while wanted is None or wanted > 0:
            piece = self._answer.read(1 << 16 if wanted is None else wanted)
            if not piece:
                self._at_end()
                break
            parts.append(piece)
            if self._left is not None:
                self._left -= len(piece)
            if wanted is not None:
                wanted -= len(piece)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()

    def _at_end(self) -> None:
        if self._left:
            raise unreachable("cut", self._where, self._port)

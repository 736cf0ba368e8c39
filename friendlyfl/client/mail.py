"""The post of a `MemoryHouse`: accepting messages, mailboxes with positions, blobs and uploads.

Accepts with the same checks as the real server (member, role, epoch, signature, slot, blob), then lets happen
to each delivery what the schedule says. Every repeated, late or changed copy has a position of its own.
"""

import hashlib
import threading
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from friendlyfl.client.faults import Letter, Mishap
from friendlyfl.client.records import Body, Project, Refused, Reply, require
from friendlyfl.core import limits
from friendlyfl.wire.canonical import b64, unb64
from friendlyfl.wire.message import (
    Envelope,
    Post,
    SignedDelivery,
    check_place,
    parse_delivery,
    parse_envelope,
    slot_of,
    verify_envelope,
)
from friendlyfl.wire.trust import Manifest

if TYPE_CHECKING:
    from friendlyfl.client.house import MemoryHouse


@dataclass(frozen=True)
class Copy:
    """One message as one reader gets it."""

    letter: Letter
    envelope: bytes
    signature: bytes
    delivery: bytes
    delivery_signature: bytes
    blob: bytes | None


@dataclass
class Held:
    copy: Copy
    polls: int
    until_next: bool  # goes right after the next message that arrives


@dataclass
class Box:
    entries: list[tuple[int, Copy]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    last: int = 0
    acked: int = 0


@dataclass
class Message:
    envelope: Envelope
    sender: str
    blob: bytes | None
    unread: set[str]


class Mail:
    def __init__(self, house: "MemoryHouse") -> None:
        self._house = house
        self._bell = threading.Condition(house.lock)
        self.messages: dict[str, Message] = {}
        self._slots: dict[str, str] = {}
        self._boxes: dict[str, Box] = {}
        self._uploads: dict[str, tuple[str, Body, bytearray]] = {}
        self._stored: dict[tuple[str, str], bytes] = {}  # (sender, sha256) of complete uploads

    def handle(
        self,
        site: str,
        method: str,
        path: list[str],
        asked: dict[str, str],
        body: bytes,
        head: dict[str, str],
    ) -> tuple[int, Any]:
        match method, path:
            case "POST", ["messages"]:
                return self._post(site, self._house.json(body))
            case "GET", ["messages", "inbox"]:
                return self._inbox(site, asked)
            case "GET", ["messages", id]:
                found = self._addressed(site, id)
                return 200, {"id": id, "sender": found.sender, "type": found.envelope.ctx.type}
            case "GET", ["messages", id, "payload"]:
                blob = self._addressed(site, id).blob
                if blob is None:
                    raise Refused.not_found()
                return 200, blob
            case "POST", ["messages", id, "ack"]:
                self._addressed(site, id)
                self._done(site, id)
                return 204, None
            case _, ["uploads", *rest]:
                return self._upload(site, method, rest, body, head)
        raise Refused.not_found()

    def logs(self, site: str, run: Body) -> list[Body]:
        all_logs = site == self._house.projects[run["project"]].coordinator
        return [
            self._log(id, message)
            for id, message in self.messages.items()
            if message.envelope.ctx.run == run["uid"]
            and message.envelope.ctx.type == "log"
            and (all_logs or message.sender == site)
        ]

    @staticmethod
    def _log(id: str, message: Message) -> Body:
        ctx, length = message.envelope.ctx, message.envelope.ct_len
        return {"id": id, "site": message.sender, "step": ctx.step, "part": ctx.part, "length": length}

    # Accepting

    def _post(self, site: str, body: Any) -> Reply:
        made = require(body, "envelope", "signature", "deliveries", also=("blob",))
        inline = unb64(made["blob"]) if "blob" in made else None
        post = Post.from_json({name: value for name, value in made.items() if name != "blob"})
        envelope = parse_envelope(post.envelope)
        readers = [parse_delivery(delivery.raw).site for delivery in post.deliveries]
        self._check(site, post, envelope, readers)
        slot = "|".join((slot_of(envelope.ctx), *sorted(readers)))
        held = self._slots.get(slot)
        if held is not None:
            if held != post.id:
                raise Refused(409, "slot_taken", "This place in the run holds another message already.")
            return 200, {"id": held}
        blob = self._blob(site, envelope, inline)
        self._slots[slot] = post.id
        self.messages[post.id] = Message(envelope, site, blob, set(readers))
        for reader, delivery in zip(readers, post.deliveries, strict=True):
            self._deliver(reader, post, delivery, envelope, blob)
        self._bell.notify_all()
        return 201, {"id": post.id}

    def _check(self, site: str, post: Post, envelope: Envelope, readers: list[str]) -> None:
        ctx = envelope.ctx
        if ctx.sender != site:
            raise Refused(
                422, "other_sender", "The message names another sender than the site that posts it."
            )
        project = self._house.project_of(site, ctx.project)
        epoch = self._epoch(project, envelope)
        role = project.role(site, epoch)
        if role is None:
            raise Refused.not_found()
        manifest = project.signed[epoch.epoch - 1].sha256
        check_place(envelope, project=project.uid, epoch=epoch.epoch, manifest=manifest, role=role)
        if not all(project.role(reader, epoch) and project.holds(reader) for reader in readers):
            raise Refused(422, "not_a_member", "A reader of the message is not a member of the project.")
        verify_envelope(self._house.sites[site].public, post.envelope, post.signature)

    def _epoch(self, project: Project, envelope: Envelope) -> Manifest:
        """The newest epoch, or the one that the run was started with."""
        if not project.epochs:
            raise Refused(409, "no_manifest", "The project has no signed membership yet.")
        run = self._house.runs.get(envelope.ctx.run or "")
        number = run["epoch"] if run and run["project"] == project.uid else project.epochs[-1].epoch
        return project.epochs[number - 1]

    def _blob(self, site: str, envelope: Envelope, inline: bytes | None) -> bytes:
        blob = self._stored.get((site, envelope.ct_sha256)) if inline is None else inline
        if blob is None:
            raise Refused(409, "blob_missing", "The message's blob is not here yet; upload it first.")
        if len(blob) != envelope.ct_len or hashlib.sha256(blob).hexdigest() != envelope.ct_sha256:
            raise Refused(422, "blob_mismatch", "The blob is not the one that the message names.")
        return blob

    # Delivering

    def _deliver(
        self, reader: str, post: Post, delivery: SignedDelivery, envelope: Envelope, blob: bytes
    ) -> None:
        letter = Letter(post.id, envelope.ctx.type, envelope.ctx.sender, reader)
        small = blob if len(blob) <= limits.INLINE_BLOB else None
        good = Copy(letter, post.envelope, post.signature, delivery.raw, delivery.signature, small)
        mishaps = self._house.faults.on_delivery(letter)
        copies = [self._changed(good), good] if Mishap.CORRUPT in mishaps else [good]
        if Mishap.REPEAT in mishaps:
            copies.append(good)
        box = self._boxes.setdefault(reader, Box())
        if Mishap.DELAY in mishaps:
            box.held += [Held(copy, self._house.faults.polls(letter), False) for copy in copies]
        elif Mishap.REORDER in mishaps:
            box.held += [Held(copy, 1, True) for copy in copies]
        else:
            for copy in copies:
                self._place(box, copy)
            self._release(box, [held for held in box.held if held.until_next])

    def _changed(self, copy: Copy) -> Copy:
        names = ["envelope", "signature", "delivery", "delivery_signature"] + (["blob"] if copy.blob else [])
        part, share = self._house.faults.flip(copy.letter, len(names))
        raw = bytearray(getattr(copy, names[part]))
        raw[min(int(share * len(raw)), len(raw) - 1)] ^= 1
        return replace(copy, **{names[part]: bytes(raw)})  # type: ignore[arg-type]

    def _place(self, box: Box, copy: Copy) -> None:
        box.last += 1
        box.entries.append((box.last, copy))

    def _release(self, box: Box, ready: list[Held]) -> None:
        for held in ready:
            self._place(box, held.copy)
        box.held = [held for held in box.held if held not in ready]

    # Reading

    def wait(self, site: str, path: str, query: str, seconds: float) -> None:
        """Returns when there is post after the cursor, or something held that this poll sets free."""
        if path.strip("/") != "messages/inbox":
            return
        since = int(parse_qs(query).get("since", ["0"])[-1])

        def rings() -> bool:
            box = self._boxes.get(site)
            return box is not None and (box.last > since or bool(box.held))

        with self._bell:
            self._bell.wait_for(rings, timeout=seconds)

    def _inbox(self, site: str, asked: dict[str, str]) -> Reply:
        box = self._boxes.setdefault(site, Box())
        since, ack = int(asked.get("since", 0)), int(asked.get("ack", 0))
        if min(ack, box.last) > box.acked:
            box.acked = min(ack, box.last)
            read = [copy.letter.id for position, copy in box.entries if position <= box.acked]
            box.entries = [entry for entry in box.entries if entry[0] > box.acked]
            for id in set(read) - self._ids_in(box):
                self._done(site, id)
        for held in box.held:
            held.polls -= 1
        self._release(box, [held for held in box.held if held.polls <= 0])
        page: list[Body] = []
        size = 0
        for position, copy in box.entries:
            if position > since and len(page) < limits.INBOX_MESSAGES and size < limits.INBOX_BYTES:
                page.append(self._entry(position, copy))
                size += len(copy.envelope) + len(copy.blob or b"")
        return 200, {"messages": page, "next": page[-1]["position"] if page else max(since, box.acked)}

    @staticmethod
    def _entry(position: int, copy: Copy) -> Body:
        return {
            "position": position,
            "id": copy.letter.id,
            "sender": copy.letter.sender,
            "envelope": b64(copy.envelope),
            "signature": b64(copy.signature),
            "delivery": b64(copy.delivery),
            "delivery_signature": b64(copy.delivery_signature),
            "blob": None if copy.blob is None else b64(copy.blob),
        }

    def _addressed(self, site: str, id: str) -> Message:
        message = self.messages.get(id)
        if message is None or not (site in message.unread or id in self._ids_in(self._boxes.get(site))):
            raise Refused.not_found()
        return message

    @staticmethod
    def _ids_in(box: Box | None) -> set[str]:
        if box is None:
            return set()
        return {c.letter.id for c in [copy for _, copy in box.entries] + [held.copy for held in box.held]}

    def _done(self, site: str, id: str) -> None:
        message = self.messages[id]
        message.unread.discard(site)
        if not message.unread:
            message.blob = None

    # Uploads

    def _upload(self, site: str, method: str, path: list[str], body: bytes, head: dict[str, str]) -> Reply:
        if method == "POST" and not path:
            made = require(self._house.json(body), "length", "sha256", "message_type", "run")
            open_ones = (id for id, (of, wanted, _) in self._uploads.items() if (of, wanted) == (site, made))
            id = next(open_ones, None) or str(uuid.uuid4())
            complete = (site, made["sha256"]) in self._stored
            self._uploads.setdefault(id, (site, made, bytearray()))
            return 201, {"id": id, "chunk": limits.UPLOAD_CHUNK, "expires_at": None, "complete": complete}
        if not path or path[0] not in self._uploads or self._uploads[path[0]][0] != site:
            raise Refused.not_found()
        _, made, came = self._uploads[path[0]]
        if method == "HEAD" and len(path) == 1:
            return 204, {"upload-offset": str(len(came))}
        if method == "PATCH" and len(path) == 1:
            if int(head.get("upload-offset", -1)) != len(came):
                raise Refused(409, "wrong_offset", f"This upload goes on at {len(came)}.")
            came += body
            return 204, None
        if method == "POST" and path[1:] == ["complete"]:
            del self._uploads[path[0]]
            if len(came) != made["length"] or hashlib.sha256(came).hexdigest() != made["sha256"]:
                raise Refused(422, "upload_mismatch", "What came is not what was announced; upload it again.")
            self._stored[site, made["sha256"]] = bytes(came)
            return 200, {"complete": True}
        raise Refused.not_found()

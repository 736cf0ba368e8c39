"""The others: hospitals that exist as keys and post only, and the projects they share with the site under test.

They speak the wire's own language to the Controller, so every check it makes is a real one. `World` has the Routing
Server in memory; `Study` is a project that another hospital coordinates, `Consortium` one of the site under test.
"""

import io
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from friendlyfl.client.answers import InboxMessage
from friendlyfl.client.faults import Faults
from friendlyfl.client.house import MemoryHouse
from friendlyfl.client.memory import MemoryRouter
from friendlyfl.controller import actions, contents, here, inbox, line, plans, runs
from friendlyfl.controller.models import Identity, Job, Plan, Project, Run
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.wire import invitation
from friendlyfl.wire.codec import encode
from friendlyfl.wire.keys import STANDING, SignedCard, Subkey
from friendlyfl.wire.message import TYPES, Context, new_message_id
from friendlyfl.wire.seal import Recipient, seal
from friendlyfl.wire.trust import COORDINATOR, PARTICIPANT, Member, SignedManifest, make_manifest
from tests.client.hospital import Hospital

VIEWER = actions.Actor("vera", "viewer")
RESEARCHER = actions.Actor("rosa", "researcher")
ADMIN = actions.Actor("adam", "site-admin")
ADDRESS = "https://memory"
DICTIONARY = {
    "age": {"type": "integer", "label": "Age", "unit": "years", "range": [0, 120]},
    "died": {"type": "integer", "label": "Died in hospital (1 yes, 0 no)", "range": [0, 1]},
}
STEP = {"seq": 1, "task": "connection_check", "version": "1.0", "title": "Connection check", "parameters": {}}


def later(days: int = 14) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Letter:
    """Sealed post as the Routing Server hands it over; any part may be changed."""

    message: InboxMessage
    blob: bytes

    def put(self, *, blob: bytes | None = None, **parts: Any) -> "Letter":
        blob = self.blob if blob is None else blob
        return Letter(replace(self.message, blob=blob, **parts), blob)

    def receive(self) -> inbox.Outcome:
        return inbox.receive(self.message, lambda: io.BytesIO(self.blob))


class Peer(Hospital):
    """Another hospital, with one subkey a run and a line to the same Routing Server."""

    def enrol(self, house: MemoryHouse) -> "Peer":
        self.runs: dict[str, Subkey] = {}
        self.router = MemoryRouter(house, site=self.uid)
        self.router.enrol_site(self.uid, self.name, "", self.card)
        return self

    def run_card(self, run: str) -> SignedCard:
        subkey = self.runs.setdefault(run, Subkey.generate())
        keep, self.subkey = self.subkey, subkey
        try:
            return self.make_card(run, 1)
        finally:
            self.subkey = keep

    def join(self, code: str, project: str) -> None:
        read = invitation.read_code(code)
        self.router.join(
            read.id, self.card, invitation.join_mac(read.mac_key(project), self.card.raw, project)
        )


class World:
    """A Routing Server in memory, and this site connected to it."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.house = MemoryHouse(faults)
        self.router = MemoryRouter(self.house, site=here.site())
        self.router.enrol_site(here.site(), here.identity().name, "", here.keys().signed_card)
        line._routers[ADDRESS] = self.router
        Identity.objects.filter(pk=1).update(router=ADDRESS, lease=1)
        line._standings.clear()
        self.peers: dict[str, Peer] = {}

    def peer(self, name: str) -> Peer:
        if name not in self.peers:
            self.peers[name] = Peer(name).enrol(self.house)
        return self.peers[name]

    def study(self, coordinator: str, *others: str, name: str = "Births") -> "Study":
        return Study(self, self.peer(coordinator), [self.peer(other) for other in others], name)

    def consortium(self, *others: str, name: str = "Ours") -> "Consortium":
        return Consortium(self, [self.peer(other) for other in others], name)


class Shared:
    """What both kinds of project have: members, their lists, and letters from any of them to this site."""

    world: World
    uid: str
    others: list[Peer]

    @property
    def project(self) -> Project:
        return Project.objects.get(uid=self.uid)

    @property
    def manifests(self) -> list[SignedManifest]:
        return self.world.router.manifests(self.uid)

    @property
    def run(self) -> Run:
        return Run.objects.select_related("project", "plan").get(project__uid=self.uid)

    def job(self, kind: str, **place: int) -> Job:
        return Job.objects.get(run=self.run, kind=kind, **place)

    def letter(
        self,
        sender: Peer,
        type_: str,
        content: Any,
        *,
        run: str | None = None,
        key: str | None = None,
        reader: Recipient | None = None,
        named: str | None = None,
        **place: Any,
    ) -> Letter:
        """Post to this site. `place` replaces fields of the context, `key` the use of our card it is sealed for,
        `named` whom the envelope calls its sender."""
        raw = content if isinstance(content, bytes) else encode(content)
        sender.seq += 1
        newest = self.manifests[-1]
        ctx = Context(
            **{
                "msg": new_message_id(),
                "type": type_,
                "content": "application/x-ffl1",
                "project": self.uid,
                "epoch": len(self.manifests),
                "manifest": newest.sha256,
                "run": run,
                "step": 0,
                "round": 0,
                "part": sender.seq if TYPES[type_].counts_parts else 0,
                "sender": named or sender.uid,
                "card": sender.card.sha256,
                "seq": sender.seq,
                **place,
            }
        )
        use = key or TYPES[type_].card_uses(run)[0]
        blob = io.BytesIO()
        post = seal(
            io.BytesIO(raw),
            len(raw),
            ctx=ctx,
            recipients=[reader or own_key(use)],
            identity=sender.identity,
            blob=blob,
        )
        [delivery] = post.deliveries
        return Letter(
            InboxMessage(
                position=0,
                id=post.id,
                sender=sender.uid,
                envelope=post.envelope,
                signature=post.signature,
                delivery=delivery.raw,
                delivery_signature=delivery.signature,
                blob=blob.getvalue(),
            ),
            blob.getvalue(),
        )


def own_key(use: str) -> Recipient:
    """This site's public subkey of that use, as the others know it."""
    subkey = next(iter(here.keys().standing.values())) if use == STANDING else here.keys().run_subkey(use)
    return Recipient(here.site(), subkey.kid, subkey.public)


def me(role: str = PARTICIPANT) -> Member:
    return Member(here.site(), role, here.keys().identity.fingerprint)


class Study(Shared):
    """A project that another hospital coordinates and this site has joined."""

    def __init__(self, world: World, coordinator: Peer, others: list[Peer], name: str) -> None:
        self.world, self.coordinator, self.others = world, coordinator, others
        self.uid, self.name = str(uuid.uuid4()), name
        coordinator.router.create_project(self.uid, name, "")
        self.belong = [coordinator.member(COORDINATOR)]
        self.next_epoch(self.belong)
        actions.join_project(ADMIN, self.code("St Mary's"))
        for other in others:
            other.join(self.code(other.name), self.uid)
        self.next_epoch([*self.belong, me(), *(other.member() for other in others)])
        assert actions.refresh_joining(self.project)

    def code(self, label: str) -> str:
        code = invitation.make_code(ADDRESS, self.coordinator.identity.fingerprint)
        self.coordinator.router.create_invitation(
            self.uid, invitation.read_code(code).id, label, expires_at=later()
        )
        return code

    def next_epoch(self, belong: list[Member]) -> SignedManifest:
        """The coordinator signs and publishes the next list; this site learns of it when it asks."""
        held = self.coordinator.router.manifests(self.uid)
        signed = make_manifest(
            self.coordinator.identity,
            project=self.uid,
            epoch=len(held) + 1,
            prev=held[-1].sha256 if held else None,
            members=belong,
        )
        self.coordinator.router.post_manifest(self.uid, signed)
        self.belong = belong
        return signed

    def grow(self, name: str) -> Peer:
        peer = self.world.peer(name)
        peer.join(self.code(name), self.uid)
        self.next_epoch([*self.belong, peer.member()])
        return peer

    # --- what the coordinator says ---

    def plan_bytes(self, **changes: Any) -> bytes:
        plan = {
            "project": self.uid,
            "name": self.name,
            "purpose": "Who is born small?",
            "seats": [here.site(), *(other.uid for other in self.others)],
            "dictionary": DICTIONARY,
            "steps": [STEP],
            "rules": {},
        }
        return plans.write(**{**plan, **changes})

    def propose(self, **changes: Any) -> Plan:
        raw = self.plan_bytes(**changes)
        outcome = self.letter(self.coordinator, "plan", raw).receive()
        assert outcome.state == "taken", outcome
        return self.project.plans.get(current=True)

    def invite_values(self, run: str, **changes: Any) -> dict[str, Any]:
        plan = self.project.plans.filter(current=True).last()
        return {
            "run": run,
            "number": self.project.runs.count() + 1,
            "plan": plan.sha256 if plan else "0" * 64,
            "epoch": len(self.manifests),
            "quorum": 2,
            "steps": 1,
            "patience": 3600.0,
            "repeats": "",
            "card": self.coordinator.run_card(run).to_json(),
            **changes,
        }

    def invite(self, **changes: Any) -> Run:
        """A run is announced here."""
        run = str(uuid.uuid4())
        outcome = self.letter(
            self.coordinator, "run-invite", self.invite_values(run, **changes), run=run
        ).receive()
        assert outcome.state == "taken", outcome
        return Run.objects.select_related("project", "plan").get(uid=run)

    def ready(self, approved: bool = True) -> Run:
        """A run in which this site has said that it is ready."""
        self.approved_plan()
        run = self.invite()
        runs.job_done(self.job("prepare"), runs.SEAT, core_seat.Prepared(1.0))
        run.refresh_from_db()
        return run

    def approved_plan(self) -> Plan:
        plan = self.propose()
        choose_dataset(self.project)
        actions.approve(ADMIN, self.project)
        return plan

    def state(self, run: Run, round_: int = 1, content: Any = None, **place: Any) -> Letter:
        values = {".round": round_} if content is None else content
        return self.letter(
            self.coordinator, "state", values, run=run.uid, step=1, **{"round": round_, **place}
        )


class Consortium(Shared):
    """A project that this site coordinates."""

    def __init__(self, world: World, others: list[Peer], name: str) -> None:
        self.world, self.others = world, others
        project = actions.create_project(RESEARCHER, name, "What helps?")
        self.uid = project.uid
        for other in others:
            self.admit(other)

    def admit(self, other: Peer) -> None:
        row = actions.invite_site(RESEARCHER, self.project, other.name)
        other.join(row.code, self.uid)
        actions.refresh_invitations(self.project)
        actions.accept_joiner(ADMIN, self.project, other.uid)

    def propose(self, **rules: Any) -> Plan:
        if not self.project.steps.exists():
            actions.set_dictionary(RESEARCHER, self.project, DICTIONARY)
            actions.add_step(RESEARCHER, self.project, "connection_check", {})
        actions.set_rules(RESEARCHER, self.project, rules)
        return actions.propose_plan(RESEARCHER, self.project)

    def start(self, **rules: Any) -> Run:
        self.propose(**rules)
        return actions.start_run(RESEARCHER, self.project)

    def ready_letter(self, peer: Peer, run: Run, **changes: Any) -> Letter:
        values = {"ready": True, "code": "", "card": peer.run_card(run.uid).to_json(), **changes}
        return self.letter(peer, "ready", values, run=run.uid)

    def computing(self, **rules: Any) -> Run:
        """A run whose first State is out at every hospital."""
        run = self.start(**rules)
        for peer in self.others:
            assert self.ready_letter(peer, run).receive().state == "taken"
        digest = contents.keep(encode({".round": 1}))
        runs.job_done(self.job("begin"), runs.RUN, core_run.StateMade(1, 1, digest, 2.0))
        run.refresh_from_db()
        assert run.state == "running"
        return run

    def update(
        self, peer: Peer, run: Run, round_: int = 1, content: bytes = b"numbers", **place: Any
    ) -> Letter:
        return self.letter(peer, "update", content, run=run.uid, step=1, round=round_, **place)


def choose_dataset(project: Project, name: str = "births") -> None:
    from friendlyfl.controller.models import Dataset

    path = here.home().folder.parent / f"{name}.csv"
    if not path.exists():
        rows = "".join(f"{20 + n % 60},{n % 3 == 0:d}\n" for n in range(60))
        path.write_text("age,died\n" + rows)
    dataset = Dataset.objects.filter(name=name).first()
    if dataset is None:
        dataset, _ = actions.add_dataset(RESEARCHER, name, str(path))
    actions.use_dataset(RESEARCHER, project, dataset)

"""A coordinator and its hospitals in memory: the two machines of core, with journals, jobs and a line between them.

Each side works as a controller does: an event and all that follows from it are written together or not at all, so
a kill is a replay of the journal. Digests carry their own provenance: a State names the round it was begun in and
whose Updates were added since, an Update its site and round. What may never happen is checked as it happens, here;
tests decide what does happen.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import WireError
from friendlyfl.core.moment import fits_run, fits_seat
from friendlyfl.core.record import pack
from friendlyfl.core.run import ENDED, FAILED, MOVES, STOPPED, SUCCEEDED

PREPARE, ROUND = 100.0, 20.0
PATIENCE = PREPARE + 2 * ROUND


class Strict:
    """Lets a machine's `state` move along the table only."""

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get("state", "")
        if name == "state" and before not in ("", value):
            assert value in MOVES[before], f"{before} -> {value}"
        super().__setattr__(name, value)


class StrictRun(Strict, core_run.Run):
    pass


class StrictSeat(Strict, core_seat.Seat):
    pass


@dataclass(frozen=True)
class Post:
    type: str
    sender: str
    to: str
    step: int
    round: int
    says: tuple[Any, ...] = ()  # what the content holds, in the order of the event's fields


@dataclass
class Side:
    """One journal with its machine and the jobs that wait. `machine` is what a controller holds in memory."""

    machine: Any
    unpack: Any
    journal: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)

    def feed(self, event: Any) -> list[Any]:
        """As runs.feed: what changes nothing leaves no trace; what raises changes nothing."""
        machine = copy.deepcopy(self.machine)
        was_over = machine.ended
        told: list[Any] = machine.handle(event)
        assert not (was_over and (told or machine != self.machine)), f"{event} after the end"
        if told or machine != self.machine:
            self.journal.append(pack(event))
            self.machine = machine
        return told

    def kill(self) -> None:
        """Lose the memory, read the journal."""
        again = type(self.machine).replay(self.unpack(record) for record in self.journal)
        assert again == self.machine
        self.machine = again


class Consortium:
    """Everything that a test may do to a run of `sites`; `line` holds post that is on its way."""

    def __init__(self, sites: Sequence[str], steps: int, quorum: int) -> None:
        self.now = 0.0
        self.sites = tuple(sites)
        self.run = Side(StrictRun(), core_run.unpack_event)
        self.seats = {site: Side(StrictSeat(), core_seat.unpack_event) for site in sites}
        self.line: list[Post] = []
        self.taken: set[Post] = set()
        self.used: set[tuple[str, int, int]] = set()  # job slots of the coordinator
        self.sent: list[tuple[int, int]] = []  # rounds, as their States were sent
        self.stopped: set[str] = set()  # sites that were sent a stop
        self.deprived: set[str] = set()  # sites whose post was lost for good
        self.liars: set[str] = set()
        self.feed_run(core_run.Start(0.0, self.sites, steps, quorum, PREPARE, ROUND))

    # --- the coordinator ---

    @property
    def coordinator(self) -> core_run.Run:
        machine: core_run.Run = self.run.machine
        return machine

    def feed_run(self, event: core_run.Event) -> None:
        for command in self.run.feed(event):
            self._carry_out(command)
        self._check_run()

    def _carry_out(self, command: core_run.Command) -> None:
        match command:
            case core_run.Invite():
                self._send("run-invite", command.to, 0, 0)
            case core_run.Begin() | core_run.Combine():
                slot = (type(command).__name__, command.step, command.round)
                assert slot not in self.used, f"{slot} was given twice"
                self.used.add(slot)
                self.run.jobs.append(command)
                if isinstance(command, core_run.Combine):
                    self._check_combine(command)
            case core_run.SendState():
                here = (command.step, command.round)
                assert not self.sent or here > self.sent[-1], f"round {here} after {self.sent[-1]}"
                assert command.to == self.coordinator.active
                self.sent.append(here)
                self._send("state", command.to, *here, command.digest)
            case core_run.SendResult():
                self._check_result(command)
                self._send("result", command.to, command.step, command.round, command.digest, command.last)
            case core_run.SendStop():
                assert not self.stopped & set(command.to), "a site was stopped twice"
                assert command.outcome in (FAILED, STOPPED)
                self.stopped |= set(command.to)
                self._send("stop", command.to, 0, 0, command.outcome, command.reason)
            case core_run.Close():
                assert command.outcome == self.coordinator.state
                self.run.jobs.clear()
                if command.outcome != SUCCEEDED:
                    assert set(self.sites) <= self.stopped, "somebody was not told of the end"

    def _send(self, type_: str, to: Sequence[str], step: int, round_: int, *says: Any) -> None:
        self.line += [Post(type_, "", site, step, round_, says) for site in to]

    def _check_combine(self, command: core_run.Combine) -> None:
        sites = tuple(site for site, _ in command.updates)
        assert sites == self.coordinator.active, "the sum is not over the sites that take part, each once"
        assert (command.step, command.round) == self.sent[-1]
        for site, digest in command.updates:
            assert site in self.liars or digest == _update(site, command.step, command.round)

    def _check_result(self, command: core_run.SendResult) -> None:
        """All rounds behind a Result were of the sites that get it."""
        begun, *groups = command.digest.split("+")
        assert begun.startswith(f"step {command.step} ")
        assert groups
        assert set(groups) == {",".join(command.to)}, command.digest
        assert len(command.to) >= self.coordinator.quorum

    def _check_run(self) -> None:
        run = self.coordinator
        if not run.ended:
            assert set(run.updates) <= set(run.active)
            assert len(run.active) >= run.quorum
        if run.state in ("standby", "preparing", "running"):
            assert run.deadline is not None or self.run.jobs, "nothing would ever end this"
        if run.state == FAILED:
            kind, _, code = run.reason.partition(":")
            assert kind in ("below_quorum", "job_failed")
            assert code
            if kind == "below_quorum":
                assert code in {seat.reason for seat in run.seats.values()}

    def do_job(self, place: int, how: str, *, again: bool = False) -> None:
        """Do the coordinator's job at `place`: state, done, bad (the first Update is bad) or failed."""
        job = self.run.jobs[place]
        event: core_run.Event
        if how == "failed":
            event = core_run.JobFailed(job.step, job.round, "task_failed", self.now)
        elif isinstance(job, core_run.Begin):
            digest = f"step {job.step} from {job.round}"
            event = core_run.StateMade(job.step, job.round, digest, self.now)
        else:
            event = self._combined(job, how)
        if not again:
            self.run.jobs.pop(place)
        self.feed_run(event)

    def _combined(self, job: core_run.Combine, how: str) -> core_run.Event:
        digest = f"{job.state}+{','.join(site for site, _ in job.updates)}"
        if how == "bad":
            return core_run.Trouble(job.updates[0][0], job.step, job.round, "bad_update", self.now)
        if how == "done":
            return core_run.StepDone(job.step, job.round, digest, self.now)
        return core_run.StateMade(job.step, job.round + 1, digest, self.now)

    # --- a hospital ---

    def feed_seat(self, site: str, event: core_seat.Event) -> None:
        side = self.seats[site]
        for command in side.feed(event):
            match command:
                case core_seat.Prepare() | core_seat.Compute():
                    side.jobs.append(command)
                case core_seat.SendReady():
                    self._tell(site, "ready", 0, 0, "")
                case core_seat.SendNotReady():
                    self._tell(site, "ready", 0, 0, command.code)
                case core_seat.SendUpdate():
                    self._tell(site, "update", command.step, command.round, command.digest)
                case core_seat.SendTrouble():
                    self._tell(site, "trouble", command.step, command.round, command.code)
                case core_seat.Close():
                    side.jobs.clear()

    def _tell(self, site: str, type_: str, step: int, round_: int, *says: Any) -> None:
        self.line.append(Post(type_, site, "", step, round_, says))

    def do_local(self, site: str, *, well: bool, again: bool = False) -> None:
        """Do a hospital's oldest job."""
        side = self.seats[site]
        job = side.jobs[0] if again else side.jobs.pop(0)
        event: core_seat.Event
        if isinstance(job, core_seat.Prepare):
            event = core_seat.Prepared(self.now) if well else core_seat.PrepareFailed("clock", self.now)
        elif well:
            digest = _update(site, job.step, job.round)
            event = core_seat.UpdateMade(job.step, job.round, digest, self.now)
        else:
            event = core_seat.Refused(job.step, job.round, "refused_rows", self.now)
        self.feed_seat(site, event)

    # --- the line ---

    def deliver(self, post: Post, *, keep: bool = False) -> None:
        """Hand post over as the inbox does: early post stays on the line, post that never fits is put aside."""
        try:
            fits = self._fits(post)
        except WireError:
            fits = True
            assert post in self.taken or post.sender in self.liars, f"honest {post} was refused"
        else:
            if fits:
                self._take(post)
        if fits and not keep:
            self.line.remove(post)

    def _fits(self, post: Post) -> bool:
        if post.to:
            return fits_seat(self.seats[post.to].machine, post.type, post.step, post.round)
        return fits_run(self.coordinator, post.type, post.sender, post.step, post.round)

    def _take(self, post: Post) -> None:
        side = self.seats[post.to] if post.to else self.run
        written = len(side.journal)
        if post.to:
            self.feed_seat(post.to, self._for_seat(post))
        else:
            self.feed_run(self._for_run(post))
        assert post not in self.taken or len(side.journal) == written, f"{post} was taken twice"
        if post.type == "trouble":
            assert post.sender not in self.coordinator.active or self.coordinator.ended
        self.taken.add(post)

    def _for_seat(self, post: Post) -> core_seat.Event:
        match post.type:
            case "run-invite":
                return core_seat.Invited(self.now, self.coordinator.steps, post.to != self.sites[0], PATIENCE)
            case "state":
                return core_seat.StateCame(post.step, post.round, *post.says, self.now)
            case "result":
                return core_seat.ResultCame(post.step, *post.says, self.now)
            case _:
                return core_seat.Ended(*post.says, self.now)

    def _for_run(self, post: Post) -> core_run.Event:
        match post.type:
            case "ready":
                (code,) = post.says
                ready = core_run.Ready(post.sender, self.now)
                return core_run.NotReady(post.sender, code, self.now) if code else ready
            case "update":
                return core_run.UpdateCame(post.sender, post.step, post.round, *post.says, self.now)
            case _:
                return core_run.Trouble(post.sender, post.step, post.round, *post.says, self.now)

    def lose(self, post: Post) -> None:
        """The Routing Server keeps this post from its reader for ever."""
        self.line.remove(post)
        self.deprived.add(post.to or post.sender)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.feed_run(core_run.Tick(self.now))
        for site, side in self.seats.items():
            if side.machine.state:
                self.feed_seat(site, core_run.Tick(self.now))

    # --- the end ---

    def settle(self) -> None:
        """Let everybody who still works finish, and time pass. Whatever happened before, this ends."""
        for _ in range(60):
            self.work_off()
            if self._all_over():
                break
            self.tick(ROUND)
        assert self._all_over(), "this history does not end"
        self.work_off()
        self.check_outcomes()

    def work_off(self, rounds: int = 1000, last: str = "done") -> None:
        """Everybody works and all post arrives, until nothing moves or so many States were sent.

        A step takes three rounds, and then whatever `last` says.
        """
        moved, until = True, len(self.sent) + rounds
        while moved and len(self.sent) < until:
            assert len(self.run.journal) < 1000, "this history does not end"
            before = self._moves()
            for post in list(self.line):
                if post in self.line:
                    self.deliver(post)
            for site, side in self.seats.items():
                if side.machine.state == "standby":
                    self.feed_seat(site, core_seat.Approved(self.now))
                while side.jobs:
                    self.do_local(site, well=True)
            while self.run.jobs and len(self.sent) < until:
                self.do_job(0, last if self.coordinator.round % 4 == 3 else "state")
            moved = before != self._moves()

    def _moves(self) -> tuple[int, ...]:
        return (len(self.line), len(self.run.journal), *(len(side.journal) for side in self.seats.values()))

    def _all_over(self) -> bool:
        seats = [side.machine for side in self.seats.values() if side.machine.state]
        return self.coordinator.ended and all(seat.ended for seat in seats)

    def check_outcomes(self) -> None:
        """What each hospital believes of its part is what the coordinator believes of it."""
        run = self.coordinator
        for site, side in self.seats.items():
            seat = side.machine
            if not seat.state:
                assert site in self.deprived, "an invitation was forgotten"
                continue
            if seat.state == SUCCEEDED:
                assert run.state == SUCCEEDED
                assert run.seats[site].status == "done"
            for step, digest in seat.results.items():
                assert run.results[step] == digest
            if site in self.deprived or seat.reason == "coordinator_lost":
                continue
            if run.state == SUCCEEDED and site in run.active:
                assert (seat.state, seat.results) == (SUCCEEDED, run.results)
            elif site in run.active:
                assert seat.state == run.state or seat.state == FAILED
            else:
                assert seat.state in ENDED - {SUCCEEDED}


def _update(site: str, step: int, round_: int) -> str:
    return f"{site} {step}/{round_}"

"""The life of a run, as its coordinator sees it: a pure machine, events in, commands out.

`Run.handle(event)` decides; it holds digests of States, Updates and Results, never a number of theirs, and
time comes in with the events. `Run.replay(events)` gives the same machine again, which is how a controller
that was killed carries on. `MOVES` is the one table of allowed moves; the Routing Server checks its copy
against it.

What does not live here: a participant's side (core.seat); how commands become post and jobs
(controller.runs).

Rules that are not plain from the code:
- Post for a finished run, a duplicate and a straggler change nothing. An event that cannot happen raises.
- A site that fails, refuses, leaves or is late leaves the run. If rounds of this step were already combined
  with its numbers in them, the step begins again with the sites that stay, under new round numbers: so every
  number of a Result, n included, comes from the same sites.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from friendlyfl.core.record import unpacker

STANDBY, PREPARING, RUNNING, AGGREGATING = "standby", "preparing", "running", "aggregating"
SUCCEEDED, FAILED, STOPPED = "succeeded", "failed", "stopped"

MOVES: dict[str, frozenset[str]] = {
    STANDBY: frozenset({PREPARING, FAILED, STOPPED}),
    PREPARING: frozenset({RUNNING, FAILED, STOPPED}),
    RUNNING: frozenset({AGGREGATING, FAILED, STOPPED}),
    AGGREGATING: frozenset({RUNNING, SUCCEEDED, FAILED, STOPPED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
    STOPPED: frozenset(),
}
STATES = tuple(MOVES)
ENDED = frozenset(state for state, moves in MOVES.items() if not moves)


class ImpossibleEvent(Exception):
    """An event that this run, in this state, cannot have seen: a bug or a damaged journal, never bad post."""


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """The coordinator pressed Start. Times are seconds of the coordinator's clock."""

    at: float
    sites: tuple[str, ...]
    steps: int
    quorum: int
    prepare_deadline: float
    round_deadline: float


@dataclass(frozen=True)
class Ready:
    site: str
    at: float


@dataclass(frozen=True)
class NotReady:
    site: str
    code: str
    at: float


@dataclass(frozen=True)
class StateMade:
    """The coordinator's job made the State of the next round (the first of a step, or after a combine)."""

    step: int
    round: int
    digest: str
    at: float


@dataclass(frozen=True)
class UpdateCame:
    site: str
    step: int
    round: int
    digest: str
    at: float


@dataclass(frozen=True)
class Trouble:
    """A site cannot or will not answer this round; `code` names a rule or a fault."""

    site: str
    step: int
    round: int
    code: str
    at: float


@dataclass(frozen=True)
class StepDone:
    step: int
    round: int
    digest: str
    at: float


@dataclass(frozen=True)
class JobFailed:
    """The coordinator's own job (begin or combine) failed."""

    step: int
    round: int
    code: str
    at: float


@dataclass(frozen=True)
class Left:
    """A site left the project, or was removed from it."""

    site: str
    at: float


@dataclass(frozen=True)
class Stop:
    by: str
    at: float


@dataclass(frozen=True)
class Tick:
    at: float


Event = (
    Start | Ready | NotReady | StateMade | UpdateCame | Trouble | StepDone | JobFailed | Left | Stop | Tick
)
unpack_event = unpacker(
    Start, Ready, NotReady, StateMade, UpdateCame, Trouble, StepDone, JobFailed, Left, Stop, Tick
)

# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invite:
    to: tuple[str, ...]


@dataclass(frozen=True)
class Begin:
    """Make the first State of `step`, to be sent as round `round`."""

    step: int
    round: int


@dataclass(frozen=True)
class SendState:
    step: int
    round: int
    digest: str
    to: tuple[str, ...]


@dataclass(frozen=True)
class Combine:
    """Add `updates` ((site, digest), in the order of seats) and combine them with the State of this round."""

    step: int
    round: int
    state: str
    updates: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SendResult:
    step: int
    round: int
    digest: str
    to: tuple[str, ...]
    last: bool


@dataclass(frozen=True)
class SendStop:
    to: tuple[str, ...]
    outcome: str
    reason: str


@dataclass(frozen=True)
class Close:
    """The run is over: end work, erase its keys when its post is gone."""

    outcome: str
    reason: str


Command = Invite | Begin | SendState | Combine | SendResult | SendStop | Close

# --- the machine ----------------------------------------------------------------------------------


@dataclass
class Seat:
    """What the coordinator knows of one site in this run."""

    site: str
    status: str = "asked"  # asked, ready, computing, answered, left, done
    reason: str = ""  # why it left, as a code
    step: int = 0  # where it left
    round: int = 0
    since: float = 0.0


@dataclass
class Run:
    state: str = ""  # "" before Start
    steps: int = 0
    quorum: int = 0
    prepare_deadline: float = 0.0
    round_deadline: float = 0.0
    step: int = 0
    round: int = 0
    deadline: float | None = None
    reason: str = ""
    state_digest: str = ""
    combined: bool = False  # a round of this step was already combined
    seats: dict[str, Seat] = field(default_factory=dict)
    updates: dict[str, str] = field(default_factory=dict)
    results: dict[int, str] = field(default_factory=dict)

    @classmethod
    def replay(cls, events: Iterable[Event]) -> "Run":
        run = cls()
        for event in events:
            run.handle(event)
        return run

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def active(self) -> tuple[str, ...]:
        """Sites that still take part, in the order of seats."""
        return tuple(seat.site for seat in self.seats.values() if seat.status != "left")

    def handle(self, event: Event) -> list[Command]:
        """Take one event, return what must happen now.

        Raises ImpossibleEvent: the event cannot belong to this run's history.
        """
        if isinstance(event, Start):
            return self._start(event)
        if not self.state:
            raise ImpossibleEvent(f"{type(event).__name__} before Start")
        if self.ended:
            return []
        site = getattr(event, "site", None)
        if site is not None:
            if site not in self.seats:
                if isinstance(event, Left):
                    return []  # it joined the project after this run began
                raise ImpossibleEvent(f"{type(event).__name__} of a site without a seat")
            if self.seats[site].status == "left":
                return []
        match event:
            case Ready():
                return self._ready(event)
            case NotReady() | Trouble() | Left():
                return self._gone(event)
            case StateMade():
                return self._state_made(event)
            case UpdateCame():
                return self._update(event)
            case StepDone():
                return self._step_done(event)
            case JobFailed():
                return self._job_failed(event)
            case Stop():
                return self._end(STOPPED, f"stopped_by:{event.by}")
            case Tick():
                return self._tick(event)

    # --- one method an event ---

    def _start(self, event: Start) -> list[Command]:
        if self.state:
            raise ImpossibleEvent("a run starts once")
        distinct = len(set(event.sites)) == len(event.sites)
        if not (distinct and 1 <= event.quorum <= len(event.sites) and event.steps >= 1):
            raise ImpossibleEvent("a run needs a site, a step and a quorum that can be met")
        self.state, self.steps, self.quorum = STANDBY, event.steps, event.quorum
        self.prepare_deadline, self.round_deadline = event.prepare_deadline, event.round_deadline
        self.deadline = event.at + event.prepare_deadline
        self.seats = {site: Seat(site, since=event.at) for site in event.sites}
        return [Invite(event.sites)]

    def _ready(self, event: Ready) -> list[Command]:
        seat = self.seats[event.site]
        if seat.status != "asked":
            return []
        if self.state == STANDBY:
            self._move(PREPARING)
        seat.status, seat.since = "ready", event.at
        return self._if_all_prepared()

    def _gone(self, event: NotReady | Trouble | Left) -> list[Command]:
        if isinstance(event, Trouble) and (event.step, event.round) > (self.step, self.round):
            raise ImpossibleEvent("trouble with a round that was never sent")
        # Trouble with an earlier round counts too: that site has ended its part and would be waited for in vain.
        if isinstance(event, NotReady):
            if self.seats[event.site].status != "asked":
                return []
            if self.state == STANDBY:
                self._move(PREPARING)
        code = "left_project" if isinstance(event, Left) else event.code
        return self._lose([event.site], code, event.at)

    def _state_made(self, event: StateMade) -> list[Command]:
        if self._job_slot() is None or (event.step, event.round) != (self.step, self.round + 1):
            return self._repeated(event.step, event.round)
        if self.state == AGGREGATING:
            self.combined = True
            self._move(RUNNING)
        self.round, self.state_digest, self.updates = event.round, event.digest, {}
        self.deadline = event.at + self.round_deadline
        for site in self.active:
            self.seats[site].status, self.seats[site].since = "computing", event.at
        return [SendState(event.step, event.round, event.digest, self.active)]

    def _update(self, event: UpdateCame) -> list[Command]:
        here = (self.step, self.round)
        if (event.step, event.round) > here:
            raise ImpossibleEvent("an Update for a round that was never sent")
        if (event.step, event.round) != here or self.state != RUNNING or not self.state_digest:
            return []
        seat = self.seats[event.site]
        if seat.status != "computing":
            return []
        seat.status, seat.since = "answered", event.at
        self.updates[event.site] = event.digest
        return self._if_all_answered()

    def _step_done(self, event: StepDone) -> list[Command]:
        if (event.step, event.round) != (self.step, self.round) or self.state != AGGREGATING:
            return self._repeated(event.step, event.round)
        self.results[event.step] = event.digest
        last = event.step == self.steps
        sent = SendResult(event.step, event.round, event.digest, self.active, last)
        if last:
            for site in self.active:
                self.seats[site].status, self.seats[site].since = "done", event.at
            return [sent, *self._close(SUCCEEDED, "")]
        self._move(RUNNING)
        return [sent, *self._begin(event.step + 1)]

    def _job_failed(self, event: JobFailed) -> list[Command]:
        if (event.step, event.round) != self._job_slot():
            return self._repeated(event.step, event.round)
        return self._end(FAILED, f"job_failed:{event.code}")

    def _tick(self, event: Tick) -> list[Command]:
        if self.deadline is None or event.at < self.deadline:
            return []
        waited_for = {STANDBY: "asked", PREPARING: "asked", RUNNING: "computing"}.get(self.state)
        late = [site for site in self.active if self.seats[site].status == waited_for]
        return self._lose(late, "late", event.at) if late else []

    # --- what several events lead to ---

    def _lose(self, sites: list[str], code: str, at: float) -> list[Command]:
        for site in sites:
            seat = self.seats[site]
            seat.status, seat.reason, seat.since = "left", code, at
            seat.step, seat.round = self.step, self.round
        if len(self.active) < self.quorum:
            return [SendStop(tuple(sites), FAILED, code), *self._end(FAILED, f"below_quorum:{code}")]
        return [SendStop(tuple(sites), STOPPED, code), *self._carry_on()]

    def _carry_on(self) -> list[Command]:
        """Go on without the sites just lost."""
        if self.state in (STANDBY, PREPARING):
            return self._if_all_prepared()
        if self.combined:
            # Earlier rounds hold numbers of a site that is gone: this step starts over without it.
            if self.state == AGGREGATING:
                self._move(RUNNING)
            return self._begin(self.step)
        if self.state == RUNNING and self.state_digest:
            self.updates = {site: self.updates[site] for site in self.active if site in self.updates}
            return self._if_all_answered()
        if self.state == AGGREGATING:
            # The combine under way still adds the lost site's Update: its outcome must not be used.
            self._move(RUNNING)
            return self._begin(self.step)
        return []

    def _if_all_prepared(self) -> list[Command]:
        if self.state != PREPARING or any(self.seats[site].status == "asked" for site in self.active):
            return []
        self._move(RUNNING)
        return self._begin(1)

    def _begin(self, step: int) -> list[Command]:
        again = step == self.step
        self.step, self.state_digest, self.updates, self.deadline = step, "", {}, None
        self.round = self.round + 1 if again else 0
        self.combined = False
        return [Begin(step, self.round + 1)]

    def _if_all_answered(self) -> list[Command]:
        if any(seat.status == "computing" for seat in self.seats.values()):
            return []
        self._move(AGGREGATING)
        self.deadline = None
        updates = tuple((site, self.updates[site]) for site in self.active)
        return [Combine(self.step, self.round, self.state_digest, updates)]

    def _job_slot(self) -> tuple[int, int] | None:
        """(step, round) of the job that is under way."""
        if self.state == AGGREGATING:
            return (self.step, self.round)
        return (self.step, self.round + 1) if self.state == RUNNING and not self.state_digest else None

    def _repeated(self, step: int, round_: int) -> list[Command]:
        """A job's outcome that came twice, or after its step was begun again, changes nothing."""
        if (step, round_) > (self.step, self.round):
            raise ImpossibleEvent("the outcome of a job that was never given")
        return []

    def _end(self, outcome: str, reason: str) -> list[Command]:
        return [SendStop(self.active, outcome, reason), *self._close(outcome, reason)]

    def _close(self, outcome: str, reason: str) -> list[Command]:
        self._move(outcome)
        self.reason, self.deadline = reason, None
        return [Close(outcome, reason)]

    def _move(self, state: str) -> None:
        if state not in MOVES[self.state]:
            raise ImpossibleEvent(f"no move from {self.state} to {state}")
        self.state = state

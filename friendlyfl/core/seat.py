"""A participant's side of a run: a pure machine like core.run, whose words for states it shares.

A seat obeys the coordinator's signed post and its own people, nothing else. It never sees another site.

standby     a run was announced and waits for this hospital's approval
preparing   the data are being checked
running     the hospital computes, or has been told that it is ready and waits for the first State
aggregating the Update is sent; the coordinator adds up
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from friendlyfl.core.record import unpacker
from friendlyfl.core.run import (
    AGGREGATING,
    ENDED,
    FAILED,
    MOVES,
    PREPARING,
    RUNNING,
    STANDBY,
    SUCCEEDED,
    ImpossibleEvent,
    Tick,
)

# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invited:
    """The coordinator's signed run-invite was accepted. `patience`: seconds of silence that end this part."""

    at: float
    steps: int
    approved: bool
    patience: float


@dataclass(frozen=True)
class Approved:
    at: float


@dataclass(frozen=True)
class Prepared:
    at: float


@dataclass(frozen=True)
class PrepareFailed:
    """`code` names what stands in the way; the words for it stay at this site."""

    code: str
    at: float


@dataclass(frozen=True)
class StateCame:
    step: int
    round: int
    digest: str
    at: float


@dataclass(frozen=True)
class UpdateMade:
    step: int
    round: int
    digest: str
    at: float


@dataclass(frozen=True)
class Refused:
    """A rule of this hospital, or a fault here, ended this site's part. Nothing was sent."""

    step: int
    round: int
    code: str
    at: float


@dataclass(frozen=True)
class ResultCame:
    step: int
    digest: str
    last: bool
    at: float


@dataclass(frozen=True)
class Ended:
    """The coordinator's signed stop."""

    outcome: str
    reason: str
    at: float


Event = (
    Invited
    | Approved
    | Prepared
    | PrepareFailed
    | StateCame
    | UpdateMade
    | Refused
    | ResultCame
    | Ended
    | Tick
)
unpack_event = unpacker(
    Invited,
    Approved,
    Prepared,
    PrepareFailed,
    StateCame,
    UpdateMade,
    Refused,
    ResultCame,
    Ended,
    Tick,
)

# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepare:
    """Check the data against the plan."""


@dataclass(frozen=True)
class SendReady:
    pass


@dataclass(frozen=True)
class SendNotReady:
    code: str


@dataclass(frozen=True)
class Compute:
    step: int
    round: int
    state: str


@dataclass(frozen=True)
class SendUpdate:
    step: int
    round: int
    digest: str


@dataclass(frozen=True)
class SendTrouble:
    step: int
    round: int
    code: str


@dataclass(frozen=True)
class Close:
    """This site's part is over: end the runner, erase the run's keys when its post is gone."""

    outcome: str
    reason: str


Command = Prepare | SendReady | SendNotReady | Compute | SendUpdate | SendTrouble | Close

# --- the machine ----------------------------------------------------------------------------------


@dataclass
class Seat:
    state: str = ""
    steps: int = 0
    patience: float = 0.0
    step: int = 0
    round: int = 0
    deadline: float | None = None
    reason: str = ""
    state_digest: str = ""
    results: dict[int, str] = field(default_factory=dict)

    @classmethod
    def replay(cls, events: Iterable[Event]) -> "Seat":
        seat = cls()
        for event in events:
            seat.handle(event)
        return seat

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def handle(self, event: Event) -> list[Command]:
        """Take one event, return what must happen now. Raises ImpossibleEvent as core.run does."""
        if isinstance(event, Invited):
            return self._invited(event)
        if not self.state:
            raise ImpossibleEvent(f"{type(event).__name__} before Invited")
        if self.ended:
            return []
        match event:
            case Approved():
                return self._prepare() if self.state == STANDBY else []
            case Prepared():
                return self._prepared()
            case PrepareFailed():
                return self._prepare_failed(event)
            case StateCame():
                return self._state(event)
            case UpdateMade():
                return self._update(event)
            case Refused():
                return self._refused(event)
            case ResultCame():
                return self._result(event)
            case Ended():
                return self._close(event.outcome, event.reason)
            case Tick():
                late = self.deadline is not None and event.at >= self.deadline
                return self._close(FAILED, "coordinator_lost") if late else []

    # --- one method an event ---

    def _invited(self, event: Invited) -> list[Command]:
        if self.state:
            raise ImpossibleEvent("a seat is taken once")
        self.state, self.steps, self.patience = STANDBY, event.steps, event.patience
        self.deadline = event.at + event.patience
        return self._prepare() if event.approved else []

    def _prepare(self) -> list[Command]:
        self.state = PREPARING
        return [Prepare()]

    def _prepared(self) -> list[Command]:
        if self.state == STANDBY:
            raise ImpossibleEvent("data prepared for a plan that was not approved")
        if self.state != PREPARING:
            return []
        self.state = RUNNING
        return [SendReady()]

    def _prepare_failed(self, event: PrepareFailed) -> list[Command]:
        if self.state not in (STANDBY, PREPARING):
            return []
        return [SendNotReady(event.code), *self._close(FAILED, event.code)]

    def _state(self, event: StateCame) -> list[Command]:
        if self.state not in (RUNNING, AGGREGATING):
            raise ImpossibleEvent("a State before this site said that it is ready")
        if event.step > self.steps:
            raise ImpossibleEvent("a State of a step that the plan does not have")
        if (event.step, event.round) <= (self.step, self.round):
            return []
        self.state, self.step, self.round = RUNNING, event.step, event.round
        self.state_digest = event.digest
        self.deadline = event.at + self.patience
        return [Compute(event.step, event.round, event.digest)]

    def _update(self, event: UpdateMade) -> list[Command]:
        if not self._computes(event):
            return []
        self.state = AGGREGATING
        return [SendUpdate(event.step, event.round, event.digest)]

    def _refused(self, event: Refused) -> list[Command]:
        if not self._computes(event):
            return []
        return [SendTrouble(event.step, event.round, event.code), *self._close(FAILED, event.code)]

    def _computes(self, event: UpdateMade | Refused) -> bool:
        """Whether this outcome is that of the round at hand; an older one, or one that came before, is not."""
        if (event.step, event.round) > (self.step, self.round):
            raise ImpossibleEvent("the outcome of a State that never came")
        return (event.step, event.round) == (self.step, self.round) and self.state == RUNNING

    def has_answered(self, step: int) -> bool:
        """Whether this site's numbers can be in a Result of `step`."""
        return self.step > step or (self.step == step and self.state == AGGREGATING)

    def _result(self, event: ResultCame) -> list[Command]:
        if not self.has_answered(event.step) or event.last != (event.step == self.steps):
            raise ImpossibleEvent("a Result that this site has no part in")
        if event.step in self.results:
            return []
        self.results[event.step] = event.digest
        self.deadline = event.at + self.patience
        return self._close(SUCCEEDED, "") if event.last else []

    def _close(self, outcome: str, reason: str) -> list[Command]:
        if outcome not in ENDED & MOVES[self.state]:
            raise ImpossibleEvent(f"a part that is {self.state} cannot end as {outcome}")
        self.state, self.reason, self.deadline = outcome, reason, None
        return [Close(outcome, reason)]

"""The story of a run as a fold of its journal: what happened, as facts without words, and its rounds.

`RunStory` is the coordinator's, `SeatStory` a participant's. No database, no clock, no words: those are `timeline`'s.
"""

from dataclasses import dataclass, field
from typing import Any

from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat


@dataclass(frozen=True)
class Fact:
    """Something that happened. Which fields are filled hangs on `kind`; words are made of it when it is read."""

    kind: str
    at: float
    step: int = 0
    sites: tuple[str, ...] = ()
    code: str = ""
    left: int = 0  # hospitals that stay
    again: bool = False


@dataclass
class Round:
    """A round as it was sent: `state` is the digest of what went out."""

    step: int
    number: int
    began: float
    state: str
    first: bool  # of its step, or of its step begun again: no round before it counts
    ended: float | None = None


@dataclass
class Story:
    """What both sides share."""

    facts: list[Fact] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    began: dict[int, float] = field(default_factory=dict)  # step -> when
    done: dict[int, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)  # site -> its last word

    def rounds_of(self, step: int) -> list[Round]:
        return [found for found in self.rounds if found.step == step]

    def begun_again(self, step: int) -> bool:
        """Whether its rounds are counted on from an earlier beginning."""
        return sum(found.first for found in self.rounds_of(step)) > 1

    def _next_round(self, step: int, number: int, digest: str, at: float, first: bool) -> None:
        self._round_over(at)
        self.began.setdefault(step, at)
        self.rounds.append(Round(step, number, at, digest, first))

    def _round_over(self, at: float) -> None:
        if self.rounds and self.rounds[-1].ended is None:
            self.rounds[-1].ended = at


@dataclass
class RunStory(Story):
    """As the coordinator sees it."""

    machine: core_run.Run = field(default_factory=core_run.Run)
    _fresh: bool = True  # the next State is the first of its step

    def take(self, event: Any) -> None:
        """The next event of the journal."""
        machine, at = self.machine, event.at
        commands = machine.handle(event)
        if isinstance(event, core_run.Ready | core_run.NotReady | core_run.UpdateCame | core_run.Trouble):
            self.heard[event.site] = at
        for command in commands:
            match command:
                case core_run.Invite():
                    self.facts.append(Fact("asked", at, sites=command.to))
                case core_run.Begin():
                    self._fresh = True
                    if command.round == 1 and command.step == 1:
                        self.facts.append(Fact("prepared", at, left=len(machine.active)))
                    elif command.round > 1:
                        self._round_over(at)
                        self.facts.append(Fact("again", at, command.step))
                    self.began.setdefault(command.step, at)
                case core_run.SendState():
                    self._next_round(command.step, command.round, command.digest, at, self._fresh)
                    self._fresh = False
                case core_run.SendResult():
                    self._round_over(at)
                    self.done[command.step] = at
                    self.facts.append(Fact("step", at, command.step))
                case core_run.SendStop() if self._lost(event, command):
                    code, left = command.reason, len(machine.active)
                    self.facts.append(Fact("lost", at, machine.step, command.to, code, left))
                case core_run.Close():
                    self._round_over(at)
                    self.facts.append(Fact("ended", at, machine.step, code=command.reason))

    @staticmethod
    def _lost(event: Any, command: core_run.SendStop) -> bool:
        """This stop is for hospitals that have left, and not the end for those that stayed."""
        gone = isinstance(event, core_run.NotReady | core_run.Trouble | core_run.Left | core_run.Tick)
        return gone and not command.reason.startswith("below_quorum")


@dataclass
class SeatStory(Story):
    """As a hospital that takes part sees it: its own part and nothing of another's."""

    machine: core_seat.Seat = field(default_factory=core_seat.Seat)
    changed: float = 0.0  # when it came into the state it is in

    def take(self, event: Any) -> None:
        """The next event of the journal."""
        before = (self.machine.state, self.machine.step, self.machine.round)
        commands = self.machine.handle(event)
        at, machine = event.at, self.machine
        if (machine.state, machine.step, machine.round) != before:
            self.changed = at
        match event:
            case core_seat.Invited():
                self.facts.append(Fact("invited", at, again=event.approved))
            case core_seat.Approved() if commands:
                self.facts.append(Fact("approved", at))
            case core_seat.StateCame() if commands:
                first = not self.rounds or self.rounds[-1].step != event.step
                self._next_round(event.step, event.round, event.digest, at, first)
            case core_seat.ResultCame() if event.step not in self.done:
                self._round_over(at)
                self.done[event.step] = at
                self.facts.append(Fact("step", at, event.step))
        for command in commands:
            match command:
                case core_seat.SendReady():
                    self.facts.append(Fact("ready", at))
                case core_seat.SendTrouble() | core_seat.SendNotReady():
                    self.facts.append(Fact("refused", at, machine.step, code=command.code))
                case core_seat.Close():
                    self._round_over(at)
                    self.facts.append(Fact("ended", at, machine.step, code=command.reason))

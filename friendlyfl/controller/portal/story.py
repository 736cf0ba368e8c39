"""The story of a run as a fold of its journal: what happened, as facts without words, and its rounds.

`RunStory` is the coordinator's, `SeatStory` a participant's. No database, no clock, no words: those are `timeline`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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

    def pass_round(self) -> None:
        """All answers of the round at hand were left out by `brief`: stand where the last one would have led. The sum
        that follows asks for no digest of theirs."""
        for site in self.machine.active:
            self.machine.seats[site].status = "answered"
        self.machine.state, self.machine.deadline = core_run.AGGREGATING, None

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


# --- what of a long journal has to be read ---


ANSWER, STATE, DONE = (
    f'{{"event": "{kind.__name__}"' for kind in (core_run.UpdateCame, core_run.StateMade, core_run.StepDone)
)  # how their records begin: see core.record


def brief(records: Sequence[str]) -> tuple[list[str], set[int]]:
    """A coordinator's journal without the answers of rounds that nothing happened in and that others followed: most of
    a long one, and they change no story. Returns the records that are left, and before which of them a round's answers
    were left out. Of another journal nothing is.

    A round in which a hospital was lost is read in full, and so is the round before it and the last one: they hold the
    last words of each hospital.
    """
    marks = [place for place, record in enumerate(records) if not record.startswith(ANSWER)]
    spans = list(pairwise([*marks, len(records)]))
    left_out: set[int] = set()  # places of the States whose answers are
    wanted = True
    for place, end in reversed(spans):
        follows = records[end] if end < len(records) else ""
        if records[place].startswith(STATE) and follows.startswith((STATE, DONE)):
            if not wanted:
                left_out.add(place)
            wanted = False
        elif not (records[place].startswith(DONE) and follows.startswith(STATE)):
            wanted = True  # something happened here
    kept, passed = list(records[: marks[0] if marks else len(records)]), set()
    for place, end in spans:
        kept += records[place : place + 1 if place in left_out else end]
        if place in left_out:
            passed.add(len(kept))
    return kept, passed

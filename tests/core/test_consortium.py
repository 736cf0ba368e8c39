"""Any history of a coordinator and its hospitals, over a line that repeats, reorders and swallows post, with kills.

The rules are in `consortium`, where they are checked as things happen; here is what may happen, in any order.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.run import SUCCEEDED
from tests.core.consortium import PREPARE, ROUND, Consortium, Post

SITES = ("ash", "birch", "cedar", "date")


class AnyHistory(RuleBasedStateMachine):
    @initialize(sites=st.integers(1, 4), steps=st.integers(1, 2), data=st.data())
    def start(self, sites: int, steps: int, data: st.DataObject) -> None:
        quorum = data.draw(st.integers(1, sites), label="quorum")
        self.all = Consortium(SITES[:sites], steps, quorum)
        self.all.work_off(data.draw(st.integers(0, 5), label="quiet rounds"))

    def _some_post(self, data: st.DataObject) -> Post:
        place = data.draw(st.integers(0, len(self.all.line) - 1), label="place on the line")
        return self.all.line[place]

    # --- the line ---

    @precondition(lambda self: self.all.line)
    @rule(data=st.data())
    def deliver_in_any_order(self, data: st.DataObject) -> None:
        self.all.deliver(self._some_post(data))

    @precondition(lambda self: self.all.line)
    @rule()
    def deliver_everything_in_order(self) -> None:
        for post in list(self.all.line):
            if post in self.all.line:
                self.all.deliver(post)

    @precondition(lambda self: self.all.line)
    @rule(data=st.data())
    def deliver_and_deliver_again_later(self, data: st.DataObject) -> None:
        self.all.deliver(self._some_post(data), keep=True)

    @precondition(lambda self: self.all.line and len(self.all.deprived) < 1)
    @rule(data=st.data())
    def swallow(self, data: st.DataObject) -> None:
        self.all.lose(self._some_post(data))

    @rule(rounds=st.integers(1, 3))
    def all_goes_well_for_a_while(self, rounds: int) -> None:
        self.all.work_off(rounds)

    # --- work ---

    @precondition(lambda self: self.all.run.jobs)
    @rule(data=st.data(), how=st.sampled_from(["state", "state", "state", "done", "done", "bad", "failed"]))
    def coordinator_works(self, data: st.DataObject, how: str) -> None:
        place = data.draw(st.integers(0, len(self.all.run.jobs) - 1), label="job")
        self.all.do_job(place, how, again=data.draw(st.booleans(), label="done mark is lost"))

    @rule(well=st.sampled_from([True, True, True, True, False]), again=st.booleans())
    def hospitals_work(self, well: bool, again: bool) -> None:
        for site, side in self.all.seats.items():
            if side.jobs:
                self.all.do_local(site, well=well, again=again)

    @rule(site=st.sampled_from(SITES), well=st.booleans(), again=st.booleans())
    def one_hospital_works(self, site: str, well: bool, again: bool) -> None:
        if site in self.all.seats and self.all.seats[site].jobs:
            self.all.do_local(site, well=well, again=again)

    # --- people and time ---

    @rule(site=st.sampled_from(SITES), yes=st.sampled_from([True, True, True, False]))
    def somebody_decides_about_the_plan(self, site: str, yes: bool) -> None:
        if site in self.all.seats and self.all.seats[site].machine.state:
            now = self.all.now
            word = core_seat.Approved(now) if yes else core_seat.PrepareFailed("declined", now)
            self.all.feed_seat(site, word)

    @rule(site=st.sampled_from((*SITES, "a later member")))
    def a_member_leaves_the_project(self, site: str) -> None:
        self.all.feed_run(core_run.Left(site, self.all.now))

    @rule(seconds=st.sampled_from([0.0, 1.0, ROUND / 2, ROUND, PREPARE]))
    def time_passes(self, seconds: float) -> None:
        self.all.tick(seconds)

    @rule(often=st.integers(0, 9))
    def the_coordinator_stops_the_run(self, often: int) -> None:
        if often == 0:
            self.all.feed_run(core_run.Stop("Ada", self.all.now))

    # --- kills and lies ---

    @rule()
    def kill_everybody(self) -> None:
        for side in (self.all.run, *self.all.seats.values()):
            side.kill()

    @rule(
        site=st.sampled_from((*SITES, "a stranger")),
        type_=st.sampled_from(["ready", "update", "trouble"]),
        step=st.integers(0, 3),
        round_=st.integers(0, 9),
        often=st.integers(0, 3),
    )
    def somebody_lies_to_the_coordinator(
        self, site: str, type_: str, step: int, round_: int, often: int
    ) -> None:
        if often == 0:
            self.all.liars.add(site)
            self.all.deprived.add(site)  # its own part is its own affair
            self.all.line.append(
                Post(type_, site, "", step, round_, ("late" if type_ != "update" else "lie",))
            )

    def teardown(self) -> None:
        if hasattr(self, "all"):
            self.all.settle()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=200, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_history_without_faults_succeeds_everywhere() -> None:
    everybody = Consortium(SITES, 3, 4)
    everybody.settle()
    assert everybody.coordinator.state == SUCCEEDED
    assert {side.machine.state for side in everybody.seats.values()} == {SUCCEEDED}
    assert sorted(everybody.coordinator.results) == [1, 2, 3]


def test_a_coordinator_that_never_answers_is_given_up_by_every_hospital() -> None:
    everybody = Consortium(SITES, 1, 4)
    for post in list(everybody.line):
        everybody.deliver(post)
    everybody.line.clear()
    everybody.deprived |= set(SITES)
    everybody.tick(2 * PREPARE)
    assert {side.machine.reason for side in everybody.seats.values()} == {"coordinator_lost"}

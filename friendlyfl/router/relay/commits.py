"""Group commit: one thread writes, and posts that arrive while one is being synced share the next sync.

A `Job` is what one request does to the database, in two halves:

    check(tx)   reads and refuses; of its own it writes nothing but what must last even when it refuses (the nonce)
    apply(tx)   writes; runs when the mailboxes it named are locked

All jobs waiting at one moment form one transaction: every check, then the mailboxes of all of them locked **in
order of site**, then every apply, then one commit. Locked in one order everywhere, two workers on PostgreSQL
cannot wait for each other, and positions commit in the order in which they are given.

A refusal ends its own job only. Anything unexpected undoes the transaction, and its jobs are done again one by
one, so that one bad job cannot take its neighbours along. A job must therefore keep nothing of a first try.

Answers are given after the commit and never before; readers are woken in the same moment.

What does not live here: what jobs do; SQL (database); who waits for post (bell).
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.faults import faultpoint
from friendlyfl.router.relay.bell import Bell
from friendlyfl.router.relay.database import Database, Engine
from friendlyfl.router.relay.errors import busy, unexpected

GROUP = 128  # most jobs in one transaction
SEEN_EVERY = 10.0  # seconds between two updates of a site's last_seen
QUEUE = 1024  # most jobs waiting; beyond that the askers are told to come back


class Transaction(Database):
    """The database within one group: adds the mailboxes it holds and the bells to ring once it is committed."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.rung: set[str] = set()
        self._last: dict[int, int] = {}
        self._touched: set[int] = set()
        self._seen: dict[int, int] = {}
        self._noted: dict[int, float] = {}

    def start(self, *, durable: bool) -> None:
        self.rung, self._last, self._touched, self._seen = set(), {}, set(), {}
        self.begin(durable=durable)

    def lock(self, sites: Sequence[int]) -> None:
        """Lock these sites' mailboxes in order of site; later calls in one transaction may only repeat them."""
        found = self.all(
            "SELECT site_id, last FROM ffl_mailbox WHERE site_id IN (?*) ORDER BY site_id FOR UPDATE",
            sorted(sites),
        )
        self._last.update({int(site): int(last) for site, last in found})

    def next_position(self, site: int, uid: str) -> int:
        """The next position of a locked mailbox; its bell is rung after the commit."""
        self._last[site] += 1
        self._touched.add(site)
        self.rung.add(uid)
        return self._last[site]

    def see(self, site: int, created: int) -> None:
        """A site has asked, by its own clock at `created`. Written down at most once in SEEN_EVERY seconds."""
        now = time.monotonic()
        if now - self._noted.get(site, -SEEN_EVERY) >= SEEN_EVERY:
            self._noted[site] = now
            self._seen[site] = created

    def finish(self) -> None:
        """Write the positions given and who was seen, tell the other workers, commit."""
        if self._seen:
            self._write_seen()
        if self._touched:
            self.many(
                "UPDATE ffl_mailbox SET last = ? WHERE site_id = ?",
                [(self._last[site], site) for site in sorted(self._touched)],
            )
        if self.rung and self.engine.postgres:
            self.many("SELECT pg_notify('ffl_inbox', ?)", [(uid,) for uid in sorted(self.rung)])
        faultpoint("relay.before-commit")
        self.commit()
        faultpoint("relay.after-commit")

    def _write_seen(self) -> None:
        now = datetime.now(UTC)
        rows = [
            (self.engine.time(now), created - int(now.timestamp()), site)
            for site, created in sorted(self._seen.items())
        ]
        self.many("UPDATE ffl_site SET last_seen = ?, clock_skew = ? WHERE id = ?", rows)


class Job:
    """One request's work. `durable` is False only where a lost commit could do no harm; see admission.py."""

    durable = True

    def check(self, tx: Transaction) -> None:
        """Read and refuse."""

    def mailboxes(self) -> Sequence[int]:
        """Sites whose mailboxes `apply` needs locked; asked after `check`."""
        return ()

    def apply(self, tx: Transaction) -> Any:
        """Write, and say what the asker is told."""
        return None


class Waiting(NamedTuple):
    """Who is told what became of a job."""

    work: Any
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Outcome(NamedTuple):
    """What became of it: a value, or the refusal to raise."""

    waiting: Waiting
    value: Any
    error: FriendlyError | None


class Worker:
    """A thread with a queue. Started by the first work, so that a forked or imported process has none."""

    name = "relay"

    def __init__(self) -> None:
        self._queue: queue.Queue[Waiting | None] = queue.Queue(QUEUE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def do(self, work: Any) -> Any:
        """Hand work over and wait for what becomes of it."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(work, loop, loop.create_future())
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                raise busy() from None
        return await waiting.future

    def stop(self) -> None:
        """Finish what was handed over, then end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while (first := self._queue.get()) is not None:
                group, last = self._gather(first)
                tell(self.handle(group))
                if last:
                    return
        finally:
            self.end()

    def _gather(self, first: Waiting) -> tuple[list[Waiting], bool]:
        group = [first]
        while len(group) < GROUP:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
        return group, False

    def handle(self, group: list[Waiting]) -> list[Outcome]:
        """Do the work of one group."""
        raise NotImplementedError

    def end(self) -> None:
        """The thread ends."""


class Writer(Worker):
    """The one thread that writes."""

    name = "relay-writer"

    def __init__(self, engine: Engine, bell: Bell) -> None:
        super().__init__()
        self._tx = Transaction(engine)
        self._bell = bell

    def handle(self, group: list[Waiting]) -> list[Outcome]:
        tx = self._tx
        try:
            tx.start(durable=any(waiting.work.durable for waiting in group))
        except (
            Exception
        ) as error:  # the database does not even begin: nobody is helped by asking again one by one
            tx.roll_back()
            unexpected(error, "beginning a transaction")
            return [Outcome(waiting, None, busy()) for waiting in group]
        try:
            outcomes = _transact(tx, group)
            tx.finish()
        except Exception as error:
            tx.roll_back()
            if len(group) > 1:
                return [outcome for waiting in group for outcome in self.handle([waiting])]
            return [Outcome(group[0], None, unexpected(error, type(group[0].work).__name__))]
        self._bell.ring(tx.rung)
        return outcomes

    def end(self) -> None:
        self._tx.close()


class Reader(Worker):
    """A thread with a connection of its own, so that a look into a mailbox waits for no sync.

    Work is a function of the database that writes nothing.
    """

    name = "relay-reader"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._database = Database(engine)

    def handle(self, group: list[Waiting]) -> list[Outcome]:
        return [self._one(waiting) for waiting in group]

    def _one(self, waiting: Waiting) -> Outcome:
        work: Callable[[Database], Any] = waiting.work
        try:
            return Outcome(waiting, work(self._database), None)
        except FriendlyError as refusal:
            return Outcome(waiting, None, refusal)
        except Exception as error:
            self._database.close()
            return Outcome(waiting, None, unexpected(error, "reading"))

    def end(self) -> None:
        self._database.close()


def _transact(tx: Transaction, group: list[Waiting]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    passed: list[Waiting] = []
    for waiting in group:
        try:
            waiting.work.check(tx)
        except FriendlyError as refusal:
            outcomes.append(Outcome(waiting, None, refusal))
        else:
            passed.append(waiting)
    sites = {site for waiting in passed for site in waiting.work.mailboxes()}
    if sites:
        tx.lock(sorted(sites))
    for waiting in passed:
        try:
            outcomes.append(Outcome(waiting, waiting.work.apply(tx), None))
        except FriendlyError as refusal:
            outcomes.append(Outcome(waiting, None, refusal))
    return outcomes


def tell(outcomes: list[Outcome]) -> None:
    """Give every asker its outcome, with one wake-up per event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        loops.setdefault(outcome.waiting.loop, []).append(outcome)
    for loop, theirs in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:
            continue  # that loop is closed; its askers have gone with it


def _settle(outcomes: list[Outcome]) -> None:
    for waiting, value, error in outcomes:
        if waiting.future.done():
            continue  # the asker has given up
        if error is not None:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(value)

"""Group commit: one thread writes, and posts that arrive while one is being synced share the next sync.

All jobs waiting at one moment form one transaction: they are prepared together (admission), then every check, then
the mailboxes of all of them are locked **in order of site**, then every apply, then one commit. Locked in one order
everywhere, two workers on PostgreSQL cannot wait for each other, and positions commit in the order in which they are
given.

A refusal ends its own job only. Anything unexpected undoes the transaction, and its jobs are done again one by
one, so that one bad job cannot take its neighbours along. A job must therefore keep nothing of a first try.

Answers are given after the commit and never before; readers are woken in the same moment.

What does not live here: what jobs do; what a transaction gathers (transaction); SQL (database); who waits for post
(bell).
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from friendlyfl.core.errors import FriendlyError
from friendlyfl.router.relay.bell import Bell
from friendlyfl.router.relay.database import Database, Engine
from friendlyfl.router.relay.errors import busy, unexpected
from friendlyfl.router.relay.transaction import Job, Transaction

Prepare = Callable[[Transaction, list[Job]], None]

GROUP = 128  # most jobs in one transaction
QUEUE = 1024  # most jobs waiting; beyond that the askers are told to come back


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

    def __init__(self, engine: Engine, bell: Bell, prepare: Prepare | None = None) -> None:
        super().__init__()
        self._tx = Transaction(engine)
        self._bell = bell
        self._prepare = prepare

    def handle(self, group: list[Waiting]) -> list[Outcome]:
        tx = self._tx
        try:
            tx.start(durable=any(waiting.work.durable for waiting in group))
        except Exception as error:
            # The database does not even begin: nobody is helped by asking it again for each.
            tx.roll_back()
            unexpected(error, "beginning a transaction")
            return [Outcome(waiting, None, busy()) for waiting in group]
        try:
            if self._prepare is not None:
                self._prepare(tx, [waiting.work for waiting in group])
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

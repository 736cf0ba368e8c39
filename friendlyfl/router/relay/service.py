"""The relay's parts, put together once for a process: database threads, bell, store, limiter, admission.

Everything starts with the first request that needs it, so importing the application opens nothing. On PostgreSQL
one more thread listens for posts that other workers accepted.

What does not live here: routes (app).
"""

import contextlib
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from friendlyfl.router.relay.accept import mark_repeats
from friendlyfl.router.relay.admission import Admission, admit
from friendlyfl.router.relay.bell import Bell
from friendlyfl.router.relay.commits import Reader, Writer
from friendlyfl.router.relay.database import Engine, engine_from
from friendlyfl.router.relay.errors import log
from friendlyfl.router.relay.limiter import Limiter
from friendlyfl.router.relay.store import DirectoryStore
from friendlyfl.router.relay.transaction import Job, Transaction

LISTEN_AGAIN = (
    2.0  # seconds between tries to listen; meanwhile polls find their post when they look by themselves
)


def configured_engine() -> Engine:
    """The engine of Django's default database."""
    from django.db import connections

    return engine_from(connections["default"].settings_dict)


def configured_store() -> DirectoryStore:
    """The store that PAYLOAD_STORE names."""
    from django.conf import settings

    return DirectoryStore(Path(settings.PAYLOAD_STORE.removeprefix("dir:")))


def prepare(tx: Transaction, jobs: list[Job]) -> None:
    """What is asked once for a whole group: who may, and what was accepted before."""
    admit(tx, jobs)
    mark_repeats(tx, jobs)


class Service:
    """What the routes work with."""

    def __init__(
        self,
        engine: Callable[[], Engine] = configured_engine,
        store: Callable[[], DirectoryStore] = configured_store,
        limiter: Limiter | None = None,
    ) -> None:
        self._engine, self._store = engine, store
        self.bell = Bell()
        self.limiter = limiter or Limiter()

    @cached_property
    def engine(self) -> Engine:
        return self._engine()

    @cached_property
    def store(self) -> DirectoryStore:
        return self._store()

    @cached_property
    def writer(self) -> Writer:
        self._listen()
        return Writer(self.engine, self.bell, prepare)

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.engine)

    @cached_property
    def admission(self) -> Admission:
        return Admission(self.reader, self.limiter)

    def hang_up(self) -> None:
        """Answer all waiting polls at once. For a server that is about to stop: it waits for its answers."""
        self.bell.close()

    def close(self) -> None:
        """End the threads; a later request starts anew."""
        self.hang_up()
        if "listener" in self.__dict__:
            self.__dict__.pop("listener").stop()
        for name in ("writer", "reader"):
            if name in self.__dict__:
                self.__dict__.pop(name).stop()
        for name in ("admission", "engine", "store"):
            self.__dict__.pop(name, None)
        self.bell.open()

    def _listen(self) -> None:
        if self.engine.postgres:
            self.__dict__["listener"] = Listener(self.engine, self.bell)


class Listener:
    """Hears on PostgreSQL of post that another worker accepted, over one connection."""

    def __init__(self, engine: Engine, bell: Bell) -> None:
        self._engine, self._bell = engine, bell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay-listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread: it hears the empty notice, or looks up by itself."""
        self._stopped.set()
        with contextlib.suppress(Exception), contextlib.closing(self._engine.connect()) as connection:
            connection.execute("SELECT pg_notify('ffl_inbox', '')")
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._hear()
            except Exception as error:
                log.warning("listening for post failed: %s; trying again", type(error).__name__)
                self._stopped.wait(LISTEN_AGAIN)

    def _hear(self) -> None:
        connection: Any = self._engine.connect()
        try:
            connection.execute("LISTEN ffl_inbox")
            while not self._stopped.is_set():
                for notice in connection.notifies(timeout=LISTEN_AGAIN):
                    self._bell.ring((notice.payload,))
                    if self._stopped.is_set():
                        return
        finally:
            connection.close()

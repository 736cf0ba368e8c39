"""Work that takes longer than a page may: done once, in a thread of its own, and looked at by whoever asks.

What was found is kept in this process only; after a restart it is found again. Nothing of a run is done here: what may
leave or must survive a kill has its journal.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection

log = logging.getLogger("friendlyfl.beside")
KEPT = 64  # pieces of work that are done


@dataclass
class Work:
    """One piece of work. `answer` is None until it is done, and stays so if it broke."""

    began: float = field(default_factory=time.time)
    share: float = 0.0
    answer: Any = None
    done: bool = False
    ended: float = 0.0

    @property
    def broke(self) -> bool:
        return self.done and self.answer is None

    @property
    def percent(self) -> int:
        return int(self.share * 100)

    @property
    def ended_at(self) -> datetime:
        return datetime.fromtimestamp(self.ended, UTC)


class Beside:
    """Work of one kind, one piece after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._known: OrderedDict[str, Work] = OrderedDict()
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def seen(self, key: str) -> Work | None:
        with self._lock:
            return self._known.get(key)

    def ask(self, key: str, act: Callable[[Work], Any]) -> Work:
        """The work under this key; begun now unless it is known."""
        with self._lock:
            if key in self._known:
                return self._known[key]
            work = self._known[key] = Work()
            over = [old for old, other in self._known.items() if other.done]
            for old in over[: max(len(self._known) - KEPT, 0)]:
                del self._known[old]
        threading.Thread(target=self._do, args=(work, act), name=self.name, daemon=True).start()
        return work

    def again(self, key: str) -> None:
        """Forget what was found under this key; what is under way goes on."""
        with self._lock:
            if key in self._known and self._known[key].done:
                del self._known[key]

    def clear(self) -> None:
        with self._lock:
            self._known.clear()

    def _do(self, work: Work, act: Callable[[Work], Any]) -> None:
        try:
            with self._turn:
                work.answer = act(work)
        except Exception:
            log.exception("%s: a piece of work broke", self.name)
        finally:
            work.ended, work.done = time.time(), True
            connection.close()

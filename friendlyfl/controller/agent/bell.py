"""The bell: how a thread learns that there may be something to do, in this process or by another one's commit."""

import threading
import time

from django.db import connection

LISTEN_EVERY = 0.4  # seconds between looks at the database; threads of this process ring themselves


class Bell:
    """Rung after every commit that may concern another thread. Waiting threads look for themselves what it is."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0
        self.stopping = False

    def ring(self) -> None:
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def stop(self) -> None:
        """Ask every thread to finish what it has in hand and end."""
        self.stopping = True
        self.ring()

    def wait(self, heard: int, seconds: float) -> int:
        """Sleep until a ring after `heard`, a stop, or `seconds`. Returns what to pass as `heard` next time."""
        until = time.monotonic() + seconds
        with self._condition:
            while self._rings == heard and not self.stopping:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            return self._rings

    def listen(self) -> None:
        """Ring when another connection (the command line, the portal) has committed. Runs in a thread of its own."""
        seen = None
        while not self.stopping:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA data_version")
                version = cursor.fetchone()[0]
            if version != seen:
                seen = version
                self.ring()
            time.sleep(LISTEN_EVERY)

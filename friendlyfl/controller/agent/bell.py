"""The bell: how a thread learns that there may be something to do, in this process or by another one's commit.

It has a tone for each thing that is waited for, so that a State that came in does not wake who delivers: on a site that
works, every needless waking costs as much as a part of the round itself.
"""

import threading
import time

from django.db import connection

from friendlyfl.controller import awaited
from friendlyfl.controller.awaited import JOBS, POST

LISTEN_EVERY = 0.4  # seconds between looks at the database; threads of this process ring themselves


class Bell:
    """Rung after every commit that may concern another thread. Waiting threads look for themselves what it is."""

    def __init__(self) -> None:
        self._tones = {tone: threading.Condition() for tone in (POST, JOBS)}
        self._rings = dict.fromkeys(self._tones, 0)
        self.stopping = False

    def ring(self) -> None:
        """Wake those for whom this thread has written something since it last rang."""
        for tone in awaited.taken():
            self._ring(tone)

    def ring_all(self) -> None:
        """Wake everybody."""
        for tone in self._tones:
            self._ring(tone)

    def stop(self) -> None:
        """Ask every thread to finish what it has in hand and end."""
        self.stopping = True
        self.ring_all()

    def wait(self, tone: str, heard: int, seconds: float) -> int:
        """Sleep until a ring after `heard`, a stop, or `seconds`. Returns what to pass as `heard` next time."""
        until = time.monotonic() + seconds
        with self._tones[tone]:
            while self._rings[tone] == heard and not self.stopping:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._tones[tone].wait(left)
            return self._rings[tone]

    def _ring(self, tone: str) -> None:
        with self._tones[tone]:
            self._rings[tone] += 1
            self._tones[tone].notify_all()

    def listen(self) -> None:
        """Ring when another connection (the command line, the portal) has committed. Runs in a thread of its own."""
        seen = None
        while not self.stopping:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA data_version")
                version = cursor.fetchone()[0]
            if version != seen:
                seen = version
                self.ring_all()
            time.sleep(LISTEN_EVERY)

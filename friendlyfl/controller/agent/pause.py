"""Waiting after a failure, so that a broken line is tried patiently and never hammered."""

import random
import time

from friendlyfl.controller.agent.bell import Bell
from friendlyfl.core.errors import FriendlyError

FIRST, LONGEST = 1.0, 60.0  # seconds


class Pause:
    """1 s doubling to 60 s with jitter, or what the Routing Server asked for."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.seconds = 0.0

    def after(self, error: FriendlyError) -> None:
        """Sleep out the pause, whatever rings, unless the process stops."""
        self.seconds = min(max(FIRST, 2 * self.seconds), LONGEST)
        told = getattr(error, "retry_after", None)
        until = time.monotonic() + (told if told is not None else self.seconds * random.uniform(0.75, 1.25))  # noqa: S311
        while not self.bell.stopping and time.monotonic() < until:
            time.sleep(0.1)

    def over(self) -> None:
        self.seconds = 0.0

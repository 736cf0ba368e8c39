"""The agent as a whole: its threads, from start to stop."""

import logging
import shutil
import threading
import time
from collections.abc import Callable

from django.db import connection

from friendlyfl.controller import commands, here
from friendlyfl.controller.agent.beat import beat, live_runs
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.agent.collect import collect
from friendlyfl.controller.agent.deliver import deliver
from friendlyfl.controller.agent.work import work

log = logging.getLogger("friendlyfl.agent")
STOP_WITHIN, A_MOMENT = 1.0, 0.2  # seconds
DUTIES: tuple[Callable[[Bell], None], ...] = (collect, deliver, work, beat, Bell.listen)


class Agent:
    """Start it, stop it. Between the two, everything it knows is in the database."""

    def __init__(self) -> None:
        self.bell = Bell()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Carry on where the last process stopped: what it left half done is removed, live runs are noted, threads
        begin.
        """
        for half in here.home().sub("quarantine").iterdir():
            half.unlink()
        for folder in here.home().sub("work").iterdir():
            if not folder.name.startswith("check-"):  # a command may be looking at data just now
                shutil.rmtree(folder, ignore_errors=True)
        for run in live_runs():
            commands.log(run, "restarted", step=run.step, round_=run.round)
        for duty in DUTIES:
            # All but work, which has children to end, may sit in a call to the RS that nothing interrupts (a long
            # poll lasts 25 s): the process does not wait for it. Whatever is cut off is done again at the next start.
            thread = threading.Thread(
                target=_kept_alive, args=(duty, self.bell), name=duty.__name__, daemon=duty is not work
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the runners, and give every thread a moment for the transaction in hand."""
        self.bell.stop()
        until = time.monotonic() + STOP_WITHIN
        for thread in reversed(
            self._threads
        ):  # collect last: mostly it waits in a poll, with nothing in hand
            left = A_MOMENT if thread.name == collect.__name__ else max(until - time.monotonic(), A_MOMENT)
            thread.join(left if thread.daemon else None)


def _kept_alive(duty: Callable[[Bell], None], bell: Bell) -> None:
    """A duty that breaks is logged and begun again: a bug in one message must not silence the site."""
    while not bell.stopping:
        try:
            duty(bell)
        except Exception:
            log.exception("%s broke; it begins again", duty.__name__)
            time.sleep(1.0)
        finally:
            connection.close()

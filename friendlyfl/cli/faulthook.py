"""The fault hook of a process: FRIENDLYFL_FAULTPOINT=name:kill kills it at that faultpoint, the first time it comes by.

For tests of durability on real processes; without the variable nothing is installed.
"""

import os
import signal

from friendlyfl.core import faults


def install_from_environment() -> None:
    """Read FRIENDLYFL_FAULTPOINT, e.g. `feed.before_commit:kill` or `work.computed:kill:3` (the third time)."""
    wish = os.environ.get("FRIENDLYFL_FAULTPOINT", "")
    if not wish:
        return
    name, _, rest = wish.partition(":")
    act, _, count = rest.partition(":")
    if act != "kill":
        raise ValueError(f"FRIENDLYFL_FAULTPOINT knows only kill, not {act}")
    left = [int(count or "1")]

    def hook(passed: str) -> None:
        if passed == name:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    faults.install(hook)

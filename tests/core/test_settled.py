"""A process that stays leaves what start-up made out of its search for garbage."""

import subprocess
import sys


def test_what_start_up_made_is_left_alone_and_circles_are_still_found() -> None:
    code = (
        "import gc, weakref; from friendlyfl.core.settled import settle; settle();"
        "assert gc.get_freeze_count() > 1000 and gc.isenabled();"
        "made = type('Made', (), {});"
        "one = made(); one.itself = one; seen = weakref.ref(one); del one;"
        "many = [[] for _ in range(30_000)];"
        "assert seen() is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

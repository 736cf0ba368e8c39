"""How the Routing Server ends."""

import subprocess
import sys

STOPPED_AT_ONCE = """
import signal, sys
import uvicorn
from friendlyfl.router.serving import Server, uvicorn_options
server = Server(uvicorn.Config(**uvicorn_options("127.0.0.1", 0)))
server.handle_exit(signal.SIGTERM, None)
print(server.should_exit, "friendlyfl.router.relay.app" in sys.modules)
"""


def test_a_signal_in_the_middle_of_starting_loads_nothing_and_ends_it() -> None:
    """It may come while the relay is being loaded: asking for a part of it then finds half a module."""
    done = subprocess.run([sys.executable, "-c", STOPPED_AT_ONCE], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "False"], done.stderr

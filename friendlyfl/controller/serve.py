"""The Controller as one process: home locked, agent running, portal served, until a signal says stop."""

import threading
import time
from collections.abc import Callable

import uvicorn
from django.core.asgi import get_asgi_application

from friendlyfl.controller import here
from friendlyfl.controller.agent.agent import Agent


def serve(host: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. `ready` is called with the portal's address once it answers.

    Raises ConflictError when another process runs on this home.
    """
    with here.home().lock():
        agent = Agent()
        agent.start()
        config = uvicorn.Config(
            get_asgi_application(), host=host, port=port, log_config=None, lifespan="off", access_log=False
        )
        server = uvicorn.Server(config)
        announcer = threading.Thread(target=_announce, args=(server, ready), daemon=True)
        announcer.start()
        try:
            server.run()
        finally:
            agent.stop()


def _announce(server: uvicorn.Server, ready: Callable[[str], None]) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    ready(f"http://{host}:{port}/")

"""The Controller as one process: home locked, agent running, portal served, until a signal says stop."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from friendlyfl.controller.home import Home
from friendlyfl.controller.setup import begin, check_empty
from friendlyfl.core.errors import ConflictError
from friendlyfl.core.settled import settle

if TYPE_CHECKING:
    from friendlyfl.controller.models import Identity

STOP_WITHIN = 1  # seconds for pages that are being made when the process is told to stop


class Portal(uvicorn.Server):
    """uvicorn that says when it is ready, and leaves signals to `serve`, which has more to end than pages."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()


def serve(home: Home, host: str, port: int, *, ready: Callable[["Identity", str, str], None]) -> None:
    """Run until SIGTERM or SIGINT, and make the site first where there is none. `ready` is called with the site's row,
    the portal's address once it answers, and the one-time code for the first account, or "".

    Raises ConflictError when another process runs on this home, or when the port is taken.
    """
    if home.exists:
        home.check()
    else:
        check_empty(home)
        home.create()
    with home.lock(), _listen(host, port) as listener:
        # Cookies know no ports: two portals on one machine tell theirs apart by name, which the settings read here.
        os.environ["FRIENDLYFL_PORTAL_PORT"] = str(listener.getsockname()[1])
        code = begin(home)
        from django.conf import settings

        from friendlyfl.controller import here
        from friendlyfl.controller.agent.agent import Agent
        from friendlyfl.controller.portal import ahead
        from friendlyfl.controller.portal.uploads import application

        config = uvicorn.Config(
            application(),
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            # An address told in a header counts only behind a proxy of the hospital's, which writes it itself.
            proxy_headers=settings.PORTAL_TLS,
            timeout_graceful_shutdown=STOP_WITHIN,
        )
        row = here.identity()

        def answers() -> None:
            ready(row, _address(listener), code)
            ahead.begin()

        portal = Portal(config, answers)
        agent = Agent()
        with _signals(portal):
            settle()
            agent.start()
            try:
                portal.run(sockets=[listener])
            finally:
                agent.stop()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror):
            raise ConflictError("host_unknown", f"{host} is not an address of this machine.") from error
        raise ConflictError(
            "port_taken",
            f"The portal cannot listen at {host}, port {port} ({(error.strerror or str(error)).lower()}). "
            "Another Controller may run there; choose another port with --port, or --port 0 for any free one.",
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


@contextmanager
def _signals(portal: Portal) -> Iterator[None]:
    """The first signal ends pages and agent in order; a second one does not wait for pages."""

    def stop(number: int, frame: Any) -> None:
        portal.force_exit = portal.should_exit
        portal.should_exit = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""A `Router` whose Routing Server is a `MemoryHouse` in this process: no network, no signatures of requests.

    house = MemoryHouse(SeededFaults(7, {Mishap.REPEAT: 0.2}))
    north, south = MemoryRouter(house, site=a), MemoryRouter(house, site=b)

Everything but the network is `Router`'s own code, so what works here is asked in the same words there.
"""

import json
from collections.abc import Mapping
from io import BytesIO

from friendlyfl.client.exchange import JSON, OCTETS, Credential, Exchange
from friendlyfl.client.house import WHERE, MemoryHouse
from friendlyfl.client.router import Router
from friendlyfl.client.transport import Answer


class _MemoryAnswer:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = BytesIO(body)

    def read(self, size: int) -> bytes:
        return self._body.read(size)

    def close(self) -> None:
        self._body.close()


class _MemoryTransport:
    where, authority, port = WHERE, WHERE, 0

    def __init__(self, house: MemoryHouse, site: str) -> None:
        self._house, self._site = house, site

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        wait: float = 0.0,
        patience: float = 0.0,
    ) -> Answer:
        status, raw = self._house.ask(self._site, method, target, body, dict(headers), wait)
        if method == "HEAD" and status == 204:
            return _MemoryAnswer(status, json.loads(raw), b"")
        path = target.partition("?")[0].rstrip("/")
        media = OCTETS if status == 200 and path.endswith("/payload") else JSON
        return _MemoryAnswer(status, {"content-type": media, "content-length": str(len(raw))}, raw)

    def close(self) -> None:
        return None


class _Believed(Exchange):
    """Asks without a signature: the house knows who asks from whose router it is."""

    def _credential(
        self, credential: Credential, method: str, path: str, query: str, body: bytes
    ) -> Mapping[str, str]:
        return {"ffl-lease": str(self.lease)}


class MemoryRouter(Router):
    """The router of one site of a `MemoryHouse`."""

    def __init__(self, house: MemoryHouse, *, site: str) -> None:
        self.address = f"https://{WHERE}"
        self.site = site
        self._exchange = _Believed(_MemoryTransport(house, site), None)

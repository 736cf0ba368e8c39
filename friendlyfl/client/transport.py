"""One request over the network, with time-outs that end it and words for each way it can fail.

The only module that touches the HTTP library. It knows nothing of JSON, signatures or resources (`router`).

Time-outs: 10 s to connect; then whatever moves bytes may go on for as long as 1 KiB moves in 20 s, in both
directions, so a 64 kbit/s line works and a half-open one is given up.
"""

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ProxySchemeUnknown,
    ReadTimeoutError,
    SSLError,
)

from friendlyfl.client.address import Address
from friendlyfl.client.problems import unreachable
from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError, UnreachableError

CONNECT, READ, POLL_GRACE = 10.0, 20.0, 15.0
UPLOAD_READ = 60.0  # bytes handed to the kernel may still be on a slow line when we start to wait
_PIECE = 64 * limits.KIB
_SENT_AT_ONCE = 16 * limits.KIB
_UNSENT = 128 * limits.KIB


class Answer(Protocol):
    """Status and headers (lower-case names) at once; the body as it comes. Close it if it is not read up."""

    status: int
    headers: Mapping[str, str]

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b"" at the end. Raises UnreachableError when the line breaks."""

    def close(self) -> None: ...


class Transport(Protocol):
    where: str  # as shown to a person
    authority: str  # as signed
    port: int

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
        """`wait`: the router may hold its answer back for so many seconds (a long poll).

        `patience`: so many seconds more may pass because the router has much to do first.
        """

    def close(self) -> None: ...


class HttpTransport:
    """Keep-alive connections to one address; a waiting poll never takes one from the other calls."""

    def __init__(self, address: Address, *, ca_file: Path | str | None = None) -> None:
        self.where, self.authority, self.port = address.authority, address.authority, address.port
        self._calls = _pool(address, ca_file, 8)
        self._polls = _pool(address, ca_file, limits.POLLS_PER_SITE)

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
        large = len(body) > _SENT_AT_ONCE
        read = patience + (wait + POLL_GRACE if wait else UPLOAD_READ if large else READ)
        pool = self._polls if wait else self._calls
        head = {**headers, "host": self.authority, "accept-encoding": "identity"}
        if body or method not in ("GET", "HEAD"):
            head["content-length"] = str(len(body))
        try:
            answer = pool.urlopen(
                method,
                target,
                body=_slices(body) if large else body or None,
                headers=head,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=CONNECT, read=read),
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            raise self._words(error) from error
        return _HttpAnswer(answer, self)

    def close(self) -> None:
        self._calls.close()
        self._polls.close()

    def _words(self, error: BaseException) -> UnreachableError:
        code, detail = _diagnose(error)
        return unreachable(code, self.where, self.port, detail)


class _HttpAnswer:
    def __init__(self, answer: urllib3.BaseHTTPResponse, transport: HttpTransport) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
        self._answer = answer
        self._transport = transport
        self._since, self._in_window = time.monotonic(), 0

    def read(self, size: int) -> bytes:
        try:
            piece = self._answer.read1(min(size, _PIECE))
        except (HTTPError, OSError) as error:
            raise self._transport._words(error) from error
        if not piece:
            self._answer.release_conn()
            return b""
        self._pace(len(piece))
        return piece

    def close(self) -> None:
        self._answer.close()  # the rest of the body would stand before the next answer: drop the connection

    def _pace(self, came: int) -> None:
        """Give up a body that only dribbles: each byte resets the socket's own time-out."""
        now = time.monotonic()
        self._in_window += came
        if now - self._since < limits.BODY_STALL:
            return
        if self._in_window < limits.KIB:
            self.close()
            raise unreachable("timeout", self._transport.where, self._transport.port)
        self._since, self._in_window = now, 0


def _pool(address: Address, ca_file: Path | str | None, size: int) -> urllib3.HTTPConnectionPool:
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Without it megabytes wait in the kernel, and a slow line looks like a router that does not answer.
        options.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT))
    if address.scheme == "http":
        return urllib3.HTTPConnectionPool(address.host, address.port, maxsize=size, socket_options=options)
    manager = _manager(address, maxsize=size, socket_options=options, ssl_context=_trust(ca_file))
    return manager.connection_from_host(address.host, address.port, "https")


def _manager(address: Address, **options: Any) -> urllib3.PoolManager:
    """The straight way, or through the hospital's proxy, which passes on what it cannot read: TLS reaches from here to
    the Routing Server."""
    proxy = proxy_for(address.host, address.port)
    if proxy is None:
        return urllib3.PoolManager(**options)
    try:
        return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
    except (LocationParseError, ProxySchemeUnknown) as error:
        raise _no_proxy() from error


@dataclass(frozen=True)
class Proxy:
    """The hospital's proxy, as HTTPS_PROXY names it. `headers` sign in to it."""

    url: str
    scheme: str
    host: str
    port: int
    headers: dict[str, str] = field(repr=False)


def proxy_for(host: str, port: int) -> Proxy | None:
    """The proxy on the way to a host, as HTTPS_PROXY and NO_PROXY name it, None if there is none.

    Raises BrokenError if HTTPS_PROXY holds something else.
    """
    told = getproxies().get("https")
    if not told or proxy_bypass(f"{host}:{port}"):
        return None
    try:
        url = urllib3.util.parse_url(told if "://" in told else f"http://{told}")
    except LocationParseError as error:
        raise _no_proxy() from error
    if not url.host or url.scheme not in ("http", "https"):
        raise _no_proxy()
    head = urllib3.make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else {}
    standing = 443 if url.scheme == "https" else 80
    return Proxy(url._replace(auth=None).url, url.scheme, url.host, url.port or standing, dict(head))


def _no_proxy() -> BrokenError:
    return BrokenError(
        "proxy_address",
        "HTTPS_PROXY does not hold the address of a proxy, such as http://proxy.hospital.org:3128. Ask IT for it.",
    )


def _trust(ca_file: Path | str | None) -> ssl.SSLContext:
    """The system's trust store and the hospital's own CA file. There is no way to trust just anybody."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise BrokenError(
                "ca_file",
                f"The CA file {Path(ca_file).name} does not hold certificates (PEM); ask IT for it again.",
            ) from error
    return context


def _slices(body: bytes) -> Iterator[bytes]:
    """A socket's time-out covers one `sendall` as a whole, so what is sent at once must be small."""
    view = memoryview(body)
    for start in range(0, len(body), _SENT_AT_ONCE):
        yield view[start : start + _SENT_AT_ONCE]  # type: ignore[misc]  # sendall takes any buffer


def _diagnose(error: BaseException) -> tuple[str, str]:
    """Which of the ways in `problems` this is, and a detail for the person."""
    if isinstance(error, ProxyError):
        return _of_the_proxy(error.original_error)
    if isinstance(error, NameResolutionError):
        return "dns", ""
    if isinstance(error, NewConnectionError):
        cause = error.__cause__
        return ("refused" if isinstance(cause, ConnectionRefusedError) else "no_network"), ""
    if isinstance(error, ConnectTimeoutError):
        return "silent", ""
    if isinstance(error, ReadTimeoutError):
        return "timeout", ""
    inner = error.args[-1] if error.args else None
    if isinstance(error, SSLError | ssl.SSLError):
        bad = inner if isinstance(inner, ssl.SSLCertVerificationError) else error
        if isinstance(bad, ssl.SSLCertVerificationError):
            return "certificate", str(bad.verify_message)[:120]
        return ("cut" if isinstance(inner, ssl.SSLEOFError) else "tls"), ""
    if isinstance(error, ProtocolError) and isinstance(inner, TimeoutError):
        return "timeout", ""
    if isinstance(inner, HTTPException) and not isinstance(inner, ConnectionError):
        return ("cut" if isinstance(inner, IncompleteRead) else "not_http"), ""
    return "cut", ""


def _of_the_proxy(error: BaseException) -> tuple[str, str]:
    """A proxy that is not there, or one that is and does not open the way: it answers CONNECT with its own status."""
    refusal = re.search(r"Tunnel connection failed: (\d{3})", str(error))
    if refusal is None:
        return "proxy_silent", ""
    return ("proxy_login" if refusal[1] == "407" else "proxy_refused"), refusal[1]

"""Where a Routing Server is: what a person types, made one thing that can be called and signed.

No network here. `wire.invitation` hashes the same normal form (`Address.url`).
"""

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from friendlyfl.core.errors import UsageError

PREFIX = "/friendlyfl/api/v1/"
_PORTS = {"http": 80, "https": 443}


class _Parts(NamedTuple):
    scheme: str
    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Address:
    scheme: str
    host: str  # lower case, ASCII (IDNA); an IPv6 address without its brackets
    port: int

    @property
    def authority(self) -> str:
        """What stands in the Host header and what a request signature covers: the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_address(text: str, *, plain_inside: bool = False) -> Address:
    """`fl.example.org`, `fl.example.org:8443`, `https://...`; `http://` only where nobody can listen in.

    `plain_inside` is the site's own setting for a router reached in plain text inside one machine, such as
    two containers of one compose file.
    """
    parts = _split(text)
    address = Address(parts.scheme, parts.host, parts.port or _PORTS[parts.scheme])
    if address.scheme == "http" and not (address.loopback or plain_inside):
        raise UsageError(
            "plain_http",
            f"The address {address.url} would send everything unprotected; write https:// in front of it.",
        )
    return address


def _split(text: str) -> _Parts:
    typed = text.strip()
    whole = typed if "://" in typed else f"https://{typed}"
    try:
        split = urlsplit(whole)
        host, port = split.hostname or "", split.port
    except ValueError:
        raise _unclear(text) from None
    if split.scheme not in _PORTS or "@" in split.netloc or split.query or split.fragment:
        raise _unclear(text)
    # People paste the page they have open, so the API's own path is welcome; any other path is a mistake.
    if split.path.rstrip("/") not in ("", PREFIX.rstrip("/")):
        raise _unclear(text)
    return _Parts(split.scheme, _ascii_host(host, text), port)


def _ascii_host(host: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _unclear(text) from None
    if not name or not all(c.isascii() and (c.isalnum() or c in "-._") for c in name):
        raise _unclear(text)
    return name


def _unclear(text: str) -> UsageError:
    shown = "".join(c for c in text.strip()[:80] if c.isprintable())
    named = "This" if "@" in shown or not shown else f'"{shown}"'  # what stands before @ may be a password
    return UsageError(
        "router_address",
        f"{named} is not an address of a Routing Server; write it like https://fl.example.org",
    )

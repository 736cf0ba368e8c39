"""Carriers: how a word leaves this machine, as an e-mail or as a POST to a webhook. No records and no Django here.

Every step has a time-out and the whole has one; certificates are verified; no redirect is followed; of an answer only
its status counts. What went wrong becomes a sentence of ours, never the other side's text, and no secret is in it.
"""

import contextlib
import http.client
import json
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from friendlyfl.client.address import is_loopback
from friendlyfl.client.transport import Proxy, proxy_for
from friendlyfl.core.errors import FriendlyError

STARTTLS, TLS, PLAIN = "starttls", "tls", "plain"
A_STEP, ALTOGETHER = 5.0, 30.0  # seconds
TO_ACCEPT = 20.0  # seconds; for a mail server that looks at a message first
SUBJECT = "FriendlyFL: something waits in the inbox"
LATER = "It is tried again later."


class NotSaidError(Exception):
    """The word did not go, or, if `maybe`, nobody can know. `str(error)` is the sentence for the hospital's people."""

    def __init__(self, sentence: str, *, maybe: bool = False) -> None:
        super().__init__(sentence)
        self.maybe = maybe


@dataclass(frozen=True)
class Saying:
    """All that is ever said: that something waits, where, and the inbox's address. No field for anything else."""

    site: str
    project: str
    link: str
    test: bool = False

    @property
    def words(self) -> str:
        site, project = _one_line(self.site) or "this hospital", _one_line(self.project)
        if self.test:
            return f"This is a test from FriendlyFL at {site}. Nothing waits because of it."
        return f"Something of the project “{project}” waits in the FriendlyFL inbox at {site}."


def _one_line(text: str) -> str:
    """A name may come from another hospital: it cannot begin a line, and shows no sign that is not printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


# --- e-mail ---


@dataclass(frozen=True)
class MailServer:
    host: str
    port: int
    security: str  # STARTTLS, TLS, or PLAIN on this machine
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""


def by_mail(saying: Saying, to: list[str], sender: str, server: MailServer) -> str:
    """Send one e-mail to all of them. Returns "" or a sentence about those it did not go to.

    Raises NotSaidError.
    """
    message = _message(saying, to, sender)
    with _signed_in(server) as line:
        if line.mail(sender)[0] != 250:
            raise NotSaidError(f"{server.host} does not send for {sender}. Check the sender's address.")
        refused = [one for one in to if line.rcpt(one)[0] not in (250, 251)]
        if len(refused) == len(to):
            raise NotSaidError(f"{server.host} takes no e-mail for {', '.join(to)}. Check the addresses.")
        _handed_over(line, message, server.host)
    return f"{server.host} takes no e-mail for {', '.join(refused)}." if refused else ""


def reach_mail(server: MailServer) -> None:
    """Call the mail server and sign in, as for an e-mail, and say nothing.

    Raises NotSaidError.
    """
    with _signed_in(server) as line:
        line.quit()


@contextlib.contextmanager
def _signed_in(server: MailServer) -> Iterator[smtplib.SMTP]:
    with _told(server.host, server.port):
        line = _connected(server)
        with contextlib.closing(line):
            line.ehlo()
            if server.security == STARTTLS:
                line.starttls(context=trust(server.ca_file))
                line.ehlo()
            if server.user:
                line.login(server.user, server.password)
            yield line


def _message(saying: Saying, to: list[str], sender: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = SUBJECT
    message["From"], message["To"] = sender, ", ".join(to)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # so that no absence note answers it
    message.set_content("\n\n".join(part for part in (saying.words, saying.link) if part) + "\n")
    return message.as_bytes(policy=SMTP)


class _Line(smtplib.SMTP):
    """A line to a mail server that is cut after a while, whatever the server does."""

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        self._clock = threading.Timer(ALTOGETHER, lambda: _cut(self.sock))
        self._clock.daemon = True
        self._clock.start()
        return super().connect(host, port, source_address)

    def close(self) -> None:
        self._clock.cancel()
        super().close()


class _LineInTLS(_Line, smtplib.SMTP_SSL):
    """The same, in TLS from its first byte."""


def _connected(server: MailServer) -> smtplib.SMTP:
    # An address literal greets: the machine's own name is nobody's business, and looking it up takes time.
    given: dict[str, Any] = {"local_hostname": "[127.0.0.1]", "timeout": A_STEP}
    if server.security == TLS:
        return _LineInTLS(server.host, server.port, context=trust(server.ca_file), **given)
    if server.security == PLAIN and not is_loopback(server.host):
        raise NotSaidError("Without TLS an e-mail goes to a mail server on this machine only.")
    return _Line(server.host, server.port, **given)


def _handed_over(line: smtplib.SMTP, message: bytes, host: str) -> None:
    """Hand over the message. Once that has begun, a broken line leaves open whether it was taken."""
    if line.sock is not None:
        line.sock.settimeout(TO_ACCEPT)
    try:
        code, _ = line.data(message)
    except smtplib.SMTPDataError:  # before the message's first byte
        raise
    except (OSError, ValueError, smtplib.SMTPException) as error:
        said = f"{host} did not say whether it took the e-mail. It is not sent twice."
        raise NotSaidError(said, maybe=True) from error
    if code != 250:
        raise NotSaidError(f"{host} did not take the e-mail (its answer was {code}). {LATER}")
    with contextlib.suppress(OSError, smtplib.SMTPException):
        line.quit()


# --- webhook ---


def webhook_host(address: str) -> str:
    """The host of a webhook's address as people type it, "" if it is none that may be called."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    plain = not address.isascii() or any(sign.isspace() or not sign.isprintable() for sign in address)
    if plain or not host or parts.username is not None or parts.fragment:
        return ""
    return host if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)) else ""


def by_webhook(saying: Saying, address: str, ca_file: str = "") -> None:
    """POST the word as JSON: `what`, `site`, `project`, `words`, `link`.

    Raises NotSaidError unless the answer is a 2xx.
    """
    with _called(address, ca_file) as line:
        parts = urlsplit(address)
        host = parts.hostname or ""
        status = _posted(line, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), saying, host)
    if 300 <= status < 400:
        raise NotSaidError(f"{host} sends the webhook on to another address. Enter that one instead.")
    if not 200 <= status < 300:
        raise NotSaidError(f"{host} did not take the webhook's call (its answer was {status}). {LATER}")


def reach_webhook(address: str, ca_file: str = "") -> None:
    """Call the webhook's host, as for a word, and say nothing.

    Raises NotSaidError.
    """
    with _called(address, ca_file):
        pass


@contextlib.contextmanager
def _called(address: str, ca_file: str) -> Iterator[http.client.HTTPConnection]:
    """A line to the webhook's host that is cut after a while: straight, or through the hospital's proxy, which passes
    on what it cannot read."""
    host = webhook_host(address)
    if not host:
        raise NotSaidError("The webhook's address cannot be used. Enter it again.")
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    proxy = _proxy(host, port) if parts.scheme == "https" else None
    there = (proxy.host, proxy.port) if proxy else (host, port)
    line: http.client.HTTPConnection
    if parts.scheme == "https":
        line = http.client.HTTPSConnection(*there, timeout=A_STEP, context=trust(ca_file))
    else:
        line = http.client.HTTPConnection(*there, timeout=A_STEP)
    if proxy:
        line.set_tunnel(host, port, proxy.headers)
    clock = threading.Timer(ALTOGETHER, lambda: _cut(line.sock))
    clock.daemon = True
    clock.start()
    try:
        with _told(host, port):
            with _through(proxy, host):
                line.connect()
            yield line
    finally:
        clock.cancel()
        line.close()


def _proxy(host: str, port: int) -> Proxy | None:
    try:
        proxy = proxy_for(host, port)
    except FriendlyError as error:
        raise NotSaidError(error.message) from error
    if proxy and proxy.scheme != "http":
        raise NotSaidError("HTTPS_PROXY must begin with http:// for a webhook to be called. Ask IT.")
    return proxy


@contextlib.contextmanager
def _through(proxy: Proxy | None, host: str) -> Iterator[None]:
    """Tell what the proxy does from what the webhook's host does: TLS is the host's, the way there is the proxy's."""
    try:
        yield
    except OSError as error:
        if proxy is None or isinstance(error, ssl.SSLError):
            raise
        refusal = re.search(r"Tunnel connection failed: (\d{3})", str(error))
        if refusal is None:
            said = f"The hospital's proxy {proxy.host} does not answer on port {proxy.port}. Ask IT."
        elif refusal[1] == "407":
            said = f"The hospital's proxy {proxy.host} wants another user name and password in HTTPS_PROXY. Ask IT."
        else:
            said = (
                f"The hospital's proxy {proxy.host} does not open the way to {host} ({refusal[1]}). Ask IT."
            )
        raise NotSaidError(said) from error


def _posted(line: http.client.HTTPConnection, path: str, saying: Saying, host: str) -> int:
    body = {
        "what": "test" if saying.test else "inbox",
        "site": _one_line(saying.site),
        "project": _one_line(saying.project),
        "words": saying.words,
        "link": saying.link,
    }
    raw = json.dumps(body).encode()
    try:
        line.request("POST", path, raw, {"Content-Type": "application/json", "User-Agent": "FriendlyFL"})
        return line.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = f"{host} did not say whether it took the webhook's call. It is not sent twice."
        raise NotSaidError(said, maybe=True) from error


# --- both ---


def trust(ca_file: str) -> ssl.SSLContext:
    """The system's trust store, and the hospital's own CA if the connection page names one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            said = f"The CA file {Path(ca_file).name} does not hold certificates (PEM); ask IT for it again."
            raise NotSaidError(said) from error
    return context


def _cut(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError, ValueError):
            sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _told(host: str, port: int) -> Iterator[None]:
    """Turn what breaks on the way into a sentence that says what to look at."""
    silent = f"{host} did not answer on port {port} in time. Ask IT whether the way there is open."
    try:
        yield
    except socket.gaierror as error:
        raise NotSaidError(f"Nobody knows a machine called {host}. Check the name.") from error
    except TimeoutError as error:
        raise NotSaidError(silent) from error
    except ConnectionRefusedError as error:
        raise NotSaidError(f"{host} takes no calls on port {port}. Check the name and the port.") from error
    except ssl.SSLCertVerificationError as error:
        said = f"This machine does not trust the certificate of {host}. Ask IT for the right name or the CA file."
        raise NotSaidError(said) from error
    except ssl.SSLError as error:
        said = f"{host} speaks no TLS on port {port} that this machine can use. Check the port and the kind of TLS."
        raise NotSaidError(said) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotSaidError(f"{host} offers no STARTTLS or no sign-in on port {port}. Ask IT.") from error
    except smtplib.SMTPAuthenticationError as error:
        raise NotSaidError(f"{host} did not accept the user name and password. Enter both again.") from error
    except smtplib.SMTPResponseException as error:
        raise NotSaidError(f"{host} refused (its answer was {error.smtp_code}). {LATER}") from error
    except (OSError, ValueError, smtplib.SMTPException, http.client.HTTPException) as error:
        slow = isinstance(error.__context__, TimeoutError)  # smtplib speaks of a broken line then
        raise NotSaidError(silent if slow else f"The line to {host}, port {port}, broke. {LATER}") from error

"""One signed question to the Routing Server and its answer, checked before anybody believes it.

Signs with the site's identity (`wire.requests`), follows the router's clock, refuses whatever is not the
router's own JSON. Which resources exist is `router`'s knowledge, the network is `transport`'s.

Every request may be repeated (the router knows records by uid and post by digest), so one that broke off on a
connection that had gone stale is sent once more at once; all other patience is the agent's.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

from friendlyfl import __version__
from friendlyfl.client.address import PREFIX
from friendlyfl.client.problems import BusyError, from_answer, proxy_answered, read_json
from friendlyfl.client.transport import Answer, Transport
from friendlyfl.core import limits
from friendlyfl.core.errors import ForbiddenError, FriendlyError, UnreachableError, UsageError
from friendlyfl.wire.keys import Identity
from friendlyfl.wire.requests import body_digest, sign_request

Credential = Literal["site", "enrolment", "none"]

LARGEST_ANSWER = 32 * limits.MIB
JSON, OCTETS = "application/json", "application/octet-stream"
_AGENT = f"friendlyfl/{__version__}"
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SIGN_AGAIN = frozenset({"stale_signature", "replayed_request"})


def path_of(*segments: str) -> str:
    """The path of a resource below the API's prefix; an id that could lead elsewhere never gets into one."""
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise UsageError("odd_id", f'"{quote(segment[:80])}" is not an id of the Routing Server.')
    return "/".join(segments) + "/"


class Exchange:
    """Asks one Routing Server on behalf of one site."""

    def __init__(
        self,
        transport: Transport,
        identity: Identity | None,
        enrolment: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.transport = transport
        self.identity = identity
        self.enrolment = enrolment
        self.lease = 0
        self.clock_offset = 0.0  # seconds the router's clock is ahead of ours
        self._clock = clock

    def json(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str | int] | None = None,
        wait: float = 0.0,
        patience: float = 0.0,
        credential: Credential = "site",
    ) -> Any:
        """The JSON object or list that the router answers; None where it answers with nothing."""
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if body is None else {"content-type": JSON}
        text = urlencode(query, quote_via=quote) if query else ""
        timing = {"wait": wait, "patience": patience}
        answer = self._ask(method, path, text, raw, headers, timing=timing, credential=credential)
        return self._json_of(answer)

    def octets(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Sends a piece of a blob. Not repeated here: the second one would no longer fit at its offset."""
        answer = self._ask(method, path, "", body, {**headers, "content-type": OCTETS}, repeat=False)
        return self._json_of(answer)

    def head(self, path: str) -> Mapping[str, str]:
        """The headers alone, names in lower case."""
        answer = self._ask("HEAD", path, "", b"", {})
        answer.close()
        return answer.headers

    def stream(self, path: str) -> Answer:
        """An answer whose body is a blob; the caller reads and closes it."""
        answer = self._ask("GET", path, "", b"", {})
        if answer.status != 200 or _media(answer) != OCTETS:
            answer.close()
            raise proxy_answered(self.transport.where)
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        query: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timing: Mapping[str, float] | None = None,
        credential: Credential = "site",
        repeat: bool = True,
    ) -> Answer:
        target = f"{PREFIX}{path}?{query}" if query else PREFIX + path
        sign_again = credential == "site"
        while True:
            head = {"user-agent": _AGENT, "accept": f"{JSON}, {OCTETS}", **headers}
            head.update(self._credential(credential, method, PREFIX + path, query, body))
            try:
                answer = self.transport.send(method, target, head, body, **(timing or {}))
            except UnreachableError as error:
                if error.code != "cut" or not repeat:
                    raise
                repeat = False
                continue
            if 200 <= answer.status < 300:
                return answer
            refusal, told = self._refusal(method, answer)
            if not sign_again or refusal.code not in _SIGN_AGAIN:
                raise refusal
            sign_again = False
            self._learn_clock(told)

    def _credential(
        self, credential: Credential, method: str, path: str, query: str, body: bytes
    ) -> Mapping[str, str]:
        if credential == "none":
            return {}
        if credential == "enrolment":
            if not self.enrolment:
                raise UsageError(
                    "no_enrolment", "A hospital enrols with a code from the router's administrator."
                )
            return {"authorization": f"Enrolment {self.enrolment}"}
        if self.identity is None:
            raise ForbiddenError("no_identity", "This needs the hospital's key; set up this site first.")
        return sign_request(
            self.identity,
            method=method,
            authority=self.transport.authority,
            path=path,
            query=query,
            body_sha256=body_digest(body),
            lease=self.lease,
            created=int(self._clock() + self.clock_offset),
        )

    def _refusal(self, method: str, answer: Answer) -> tuple[FriendlyError, Any]:
        if method == "HEAD":  # has no body that could say why; the next request with one will
            answer.close()
            return BusyError("no_reason_given", "The Routing Server did not answer; it is asked again."), None
        try:
            told = self._json_of(answer)
        except UnreachableError as error:
            if error.code != "proxy_answered":
                raise
            told = None  # the front door of a router that is down answers in HTML
        where, port = self.transport.where, self.transport.port
        return from_answer(answer.status, told, answer.headers, where, port), told

    def _json_of(self, answer: Answer) -> Any:
        if answer.status == 204:
            answer.close()
            return None
        try:
            if _media(answer) != JSON:
                raise ValueError("another media type")
            value = read_json(_whole(answer))
            if not isinstance(value, dict | list):
                raise ValueError("neither object nor list")
        except ValueError:
            raise proxy_answered(self.transport.where) from None
        finally:
            answer.close()
        return value

    def _learn_clock(self, told: Any) -> None:
        server_time = told.get("server_time") if isinstance(told, dict) else None
        if isinstance(server_time, str):
            try:
                theirs = datetime.fromisoformat(server_time).timestamp()
            except (ValueError, OverflowError):
                return
            self.clock_offset = theirs - self._clock()


def _media(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _whole(answer: Answer) -> bytes:
    parts, size = [], 0
    while piece := answer.read(64 * limits.KIB):
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise ValueError("larger than any answer of the router")
        parts.append(piece)
    return b"".join(parts)

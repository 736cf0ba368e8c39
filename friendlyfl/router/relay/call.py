"""One request on its way through the relay: credential, query, body, and one answer for whatever happens.

`Resource` is the ASGI end of a route: it finds the verb, calls its handler, turns refusals into answers and writes
the request's one log line. No path of it ends in a 500.

What does not live here: the handlers (app), reading bytes (body), who may what (admission and the jobs).
"""

import hashlib
import itertools
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from friendlyfl.core.errors import FriendlyError
from friendlyfl.router import credentials
from friendlyfl.router.logs import request_line
from friendlyfl.router.relay import body
from friendlyfl.router.relay.admission import Credential, Enter
from friendlyfl.router.relay.errors import HEAD, Disconnected, Refusal, answer, not_found, refuse, unexpected
from friendlyfl.router.relay.service import Service
from friendlyfl.router.relay.transaction import Job

LARGEST_NUMBER = 2**53 - 1
_ID = re.compile(r"[0-9a-f-]{36,64}")
_WORKER = uuid.uuid4().hex[:12]
_NUMBERS = itertools.count(1)
GONE = 499  # in the log only: the asker had hung up


class Call:
    """One request, and what its handler needs to answer it."""

    def __init__(self, service: Service, scope: Scope, receive: Receive) -> None:
        self.service = service
        self.request = Request(scope)
        self.headers = self.request.headers
        self.method: str = scope["method"]
        self.actor = "anonymous"
        self._waiting: Credential | None = None  # a signature that holds, before its site was admitted
        self._receive = receive
        self._read = not (body.declared_length(self.headers) or "transfer-encoding" in self.headers)

    async def identify(self) -> Credential:
        """The site that asks, by its signature."""
        credential = await self.service.admission.identify(self.request, self.method)
        self.actor = f"site:{credential.asker.uid}"
        self._waiting = credential
        return credential

    async def do(self, job: Job) -> Any:
        """A job in the writer's next transaction. The first one of a request is the one that admits its site."""
        self._waiting = None
        return await self.service.writer.do(job)

    async def in_order(self, error: FriendlyError) -> FriendlyError:
        """The refusal to speak. Form is judged before the transaction, but a lease that has passed, a replay or a
        revoked site come first in the order; only a site in a hurry, or a database in trouble, is not asked for them.
        """
        credential, self._waiting = self._waiting, None
        if credential is None or (isinstance(error, Refusal) and error.status in (429, 503)):
            return error
        try:
            await self.service.writer.do(Enter(credential))
        except FriendlyError as earlier:
            return earlier
        return error

    def id(self) -> str:
        """The id in the path: a message's digest or an upload's uuid. What looks like neither is nothing."""
        id = str(self.request.path_params["id"])
        if not _ID.fullmatch(id):
            raise not_found()
        return id

    def numbers(self, *names: str) -> dict[str, int]:
        """The query, of these whole numbers and nothing else."""
        raw: bytes = self.request.scope.get("query_string", b"")
        try:
            pairs = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=16
            )
        except ValueError:
            raise Refusal(400, "bad_query", "What stands behind the question mark cannot be read.") from None
        found: dict[str, int] = {}
        for name, text in pairs:
            if name not in names or name in found:
                raise Refusal(
                    400, "unknown_argument", "The query has an argument that is not known here, or twice."
                )
            if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= LARGEST_NUMBER):
                raise Refusal(400, "bad_argument", f"The argument {name!r} is a whole number, 0 or more.")
            found[name] = int(text)
        return found

    async def json(self, credential: Credential, limit: int) -> bytes:
        """A JSON body, whole and as it was signed; not parsed yet."""
        body.want_type(self.headers, "application/json")
        raw = await body.whole(self._receive, self.headers, limit)
        self._read = True
        credentials.check_body(credential.claim, hashlib.sha256(raw).digest())
        return raw

    async def nothing(self, credential: Credential) -> None:
        """No body, or an empty JSON object, as it was signed."""
        raw = await body.nothing(self._receive, self.headers)
        self._read = True
        credentials.check_body(credential.claim, hashlib.sha256(raw).digest())

    async def octets(self, limit: int) -> AsyncIterator[bytes]:
        """A body in pieces. Whether it is the signed one is known at its end, and the handler asks then."""
        async for piece in body.chunks(self._receive, self.headers, limit):
            yield piece
        self._read = True

    def refuse(self, error: FriendlyError) -> Response:
        """The answer for a refusal; a connection with an unread body in it is of no more use."""
        return refuse(error, None if self._read else {"Connection": "close"})


Handler = Callable[[Call], Awaitable[Response]]


class Resource:
    """One path and its verbs, as an ASGI application."""

    def __init__(self, service: Service, route: str, verbs: Mapping[str, Handler]) -> None:
        self.service = service
        self.route = route
        self.verbs = dict(verbs)
        self.allow = ", ".join(sorted({*verbs, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(self.service, scope, receive)
        sent = Sent(send, next_id())
        started = time.perf_counter()
        try:
            response = await self._answer(call)
            await response(scope, receive, sent)
        except Disconnected:
            sent.status = sent.status or GONE
        except Exception as error:
            refusal = unexpected(error, f"{call.method} {self.route}")
            if not sent.status:
                await call.refuse(refusal)(scope, receive, sent)
            # Else the head is out: the answer stays shorter than it promised, and the asker sees that it was cut.
        request_line(
            request_id=sent.id,
            actor=call.actor,
            method=call.method,
            route=self.route,
            status=sent.status or GONE,
            sent=sent.octets,
            ms=(time.perf_counter() - started) * 1000,
        )

    async def _answer(self, call: Call) -> Response:
        handler = self.verbs.get(call.method)
        try:
            if call.method == "OPTIONS":
                return Response(status_code=204, headers=HEAD | {"Allow": self.allow})
            if handler is None:
                raise Refusal(
                    405,
                    "wrong_verb",
                    f"This address answers to {self.allow}.",
                    headers={"Allow": self.allow},
                )
            return await handler(call)
        except FriendlyError as error:
            return call.refuse(await call.in_order(error))


def next_id() -> str:
    """A request's id: this worker and a number. It names a line in the log, so it need not be a secret."""
    return f"{_WORKER}-{next(_NUMBERS)}"


class Sent:
    """Passes an answer on, adds the request's id, and remembers how it went for the log."""

    def __init__(self, send: Send, id: str) -> None:
        self._send = send
        self.id = id
        self.status = 0
        self.octets = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
        else:
            self.octets += len(message.get("body", b""))
        await self._send(message)


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer for a path that is none of the relay's."""
    refusal: dict[str, Any] = Refusal(404, "not_found", "There is nothing at this address; check it.").body()
    await answer(404, refusal)(scope, receive, send)

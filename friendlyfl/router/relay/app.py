"""`relay`: the Starlette application for `messages/` and `uploads/`, mounted under the API's prefix.

    POST            messages/                 accept a sealed message                    (accept)
    GET             messages/inbox/           long poll                                  (inbox, bell)
    GET HEAD        messages/{id}/            one message, for its addressee             (inbox)
    GET HEAD        messages/{id}/payload/    its blob, streamed                         (inbox, store)
    POST            messages/{id}/ack/        acknowledge one out of turn                (inbox)
    POST            uploads/                  begin                                      (uploads)
    HEAD PATCH DELETE uploads/{id}/           how far; one piece; forget                 (uploads, store)
    POST            uploads/{id}/complete/    check the whole                            (uploads, store)

Each path answers with and without its last slash. In every handler the order is: who asks, how fast, what form, then
one job in one transaction; what streams does so after its job has admitted it.

What does not live here: any decision (the modules named above), errors and logs (call).
"""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable, Iterator
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from friendlyfl.core import limits
from friendlyfl.router import credentials
from friendlyfl.router.relay import body, inbox, uploads
from friendlyfl.router.relay.accept import Accept, parse
from friendlyfl.router.relay.call import Call, Handler, Resource, nowhere
from friendlyfl.router.relay.errors import HEAD, NOBODY, Refusal, answer
from friendlyfl.router.relay.openapi import OPENAPI_PATHS
from friendlyfl.router.relay.service import Service
from friendlyfl.router.relay.store import PIECE, no_space

OCTETS = "application/octet-stream"


async def post_message(call: Call) -> Response:
    """`POST messages/`."""
    credential = await call.identify()
    call.service.limiter.post(credential.asker.uid)
    call.numbers()
    raw = await call.json(credential, limits.MESSAGE_BODY)
    parsed = parse(raw, credential.asker.public)
    status = await call.do(Accept(credential, parsed))
    return answer(status, {"id": parsed.id})


async def poll(call: Call) -> Response:
    """`GET messages/inbox/`. A `wait` beyond the longest is the longest."""
    credential = await call.identify()
    service, asker = call.service, credential.asker
    service.limiter.request(asker.uid)
    query = call.numbers("since", "wait", "ack")
    await call.nothing(credential)
    since = query.get("since", 0)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(query.get("wait", 0), limits.POLL_WAIT)
    waiter = service.bell.join(asker.uid)
    try:
        messages = await call.do(inbox.Poll(credential, since, query.get("ack")))
        service.bell.admit(waiter)
        why = "rung"
        while not messages and why == "rung" and (left := deadline - loop.time()) > 0:
            why = await waiter.wait(left)
            waiter.again()
            messages = await service.reader.do(lambda database: inbox.look(database, asker.pk, since))
    finally:
        service.bell.leave(waiter)
    return answer(200, {"messages": messages, "next": messages[-1]["position"] if messages else since})


async def get_message(call: Call) -> Response:
    """`GET messages/{id}/`."""
    credential = await call.identify()
    call.service.limiter.request(credential.asker.uid)
    call.numbers()
    await call.nothing(credential)
    found = await call.do(inbox.Fetch(credential, call.id()))
    return _bare(answer(200, found), call)


async def ack_message(call: Call) -> Response:
    """`POST messages/{id}/ack/`."""
    credential = await call.identify()
    call.service.limiter.request(credential.asker.uid)
    call.numbers()
    await call.nothing(credential)
    await call.do(inbox.Acknowledge(credential, call.id()))
    return answer(200, {"id": call.id()})


async def get_payload(call: Call) -> Response:
    """`GET messages/{id}/payload/`: streamed, by addressees only. Not counted: a blob is fetched once."""
    credential = await call.identify()
    call.numbers()
    await call.nothing(credential)
    payload: inbox.Payload = await call.do(inbox.FindPayload(credential, call.id()))
    headers = HEAD | {"Content-Length": str(payload.length)}
    if call.method == "HEAD":
        return Response(None, 200, headers, OCTETS)
    if payload.data is not None:
        return Response(payload.data, 200, headers, OCTETS)
    try:
        file = await asyncio.to_thread(call.service.store.open, payload.sha256)
    except FileNotFoundError:
        raise inbox.payload_gone() from None
    return StreamingResponse(_pieces(file), 200, headers, OCTETS)


async def begin_upload(call: Call) -> Response:
    """`POST uploads/`."""
    credential = await call.identify()
    call.service.limiter.request(credential.asker.uid)
    call.numbers()
    raw = await call.json(credential, limits.RECORD)
    wanted = uploads.read_wanted(body.read_json(raw))
    status, upload = await call.do(uploads.Begin(credential, wanted, call.service.store))
    return answer(status, upload)


async def head_upload(call: Call) -> Response:
    """`HEAD uploads/{id}/`."""
    credential = await call.identify()
    call.service.limiter.request(credential.asker.uid)
    call.numbers()
    await call.nothing(credential)
    upload: uploads.Upload = await call.do(uploads.Own(credential, call.id()))
    return Response(
        status_code=200, headers=HEAD | _offset(upload.received) | {"Upload-Length": str(upload.length)}
    )


async def patch_upload(call: Call) -> Response:
    """`PATCH uploads/{id}/`: bytes stream to disk, at most PIECE of them in memory. Not counted."""
    credential = await call.identify()
    call.numbers()
    body.want_type(call.headers, OCTETS)
    offset = _read_offset(call.headers)
    service = call.service
    upload: uploads.Upload = await call.do(uploads.Receive(credential, call.id(), offset))
    with _disk_words():
        incoming = await asyncio.to_thread(service.store.receive, upload.uid, offset)
        try:
            await _fill(incoming.write, call.octets(upload.length - offset))
            credentials.check_body(credential.claim, incoming.sha256())
            await asyncio.to_thread(incoming.sync)
            received = await call.do(uploads.Received(upload, incoming.length))
        finally:
            incoming.close()
    return Response(status_code=204, headers=HEAD | _offset(received))


async def complete_upload(call: Call) -> Response:
    """`POST uploads/{id}/complete/`: the whole is read back from disk and hashed before anything may name it."""
    credential = await call.identify()
    service = call.service
    service.limiter.request(credential.asker.uid)
    call.numbers()
    await call.nothing(credential)
    upload: uploads.Upload = await call.do(uploads.Own(credential, call.id()))
    if not upload.complete:
        found = ""
        if upload.received == upload.length:
            found = await asyncio.to_thread(service.store.digest, upload.uid, upload.sha256)
        if not await call.do(uploads.Finish(upload, service.store, found)):
            await asyncio.to_thread(service.store.drop, upload.uid)
            raise Refusal(
                422,
                "upload_mismatch",
                "What arrived is not what was announced; begin the upload again.",
                who=NOBODY,
            )
    return answer(200, uploads.describe(upload) | {"complete": True})


async def delete_upload(call: Call) -> Response:
    """`DELETE uploads/{id}/`."""
    credential = await call.identify()
    call.service.limiter.request(credential.asker.uid)
    call.numbers()
    await call.nothing(credential)
    upload: uploads.Upload = await call.do(uploads.Delete(credential, call.id()))
    await asyncio.to_thread(call.service.store.drop, upload.uid)
    return Response(status_code=204, headers=HEAD)


ROUTES: dict[str, dict[str, Handler]] = {
    "/messages": {"POST": post_message},
    "/messages/inbox": {"GET": poll},
    "/messages/{id}": {"GET": get_message, "HEAD": get_message},
    "/messages/{id}/payload": {"GET": get_payload, "HEAD": get_payload},
    "/messages/{id}/ack": {"POST": ack_message},
    "/uploads": {"POST": begin_upload},
    "/uploads/{id}": {"HEAD": head_upload, "PATCH": patch_upload, "DELETE": delete_upload},
    "/uploads/{id}/complete": {"POST": complete_upload},
}


class Relay(Starlette):
    """Starlette without its two layers of error handling: a `Resource` answers for every error itself."""

    def build_middleware_stack(self) -> ASGIApp:
        return self.router


def application(service: Service) -> Starlette:
    """The relay on this service; it closes the service when its server stops."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    routes = []
    for path, verbs in ROUTES.items():
        resource = Resource(service, f"{path}/", verbs)
        routes += [Route(f"{path}/", resource), Route(path, resource)]
    app = Relay(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = nowhere
    app.state.service = service
    return app


def hang_up() -> None:
    """End all waiting polls of this process's relay; call it when the server is told to stop."""
    relay.state.service.hang_up()


async def _fill(write: Callable[[bytes | bytearray], None], pieces: AsyncIterator[bytes]) -> None:
    """Write a body in a thread, PIECE by PIECE."""
    gathered = bytearray()
    async for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE:
            await asyncio.to_thread(write, gathered)
            gathered = bytearray()
    if gathered:
        await asyncio.to_thread(write, gathered)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        file.close()


@contextlib.contextmanager
def _disk_words() -> Iterator[None]:
    """What the disk says, in words for the sender."""
    try:
        yield
    except BlockingIOError:
        raise Refusal(
            409,
            "upload_busy",
            "Another request is writing this upload; wait for it.",
            who=NOBODY,
            retry_after=5,
        ) from None
    except FileNotFoundError:
        raise uploads.wrong_offset(0) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise no_space() from None


def _read_offset(headers: Headers) -> int:
    text = headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Refusal(
            400,
            "bad_offset",
            "A piece of an upload says in Upload-Offset where it belongs.",
            who="the sender",
        )
    return int(text)


def _offset(received: int) -> dict[str, str]:
    return {"Upload-Offset": str(received)}


def _bare(response: Response, call: Call) -> Response:
    """For HEAD: the same head, without the body."""
    if call.method == "HEAD":
        response.body = b""
    return response


relay = application(Service())

__all__ = ["OPENAPI_PATHS", "application", "hang_up", "relay"]

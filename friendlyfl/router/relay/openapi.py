"""The relay's part of the OpenAPI description; the records merge it into `schema/`.

What does not live here: the routes themselves (app). A test holds the two against each other.
"""

from typing import Any

from friendlyfl.core import limits

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_OCTETS: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_SIGNED: list[Schema] = [{"siteSignature": []}]

SECURITY_SCHEMES: Schema = {
    "siteSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "RFC 9421 by the site's identity key: Signature, Signature-Input, Content-Digest, ffl-lease.",
    }
}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


_ERROR = _object({"code": _TEXT, "message": _TEXT, "who": _TEXT}, {"retry_after": _NUMBER}) | {
    "additionalProperties": True
}
_MEANINGS = {
    400: "The request is malformed",
    401: "No signature that holds",
    403: "Not for this site",
    404: "No such thing, or none that the asker may know of",
    408: "The body came too slowly",
    409: "The wrong moment or place",
    410: "Gone after its time",
    413: "Too big",
    415: "Another media type is expected",
    422: "Well-formed, but it means nothing here",
    429: "Too fast",
    503: "Try again",
    507: "No space",
}
_ALWAYS = (400, 401, 403, 409, 429, 503)


def _operation(
    id: str, summary: str, answers: dict[int, Schema], *refusals: int, body: Schema | None = None, **more: Any
) -> Schema:
    responses: Schema = {str(status): answer for status, answer in answers.items()}
    for status in sorted({*_ALWAYS, *refusals}):
        responses[str(status)] = {"description": _MEANINGS[status], "content": _json(_ERROR)}
    operation: Schema = {
        "operationId": id,
        "summary": summary,
        "tags": ["relay"],
        "security": _SIGNED,
        "responses": responses,
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation | more


def _in(where: str, name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": where, "required": required, "schema": schema}


_MESSAGE = _object(
    {
        "position": _NUMBER,
        "id": _SHA256,
        "sender": _UUID,
        "envelope": _BASE64,
        "signature": _BASE64,
        "delivery": _BASE64,
        "delivery_signature": _BASE64,
        "blob": {"type": ["string", "null"], "contentEncoding": "base64"},
    }
)
_UPLOAD = _object(
    {
        "id": _UUID,
        "chunk": _NUMBER,
        "expires_at": {"type": "string", "format": "date-time"},
        "complete": {"type": "boolean"},
    }
)
_POST = _object(
    {
        "envelope": _BASE64,
        "signature": _BASE64,
        "deliveries": {
            "type": "array",
            "minItems": 1,
            "maxItems": limits.RECIPIENTS,
            "items": _object({"delivery": _BASE64, "signature": _BASE64}),
        },
    },
    {"blob": _BASE64},
)
_WANTED = _object(
    {"length": _NUMBER, "sha256": _SHA256, "message_type": _TEXT},
    {"run": {"type": ["string", "null"], "format": "uuid"}},
)
_ID = _object({"id": _SHA256})
_MESSAGE_ID = [_in("path", "id", _SHA256, required=True)]
_UPLOAD_ID = [_in("path", "id", _UUID, required=True)]
_INBOX_QUERY = [
    _in("query", "since", _NUMBER),
    _in("query", "wait", _NUMBER | {"maximum": limits.POLL_WAIT}),
    _in("query", "ack", _NUMBER),
]
_OFFSET = {"Upload-Offset": {"schema": _NUMBER}}


def _ok(what: str, schema: Schema | None = None) -> Schema:
    return {"description": what} if schema is None else {"description": what, "content": _json(schema)}


OPENAPI_PATHS: dict[str, Schema] = {
    "/messages/": {
        "post": _operation(
            "messages_post",
            "Post a sealed message; it is safe on disk when this answers.",
            {201: _ok("Accepted", _ID), 200: _ok("Accepted before", _ID)},
            *(404, 408, 413, 415, 422),
            body=_json(_POST),
        )
    },
    "/messages/inbox/": {
        "get": _operation(
            "messages_inbox",
            "Messages after a position, oldest first; waits for some. `ack`: all up to there is stored at the site.",
            {
                200: _ok(
                    "Messages", _object({"messages": {"type": "array", "items": _MESSAGE}, "next": _NUMBER})
                )
            },
            parameters=_INBOX_QUERY,
        )
    },
    "/messages/{id}/": {
        "parameters": _MESSAGE_ID,
        "get": _operation(
            "messages_get", "One message, for its addressee.", {200: _ok("The message", _MESSAGE)}, 404
        ),
        "head": _operation("messages_head", "Whether the message is there.", {200: _ok("It is")}, 404),
    },
    "/messages/{id}/payload/": {
        "parameters": _MESSAGE_ID,
        "get": _operation(
            "messages_payload",
            "The message's blob, for its addressee.",
            {200: {"description": "The blob", "content": _OCTETS}},
            *(404, 410),
        ),
        "head": _operation("messages_payload_head", "The blob's length.", {200: _ok("It is here")}, 404, 410),
    },
    "/messages/{id}/ack/": {
        "parameters": _MESSAGE_ID,
        "post": _operation(
            "messages_ack", "This message is safe at its addressee.", {200: _ok("Noted", _ID)}, 404
        ),
    },
    "/uploads/": {
        "post": _operation(
            "uploads_begin",
            "Announce a blob that is too large to travel inside its message.",
            {201: _ok("Begun", _UPLOAD), 200: _ok("Under way or here already", _UPLOAD)},
            *(408, 413, 415, 422, 507),
            body=_json(_WANTED),
        )
    },
    "/uploads/{id}/": {
        "parameters": _UPLOAD_ID,
        "head": _operation(
            "uploads_offset",
            "How far it is.",
            {200: _ok("In the header Upload-Offset") | {"headers": _OFFSET}},
            404,
        ),
        "patch": _operation(
            "uploads_piece",
            "One piece at the upload's offset, or at 0 to begin anew.",
            {204: _ok("The piece counts") | {"headers": _OFFSET}},
            *(404, 408, 413, 415, 507),
            body=_OCTETS,
            parameters=[_in("header", "Upload-Offset", _NUMBER, required=True)],
        ),
        "delete": _operation("uploads_delete", "Forget the upload.", {204: _ok("Forgotten")}, 404),
    },
    "/uploads/{id}/complete/": {
        "parameters": _UPLOAD_ID,
        "post": _operation(
            "uploads_complete",
            "Check length and SHA-256 of the whole; then a message may name it.",
            {200: _ok("Complete", _UPLOAD)},
            *(404, 422),
        ),
    },
}

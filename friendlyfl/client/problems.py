"""What went wrong on the way, in words: failures of the network and refusals of the Routing Server.

Every error says by `retryable` whether the same request may succeed later without a person changing
anything; the agent retries these and no others. How requests are made lives in `transport` and `router`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from friendlyfl.core.errors import (
    BrokenError,
    ConflictError,
    ForbiddenError,
    FriendlyError,
    NotFoundError,
    UnreachableError,
    UsageError,
    WireError,
)

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SENTENCE = 1000
_LONGEST_WAIT = 3600.0
_SAFE = "Your data is safe and nothing was lost."


class BusyError(UnreachableError):
    """The Routing Server answered, but cannot serve this request now; `retry_after` seconds if it said so."""

    default_who = "nobody, it is tried again"

    def __init__(
        self, code: str, message: str, *, who: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(code, message, who=who)
        self.retry_after = retry_after


class RouterConflict(ConflictError):
    """A conflict with what the router told beside its sentence: `host`, `since`, `last` and the like."""

    told: Mapping[str, Any] = {}
    retry_after: float | None = None


_KINDS: dict[int, type[FriendlyError]] = {
    400: UsageError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    405: UsageError,
    409: RouterConflict,
    410: NotFoundError,
    413: WireError,
    415: WireError,
    422: UsageError,
    426: BrokenError,
}
_PASSING = frozenset({408, 425, 429})
# The line changed a body, or two threads brought one blob: the same act done again from its start goes well.
_PASSING_CODES = frozenset({"body_changed", "wrong_offset", "blob_missing"})

_CHECKS = {
    "dns": "The name is not known on this machine: check its spelling, then ask IT about name look-up.",
    "refused": "The machine is there, but nothing answers on port {port}: ask who runs the router.",
    "no_network": "There is no way out from here: check the network, then ask IT about port {port}.",
    "silent": "There is no answer at all: if this lasts, ask IT whether port {port} is open.",
    "timeout": "It took the call and then said nothing more: if this lasts, ask who runs the router.",
    "cut": "The connection broke off: if this lasts, ask IT what stands between here and the router.",
    "certificate": (
        "Its certificate is not trusted here ({detail}): ask IT for the hospital's CA file,"
        " or the one who runs the router whether the certificate has ended."
    ),
    "tls": "No protected connection could be made: check the port, or ask who runs the router about its TLS.",
    "not_http": "What answers on port {port} does not speak HTTP: check the address and the port.",
    "proxy_silent": "The hospital's proxy, which HTTPS_PROXY names, does not answer: ask IT for its address.",
    "proxy_refused": "The hospital's proxy does not let this through (it said {detail}): ask IT to allow port {port}.",
    "proxy_login": "The hospital's proxy wants a name and a password: ask IT what to write into HTTPS_PROXY.",
    "gateway": "The machine in front of it says that it is down: if this lasts, ask who runs the router.",
}
# These need a person: the same request would fail in the same way for ever. Bad lines cause the others too.
_LASTING = frozenset({"certificate", "not_a_router"})


def unreachable(code: str, where: str, port: int, detail: str = "") -> UnreachableError:
    """The error for one way of not reaching the router at `where`."""
    check = _CHECKS[code].format(port=port, detail=detail)
    return _lasting(UnreachableError(code, f"We cannot reach the router at {where}. {_SAFE} {check}"))


def proxy_answered(where: str) -> UnreachableError:
    return UnreachableError(
        "proxy_answered",
        f"A proxy answered instead of the Routing Server at {where}. {_SAFE} Check the address; if it is"
        " right, ask IT whether a log-in page or a filter stands in between.",
    )


def not_a_router(where: str) -> UnreachableError:
    return _lasting(
        UnreachableError(
            "not_a_router",
            f"Something answers at {where}, but it is not a Routing Server of FriendlyFL."
            " Check the address and the port.",
            who="you",
        )
    )


def unexpected(what: str) -> WireError:
    """The router's answer is well-formed but does not hold what this version expects."""
    return WireError(
        "unexpected_answer",
        f"The Routing Server's answer about {what} could not be read; ask whether it and this Controller"
        " have versions that fit.",
        who="who runs the router",
    )


def _lasting(error: UnreachableError) -> UnreachableError:
    if error.code in _LASTING:
        error.retryable = False
    return error


def read_json(raw: bytes) -> Any:
    """Plain JSON without the numbers that JSON does not have; ValueError otherwise."""
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def from_answer(
    status: int, body: object, headers: Mapping[str, str], where: str, port: int
) -> FriendlyError:
    """The Routing Server's refusal as an error of the house, with its own code and sentence."""
    if not isinstance(body, dict):
        body = {}
    code, message, who = body.get("code"), body.get("message"), body.get("who")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or not isinstance(message, str):
        return unreachable("gateway", where, port) if status >= 500 else proxy_answered(where)
    sentence = _printable(message) or "The Routing Server refused and gave no reason."
    actor = _printable(who)[:100] if isinstance(who, str) and who else None
    if status >= 500 or status in _PASSING:
        return BusyError(code, sentence, who=actor, retry_after=_retry_after(body, headers))
    error = _KINDS.get(status, UsageError)(code, sentence, who=actor)
    wait = _retry_after(body, headers)
    error.retryable = code in _PASSING_CODES or wait is not None
    if isinstance(error, RouterConflict):
        error.told = {name: body[name] for name in body if name not in ("code", "message", "who")}
        error.retry_after = wait
    return error


def _printable(text: str) -> str:
    return "".join(c for c in text[:_SENTENCE] if c.isprintable())


def _retry_after(body: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    told = body.get("retry_after", headers.get("retry-after"))
    if told is None or isinstance(told, bool):
        return None
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return None
    return min(seconds, _LONGEST_WAIT) if seconds >= 0 else None

"""Which site asks: the relay's own way through the checks of router/credentials.py.

The records' `credentials.verify` blocks and commits for itself. Here the same checks are cut in two, because a poll
has to cost little and a post must be one transaction:

    identify(request)   in the event loop: the claim, the key, the signature, the clock
    admit(tx, jobs)     in the writer: revoked or not, the nonce, the lease; in the transaction of the requests

**The nonce is kept in the same transaction as what the request does**, so a request that was answered is one whose
nonce is kept. A post's transaction is synced before the answer. One that only looks (poll, download, HEAD) commits
lazily: its nonce is in the database before the answer and survives a killed process, and it reaches the disk with the
next synced commit; only a power cut within that moment can lose it. What could a thief do then, who had recorded
the request inside its TLS connection? For five minutes he could look once more: he would get the sealed post that he
saw when he recorded the answer, or that he can open as little. He could not post, since a post names its slot and the
same digest changes nothing. He could not take a message away, since looking does not acknowledge, and `ack=A`, the
one thing a poll writes, only moves forward, to a place which this site itself has signed. So no promise rests on
that nonce, and a disk need not turn for every poll.

The key that belongs to a fingerprint never changes, since the fingerprint is its hash: it may be remembered for good.
Whether the site is revoked and which lease holds is asked anew every time.

What does not live here: the sentences for signatures and clocks (router/credentials.py), limits per second (limiter).
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from friendlyfl.core import limits
from friendlyfl.router import credentials
from friendlyfl.router.relay.commits import Reader
from friendlyfl.router.relay.database import Database
from friendlyfl.router.relay.errors import IT, Refusal
from friendlyfl.router.relay.limiter import Limiter
from friendlyfl.router.relay.transaction import Job, Transaction
from friendlyfl.wire.requests import RequestClaim

REMEMBERED = 10_000  # keys; a house with more hospitals only asks the database more often
OTHER_CREDENTIALS = ("authorization",)


@dataclass(frozen=True, slots=True)
class Asker:
    """A site whose key we know. `pk` is its row, `uid` its name in the world."""

    pk: int
    uid: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """A signature that holds; whether it may be used is decided in the request's transaction."""

    asker: Asker
    claim: RequestClaim


class Admission:
    """Knows keys by fingerprint and turns a request into a `Credential`."""

    def __init__(self, reader: Reader, limiter: Limiter) -> None:
        self._reader = reader
        self._limiter = limiter
        self._known: dict[str, Asker] = {}

    async def identify(self, request: HTTPConnection, method: str) -> Credential:
        """The site that signed this request; strangers are counted by address before they cost a look-up."""
        address = request.client.host if request.client else "unknown"
        try:
            return await self._identify(request, method, address)
        except Refusal as refusal:
            if refusal.status == 401 and refusal.code != "stale_signature":
                self._limiter.stranger(address)
            raise

    async def _identify(self, request: HTTPConnection, method: str, address: str) -> Credential:
        asked = credentials.Asked(
            method=method,
            authority=request.headers.get("host", ""),
            path=raw_path(request),
            query=request.scope.get("query_string", b"").decode("latin-1"),
            headers=headers_of(request),
        )
        credentials.check_host(asked.authority)
        one_credential(asked, request)
        claim = credentials.claim_of(asked)
        asker = self._known.get(claim.fingerprint)
        if asker is None:
            if self._limiter.strangers.empty(address):
                self._limiter.stranger(address)
            asker = await self._look_up(claim.fingerprint)
        credentials.check_signature(asked, asker.public if asker else None)
        assert asker is not None  # check_signature refuses a key that nobody knows
        credentials.check_time(claim)
        return Credential(asker, claim)

    async def _look_up(self, fingerprint: str) -> Asker | None:
        def find(database: Database) -> Asker | None:
            row = database.one("SELECT id, uid, public FROM ffl_site WHERE fingerprint = ?", fingerprint)
            return Asker(int(row[0]), str(row[1]), bytes.fromhex(row[2])) if row else None

        asker: Asker | None = await self._reader.do(find)
        if asker is not None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[fingerprint] = asker
        return asker


def raw_path(request: HTTPConnection) -> str:
    """The path as it was sent, percent signs included: this is what was signed."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def headers_of(request: HTTPConnection) -> dict[str, str]:
    """Headers by lower-case name. One that came twice is joined, as RFC 9421 signs it, and so fits no signature."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def one_credential(asked: credentials.Asked, request: HTTPConnection) -> None:
    """Sites sign; a person's session or token does not reach the relay, and two credentials are one too many."""
    signed = credentials.is_signed(asked.headers)
    others = any(name in asked.headers for name in OTHER_CREDENTIALS) or "ffl_session" in request.cookies
    if signed and others:
        raise Refusal(400, "two_credentials", "A request brings exactly one credential; leave the other out.")
    if not signed:
        raise Refusal(
            401,
            "signature_needed",
            "Only a site's Controller may ask this, and it signs its requests.",
            who=IT,
        )


class Admitted(Job):
    """A job of a site. What it may do beyond being this site is for the subclass.

    `admit` has judged it, and knows its mailbox, before `check`; a job that it has not seen is refused.
    """

    def __init__(self, credential: Credential) -> None:
        self.asker = credential.asker
        self.claim = credential.claim
        self.verdict: Refusal | None = credentials.bad_signature()
        self.last = self.acked = 0  # of the asker's mailbox, as this transaction found it

    def check(self, tx: Transaction) -> None:
        if self.verdict is not None:
            raise self.verdict
        tx.see(self.asker.pk, self.claim.created)


class Enter(Admitted):
    """Admission alone, for a request that is then refused: whoever may not ask at all is told that, and no more."""

    durable = False


def admit(tx: Transaction, jobs: list[Job]) -> None:
    """Judge all of a group: keep the nonces, refuse revoked sites, second uses and leases that have passed on.

    Two statements for the whole group. The nonce of a request that is refused is kept too.
    """
    asking = [job for job in jobs if isinstance(job, Admitted)]
    if not asking:
        return
    found = {
        int(pk): row
        for pk, *row in tx.all(
            "SELECT s.id, s.public, s.state, COALESCE(l.fence, 0), COALESCE(m.last, 0), COALESCE(m.acked, 0)"
            " FROM ffl_site s LEFT JOIN ffl_lease l ON l.site_id = s.id LEFT JOIN ffl_mailbox m ON m.site_id = s.id"
            " WHERE s.id IN (?*)",
            sorted({job.asker.pk for job in asking}),
        )
    }
    nonces = [
        (job.asker.pk, job.claim.nonce, job.claim.created + limits.NONCE_KEPT)
        for job in asking
        if job.asker.pk in found
    ]
    new = set()
    if nonces:
        sql = (
            "INSERT INTO ffl_nonce (site_id, nonce, expires_at) VALUES * ON CONFLICT DO NOTHING"
            " RETURNING site_id, nonce"
        )
        new = {(int(pk), str(nonce)) for pk, nonce in tx.insert(sql, nonces)}
    for job in asking:
        job.verdict = _verdict(job, found.get(job.asker.pk), new)


def _verdict(job: Admitted, row: list[Any] | None, new: set[tuple[int, str]]) -> Refusal | None:
    if row is None or row[0] != job.asker.public.hex():
        return credentials.bad_signature()  # deleted, or with another key, since this one was remembered
    use = (job.asker.pk, job.claim.nonce)
    if use not in new:
        return credentials.replayed_request()
    new.remove(use)  # the same request twice in one group is a replay as well
    if row[1] != "active":
        return credentials.site_revoked()
    if int(row[2]) != job.claim.lease:
        return credentials.fenced()
    job.last, job.acked = int(row[3]), int(row[4])
    return None

"""The errors a person may read. Every one has a code, one plain sentence and who must act.

    FriendlyError
    ├── UsageError         wrong arguments or data; the person who typed them acts        exit 2
    ├── RefusedError       a hospital's rule says no; no number was sent                  exit 3
    ├── NoAnswerError      the data hold no finite answer to the question                 exit 4
    ├── ConflictError      right request, wrong moment or state
    ├── ForbiddenError     this person or site may not do that
    ├── NotFoundError      no such thing, or nothing one may know of
    ├── WireError          something that crossed is not what it must be
    ├── UnreachableError   the Routing Server cannot be reached, or a proxy answered for it
    └── BrokenError        this machine: disk, permissions, a damaged file

What does not live here: HTTP statuses (router.api, client) and wording of pages (portal).
"""


class FriendlyError(Exception):
    """An expected failure. `str(error)` is the sentence; `code` is for machines and the telephone.

    `command` is what somebody at a terminal types next; the sentence itself names no face's way to do it.
    """

    exit_code = 1
    default_who = "you"
    retryable = False  # whether the same act may succeed later without a person changing anything

    def __init__(self, code: str, message: str, *, who: str | None = None, command: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.who = who or self.default_who
        self.command = command


class UsageError(FriendlyError):
    """Wrong arguments or wrong data; the sentence says which and what to do."""

    exit_code = 2


class RefusedError(FriendlyError):
    """A disclosure rule refuses. The message is the rule's fixed sentence and never holds a number."""

    exit_code = 3
    default_who = "the hospital's site-admin"


class NoAnswerError(FriendlyError):
    """There is no finite answer (separation, no event, every row incomplete)."""

    exit_code = 4


class ConflictError(FriendlyError):
    """The request is fine, the moment is not."""


class ForbiddenError(FriendlyError):
    """This person or site may not do that."""


class NotFoundError(FriendlyError):
    """No such thing, or nothing that the asker may know of."""


class WireError(FriendlyError):
    """Something that crossed the wire failed a check and was thrown away."""

    default_who = "the sender"


class UnreachableError(FriendlyError):
    """The Routing Server did not answer, or something else answered in its place."""

    default_who = "the hospital's IT"
    retryable = True


class BrokenError(FriendlyError):
    """This machine needs repair: disk, permissions, a damaged file."""

    default_who = "the hospital's IT"

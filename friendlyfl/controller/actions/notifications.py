"""Verbs about word of the inbox: on which ways it goes out of this hospital, and a test of them.

What is said and when is decided in word. A secret is in no row, no audit line and no answer of these verbs.
"""

import ipaddress
import re
from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from friendlyfl.client.address import is_loopback
from friendlyfl.controller import word
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.carriers import PLAIN, STARTTLS, TLS, webhook_host
from friendlyfl.controller.models import Way
from friendlyfl.core.errors import ConflictError, UsageError

MOST_ADDRESSES = 20
MOST_PORT = 65535
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Mail:
    """What a site-admin says about e-mail, the password apart."""

    to: list[str]
    host: str
    port: int
    security: str = STARTTLS
    user: str = ""
    sender: str = ""

    def troubles(self, password: str, kept: "Mail | None") -> dict[str, str]:
        """A sentence for each answer that has to be another. `kept` is what the password that is kept was given for."""
        found = {}
        if not 1 <= len(self.to) <= MOST_ADDRESSES or not all(_is_address(one) for one in self.to):
            found["to"] = f"Enter from 1 to {MOST_ADDRESSES} e-mail addresses, one on each line."
        if self.sender and not _is_address(self.sender):
            found["sender"] = "Enter one e-mail address as the sender, or leave it empty."
        if not _is_host(self.host):
            found["host"] = "Enter the name of the mail server, such as mail.hospital.org, without a port."
        if not 1 <= self.port <= MOST_PORT:
            found["port"] = f"Enter the port as a number from 1 to {MOST_PORT}, such as 587."
        if self.security not in (STARTTLS, TLS, PLAIN):
            found["security"] = "Choose how the way to the mail server is protected."
        elif self.security == PLAIN and not is_loopback(self.host):
            found["security"] = "Choose STARTTLS or TLS: without it, the mail server must be on this machine."
        elif self.security == PLAIN and self.user:
            found["security"] = "Choose STARTTLS or TLS: a password does not travel without it."
        if len(self.user) > 200 or not self.user.isprintable() or not self.user.isascii():
            found["user"] = "Enter a user name of at most 200 characters without accents, or leave it empty."
        if password and not self.user:
            found["user"] = "Enter the user name that the password belongs to."
        if self.user and not password and not self.same_account(kept):
            found["password"] = "Enter the password for this mail server and user name."  # noqa: S105  # a sentence
        elif not password.isascii():  # the standard library signs in with no others
            found["password"] = "Ask IT for a password of this account without accents or umlauts."  # noqa: S105
        return found

    def same_account(self, kept: "Mail | None") -> bool:
        """A password is kept for the very server it was given for, so that nobody can have it sent elsewhere."""
        account = (self.host, self.port, self.user)
        return kept is not None and account == (kept.host, kept.port, kept.user) and kept.security != PLAIN


def _is_host(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version in (4, 6)
    except ValueError:
        return HOST.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return text.isascii()


def kept_mail() -> Mail | None:
    """The settings of e-mail that are in force now, None while it is off."""
    row = word.way(word.MAIL)
    return Mail(**row.given) if row.on else None


def set_mail(actor: Actor, mail: Mail | None, password: str = "", *, link: str = "") -> Way:
    """Send word by e-mail from now on; without a password, the one that is kept stays. None switches it off and forgets
    the password."""
    with acting(actor, "set_mail", "on" if mail else "off", needs="site-admin"):
        if mail is None:
            return _switch_off(word.MAIL)
        kept = kept_mail()
        for code, sentence in mail.troubles(password, kept).items():
            raise UsageError(code, sentence)
        if password or not mail.same_account(kept) or not mail.user:
            word.keep_secret(word.MAIL, password)
        return _switch_on(word.MAIL, asdict(mail), link)


def webhook_trouble(address: str) -> str:
    """The sentence about an address that cannot be called, "" if it can; an empty one keeps the one of now."""
    if not address and word.way(word.WEBHOOK).on:
        return ""
    if len(address) > 2000 or not webhook_host(address):
        return "Enter an address that begins with https:// and holds no name and password before its host."
    return ""


def set_webhook(actor: Actor, on: bool, address: str = "", *, link: str = "") -> Way:
    """Call a webhook from now on; without an address, the one that is kept stays. Off forgets the address."""
    with acting(actor, "set_webhook", "on" if on else "off", needs="site-admin"):
        if not on:
            return _switch_off(word.WEBHOOK)
        trouble = webhook_trouble(address)
        if trouble:
            raise UsageError("address", trouble)
        kept = word.way(word.WEBHOOK).given
        if address:
            word.keep_secret(word.WEBHOOK, address)
        return _switch_on(word.WEBHOOK, {"host": webhook_host(address)} if address else kept, link)


def _switch_on(name: str, given: dict, link: str) -> Way:
    row = word.way(name)
    if not row.on:
        row.on, row.since = True, timezone.now()
    row.given, row.link = given, link[:500]
    row.tries, row.tried_at, row.trouble = 0, None, ""
    row.save()
    return row


def _switch_off(name: str) -> Way:
    """The settings that are no secret stay, to be switched on again."""
    word.keep_secret(name, "")
    row = word.way(name)
    if row.pk:
        row.on, row.trouble, row.tries = False, "", 0
        row.save()
    return row


def send_test(actor: Actor) -> dict[str, str]:
    """Send a test on every way that is on. Returns, for each, "" or the sentence that says why it did not go."""
    with acting(actor, "send_test", needs="site-admin"):
        rows = list(Way.objects.filter(on=True).order_by("name"))
        if not rows:
            raise ConflictError("no_way", "Switch on e-mail or the webhook first, and save.", who="you")
        return {row.name: word.send_test(row) for row in rows}

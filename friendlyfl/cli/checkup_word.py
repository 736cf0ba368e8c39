"""The doctor's look at notifications: whether the mail server or the webhook that tells of the inbox can be reached.

They are called as for a word, and told nothing. No secret is in what is said. How word goes out is in controller.word.
"""

from collections.abc import Iterator

from friendlyfl.cli.checkup import ADMIN, LOOK, OK, REPAIR, Finding
from friendlyfl.controller import word
from friendlyfl.controller.carriers import PLAIN, STARTTLS, NotSaidError
from friendlyfl.controller.models import Way

CHECK = "Notifications"
TEST = "friendlyfl site notifications test"
KINDS = {STARTTLS: "STARTTLS", PLAIN: "no TLS, inside this machine"}


def word_of_inbox() -> Iterator[Finding]:
    rows = list(Way.objects.filter(on=True).order_by("name"))
    if not rows:
        yield Finding(CHECK, OK, "No word of the inbox goes out: neither e-mail nor a webhook is switched on")
    for row in rows:
        yield _reached(row)


def _reached(row: Way) -> Finding:
    way = "E-mail" if row.name == word.MAIL else "Webhook"
    try:
        word.reach(row)
    except NotSaidError as error:
        return Finding(CHECK, REPAIR, f"{way}: {error}", ADMIN)
    if row.trouble:
        said = f"{way}: {row.given['host']} can be reached, but the last word did not go: {row.trouble}"
        return Finding(CHECK, LOOK, f"{said} Try it: {TEST}", ADMIN)
    return Finding(CHECK, OK, f"{way}: {_how(row)}")


def _how(row: Way) -> str:
    host = row.given["host"]
    if row.name == word.WEBHOOK:
        return f"{host} can be reached"
    signed_in = ", and takes the sign-in" if row.given["user"] else ""
    return (
        f"{host} answers on port {row.given['port']} ({KINDS.get(row.given['security'], 'TLS')}){signed_in}"
    )

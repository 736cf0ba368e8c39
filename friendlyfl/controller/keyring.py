"""The private keys of this site, as files below `keys/`. They are made here and never leave.

identity.pem          Ed25519, signs everything      standing-<seq>.key   X-Wing, opens plans and invitations
standing-card.json    the card of the newest one     run-<uid>.key        X-Wing, one a run, erased after it
"""

import functools
import json
import time
from collections.abc import Iterable

from friendlyfl.controller.home import Home, write_durably
from friendlyfl.core.limits import STANDING_KEY_KEPT
from friendlyfl.wire.keyfile import erase
from friendlyfl.wire.keys import STANDING, Card, Identity, SignedCard, Subkey, check_card, make_card


class Keyring:
    """The keys of one home, read once and kept in memory."""

    def __init__(self, home: Home, site: str) -> None:
        self.folder = home.sub("keys")
        self.site = site
        self._runs: dict[str, Subkey] = {}

    @classmethod
    def create(cls, home: Home, site: str) -> "Keyring":
        """Make the identity and the first standing subkey; safe to repeat after a crash."""
        ring = cls(home, site)
        if not (ring.folder / "identity.pem").exists():
            Identity.generate().save(ring.folder / "identity.pem")
        if not (ring.folder / "standing-1.key").exists():
            Subkey.generate().save(ring.folder / "standing-1.key")
        if not (ring.folder / "standing-card.json").exists():
            now = int(time.time())
            signed = make_card(
                ring.identity,
                ring._standing_subkeys()[-1],
                site=site,
                use=STANDING,
                seq=1,
                not_before=now,
                not_after=now + STANDING_KEY_KEPT,
                prev=None,
            )
            write_durably(ring.folder / "standing-card.json", json.dumps(signed.to_json()).encode())
        return ring

    @functools.cached_property
    def identity(self) -> Identity:
        return Identity.load(self.folder / "identity.pem")

    @functools.cached_property
    def signed_card(self) -> SignedCard:
        """The card of the newest standing subkey."""
        return SignedCard.from_json(json.loads((self.folder / "standing-card.json").read_text()))

    @functools.cached_property
    def card(self) -> Card:
        return check_card(self.signed_card, fingerprint=self.identity.fingerprint, site=self.site)

    def _standing_subkeys(self) -> list[Subkey]:
        paths = sorted(self.folder.glob("standing-*.key"), key=lambda path: int(path.stem.split("-")[1]))
        return [Subkey.load(path) for path in paths]

    @functools.cached_property
    def standing(self) -> dict[str, Subkey]:
        return {subkey.kid: subkey for subkey in self._standing_subkeys()}

    # --- one subkey a run ---

    def run_subkey(self, run: str) -> Subkey:
        """The run's own subkey, made at the first asking."""
        if run not in self._runs:
            path = self.folder / f"run-{run}.key"
            if not path.exists():
                Subkey.generate().save(path)
            self._runs[run] = Subkey.load(path)
        return self._runs[run]

    def run_card(self, run: str) -> SignedCard:
        """A card for the run's subkey. The same bytes each time: nothing in it depends on when it is asked for."""
        return make_card(
            self.identity,
            self.run_subkey(run),
            site=self.site,
            use=run,
            seq=1,
            not_before=self.card.not_before,
            not_after=self.card.not_after,
            prev=None,
        )

    def holds_run(self, run: str) -> bool:
        return (self.folder / f"run-{run}.key").exists()

    def openers(self, uses: Iterable[str]) -> dict[str, Subkey]:
        """The subkeys held for these uses ("standing" or a run's uid), by kid."""
        found: dict[str, Subkey] = {}
        for use in uses:
            if use == STANDING:
                found |= self.standing
            elif self.holds_run(use):
                subkey = self.run_subkey(use)
                found[subkey.kid] = subkey
        return found

    def erase_run(self, run: str) -> None:
        """Forget the run's subkey for good: its recorded post can then be opened by nobody."""
        self._runs.pop(run, None)
        erase(self.folder / f"run-{run}.key")


@functools.lru_cache(maxsize=4)
def keyring(home: Home, site: str) -> Keyring:
    return Keyring(home, site)

"""The consortium of these tests: a real Routing Server and real Controllers, three hospitals and one stranger.

It is built once a test process (conftest) and used by all its tests: each makes a new run, and leaves every process
running when it ends. What may never happen, whatever the tests do, is checked when the house is closed (aftermath).
"""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from friendlyfl import datasets
from friendlyfl.client.router import Router
from friendlyfl.testing.consortium import Consortium, Site, wait_for
from friendlyfl.wire.keys import Card, Identity, SignedCard, check_card
from tests.e2e.terminal import Said, Terminal

STUDY = "Who sees a doctor"
TWO = "Two are enough"
SECRET = (
    "Zwetschgenkuchen"  # a word of the plan and of every table that must be found nowhere but in hospitals
)
STEPS = (
    ("table_one", {"variables": "age,female"}),
    ("logistic_regression", {"outcome": "visited", "predictors": "age,female"}),
)
RULES = {"coordinator_data": "yes", "round_deadline": "120", "prepare_deadline": "120"}
REMEMBERED = (
    *("peer", "project", "manifest", "invitation", "plan", "approval", "run", "runevent", "job", "outbox"),
    *("slot", "siteprogress", "logline", "result", "departure", "dataset", "mapping"),
)
ENDED = ("succeeded", "failed", "stopped")


class Refusal(AssertionError):
    """A command did not end as the test expected; the text is what the screen said."""


class Hospital(Site):
    """A site with a terminal of its own."""

    def __init__(self, house: "House", key: str, name: str) -> None:
        super().__init__(house, key, name)
        self.address = house.address
        self.terminal = Terminal(FRIENDLYFL_HOME=str(self.home))

    def type(self, *arguments: str, stdin: str = "") -> Said:
        return self.terminal.type(*arguments, stdin=stdin)

    def run(self, *arguments: str, **environment: str) -> str:
        """Type a command that must succeed; returns what it printed."""
        assert not environment
        said = self.type(*arguments)
        if said.code:
            raise Refusal(f"{self.name}: friendlyfl {' '.join(arguments)} ended with {said.code}: {said.err}")
        return said.out

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Type a command that must be refused, in one plain sentence; returns the sentence."""
        said = self.type(*arguments, stdin=stdin)
        if not said.code:
            raise Refusal(f"{self.name}: friendlyfl {' '.join(arguments)} was not refused: {said.out}")
        print(f"{self.name}: {' '.join(arguments)}: {said.err.strip()}")  # shown when the test fails
        assert_plain(said.err)
        return said.err.strip()

    def database(self) -> sqlite3.Connection:
        """The records of this site, to look at."""
        return sqlite3.connect(f"file:{self.home / 'controller.sqlite3'}?mode=ro", uri=True, timeout=20)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = self.database()
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    @property
    def uid(self) -> str:
        return str(self.ask("SELECT site FROM controller_identity")[0][0])

    @property
    def identity(self) -> Identity:
        return Identity.load(self.home / "keys" / "identity.pem")

    @property
    def signed_card(self) -> SignedCard:
        """Its standing card."""
        return SignedCard.from_json(json.loads((self.home / "keys" / "standing-card.json").read_text()))

    @property
    def card(self) -> Card:
        return check_card(self.signed_card)

    @property
    def lease(self) -> int:
        return int(self.ask("SELECT lease FROM controller_identity")[0][0])

    @property
    def cursor(self) -> int:
        """All post up to this position is taken or put aside."""
        return int(self.ask("SELECT cursor FROM controller_identity")[0][0])

    def line(self) -> Router:
        """A line to the Routing Server as this hospital's Controller has it: its key and its lease."""
        router = Router(self.address, self.identity, site=self.uid)
        router.lease = self.lease
        return router

    def memory(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every record of the site but what comes and goes: equal twice, nothing has happened in between."""
        return {table: self.ask(f"SELECT * FROM controller_{table} ORDER BY id") for table in REMEMBERED}

    def held(self) -> list[dict[str, Any]]:
        """Post that was put aside, as the site's people see it."""
        found: list[dict[str, Any]] = self.json("site", "held-post")
        return [row for row in found if row["state"] == "refused"]


def assert_plain(text: str) -> None:
    """One sentence or two for a person: no traceback, no class of an error, no empty screen."""
    said = text.strip()
    assert said and said[0].isprintable(), "nothing was said"
    assert "Traceback" not in said and 'File "' not in said, said
    assert len(said.splitlines()) == 1, said
    assert not said.startswith(("Error", "Usage")), said
    assert said[-1] in ".:)" or "friendlyfl " in said or "http" in said, said


class House(Consortium):
    """Everything that runs, and the verbs that tests share."""

    STUDY = STUDY

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.office = Terminal()
        self.forged: set[str] = (
            set()
        )  # ids of messages that tests put at the Routing Server: no ledger knows them

    # --- building ---

    def build(self) -> None:
        """Start all, and bring the study to the point where a run may start."""
        self.router.start()
        home = ("router", "--home", str(self.router_home))
        said = self.office.type(
            *home,
            "user",
            "add",
            "ada",
            "--administrator",
            "--password-stdin",
            stdin="a long sentence of hers\n",
        )
        assert said.code == 0, said
        with ThreadPoolExecutor(4) as pool:
            made = [
                pool.submit(self.add, key, name)
                for key, name in (
                    ("st-marys", "St Mary's"), ("northfield", "Northfield"), ("lakeside", "Lakeside"),
                    ("charlie", "Charlton"),
                )
            ]  # fmt: skip
            self.marys, self.north, self.lake, self.charlie = (future.result() for future in made)
            self.members = [self.marys, self.north, self.lake]
            self.sites = [*self.members, self.charlie]
            for site in self.sites:
                site.process.launch()
            for site in self.sites:
                site.process.wait_ready()
                self.wait(
                    "a lease", lambda site=site: site.ask("SELECT lease FROM controller_identity")[0][0]
                )
            self.files = datasets.export("randhie", self.folder / "data", styles=True)
            self.study(STUDY, **RULES)

    def add(self, key: str, name: str, *, enrol: bool = True) -> Hospital:
        """Make a site and, if asked, make it known at the Routing Server."""
        site = Hospital(self, key, name)
        site.run("controller", "init", "--name", name)
        if enrol:
            site.run("site", "connect", self.address, "--enrolment", self.enrolment())
        return site

    def enrolment(self) -> str:
        said = self.office.type("router", "--home", str(self.router_home), "enrol", "ada")
        assert said.code == 0, said
        return said.out.strip().splitlines()[-1]

    def study(self, name: str, steps: Any = STEPS, **rules: str) -> None:
        """A project of the three members with an approved plan, each with its third of the data."""
        self.draft(name, steps)
        self.approve(name, **rules)

    def draft(self, name: str, steps: Any = STEPS) -> None:
        """A project of the three members with a plan that was not proposed yet."""
        on = ("-p", name)
        self.marys.run("project", "create", name, "--purpose", "Which adults see a doctor within a year?")
        for site in (self.north, self.lake):
            code = self.marys.json("project", "invite", site.name, *on)["code"]
            site.run("project", "join", code)
            self.marys.run("project", "accept", site.name, *on)
        for site, path in zip(self.members, self.files, strict=True):
            if not site.json("dataset", "list"):
                site.run("dataset", "add", "study", str(path))
            self.wait(
                f"{site.name}'s membership",
                lambda site=site: site.json("project", "show", *on)["state"] == "open",
            )
            site.run("dataset", "use", "study", *on)
        dictionary = datasets.dictionary("randhie")
        dictionary["income"]["label"] += f" ({SECRET})"
        path = self.folder / "dictionary.json"
        path.write_text(json.dumps(dictionary), encoding="utf-8")
        self.marys.run("plan", "dictionary", "--file", str(path), *on)
        for task, parameters in steps:
            pairs = [word for pair in parameters.items() for word in ("--set", "=".join(pair))]
            self.marys.run("plan", "add", task, *pairs, *on)

    def propose(self, name: str, **rules: str) -> None:
        """Change the plan's rules and propose it; the others have read it when this returns."""
        on = ("-p", name)
        pairs = [word for pair in rules.items() for word in ("--set", "=".join(pair))]
        self.marys.run("plan", "rules", *pairs, *on)
        plan = self.marys.json("plan", "propose", *on)["plan"]
        for site in (self.north, self.lake):
            self.wait("the plan", lambda site=site: site.json("project", "show", *on)["plan_sha256"] == plan)

    def approve(self, name: str, **rules: str) -> None:
        """Propose the plan, and let the others say yes."""
        on = ("-p", name)
        self.propose(name, **rules)
        for site in (self.north, self.lake):
            site.run("plan", "approve", *on)
        self.wait(
            "the approvals",
            lambda: all(
                site["decision"].startswith("approved")
                for site in self.marys.json("project", "show", *on)["sites"]
                if site["role"] == "participant"
            ),
        )

    def two_are_enough(self) -> str:
        """Another project of the same hospitals, which goes on with two of them and does not wait long."""
        if not hasattr(self, "_two"):
            steps = (("table_one", {"variables": "age,female,health"}), STEPS[1])
            self.study(
                TWO, steps, quorum="2", coordinator_data="yes", prepare_deadline="25", round_deadline="6"
            )
            self._two = TWO
        return self._two

    @contextmanager
    def table(self, site: Hospital, name: str, path: Path) -> Iterator[None]:
        """Let another file serve a project at a hospital for a while."""
        on = ("-p", name)
        site.run("dataset", "add", path.stem, str(path))
        site.run("dataset", "use", path.stem, *on)
        try:
            yield
        finally:
            self.wait(
                "the end here", lambda: all(run["state"] in ENDED for run in site.json("run", "list", *on))
            )
            site.run("dataset", "use", "study", *on)
            site.run("dataset", "remove", path.stem)

    # --- runs ---

    def start_run(self, name: str = STUDY) -> int:
        """Start a run and return its number; the run before it must have ended at the Routing Server too."""
        return int(self.marys.json("run", "start", "-p", name)["run"])

    def show(self, number: int, name: str = STUDY, site: Hospital | None = None) -> dict[str, Any]:
        seen: dict[str, Any] = (site or self.marys).json("run", "show", "-p", name, "-r", str(number))
        return seen

    def end(self, number: int, name: str = STUDY, seconds: float = 90.0) -> dict[str, Any]:
        """Wait until the run has ended for every member that still hears of it; returns the coordinator's view."""
        try:
            self.wait(f"the end of run {number}", lambda: self.show(number, name)["state"] in ENDED, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.show(number, name)}") from error
        return self.show(number, name)

    def succeed(self, number: int, name: str = STUDY, seconds: float = 90.0) -> str:
        """Wait for the end, which must be a good one; returns the Results as printed."""
        seen = self.end(number, name, seconds)
        assert seen["state"] == "succeeded", self.story(number, name)
        return self.results(number, name)

    def results(self, number: int, name: str = STUDY, site: Hospital | None = None) -> str:
        return (site or self.marys).run("run", "results", "-p", name, "-r", str(number), "--json", "-")

    def story(self, number: int, name: str = STUDY) -> str:
        """What a person would look at when a run did not end well."""
        return self.marys.run("run", "show", "-p", name, "-r", str(number)) + self.marys.run(
            "run", "logs", "-p", name, "-r", str(number)
        )

    def in_round(self, number: int, step: int = 1, name: str = STUDY) -> None:
        """Wait until the run is computing a round of this step or a later one."""

        def there() -> bool:
            seen = self.show(number, name)
            assert seen["state"] not in ENDED, seen
            return bool(seen["round"]) and seen["step"] >= step

        self.wait(f"a round of step {step}", there, every=0.02)

    @property
    def reference(self) -> str:
        """The Results of a run in which nothing happened, made at the first asking."""
        if not hasattr(self, "_reference"):
            self._reference = self.succeed(self.start_run())
        return self._reference

    def mend(self) -> None:
        """After a test that failed: every program runs, unarmed, and no run is under way."""
        for process in (self.router, *(site.process for site in self.sites)):
            process.stop()
            process.start()
        for name in (row["name"] for row in self.marys.json("project", "list")):
            for run in self.marys.json("run", "list", "-p", name):
                if run["state"] not in ENDED:
                    self.marys.run("run", "stop", "-p", name, "-r", str(run["run"]), "--yes")

    def quiet(self) -> None:
        """Wait until all that members have to say is said, and collected by whom it is for."""

        def silent() -> bool:
            for site in self.members:
                if site.ask("SELECT 1 FROM controller_outbox WHERE state = 'waiting'"):
                    return False
                if site.ask("SELECT 1 FROM controller_logline WHERE NOT sent"):
                    return False
            return all(site.cursor == self.last_position(site) for site in self.members)

        self.wait("silence", silent)

    def settle_doubts(self) -> None:
        """Whoever has noticed a false key looks once more, now that the right one is shown again."""
        for site in self.members:
            for (name,) in site.ask("SELECT name FROM controller_peer WHERE doubted"):
                self.wait(
                    "the right key",
                    lambda site=site, name=name: (
                        not site.ask("SELECT 1 FROM controller_peer WHERE shown <> '' AND name = ?", name)
                    ),
                )
                site.run("project", "verify", name)

    def last_position(self, site: Hospital) -> int:
        """Where a hospital's mailbox ends."""
        with self.records() as records:
            [(last,)] = records.execute(
                "SELECT b.last FROM ffl_mailbox b JOIN ffl_site s ON s.id = b.site_id WHERE s.uid = ?",
                (site.uid,),
            )
        return int(last)

    @staticmethod
    def wait(what: str, found: Any, seconds: float = 60.0, every: float = 0.05) -> Any:
        return wait_for(what, found, seconds, every)

    # --- the Routing Server's own records ---

    @contextmanager
    def records(self) -> Iterator[sqlite3.Connection]:
        """The Routing Server's database, as whoever administers it could open and change it."""
        connection = sqlite3.connect(self.router_home / "router.sqlite3", timeout=20)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    @contextmanager
    def router_stopped(self) -> Iterator[sqlite3.Connection]:
        """Its database while it does not run; it is started again afterwards."""
        self.router.stop()
        try:
            with self.records() as connection:
                yield connection
        finally:
            self.router.start()

    def requests(self) -> list[dict[str, Any]]:
        """The Routing Server's log of requests, all starts of it."""
        lines = self.router.log.read_text("utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and '"route"' in line]

    def close(self) -> None:
        for site in self.sites:
            if isinstance(site, Hospital):
                site.terminal.close()
        self.office.close()
        super().close()

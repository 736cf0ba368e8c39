"""`friendlyfl demo`: a whole study on this machine, by the commands a person would type, and proof of what it claims.

Four processes with homes of their own: a Routing Server and three hospitals. It ends with 0 only if the federated
numbers equal the pooled ones and nothing readable was found at the Routing Server.
"""

import contextlib
import json
import secrets
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from friendlyfl import datasets
from friendlyfl.cli import pooled
from friendlyfl.cli.opening import table
from friendlyfl.core.run import ENDED
from friendlyfl.testing.canaries import Found, scan
from friendlyfl.testing.consortium import CommandFailed, Consortium, Site, wait_for

HOSPITALS = (("st-marys", "St Mary's"), ("northfield", "Northfield"), ("lakeside", "Lakeside"))
PROJECT = "Who sees a doctor"
PURPOSE = "Which adults see a doctor within a year, and what does the share they pay change?"
WORST = 1e-8  # of a standard error


@click.command()
@click.option(
    "--stay", is_flag=True, help="Leave everything running and print addresses and logins; Ctrl-C ends it."
)
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Keep the homes here. Without it: a temporary folder."
)
def demo(stay: bool, folder: str | None) -> None:
    """Three hospitals and a Routing Server on this machine study real data together.

    Enrols, invites, joins, compares keys, runs a Table 1 and a logistic regression through sealed envelopes, and shows
    the result beside the pooled one, what left each hospital, and a search of the Routing Server for readable data.
    """
    pooled.require_statsmodels()
    with contextlib.ExitStack() as stack:
        # SIGTERM ends the demo like Ctrl-C does: every process it started is ended too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        place = (
            Path(folder)
            if folder
            else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="friendlyfl-demo-")))
        )
        if any(place.glob("*")):
            raise click.UsageError(f"The folder {place} is not empty.")
        consortium = stack.enter_context(Consortium(place.absolute()))
        study = Study(consortium)
        try:
            study.play()
            good = study.prove()
        except CommandFailed as error:
            raise click.ClickException(f"The demo stopped: {error}") from error
        if stay:
            study.stay()
        else:
            click.echo("To sit down at the three hospitals' portals in a browser: friendlyfl demo --stay")
        if not good:
            raise SystemExit(1)


class Study:
    """The story of the demo, step by step, each told in a line."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.began = time.monotonic()
        self.canaries: dict[str, str] = {}
        self.sites: list[Site] = []

    def tell(self, words: str) -> None:
        click.echo(f"[{time.monotonic() - self.began:5.1f} s] {words}")

    # --- the story ---

    def play(self) -> None:
        self.tell("Starting a Routing Server on this machine")
        self.consortium.start_router()
        self.tell("Making three hospitals, each with keys of its own, and enrolling them")
        with ThreadPoolExecutor(len(HOSPITALS)) as pool:
            made = [pool.submit(self.consortium.add_site, key, name) for key, name in HOSPITALS]
            self.sites = [future.result() for future in made]
            for site in self.sites:
                site.process.launch()
            for site in self.sites:
                site.process.wait_ready()
            self._join(pool)
            self._data(pool)
            self._plan(pool)
        self._run()

    def _join(self, pool: ThreadPoolExecutor) -> None:
        first, others = self.sites[0], self.sites[1:]
        self.tell(f"{first.name} starts the project “{PROJECT}” and invites the others with one-time codes")
        first.run("project", "create", PROJECT, "--purpose", PURPOSE)
        list(pool.map(self._invite, others))
        for site in others:
            first.run("project", "accept", site.name, "-p", PROJECT)
        list(pool.map(self._compare, others))
        self.tell("Joined; the safety numbers are the same on both sides")

    def _invite(self, site: Site) -> None:
        code = self.sites[0].json("project", "invite", site.name, "-p", PROJECT)["code"]
        site.run("project", "join", code)

    def _compare(self, site: Site) -> None:
        first = self.sites[0]
        ours = first.json("project", "safety-number", site.name)["groups"]
        theirs = site.json("project", "safety-number", first.name)["groups"]
        if ours != theirs:
            raise click.ClickException(f"{first.name} and {site.name} see different safety numbers.")
        first.run("project", "verify", site.name)
        site.run("project", "verify", first.name)

    def _data(self, pool: ThreadPoolExecutor) -> None:
        files = datasets.export("randhie", self.consortium.folder / "data", styles=True)
        for number, path in enumerate(files, start=1):
            self.canaries[f"a remark in hospital {number}'s table"] = _plant(path)
        self.tell("Each hospital adds its own table: RAND Health Insurance Experiment, three unequal parts")
        list(pool.map(self._add, self.sites, files))

    def _add(self, site: Site, path: Path) -> None:
        site.run("dataset", "add", "study", str(path))
        wait_for("membership", lambda: site.json("project", "show", "-p", PROJECT)["state"] == "open")
        site.run("dataset", "use", "study", "-p", PROJECT)

    def _plan(self, pool: ThreadPoolExecutor) -> None:
        first, others = self.sites[0], self.sites[1:]
        dictionary = datasets.dictionary("randhie")
        self.canaries["a label in the data dictionary"] = mark = _canary()
        dictionary["income"]["label"] += f" ({mark})"
        path = self.consortium.folder / "dictionary.json"
        path.write_text(json.dumps(dictionary), encoding="utf-8")
        on = ("-p", PROJECT)
        first.run("plan", "dictionary", "--file", str(path), *on)
        first.run("plan", "add", "table_one", "--set", f"variables={','.join(pooled.VARIABLES)}", *on)
        predictors = f"predictors={','.join(pooled.PREDICTORS)}"
        first.run(
            "plan",
            "add",
            "logistic_regression",
            "--set",
            f"outcome={pooled.OUTCOME}",
            "--set",
            predictors,
            *on,
        )
        first.run("plan", "rules", "--set", "coordinator_data=yes", "--set", "round_deadline=120", *on)
        plan = first.json("plan", "propose", *on)["plan"]
        self.tell(f"{first.name} proposes the plan {plan[:12]}: Table 1, then a logistic regression")
        list(pool.map(lambda site: self._approve(site, plan), others))
        self.tell("The others read what would leave, checked their data, and approved")

    def _approve(self, site: Site, plan: str) -> None:
        wait_for("the plan", lambda: site.json("project", "show", "-p", PROJECT)["plan_sha256"] == plan)
        site.run("dataset", "check", "-p", PROJECT)
        site.run("plan", "approve", "-p", PROJECT)

    def _run(self) -> None:
        first = self.sites[0]
        self.tell("Run 1 starts")
        seen = first.json("run", "start", "-p", PROJECT)
        while seen["state"] not in ENDED:
            time.sleep(0.3)
            seen = first.json("run", "show", "-p", PROJECT)
        self.tell(f"Run 1 has {seen['state']}{': ' + seen['reason'] if seen['reason'] else ''}")
        if seen["state"] != "succeeded":
            raise click.ClickException(f"The run did not succeed.\n{first.run('run', 'logs', '-p', PROJECT)}")
        self.results = json.loads(first.run("run", "results", "-p", PROJECT, "--json", "-"))

    # --- the proof ---

    def prove(self) -> bool:
        counted, fitted = pooled.table_one(self.results["1"]), pooled.logistic(self.results["2"])
        rows = [
            [line.name, f"{line.federated:.12g}", f"{line.pooled:.12g}", f"{line.difference:.1e}"]
            for line in fitted
        ]
        title = "Logistic regression: federated beside pooled (statsmodels on all rows)"
        table(title, ["", "federated", "pooled", "diff / SE"], rows, "")
        worst = max(line.difference for line in fitted)
        worst_table = max(line.difference for line in counted)
        click.echo(f"Table 1: {len(counted)} numbers, largest relative difference {worst_table:.1e}")
        click.echo(
            f"Logistic regression: {len(fitted)} numbers, largest difference {worst:.1e} of a standard error"
        )
        whole = self._show_departures()
        found = self._search()
        good = worst <= WORST and worst_table <= WORST and not found and whole
        click.echo()
        self.tell("Everything holds." if good else "Something does NOT hold; see above.")
        return good

    def _show_departures(self) -> bool:
        rows, whole = [], True
        for site in self.sites:
            lines = site.json("ledger")
            updates = [line for line in lines if line["type"] == "update"]
            numbers, size = sum(line["numbers"] for line in updates), sum(line["bytes"] for line in lines)
            unbroken = site.run("ledger", "--check").strip().endswith("unbroken.")
            whole = whole and unbroken
            chain = "unbroken" if unbroken else "BROKEN"
            rows.append([site.name, len(lines), len(updates), numbers, size, chain])
        columns = ["hospital", "messages", "updates", "numbers", "bytes", "ledger"]
        table("What left each hospital (friendlyfl ledger)", columns, rows, "")
        click.echo(f"{self.sites[0].name} coordinates: its own updates never left it.")
        return whole

    def _search(self) -> list[Found]:
        places = [self.consortium.router_home, self.consortium.router.log]
        self.canaries["the plan's list of predictors"] = ",".join(f'"{name}"' for name in pooled.PREDICTORS)
        found, files, size = scan(places, self.canaries)
        click.echo(
            f"Searched the Routing Server's database, payloads and logs ({files} files, {size / 1e6:.1f} MB) "
            f"for {len(self.canaries)} canaries: {len(found)} found"
        )
        for one in found:
            click.echo(f"  {one.what} in {one.path}", err=True)
        return found

    # --- afterwards ---

    def stay(self) -> None:
        """Make a login at each hospital, say where everything is, and wait for Ctrl-C."""
        click.echo("\nThe demo stays until Ctrl-C. To sit down at a hospital, open its address and sign in:")
        for site in self.sites:
            password = secrets.token_hex(8)
            path = self.consortium.folder / "password"
            path.write_text(password, encoding="utf-8")
            site.run("site", "add-person", "demo", "--role", "site-admin", "--password-file", str(path))
            path.unlink()
            # Lines and no table: an address that is broken over two lines cannot be clicked.
            click.echo(f"\n  {site.name}\n    {site.portal}\n    user demo, password {password}")
            click.echo(f"    its home, for commands: --home {site.home}")
        click.echo(f"\nRouting Server: {self.consortium.address}/friendlyfl/api/v1/")
        click.echo(
            f"Where to begin: at {self.sites[0].name}, open “{PROJECT}” under Projects and add a step to its plan."
        )
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        click.echo("Ending the demo.")


def _canary() -> str:
    return f"canary-{secrets.token_hex(8)}"


def _plant(path: Path) -> str:
    """Add a column with a canary in every row, in the file's own style."""
    mark = _canary()
    raw = path.read_bytes()
    header, _, rest = raw.partition(b"\n")
    separator = next(sign for sign in (b"\t", b";", b",") if sign in header)
    end = b"\r" if header.endswith(b"\r") else b""
    lines = [header.rstrip(b"\r") + separator + b"note" + end]
    lines += [
        line.rstrip(b"\r") + separator + mark.encode() + end for line in rest.split(b"\n") if line.strip()
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return mark

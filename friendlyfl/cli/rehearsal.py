"""`friendlyfl rehearsal`: three pretend hospitals on this machine, up to the point where a plan can be made.

Everything is real but the patients: the same programs, codes, keys and pages, in homes of their own below one folder.
The portal starts it with one button; what it has come to stands in `rehearsal.json` of that folder.
"""

import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from friendlyfl import datasets
from friendlyfl.cli.opening import table
from friendlyfl.controller.home import write_durably
from friendlyfl.testing.consortium import CommandFailed, Consortium, Site, wait_for

HOSPITALS = (("hilltop", "Hilltop"), ("meadow", "Meadow"), ("harbour", "Harbour"))
PROJECT = "Rehearsal: back in hospital"
PURPOSE = (
    "Which patients with heart failure are back in hospital within 30 days? These patients do not exist."
)
DATASET = "clinic"
USER = "rehearsal"
STATE = "rehearsal.json"
STEPS = (
    "Starting a Routing Server",
    "Making three hospitals with keys of their own",
    "Inviting and comparing safety numbers",
    "Adding a table at each hospital",
    "Agreeing on the columns",
)


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Keep the homes here. Without it: a temporary folder."
)
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input is closed.")
def rehearsal(folder: str | None, with_parent: bool) -> None:
    """Practise with three pretend hospitals on this machine.

    They have joined a project and added open data of patients who do not exist. Sign in at their portals, make a plan,
    approve it, run it and read the result. Ctrl-C ends it; a temporary folder is removed.
    """
    os.environ["FRIENDLYFL_REHEARSAL"] = "yes"  # every process started from here says so on its pages
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        place = Path(
            folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="friendlyfl-rehearsal-"))
        )
        if (place / STATE).exists():
            raise click.UsageError(f"A rehearsal lies in {place} already. Remove that folder first.")
        if with_parent:
            threading.Thread(target=_end_with_parent, daemon=True).start()
        consortium = stack.enter_context(Consortium(place.absolute()))
        try:
            Rehearsal(consortium).prepare()
        except CommandFailed as error:
            raise click.ClickException(f"The rehearsal stopped: {error}") from error
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def _end_with_parent() -> None:
    """Whoever started this holds the other end of standard input; when that is gone, so is the rehearsal."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


class Rehearsal:
    """Builds the hospitals step by step and says after each how far it is."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.sites: list[Site] = []
        self.password = secrets.token_urlsafe(12)

    def prepare(self) -> None:
        steps = (self._router, self._hospitals, self._join, self._data, self._dictionary)
        for done, step in enumerate(steps):
            self._write(done)
            click.echo(STEPS[done])
            step()
        self._write(len(steps))
        rows = [[site.name, site.portal, USER, self.password] for site in self.sites]
        table("The rehearsal stays until Ctrl-C", ["hospital", "portal", "user", "password"], rows, "")
        sys.stdout.flush()

    def _write(self, done: int) -> None:
        state: dict[str, Any] = {
            "done": done,
            "of": len(STEPS),
            "now": STEPS[done] if done < len(STEPS) else "",
        }
        if done == len(STEPS):
            state["hospitals"] = [{"name": site.name, "portal": site.portal} for site in self.sites]
            state["user"], state["password"] = USER, self.password
        write_durably(self.consortium.folder / STATE, json.dumps(state).encode())

    def _router(self) -> None:
        self.consortium.start_router()

    def _hospitals(self) -> None:
        with ThreadPoolExecutor(len(HOSPITALS)) as pool:
            made = [pool.submit(self.consortium.add_site, key, name) for key, name in HOSPITALS]
            self.sites = [future.result() for future in made]
            for site in self.sites:
                site.process.launch()
            for site in self.sites:
                site.process.wait_ready()
            list(pool.map(self._login, self.sites))

    def _login(self, site: Site) -> None:
        path = site.home / "password"
        write_durably(path, self.password.encode())
        site.run("site", "add-person", USER, "--role", "site-admin", "--password-file", str(path))
        path.unlink()

    def _join(self) -> None:
        first, others = self.sites[0], self.sites[1:]
        first.run("project", "create", PROJECT, "--purpose", PURPOSE)
        for site in others:
            code = first.json("project", "invite", site.name, "-p", PROJECT)["code"]
            site.run("project", "join", code)
            first.run("project", "accept", site.name, "-p", PROJECT)
            first.run("project", "verify", site.name)
            site.run("project", "verify", first.name)

    def _data(self) -> None:
        files = datasets.export(DATASET, self.consortium.folder / "tables", styles=True)
        with ThreadPoolExecutor(len(self.sites)) as pool:
            list(pool.map(self._add, self.sites, files))

    def _add(self, site: Site, path: Path) -> None:
        site.run("dataset", "add", "clinic", str(path))
        wait_for("membership", lambda: site.json("project", "show", "-p", PROJECT)["state"] == "open")
        site.run("dataset", "use", "clinic", "-p", PROJECT)

    def _dictionary(self) -> None:
        path = self.consortium.folder / "dictionary.json"
        path.write_text(json.dumps(datasets.dictionary(DATASET)), encoding="utf-8")
        first = self.sites[0]
        first.run("plan", "dictionary", "--file", str(path), "-p", PROJECT)
        first.run(
            "plan", "rules", "--set", "coordinator_data=yes", "--set", "round_deadline=120", "-p", PROJECT
        )

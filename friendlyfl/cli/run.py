"""`friendlyfl run`: start, watch, stop, read."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from friendlyfl.cli.opening import json_option, me, of_site, project_option, show_json, table

number_option = click.option(
    "--run", "-r", "number", type=int, help="The run's number; without it, the newest."
)


@click.group()
def run() -> None:
    """Runs of a project: start, watch, stop, read results and logs."""


@run.command()
@of_site
@project_option
@click.option("--watch/--no-watch", default=True, help="Stay and show progress until it has ended.")
@json_option
def start(project: str, watch: bool, as_json: bool) -> None:
    """Ask every hospital of the plan to take part in a new run."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    made = actions.start_run(me(), row)
    if as_json:
        show_json(actions.overview(made))
        return
    click.echo(f"Run {made.number} of {row.name} has begun.")
    if watch:
        _watch(made)


@run.command("watch")
@of_site
@project_option
@number_option
def watch_(project: str, number: int | None) -> None:
    """Show the progress of a run until it has ended."""
    from friendlyfl.controller import actions

    _watch(actions.find.run(actions.find.project(project), number))


def _watch(row: Any) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from friendlyfl.controller import actions
    from friendlyfl.core.run import ENDED

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("", total=None)
        while True:
            row.refresh_from_db()
            seen = actions.overview(row)
            bar.update(line, description=_sentence(seen))
            if seen["state"] in ENDED:
                break
            time.sleep(0.3)
    click.echo(_sentence(seen))
    if seen["state"] != "succeeded":
        raise SystemExit(1)


def _sentence(seen: dict[str, Any]) -> str:
    """Where a run stands, in one sentence."""
    if seen["state"] == "standby":
        return "Waiting for hospitals"
    if seen["state"] == "preparing":
        waiting = [seat["site"] for seat in seen["seats"] if seat["status"] == "asked"]
        return f"Checking the data{'; waiting for ' + ', '.join(waiting) if waiting else ''}"
    if seen["state"] in ("running", "aggregating"):
        answered = sum(seat["status"] == "answered" for seat in seen["seats"])
        active = sum(seat["status"] != "left" for seat in seen["seats"])
        words = f"{answered} of {active} hospitals have answered " if seen["seats"] else ""
        return f"{words}round {seen['round']} of step {seen['step']} of {seen['steps']} ({seen['task']})"
    if seen["state"] == "succeeded":
        return "Finished. Read it with: friendlyfl run results"
    return f"{seen['state'].capitalize()}. {seen['reason']}"


@run.command("list")
@of_site
@project_option
@json_option
def list_(project: str, as_json: bool) -> None:
    """List the runs of a project."""
    from friendlyfl.controller import actions

    rows = [
        actions.overview(row)
        for row in actions.find.project(project).runs.exclude(state="").order_by("number")
    ]
    if as_json:
        show_json(rows)
        return
    empty = "No runs yet. Add a step to the plan, propose it, then: friendlyfl run start"
    table(
        "Runs", ["run", "state", "where"], [[row["run"], row["state"], _sentence(row)] for row in rows], empty
    )


@run.command()
@of_site
@project_option
@number_option
@json_option
def show(project: str, number: int | None, as_json: bool) -> None:
    """Show where a run stands; the coordinator sees every hospital, a participant its own part."""
    from friendlyfl.controller import actions

    seen = actions.overview(actions.find.run(actions.find.project(project), number))
    if as_json:
        show_json(seen)
        return
    click.echo(f"Run {seen['run']} of {seen['project']}: {_sentence(seen)}")
    if seen["seats"]:
        rows = [[seat["site"], seat["status"], seat["reason"]] for seat in seen["seats"]]
        table("Hospitals", ["hospital", "status", "why"], rows, "")


@run.command()
@of_site
@project_option
@number_option
@click.confirmation_option(prompt="Stop this run at every hospital?")
def stop(project: str, number: int | None) -> None:
    """Stop a run everywhere."""
    from friendlyfl.controller import actions

    row = actions.stop_run(me(), actions.find.run(actions.find.project(project), number))
    click.echo(f"Run {row.number} is stopped; a hospital that is away stops when it comes back.")


@run.command()
@of_site
@project_option
@number_option
def repeat(project: str, number: int | None) -> None:
    """Start a new run that names the one it repeats."""
    from friendlyfl.controller import actions

    made = actions.repeat_run(me(), actions.find.run(actions.find.project(project), number))
    click.echo(f"Run {made.number} has begun.")


@run.command()
@of_site
@project_option
@number_option
@click.option("--step", type=int, help="Only this step.")
@click.option(
    "--json", "out", type=click.Path(allow_dash=True), help="Write the Results as JSON; '-' is the screen."
)
def results(project: str, number: int | None, step: int | None, out: str | None) -> None:
    """Read the Result of each step."""
    from friendlyfl.cli.show import show
    from friendlyfl.controller import actions
    from friendlyfl.tasks.report import Result

    row = actions.find.run(actions.find.project(project), number)
    found = [made for made in row.results.all() if step in (None, made.step)]
    if out:
        text = json.dumps({str(made.step): made.result for made in found}, indent=2)
        if out == "-":
            click.echo(text)
        else:
            Path(out).write_text(text + "\n", encoding="utf-8")
        return
    if not found:
        click.echo("No Result is here: the run has not come so far, or the plan does not share it.")
    for made in found:
        show(Result.from_json(made.result))


@run.command()
@of_site
@project_option
@number_option
@json_option
def logs(project: str, number: int | None, as_json: bool) -> None:
    """Read the log of a run: the coordinator every hospital's, a participant its own."""
    from friendlyfl.controller import actions, members
    from friendlyfl.core.troubles import sentence

    row = actions.find.run(actions.find.project(project), number)
    lines = [
        {
            "at": datetime.fromtimestamp(line.at, UTC).isoformat(timespec="seconds"),
            "hospital": members.name_of(line.site),
            "step": line.step,
            "round": line.round,
            "code": line.code,
            "words": sentence(line.code),
            "detail": line.detail,
        }
        for line in row.log.order_by("at", "pk")
    ]
    if as_json:
        show_json(lines)
        return
    for line in lines:
        place = f"{line['step']}.{line['round']}" if line["step"] else ""
        click.echo(f"{line['at'][:19].replace('T', ' ')}  {line['hospital']:<20} {place:<5} {line['words']}")
        if line["detail"]:
            click.echo(f"{'':21}{str(line['detail']).splitlines()[0]} (said here only)")
    if not lines:
        click.echo("No line yet.")

"""`friendlyfl run`: start, watch, stop, read."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from friendlyfl.cli.opening import (
    Group,
    clean,
    example,
    json_option,
    me,
    of_site,
    project_option,
    say,
    show_json,
    table,
    tell,
    the_project,
)

LOOK_EVERY = 0.3  # seconds
number_option = click.option(
    "--run", "-r", "number", type=int, metavar="NUMBER", help="The run's number; without it, the newest."
)


@click.group(cls=Group)
def run() -> None:
    """Runs of a project: start, watch, stop, read.

    Only the coordinator starts and stops runs. A participant sees its own part, and the Result if the plan shares it.
    """


@run.command(epilog=example("friendlyfl run start", "friendlyfl run start --no-watch"))
@of_site
@project_option
@click.option("--watch/--no-watch", default=True, help="Stay and show progress until it has ended.")
@json_option
def start(project: str | None, watch: bool, as_json: bool) -> None:
    """Start a new run of the approved plan.

    Every hospital of the plan is asked; the run begins when they are ready. JSON comes at once, without waiting.
    """
    from friendlyfl.controller import actions, here

    row = the_project(project)
    made = actions.start_run(me(), row)
    if as_json:
        show_json(actions.overview(made))
        return
    tell(f"Run {made.number} of {row.name} has begun.")
    if watch:
        _watch(made)
    elif not here.home().running:
        tell(ASLEEP)


@run.command("watch")
@of_site
@project_option
@number_option
def watch_(project: str | None, number: int | None) -> None:
    """Show the progress of a run until it has ended.

    Ctrl-C ends the watching, not the run. The exit code is 0 if the run succeeded.
    """
    from friendlyfl.controller import actions

    _watch(actions.find.run(the_project(project), number))


ASLEEP = "The Controller of this hospital is not running, so nothing moves here. Start it: friendlyfl controller start"


def _watch(row: Any) -> None:
    """A line that moves where somebody can see it; elsewhere a line for each change, both on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from friendlyfl.core.run import ENDED

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            line = bar.add_task("", total=None)
            said = ""
            for seen in _states(row):
                words = _sentence(seen)
                bar.update(
                    line, description=clean(words), total=seen["steps"] or None, completed=_steps_done(seen)
                )
                if words != said and not console.is_terminal and seen["state"] not in ENDED:
                    tell(words, err=True)
                said = words
    except KeyboardInterrupt:
        tell("You stopped watching; the run goes on. Look again: friendlyfl run watch", err=True)
        raise SystemExit(1) from None
    tell(said)
    if seen["state"] != "succeeded":
        raise SystemExit(1)


def _status(seat: dict[str, Any]) -> str:
    """What a hospital does, with the share that it last told of a long round."""
    return seat["status"] if seat["fraction"] is None else f"{seat['status']}, {seat['fraction']:.0%} done"


def _steps_done(seen: dict[str, Any]) -> int:
    return seen["steps"] if seen["state"] == "succeeded" else max(seen["step"] - 1, 0)


def _states(row: Any) -> Iterator[dict[str, Any]]:
    """Where the run stands, again and again until it has ended."""
    from friendlyfl.controller import actions, here
    from friendlyfl.core.run import ENDED

    if row.state not in ENDED and not here.home().running:
        tell(ASLEEP, err=True)
    while True:
        row.refresh_from_db()
        seen = actions.overview(row)
        yield seen
        if seen["state"] in ENDED:
            return
        time.sleep(LOOK_EVERY)


def _sentence(seen: dict[str, Any]) -> str:
    """Where a run stands, in one sentence."""
    if seen["state"] == "standby":
        return "Waiting for hospitals"
    if seen["state"] == "preparing":
        waiting = [seat["site"] for seat in seen["seats"] if seat["status"] == "asked"]
        return f"Checking the data{'; waiting for ' + ', '.join(waiting) if waiting else ''}"
    if seen["state"] in ("running", "aggregating") and not seen["step"]:
        return "Ready; the first round has not come yet"
    if seen["state"] in ("running", "aggregating"):
        answered = sum(seat["status"] == "answered" for seat in seen["seats"])
        active = sum(seat["status"] != "left" for seat in seen["seats"])
        words = f"{answered} of {active} hospitals have answered " if seen["seats"] else ""
        return f"{words}round {seen['round']} of step {seen['step']} of {seen['steps']} ({seen['task']})"
    if seen["state"] == "succeeded":
        return "Finished. Read it: friendlyfl run results"
    return f"{seen['state'].capitalize()}. {seen['reason']}"


@run.command("list")
@of_site
@project_option
@json_option
def list_(project: str | None, as_json: bool) -> None:
    """List the runs of a project."""
    from friendlyfl.controller import actions

    rows = [actions.overview(row) for row in the_project(project).runs.exclude(state="").order_by("number")]
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
def show(project: str | None, number: int | None, as_json: bool) -> None:
    """Show where a run stands.

    The coordinator sees every hospital, a participant its own part.
    """
    from friendlyfl.controller import actions

    seen = actions.overview(actions.find.run(the_project(project), number))
    if as_json:
        show_json(seen)
        return
    tell(f"Run {seen['run']} of {seen['project']}: {_sentence(seen)}")
    if seen["seats"]:
        rows = [[seat["site"], _status(seat), seat["reason"]] for seat in seen["seats"]]
        table("Hospitals", ["hospital", "status", "why"], rows, "")


@run.command()
@of_site
@project_option
@number_option
@json_option
@click.confirmation_option(prompt="Stop this run at every hospital?", help="Do not ask.")
def stop(project: str | None, number: int | None, as_json: bool) -> None:
    """Stop a run at every hospital."""
    from friendlyfl.controller import actions
    from friendlyfl.core.run import ENDED

    found = actions.find.run(the_project(project), number)
    over = found.state in ENDED
    row = actions.stop_run(me(), found)
    words = f"Run {row.number} is stopped; a hospital that is away stops when it comes back."
    if over:
        words = f"Run {row.number} had ended before. {_sentence(actions.overview(row))}"
    say(words, as_json, actions.overview(row))


@run.command()
@of_site
@project_option
@number_option
@json_option
def repeat(project: str | None, number: int | None, as_json: bool) -> None:
    """Start a new run that names an earlier one."""
    from friendlyfl.controller import actions

    made = actions.repeat_run(me(), actions.find.run(the_project(project), number))
    say(f"Run {made.number} has begun. Watch it: friendlyfl run watch", as_json, actions.overview(made))


@run.command(
    epilog=example(
        "friendlyfl run results",
        "friendlyfl run results --run 2 --json results.json",
        "friendlyfl run results --pack study.zip",
    )
)
@of_site
@project_option
@number_option
@click.option("--step", type=int, metavar="NUMBER", help="Only this step.")
@click.option(
    "--json",
    "out",
    type=click.Path(allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Write the Results as JSON to a file; '-' is the screen.",
)
@click.option(
    "--pack",
    type=click.Path(dir_okay=False),
    metavar="FILE.zip",
    help="Write the publication pack: methods, tables, figures, plan and approvals, the same analysis in R and Python.",
)
def results(
    project: str | None, number: int | None, step: int | None, out: str | None, pack: str | None
) -> None:
    """Read the Result of each step."""
    from friendlyfl.cli.show import show
    from friendlyfl.controller import actions, plans
    from friendlyfl.tasks.dictionary import Dictionary
    from friendlyfl.tasks.report import Result
    from friendlyfl.tasks.saying import sentences

    row = actions.find.run(the_project(project), number)
    found = [made for made in row.results.all() if step in (None, made.step)]
    if pack:
        Path(pack).write_bytes(actions.download_result(me(), row, "pack.zip", step))
        tell(f"The publication pack is in {pack}.")
        if not out:
            return
    if out:
        text = json.dumps({str(made.step): made.result for made in found}, indent=2)
        if out == "-":
            click.echo(text)
        else:
            Path(out).write_text(text + "\n", encoding="utf-8")
            tell(f"{len(found)} {'Result is' if len(found) == 1 else 'Results are'} in {out}.")
        return
    if not found:
        tell(f"No Result is here. Run {row.number}: {_sentence(actions.overview(row))}")
    plan = plans.read(bytes(row.plan.raw))
    dictionary, asked = Dictionary.parse(plan.dictionary), {one.seq: one.parameters for one in plan.steps}
    for made in found:
        result = Result.from_json(made.result)
        show(result, said=sentences(result, asked[made.step], dictionary)[:1])


@run.command()
@of_site
@project_option
@number_option
@json_option
def logs(project: str | None, number: int | None, as_json: bool) -> None:
    """Read the log of a run.

    The coordinator reads every hospital's, a participant its own. What is marked "here only" was never sent.
    """
    from friendlyfl.controller import actions, members
    from friendlyfl.core.troubles import sentence

    row = actions.find.run(the_project(project), number)
    lines: list[dict[str, Any]] = [
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
        tell(f"{line['at'][:19].replace('T', ' ')}  {line['hospital']:<20} {place:<5} {line['words']}")
        if line["detail"]:
            tell(f"{'':21}{str(line['detail']).splitlines()[0]} (here only)")
    if not lines:
        tell("No line yet. A run writes its first one when the Controller works on it.")

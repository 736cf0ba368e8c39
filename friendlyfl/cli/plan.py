"""`friendlyfl plan`: draft and propose (coordinator), read and decide (participant)."""

import json
from pathlib import Path
from typing import Any

import click

from friendlyfl.cli.opening import json_option, me, of_site, parameters, project_option, show_json, table


@click.group()
def plan() -> None:
    """The plan of a project: its steps, dictionary and rules, and each hospital's word on it."""


@plan.command("dictionary")
@of_site
@project_option
@click.option(
    "--file", "path", type=click.Path(dir_okay=False), help="JSON file of the data dictionary to agree on."
)
@json_option
def dictionary(project: str, path: str | None, as_json: bool) -> None:
    """Show or set the data dictionary: columns, types, levels, units, ranges."""
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import UsageError

    row = actions.find.project(project)
    if path:
        try:
            wish = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError("dictionary_file", f"{path} cannot be read as JSON.") from error
        actions.set_dictionary(me(), row, wish)
    if as_json:
        show_json(row.dictionary)
        return
    rows = [
        [
            name,
            entry.get("type"),
            ", ".join(entry.get("levels", [])) or entry.get("range", ""),
            entry.get("unit", ""),
        ]
        for name, entry in row.dictionary.items()
    ]
    table(
        "Data dictionary",
        ["column", "type", "levels or range", "unit"],
        rows,
        "No dictionary yet: --file dictionary.json",
    )


@plan.command()
@of_site
@click.argument("task")
@project_option
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; lists with commas.")
@click.option("--title", default="", help="What to call this step.")
def add(task: str, project: str, pairs: tuple[str, ...], title: str) -> None:
    """Add TASK (see: friendlyfl tasks) as the last step."""
    from friendlyfl.controller import actions

    step = actions.add_step(me(), actions.find.project(project), task, parameters(pairs), title=title)
    click.echo(f"Step {step.seq}: {step.title}. Next: friendlyfl plan propose")


def _step(project: str, number: int) -> Any:
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import NotFoundError

    row = actions.find.project(project)
    step = row.steps.filter(seq=number).first()
    if step is None:
        raise NotFoundError("no_step", f"The plan of {row.name} has no step {number}.")
    return step


@plan.command()
@of_site
@click.argument("number", type=int)
@project_option
@click.option(
    "--set", "pairs", multiple=True, required=True, metavar="NAME=VALUE", help="A parameter to change."
)
def change(number: int, project: str, pairs: tuple[str, ...]) -> None:
    """Choose other parameters for step NUMBER."""
    from friendlyfl.controller import actions

    actions.change_step(me(), _step(project, number), parameters(pairs))
    click.echo(f"Step {number} is changed. Propose the plan again: friendlyfl plan propose")


@plan.command()
@of_site
@click.argument("number", type=int)
@click.option("--by", "places", type=int, required=True, help="Places: -1 is one up, 1 is one down.")
@project_option
def move(number: int, places: int, project: str) -> None:
    """Move step NUMBER up or down."""
    from friendlyfl.controller import actions

    actions.move_step(me(), _step(project, number), places)
    click.echo("Moved.")


@plan.command()
@of_site
@click.argument("number", type=int)
@project_option
def remove(number: int, project: str) -> None:
    """Take step NUMBER out of the draft."""
    from friendlyfl.controller import actions

    actions.remove_step(me(), _step(project, number))
    click.echo(f"Step {number} is out of the draft.")


@plan.command("rules")
@of_site
@project_option
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="quorum, round_deadline (seconds), ..."
)
@json_option
def rules(project: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Show or change the run's rules: quorum, deadlines, whether the Result is shared."""
    from friendlyfl.controller import actions, plans

    row = actions.find.project(project)
    changes = {name: _value(text) for name, text in parameters(pairs).items()}
    found = actions.set_rules(me(), row, changes) if changes else {**plans.RULES, **row.rules}
    if as_json:
        show_json(found)
    else:
        table("Rules of the run", ["rule", "value"], [[name, value] for name, value in found.items()], "")


def _value(text: str) -> object:
    if text.lower() in ("yes", "no", "true", "false"):
        return text.lower() in ("yes", "true")
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


@plan.command()
@of_site
@project_option
@json_option
def propose(project: str, as_json: bool) -> None:
    """Send the plan to every hospital for approval. A later change needs new approvals."""
    from friendlyfl.controller import actions

    row = actions.propose_plan(me(), actions.find.project(project))
    if as_json:
        show_json({"plan": row.sha256, "epoch": row.epoch})
    else:
        click.echo(
            f"Plan {row.sha256[:12]} is on its way. When the hospitals have approved: friendlyfl run start"
        )


@plan.command()
@of_site
@project_option
@json_option
def show(project: str, as_json: bool) -> None:
    """Read the plan that waits for approval: who asks, what will be computed, what leaves this hospital."""
    from friendlyfl.cli.request import describe_request, show_request
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    seen = describe_request(row, actions.current_plan(row))
    if as_json:
        show_json(seen)
    else:
        show_request(seen)


@plan.command()
@of_site
@project_option
def approve(project: str) -> None:
    """Say yes to the plan: this hospital computes what it says, when the coordinator starts a run."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    word = actions.approve(me(), row)
    click.echo(f"Approved: plan {word.plan.sha256[:12]} of {row.name}.")


@plan.command()
@of_site
@project_option
@click.option(
    "--reason", prompt="Reason (the coordinator reads it)", help="Why not; the coordinator reads it."
)
def decline(project: str, reason: str) -> None:
    """Say no to the plan. Nothing is computed or sent."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    actions.decline(me(), row, reason)
    click.echo(f"Declined. {row.name} computes nothing here.")


@plan.command()
@of_site
@project_option
def revoke(project: str) -> None:
    """Take the approval back, for runs to come."""
    from friendlyfl.controller import actions

    actions.revoke_approval(me(), actions.find.project(project))
    click.echo("The approval is taken back.")

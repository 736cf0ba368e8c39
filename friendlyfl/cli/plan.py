"""`friendlyfl plan`: draft and propose (coordinator), read and decide (participant)."""

from datetime import datetime
from typing import Any

import click

from friendlyfl.cli.opening import (
    Group,
    example,
    json_option,
    me,
    of_site,
    parameters,
    project_option,
    read_json_file,
    show_json,
    table,
    the_project,
)


@click.group(cls=Group)
def plan() -> None:
    """The plan of a project: steps, dictionary, rules.

    The coordinator drafts and proposes it; each hospital reads it, and approves or declines. Nothing is computed
    before.
    """


@plan.command("dictionary", epilog=example("friendlyfl plan dictionary --file dictionary.json"))
@of_site
@project_option
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="JSON file with the data dictionary to agree on.",
)
@json_option
def dictionary(project: str | None, path: str | None, as_json: bool) -> None:
    """Show or set the columns: types, levels, units, ranges.

    This is the data dictionary: what each column means in every hospital.
    """
    from friendlyfl.controller import actions

    row = the_project(project)
    if path:
        actions.set_dictionary(me(), row, read_json_file(path))
    if as_json:
        show_json(row.dictionary)
        return
    rows = [
        [
            name,
            entry.get("type"),
            ", ".join(entry.get("levels", [])) or _range(entry.get("range")),
            entry.get("unit", ""),
        ]
        for name, entry in row.dictionary.items()
    ]
    table(
        "Data dictionary",
        ["column", "type", "levels or range", "unit"],
        rows,
        "No data dictionary yet. Agree on one: friendlyfl plan dictionary --file dictionary.json",
    )


@plan.command(
    epilog=example(
        "friendlyfl plan cohort --where 'age >= 18 and sex = female'",
        "friendlyfl plan cohort --where ''",
    )
)
@of_site
@project_option
@click.option("--where", default=None, metavar="CRITERIA", help="Inclusion criteria; '' for all patients.")
@json_option
def cohort(project: str | None, where: str | None, as_json: bool) -> None:
    """Show or set which patients the plan is about.

    Columns of the data dictionary are compared by = != < <= > >= in, joined by and, or, not and brackets. A patient
    whose value is missing never matches.
    """
    from friendlyfl.controller import actions

    row = the_project(project)
    if where is not None:
        actions.set_cohort(me(), row, where)
    if as_json:
        show_json({"cohort": row.cohort})
    else:
        click.echo(row.cohort or "All patients.")


def _range(bounds: list[Any] | None) -> str:
    return "" if not bounds else f"{_number(bounds[0])} to {_number(bounds[1])}"


def _number(value: Any) -> str:
    return "…" if value is None else f"{value:g}"


@plan.command(
    epilog=example(
        "friendlyfl plan add table_one --set variables=age,female",
        "friendlyfl plan add kaplan_meier --set time=days --set event=died",
    )
)
@of_site
@click.argument("task")
@project_option
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the task; lists with commas."
)
@click.option("--title", default="", show_default=False, help="What to call this step.")
@click.option(
    "--where",
    default="",
    show_default=False,
    metavar="CRITERIA",
    help="Only patients who also meet these inclusion criteria.",
)
def add(task: str, project: str | None, pairs: tuple[str, ...], title: str, where: str) -> None:
    """Add a step at the end of the draft.

    TASK is a kind of analysis: friendlyfl tasks
    """
    from friendlyfl.controller import actions

    step = actions.add_step(me(), the_project(project), task, parameters(pairs), title=title, cohort=where)
    click.echo(f"Step {step.seq}: {step.title}. Next: friendlyfl plan propose")


@plan.command()
@of_site
@project_option
@json_option
def draft(project: str | None, as_json: bool) -> None:
    """List the steps as drafted, proposed or not."""
    row = the_project(project)
    steps = [
        {
            "step": step.seq,
            "task": f"{step.task} {step.version}",
            "title": step.title,
            "set": step.parameters,
            "where": step.cohort,
        }
        for step in row.steps.all()
    ]
    if as_json:
        show_json(steps)
        return
    shown = [
        [step["step"], step["task"], step["title"], _chosen(step["set"]), step["where"]] for step in steps
    ]
    table(
        f"Draft of {row.name}",
        ["step", "task", "title", "parameters", "only where"],
        shown,
        "No step yet. See which there are: friendlyfl tasks. Then: friendlyfl plan add TASK --set NAME=VALUE",
    )


def _chosen(parameters: dict[str, Any]) -> str:
    from friendlyfl.cli.request import text_of

    return "\n".join(
        f"{name}={text_of(value)}" for name, value in parameters.items() if value not in (None, "", [])
    )


def _step(project: str | None, number: int) -> Any:
    from friendlyfl.core.errors import NotFoundError

    row = the_project(project)
    step = row.steps.filter(seq=number).first()
    if step is None:
        raise NotFoundError("no_step", f"The plan of {row.name} has no step {number}.")
    return step


@plan.command()
@of_site
@click.argument("number", type=int)
@project_option
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; others stay.")
@click.option("--where", default=None, metavar="CRITERIA", help="Its own inclusion criteria; '' for none.")
def change(number: int, project: str | None, pairs: tuple[str, ...], where: str | None) -> None:
    """Choose other parameters or criteria for a step.

    NUMBER is the step's place in the draft: friendlyfl plan draft
    """
    from friendlyfl.controller import actions

    if not pairs and where is None:
        raise click.UsageError("Say what to change: --set NAME=VALUE or --where CRITERIA.")
    actions.change_step(me(), _step(project, number), parameters(pairs), cohort=where)
    click.echo(f"Step {number} is changed. Propose the plan again: friendlyfl plan propose")


@plan.command()
@of_site
@click.argument("number", type=int)
@click.option("--by", "places", type=int, required=True, help="How far: -1 is one up, 1 is one down.")
@project_option
def move(number: int, places: int, project: str | None) -> None:
    """Move a step up or down in the draft.

    NUMBER is the step's place now.
    """
    from friendlyfl.controller import actions

    actions.move_step(me(), _step(project, number), places)
    click.echo("Moved. Propose the plan again: friendlyfl plan propose")


@plan.command()
@of_site
@click.argument("number", type=int)
@project_option
def remove(number: int, project: str | None) -> None:
    """Take a step out of the draft.

    NUMBER is the step's place; the later ones move up.
    """
    from friendlyfl.controller import actions

    actions.remove_step(me(), _step(project, number))
    click.echo(f"Step {number} is out of the draft. Propose the plan again: friendlyfl plan propose")


@plan.command("rules", epilog=example("friendlyfl plan rules --set quorum=3 --set round_deadline=600"))
@of_site
@project_option
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Change a rule, such as quorum=3.")
@json_option
def rules(project: str | None, pairs: tuple[str, ...], as_json: bool) -> None:
    """Show or change quorum, deadlines and what is shared.

    Deadlines are in seconds; quorum 0 means every hospital of the plan.
    """
    from friendlyfl.controller import actions, plans

    row = the_project(project)
    changes = {name: _value(text) for name, text in parameters(pairs).items()}
    found = actions.set_rules(me(), row, changes) if changes else {**plans.RULES, **row.rules}
    if as_json:
        show_json(found)
    else:
        rows = [[name, value, RULES.get(name, "")] for name, value in found.items()]
        table("Rules of the run", ["rule", "value", "meaning"], rows, "")


RULES = {
    "quorum": "hospitals that must answer; 0 means all",
    "prepare_deadline": "seconds to check the data",
    "round_deadline": "seconds for a round",
    "late": "what becomes of a late answer",
    "secure_sum": "only the sum over hospitals can be read",
    "share_result": "participants get the Result",
    "coordinator_data": "the coordinator brings data of its own",
}


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
def propose(project: str | None, as_json: bool) -> None:
    """Send the draft to every hospital for approval.

    A later change, of the plan or of the list of hospitals, needs to be proposed and approved again.
    """
    from friendlyfl.controller import actions

    row = actions.propose_plan(me(), the_project(project))
    if as_json:
        show_json({"plan": row.sha256, "epoch": row.epoch})
    else:
        click.echo(
            f"Plan {row.sha256[:12]} is proposed. Who has approved: friendlyfl project show. Then: friendlyfl run start"
        )


@plan.command()
@of_site
@project_option
@json_option
def show(project: str | None, as_json: bool) -> None:
    """Read the proposed plan before you decide.

    It says who asks and what for, what will be computed, and what would leave this hospital, how often, to whom.
    """
    from friendlyfl.cli.request import describe_request, show_request
    from friendlyfl.controller import actions

    row = the_project(project)
    seen = describe_request(row, actions.current_plan(row))
    if as_json:
        show_json(seen)
    else:
        show_request(seen)


@plan.command(epilog=example("friendlyfl plan approve --until 2027-06-30", "friendlyfl plan approve --once"))
@of_site
@project_option
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="The last day on which a run may begin, as 2027-06-30; without it, in 90 days.",
)
@click.option("--once", is_flag=True, help="For one run only.")
def approve(project: str | None, until: datetime | None, once: bool) -> None:
    """Say yes: this hospital computes what the plan says.

    Read it first (friendlyfl plan show) and check your data (friendlyfl dataset check). It is computed whenever the
    coordinator starts a run, for as long as the word holds or until you take it back with friendlyfl plan revoke.
    """
    from friendlyfl.controller import actions, approvals

    row = the_project(project)
    word = actions.approve(me(), row, until=until.date() if until else None, once=once)
    click.echo(f"Approved {approvals.end_words(word)}: plan {word.plan.sha256[:12]} of {row.name}.")


@plan.command(epilog=example('friendlyfl plan decline --reason "Our ethics board has not answered yet."'))
@of_site
@project_option
@click.option(
    "--reason",
    prompt="Reason (the coordinator reads it)",
    help="Why not; the coordinator reads it. Asked for if not given.",
)
def decline(project: str | None, reason: str) -> None:
    """Say no: nothing is computed or sent."""
    from friendlyfl.controller import actions

    row = the_project(project)
    actions.decline(me(), row, reason)
    click.echo(f"Declined. {row.name} computes nothing here.")


@plan.command()
@of_site
@project_option
def revoke(project: str | None) -> None:
    """Take an approval back, for runs to come."""
    from friendlyfl.controller import actions

    actions.revoke_approval(me(), the_project(project))
    click.echo("The approval is taken back.")

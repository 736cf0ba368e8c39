"""`friendlyfl dataset`: tables that stay in this hospital."""

import json
from pathlib import Path

import click

from friendlyfl.cli.opening import json_option, me, of_site, project_option, show_json, table


@click.group()
def dataset() -> None:
    """Tables that stay in this hospital, and which of them serves which project."""


@dataset.command()
@of_site
@click.argument("name")
@click.argument("path", type=click.Path())
@click.option("--missing", default="", help="Codes that mean 'no value', with commas: NA,-9,.")
@json_option
def add(name: str, path: str, missing: str, as_json: bool) -> None:
    """Register the CSV file PATH as NAME. It is read here and stays where it is."""
    from friendlyfl.controller import actions

    codes = tuple(code for code in missing.split(",") if code)
    row, source = actions.add_dataset(me(), name, path, missing=codes)
    if as_json:
        show_json({"name": row.name, "rows": row.rows, **row.description})
        return
    columns = [[column.name, column.type, column.n, column.n_missing] for column in source.columns]
    table(
        f"{row.name}: {row.rows} rows. Stays in this hospital.",
        ["column", "type", "values", "missing"],
        columns,
        "",
    )
    for note in source.notes:
        click.echo(f"  {note}")


@dataset.command("list")
@of_site
@json_option
def list_(as_json: bool) -> None:
    """List the datasets of this hospital."""
    from friendlyfl.controller.models import Dataset, Project

    rows = [
        {
            "name": row.name,
            "rows": row.rows,
            "serves": ", ".join(Project.objects.filter(dataset=row).values_list("name", flat=True)),
            "path": row.path,
        }
        for row in Dataset.objects.order_by("name")
    ]
    if as_json:
        show_json(rows)
        return
    empty = "No datasets yet. A dataset is a table that stays in this hospital. Add one: friendlyfl dataset add NAME FILE"
    table("Datasets", ["name", "rows", "serves", "path"], [list(row.values()) for row in rows], empty)


@dataset.command()
@of_site
@click.argument("name")
def remove(name: str) -> None:
    """Forget the dataset NAME. The file stays."""
    from friendlyfl.controller import actions

    actions.remove_dataset(me(), actions.find.dataset(name))
    click.echo(f"{name} is forgotten; its file was not touched.")


@dataset.command()
@of_site
@click.argument("name")
@project_option
def use(name: str, project: str) -> None:
    """Let the dataset NAME serve a project."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    actions.use_dataset(me(), row, actions.find.dataset(name))
    click.echo(f"{name} serves {row.name}.")


@dataset.command("map")
@of_site
@project_option
@click.option(
    "--file", "path", required=True, type=click.Path(dir_okay=False), help="JSON file: see docs/operations.md"
)
def map_(project: str, path: str) -> None:
    """Say how this hospital's columns become the project's dictionary. The mapping stays here."""
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import UsageError

    try:
        mapping = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("mapping_file", f"{path} cannot be read as JSON.") from error
    row = actions.map_columns(me(), actions.find.project(project), mapping)
    click.echo(f"Mapped, version {row.version}.")


@dataset.command()
@of_site
@project_option
@json_option
def check(project: str, as_json: bool) -> None:
    """Check this hospital's data against the project's plan, before anything is approved or sent."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    problems = actions.check_dataset(row, actions.current_plan(row))
    if as_json:
        show_json(problems)
    elif problems:
        for problem in problems:
            click.echo(f"Step {problem['step']}: {problem['sentence']}")
    else:
        click.echo("The data fit the plan, and this hospital's rules allow it.")
    if problems:
        raise SystemExit(1)

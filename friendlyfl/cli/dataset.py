"""`friendlyfl dataset`: tables that stay in this hospital."""

from shlex import quote

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
def dataset() -> None:
    """Tables that stay in this hospital, and which of them serves which project."""


@dataset.command(
    epilog=example(
        "friendlyfl dataset add patients /data/patients.csv --missing NA,-9",
        "friendlyfl dataset add patients '/data/patients.xlsx#Baseline'",
        "friendlyfl dataset add stays 'sqlite:////data/icu.db#stays'",
    )
)
@of_site
@click.argument("name")
@click.argument("path", type=click.Path())
@click.option(
    "--missing",
    default="",
    show_default=False,
    metavar="CODES",
    help="What means 'no value' beside an empty cell, with commas: NA,-9",
)
@json_option
def add(name: str, path: str, missing: str, as_json: bool) -> None:
    """Register a table; it stays where it is.

    PATH is a file: CSV, Parquet (.parquet), Excel (.xlsx), SPSS (.sav, .zsav) or Stata (.dta); after # the name of a
    sheet. Or a database's address, postgresql:// or sqlite:///, and after # a table or a query that begins with
    SELECT; ${NAME} in it stands for a variable of the environment, such as a password.

    It is read here, and what was guessed of it (separator, decimal comma, types) is shown. NAME is what this
    hospital calls the table. Nothing is copied and nothing is sent.
    """
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


@dataset.command(
    epilog=example(
        "friendlyfl dataset describe patients",
        "friendlyfl dataset describe patients --type admitted='date d.m.Y'",
        "friendlyfl dataset describe patients --missing-in smoker=9 --decimal ,",
    )
)
@of_site
@click.argument("name")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="COLUMN=TYPE",
    help="integer, number, factor, date, 'date d.m.Y', 'date m.d.Y' or text; nothing after = lets it be guessed.",
)
@click.option("--missing", metavar="CODES", help="What means 'no value' in every column, with commas.")
@click.option(
    "--missing-in",
    "own",
    multiple=True,
    metavar="COLUMN=CODES",
    help="What means it in one column, beside those.",
)
@click.option("--separator", metavar="SIGN", help="Of a text file: , ; | or TAB; '' lets it be guessed.")
@click.option("--decimal", metavar="SIGN", help="Of a text file: . or , before the decimals.")
@click.option("--encoding", metavar="NAME", help="Of a text file: utf-8, cp1252 or utf-16.")
@json_option
def describe(
    name: str,
    types: tuple[str, ...],
    missing: str | None,
    own: tuple[str, ...],
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Show what was guessed of a table, or correct it.

    With an option the table is read again. Corrections are kept with the dataset, and count for every check and run.
    The table itself is not changed.
    """
    from friendlyfl.controller import actions

    row = actions.find.dataset(name)
    said = dict(row.corrections)
    for key, value in (("separator", separator), ("decimal", decimal), ("encoding", encoding)):
        if value is not None:
            said[key] = "\t" if value.upper() == "TAB" else value
    for key, pairs in (("types", types), ("missing", own)):
        changes = {
            **said.get(key, {}),
            **parameters(pairs, f"--{'type' if key == 'types' else 'missing-in'}"),
        }
        said[key] = {column: value for column, value in changes.items() if value}
    if types or own or (missing, separator, decimal, encoding) != (None,) * 4:
        actions.describe_dataset(me(), row, missing=missing, corrections=said)
        row.refresh_from_db()
    if as_json:
        show_json({"name": row.name, "rows": row.rows, "missing": row.missing, **row.description,
                   "corrections": row.corrections})  # fmt: skip
        return
    columns = [
        [column["name"], column["type"], column["n"], column["missing"]]
        for column in row.description["columns"]
    ]
    table(
        f"{row.name}: {row.rows} rows. Stays in this hospital.",
        ["column", "type", "values", "missing"],
        columns,
        "Not read yet.",
    )
    for note in row.description["guessed"]:
        click.echo(f"  {note}")


@dataset.command("list")
@of_site
@json_option
def list_(as_json: bool) -> None:
    """List the datasets of this hospital."""
    from friendlyfl.controller.models import Dataset, Project
    from friendlyfl.tasks.places import shown

    rows = [
        {
            "name": row.name,
            "rows": row.rows,
            "added": row.added_at,
            "serves": ", ".join(Project.objects.filter(dataset=row).values_list("name", flat=True)),
            "path": shown(row.path),
        }
        for row in Dataset.objects.order_by("name")
    ]
    if as_json:
        show_json(rows)
        return
    empty = (
        "No datasets yet. A dataset is a table that stays in this hospital. Add one: "
        "friendlyfl dataset add NAME FILE"
    )
    lines = [[row["name"], row["rows"], row["serves"] or "no project yet", row["path"]] for row in rows]
    table("Datasets", ["name", "rows", "serves", "path"], lines, empty)


@dataset.command()
@of_site
@click.argument("name")
def remove(name: str) -> None:
    """Forget a dataset; its file stays.

    NAME is the dataset's name: friendlyfl dataset list
    """
    from friendlyfl.controller import actions

    actions.remove_dataset(me(), actions.find.dataset(name))
    click.echo(f"{name} is forgotten; its file was not touched.")


@dataset.command(epilog=example('friendlyfl dataset use patients -p "Who sees a doctor"'))
@of_site
@click.argument("name")
@project_option
def use(name: str, project: str | None) -> None:
    """Choose the dataset that serves a project.

    NAME is the dataset's name. It can be changed whenever no run is under way.
    """
    from friendlyfl.controller import actions

    row = the_project(project)
    actions.use_dataset(me(), row, actions.find.dataset(name))
    click.echo(f"{name} serves {row.name}.")


@dataset.command("map", epilog=example('friendlyfl dataset map --file mapping.json -p "Who sees a doctor"'))
@of_site
@project_option
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="JSON file; its form stands in docs/data.md.",
)
def map_(project: str | None, path: str) -> None:
    """Map this hospital's columns onto the dictionary.

    Other names, codes and units become the project's. A mapping stays here, and an older version is kept. Without
    one, columns of the same name are used.
    """
    from friendlyfl.controller import actions

    found = the_project(project)
    row = actions.map_columns(me(), found, read_json_file(path))
    click.echo(f"Mapped, version {row.version}. Next: friendlyfl dataset check -p {quote(found.name)}")


@dataset.command()
@of_site
@project_option
@json_option
def check(project: str | None, as_json: bool) -> None:
    """Check the data against a project's plan.

    Do it before you approve: what does not fit is named with its rows and column, here only. Nothing is sent.
    """
    from friendlyfl.controller import actions

    row = the_project(project)
    problems = actions.check_dataset(row, actions.current_plan(row))
    if as_json:
        show_json(problems)
    elif problems:
        for problem in problems:
            place = f"Step {problem['step']}: " if problem["step"] else ""
            click.echo(place + problem["sentence"])
    else:
        click.echo("The data fit the plan, and this hospital's rules allow it.")
    if problems:
        raise SystemExit(1)

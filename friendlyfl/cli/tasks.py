"""`friendlyfl tasks`: the catalogue as installed here."""

import click

from friendlyfl.cli.opening import json_option, show_json, table


@click.command()
@json_option
def tasks(as_json: bool) -> None:
    """List the kinds of analysis that are installed here.

    Each stands with the question it answers. Try one on files of your own: friendlyfl simulate TASK --help
    """
    from friendlyfl.tasks import registry

    rows = [
        {"task": name, "version": task.version, "question": task.question} for name, task in registry.every()
    ]
    if as_json:
        show_json(rows)
    else:
        table(
            "Tasks",
            ["task", "version", "question"],
            [list(row.values()) for row in rows],
            "No kind of analysis is installed here.",
        )

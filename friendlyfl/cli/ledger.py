"""`friendlyfl ledger`: everything that ever left this hospital."""

import sys
from pathlib import Path

import click

from friendlyfl.cli.opening import example, json_option, of_site, show_json


@click.command(
    epilog=example("friendlyfl ledger", "friendlyfl ledger --check", "friendlyfl ledger --csv ledger.csv")
)
@of_site
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write every line to a CSV file.",
)
@click.option("--check", is_flag=True, help="Compute all hashes again and say whether any line was changed.")
@json_option
def ledger(csv_path: str | None, check: bool, as_json: bool) -> None:
    """Show everything that ever left this hospital.

    One line for each message: when, what kind, how much, in words. Refusals stand there too ("nothing was sent"). Each
    line holds the hash of the one before, so that a change or a gap shows.
    """
    from friendlyfl.controller import actions, departed
    from friendlyfl.controller.models import Departure

    lines, breaks = actions.export_ledger()
    if check:
        for number, why in breaks:
            click.echo(f"Line {number}: {why}.", err=True)
        click.echo(f"The chain of {len(lines)} lines is {'broken' if breaks else 'unbroken'}.")
        sys.exit(1 if breaks else 0)
    if csv_path:
        with Path(csv_path).open("w", newline="", encoding="utf-8") as out:
            out.writelines(departed.as_csv(Departure.objects.all()))
        click.echo(f"{len(lines)} lines are in {csv_path}.")
    elif as_json:
        show_json(lines)
    else:
        for line in lines:
            amount = f"{line['numbers']} numbers" if line["numbers"] else f"{line['bytes']} bytes"
            click.echo(
                f"{line['n']:>5}  {line['at'][:19].replace('T', ' ')}  {line['type']:<10} {amount:>14}  {line['what']}"
            )
        if not lines:
            click.echo("Nothing has ever left this hospital.")

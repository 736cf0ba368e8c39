"""`friendlyfl doctor`: what is right and what is wrong at this site, in words, and who can repair it.

What is looked at stands in `checkup` and `checkup_records`; here it is printed and summed up.
"""

import dataclasses
import shutil
import textwrap

import click

from friendlyfl.cli.checkup import LOOK, OK, REPAIR, Finding, examine
from friendlyfl.cli.opening import example, home_option, json_option, show_json

COLOURS = {OK: "green", LOOK: "yellow", REPAIR: "red"}
WIDEST = 100


@click.command(epilog=example("friendlyfl doctor", "friendlyfl doctor --json"))
@home_option
@json_option
def doctor(home: str | None, as_json: bool) -> None:
    """Say what is wrong at this site, and who can repair it.

    One line for each thing that was looked at: ok, look (nothing is broken, but somebody should know) or repair.
    Nothing is changed. It asks the Routing Server who is there, and tells it nothing new. The exit code is 0 if
    nothing needs repair, else 1.
    """
    from friendlyfl.controller.home import Home

    place = Home.locate(home)
    findings = []
    for finding in examine(place):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    broken = sum(finding.state == REPAIR for finding in findings)
    if as_json:
        found = [dataclasses.asdict(finding) for finding in findings]
        show_json({"home": place.folder, "good": not broken, "findings": found})
    else:
        click.echo(_summary(broken, sum(finding.state == LOOK for finding in findings)))
    if broken:
        raise SystemExit(1)


def _line(finding: Finding) -> str:
    """State, what was looked at, and the words in a column of their own."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    head = f"{finding.state:<7} {finding.check:<11} "
    words = f"{finding.words} [{finding.who}]" if finding.who else finding.words
    text = textwrap.fill(
        words, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )
    return click.style(text[: len(finding.state)], fg=COLOURS[finding.state]) + text[len(finding.state) :]


def _summary(broken: int, looked: int) -> str:
    look = f"{looked} {'thing' if looked == 1 else 'things'} to look at"
    if broken:
        need = f"{broken} {'thing needs' if broken == 1 else 'things need'} repair"
        return f"\n{need}{f', {look}' if looked else ''}. In brackets: who can do it."
    return f"\nNothing needs repair{f'; {look}' if looked else ''}."

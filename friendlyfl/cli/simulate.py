"""`friendlyfl simulate`: a task over files, one a site, with the codec, ring and rules that real runs use.

Reading files and printing are here; the rounds are in `testing.simulate`, and nothing here touches a network.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from friendlyfl.cli.opening import example
from friendlyfl.core.errors import BrokenError, FriendlyError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from friendlyfl.tasks import Dictionary
    from friendlyfl.testing.simulate import Outcome, Progress


@click.command(epilog=example("friendlyfl simulate table_one --site a.csv --site b.csv --set variables=age"))
@click.argument("task")
@click.option(
    "--site",
    "sites",
    multiple=True,
    required=True,
    metavar="A.csv",
    help="A site's data; once for each site: a CSV, .parquet, .xlsx, .sav or .dta file, or a database's address.",
)
@click.option(
    "--dictionary",
    metavar="dict.json",
    help="The data dictionary; without it one is inferred from all files.",
)
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="name=value",
    help="A parameter; lists by comma: predictors=age,sex,age:sex.",
)
@click.option(
    "--where",
    default="",
    show_default=False,
    metavar="CRITERIA",
    help="Inclusion criteria, such as 'age >= 18 and sex = female'; rows that do not meet them are not there.",
)
@click.option(
    "--rules",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="The hospitals' rules; off to test arithmetic.",
)
@click.option("--secure-sum", is_flag=True, help="Only sums over sites can be read.")
@click.option("--json", "out", metavar="OUT", help="Write the Result to this file; - for standard output.")
@click.option(
    "--pack",
    metavar="OUT.zip",
    help="Write the publication pack: methods, tables, figures, the same analysis in R and Python.",
)
def simulate(
    task: str,
    sites: Sequence[str],
    dictionary: str | None,
    given: Sequence[str],
    where: str,
    rules: str,
    secure_sum: bool,
    out: str | None,
    pack: str | None,
) -> None:
    """Run TASK over the files of several sites as if they were hospitals, in one process.

    Sites are numbered 1, 2, 3 in the order given. An empty cell and NA are missing. A sheet is named after the file,
    B.xlsx#Sheet, and a database's table or query after its address: 'sqlite:///c.db#patients'.

    \b
    Exit codes:
      0  a Result
      2  wrong arguments or data
      3  refused by a rule
      4  no finite answer
    """
    from friendlyfl.tasks import registry
    from friendlyfl.testing.simulate import dictionary_for, run

    parameters = read_settings(given)
    registry.find(task)
    check_writable(out, "Result")
    check_writable(pack, "publication pack")
    known = None if dictionary is None else read_dictionary(dictionary)
    frames = [read_site(path, known) for path in sites]
    columns = dictionary_for(known, frames)
    if known is None:
        tell_dictionary(columns, len(frames))
    try:
        with bar() as progress:
            outcome = run(
                task,
                frames,
                columns,
                rules=rules,
                secure_sum=secure_sum,
                where=where,
                parameters=parameters,
                progress=progress,
            )
    except FriendlyError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise BrokenError("task_failed", f"{task} stopped with a fault of its own ({what}).") from None
    report(outcome, out, Asked(parameters, where), columns)
    if pack is not None:
        write_pack(outcome, pack, Asked(parameters, where), columns, len(frames))
    if outcome.error is not None:
        raise outcome.error


def read_settings(given: Sequence[str]) -> dict[str, str]:
    """`name=value` pairs; a name twice is a mistake nobody should have to find later."""
    parameters: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name:
            raise UsageError("set_form", f"“--set {text}” must be written as --set name=value.")
        if name in parameters:
            raise UsageError(
                "set_twice", f"“{name}” is set twice; write a list with commas: --set {name}=a,b."
            )
        parameters[name] = value
    return parameters


def read_dictionary(path: str) -> Dictionary:
    from friendlyfl.tasks import Dictionary

    try:
        value = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError("file", f"The dictionary {path} cannot be read: {reason(error)}.") from None
    except ValueError:
        raise UsageError("dictionary_form", f"The dictionary {path} is not a JSON file.") from None
    return Dictionary.parse(value)


def reason(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def read_site(path: str, dictionary: Dictionary | None) -> pd.DataFrame:
    """One site's data. Factors and texts stay as written, so that 01 and 1.0 are levels of their own."""
    from friendlyfl.tasks import formats
    from friendlyfl.tasks.places import Place, shown

    file = Place.of(path).path
    if file and not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "does not exist"
        raise UsageError("file", f"The file {file} {what}.")
    types: dict[str, str] = {}
    gaps: dict[str, tuple[str, ...]] = {}
    for name in formats.names(path):
        spec = dictionary.get(name) if dictionary is not None else None
        if spec is not None:
            types[name] = spec.type
        gaps[name] = () if spec is not None and "NA" in spec.levels else ("NA",)
    source = formats.read(path, missing=gaps, types=formats.types_for(path, types))
    if not source.rows:
        raise UsageError("site_empty", f"{shown(path)} has no rows.")
    return source.frame


def check_writable(out: str | None, what: str) -> None:
    """Say at the start, not after the work, that a file cannot be written."""
    if out is None or (out == "-" and what == "Result"):
        return
    path = Path(str(out))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(
            "out", f"The {what} cannot be written to {out}: its folder does not exist, or it is a folder."
        )


def tell_dictionary(columns: Dictionary, files: int) -> None:
    click.echo(f"No --dictionary was given. This one was inferred from all {files} files together:", err=True)
    lines = [
        f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}"
        for name, entry in columns.to_json().items()
    ]
    click.echo("{" + ",\n".join(lines).removeprefix(" ") + "}", err=True)


@contextlib.contextmanager
def bar() -> Iterator[Progress | None]:
    """A line on stderr that shows the round, only where somebody can see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("sites"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        line = shown.add_task("Round 1", total=None)
        yield lambda number, done, sites: shown.update(
            line, description=f"Round {number}", completed=done, total=sites
        )


def report(outcome: Outcome, out: str | None, asked: Asked, columns: Dictionary) -> None:
    """The Result as JSON where asked, else as tables for a person."""
    if out is None:
        from friendlyfl.cli.show import show
        from friendlyfl.tasks.saying import sentences

        show(outcome.result, said=sentences(outcome.result, asked.parameters, columns)[:1])
        return
    text = json.dumps(outcome.result.to_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    if out == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError("out", f"The Result cannot be written to {out}: {reason(error)}.") from None


class Asked(NamedTuple):
    """What was asked for on the command line."""

    parameters: Mapping[str, str]
    where: str


def write_pack(outcome: Outcome, pack: str, asked: Asked, columns: Dictionary, sites: int) -> None:
    """The publication pack of a simulation."""
    from friendlyfl.tasks.publication import Publication, Step

    step = Step(outcome.result, asked.parameters, where=asked.where)
    made = Publication([step], columns, sites, simulated=True).zipped()
    try:
        Path(pack).write_bytes(made)
    except OSError as error:
        raise UsageError("out", f"The pack cannot be written to {pack}: {reason(error)}.") from None

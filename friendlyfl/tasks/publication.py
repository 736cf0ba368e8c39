"""The publication pack: one zip with all that a paper, its reviewers and its readers need of a study.

Methods, patient flow, every table as CSV, every figure, the Result, the plan and who approved it, and the same
analysis in R and in Python. The same study gives the same bytes. Nothing is read from disk here.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import re
import shlex
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from friendlyfl.tasks import methods
from friendlyfl.tasks.catalogue import chosen, typed
from friendlyfl.tasks.cohort import Cohort
from friendlyfl.tasks.dictionary import SITE, Dictionary
from friendlyfl.tasks.figures import Drawing, drawings
from friendlyfl.tasks.ml import model_file
from friendlyfl.tasks.report import MODEL, Result, Row, columns_of
from friendlyfl.tasks.saying import sentences

OLDEST = (1980, 1, 1, 0, 0, 0)  # what a zip can hold; the pack has no clock
IMPORTS = {  # what a task's call may name without saying where it comes from
    "friendlyfl": "import friendlyfl.testing",
    "lifelines": "import lifelines",
    "np": "import numpy as np",
    "numpy": "import numpy",
    "pandas": "import pandas",
    "scipy": "import scipy.stats",
}
LEARNED = model_file.FOLDER  # where the files of a learned model stand in a step


@dataclass(frozen=True)
class Step:
    """One Result with what was asked for; `where` are its inclusion criteria.

    `files` are further ones of the step: a learned model stands under `model/`.
    """

    result: Result
    parameters: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    where: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """A study's steps and what they have in common. `approvals` are the rows that the coordinator holds."""

    steps: Sequence[Step]
    dictionary: Dictionary
    hospitals: int
    name: str = ""
    purpose: str = ""
    plan: bytes = b""
    plan_sha256: str = ""
    approvals: Sequence[Row] = ()
    simulated: bool = False

    def files(self) -> dict[str, tuple[bytes, str]]:
        """Every file by its path, with a sentence that says what it is."""
        found: dict[str, tuple[bytes, str]] = {}
        for number, step in enumerate(self.steps, start=1):
            folder = f"step-{number}-{step.result.task}/" if len(self.steps) > 1 else ""
            for path, (content, words) in self._step(step).items():
                found[folder + path] = content, words
        dictionary = json.dumps(self.dictionary.to_json(), indent=1, ensure_ascii=False)
        found["dictionary.json"] = _text(dictionary), "The data dictionary: columns, types, levels, ranges."
        if self.plan:
            found["plan/plan.json"] = self.plan, "The plan as the hospitals approved it, byte for byte."
            found["plan/plan.sha256"] = _text(self.plan_sha256), "Its hash, by which it was approved."
        if self.approvals:
            words = "Who approved the plan, and the digest of the signed message in which the approval came."
            found["plan/approvals.csv"] = table(self.approvals), words
        return found

    def zipped(self) -> bytes:
        """The pack."""
        files = self.files()
        files["README.txt"] = _text(self._readme(files)), ""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
            for path in sorted(files, key=lambda path: (path != "README.txt", path)):
                entry = zipfile.ZipInfo(path, OLDEST)
                entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
                entry.compress_type = zipfile.ZIP_DEFLATED
                pack.writestr(entry, files[path][0])
        return out.getvalue()

    def _readme(self, files: Mapping[str, tuple[bytes, str]]) -> str:
        width = max(map(len, files))
        lines = [self.name or "A federated analysis", *([self.purpose] if self.purpose else []), ""]
        lines += [f"{path:<{width}}  {words}" for path, (_, words) in sorted(files.items())]
        return "\n".join(lines)

    # One step.

    def _step(self, step: Step) -> dict[str, tuple[bytes, str]]:
        result = step.result
        drawn = drawings(result, self.dictionary)
        once_more = self.dictionary, self.hospitals
        found = {
            "methods.md": (
                _text(self._methods(step, drawn)),
                "The answer in sentences, the methods paragraph, notes, captions, references.",
            ),
            "patients.csv": (
                table(methods.flow(result)),
                "Patient flow: who is in the analysis and who is not.",
            ),
            "software.csv": (table(_software(result, bool(drawn))), "Versions of the software."),
            "result.json": (
                _text(json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False, indent=1)),
                "The whole Result with all digits.",
            ),
            "reproduce/analysis.R": (_text(in_r(step, *once_more)), "The same on one table, in R."),
            "reproduce/analysis.py": (
                _text(in_python(step, *once_more)),
                "The same on one table, in Python.",
            ),
            "reproduce/simulate.sh": (
                _text(simulate_line(step, self.hospitals)),
                "The same federated analysis over files of one’s own.",
            ),
        }
        for name, rows in tables_of(result).items():
            found[f"tables/{name}.csv"] = table(in_reading_order(rows)), f"Table: {name.replace('_', ' ')}."
        for drawing in drawn:
            found[f"figures/{drawing.name}.svg"] = drawing.svg(), f"Figure: {drawing.title}."
            found[f"figures/{drawing.name}.pdf"] = drawing.pdf(), f"Figure: {drawing.title}."
            found[f"figures/{drawing.name}.csv"] = table(drawing.table), "The numbers that the figure shows."
        for path, content in {**model_file.files(result), **step.files}.items():
            words = model_file.WORDS.get(path, "A further file of this step.")
            if path.startswith(LEARNED) and path not in model_file.WORDS:
                words = "The learned model."
            found[path] = content, words
        return found

    def _methods(self, step: Step, drawn: Sequence[Drawing]) -> str:
        result = step.result
        task = methods.task_of(result)
        text = methods.paragraph(
            result, self.hospitals, simulated=self.simulated, plan=self.plan_sha256 if self.plan else ""
        )
        said = sentences(result, step.parameters, self.dictionary)
        lines = [f"# {step.title or (task.title if task else result.task)}", "", *map(str, said[:1]), ""]
        lines += ["## Methods", "", text, ""]
        if said[1:]:
            lines += ["## Results", "", *(f"- {sentence}" for sentence in said), ""]
        if result.notes:
            lines += ["## Notes", "", *(f"- {note}" for note in result.notes), ""]
        if drawn:
            lines += ["## Figures", ""]
            for number, drawing in enumerate(drawn, start=1):
                lines += [f"**Figure {number}. {drawing.title}.** {drawing.description}", ""]
        if references := methods.references(result):
            lines += ["## References", "", *(f"- {reference}" for reference in references), ""]
        return "\n".join(lines)


def _text(words: str) -> bytes:
    return (words.rstrip("\n") + "\n").encode()


# Tables.


def tables_of(result: Result) -> dict[str, list[Row]]:
    """Every table of a Result by a name for its file."""
    found: dict[str, list[Row]] = {}
    if result.coefficients:
        found["coefficients"] = list(map(dict, result.coefficients))
    if result.vcov.names:
        names = result.vcov.names
        found["vcov"] = [
            {"term": name, **dict(zip(names, row, strict=True))}
            for name, row in zip(names, result.vcov.values, strict=True)
        ]
    if result.statistics:
        found["statistics"] = [{"name": name, "value": value} for name, value in result.statistics.items()]
    if result.tests:
        found["tests"] = [{"test": name, **_flat(row)} for name, row in result.tests.items()]
    for name, rows in result.tables.items():
        if rows and name != MODEL:
            found[_safe(name)] = list(map(dict, rows))
    for name in dict.fromkeys(curve.name for curve in result.curves):
        found[f"curve_{_safe(name)}"] = [
            {"group": curve.group, **({"event": curve.event} if curve.event else {}), **point}
            for curve in result.curves
            if curve.name == name
            for point in curve.points
        ]
    return found


def in_reading_order(rows: Sequence[Row]) -> list[Row]:
    """The same rows with what names them first; a Result that travelled has its keys in the alphabet's order."""
    columns = columns_of(rows)
    return [{name: row[name] for name in columns if name in row} for row in rows]


def _flat(row: Row) -> Row:
    """Lists within a test, such as observed numbers by group, as one cell."""
    return {
        key: "; ".join(map(str, value)) if isinstance(value, list) else value for key, value in row.items()
    }


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".") or "table"


def table(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """CSV with all digits; an empty cell is undefined or suppressed."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    """A text that a spreadsheet would take for a formula is marked as text: it may come from another hospital."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and len(text) > 1 else text


def _software(result: Result, drawn: bool) -> list[Row]:
    found = dict(result.reproduce.software)
    if drawn:
        with contextlib.suppress(PackageNotFoundError):
            found["matplotlib"] = version("matplotlib")
    return [{"software": name, "version": number} for name, number in found.items()]


# The same analysis once more.


def files_of(hospitals: int) -> list[str]:
    return [f"site_{number}.csv" for number in range(1, hospitals + 1)]


def in_r(step: Step, dictionary: Dictionary, hospitals: int) -> str:
    """A script: the tables of all hospitals as one, factors as in the dictionary, and the call."""
    call = step.result.reproduce.r
    if not call:
        return "# This analysis has no equivalent call in R."
    names = ", ".join(_quoted(name) for name in files_of(hospitals))
    factors = _factors(step, dictionary)
    # Else R takes a hospital's column of nothing but F for FALSE, and of 01 for 1.
    texts = ", ".join(f'{_quoted(name)} = "character"' for name, _ in factors)
    lines = [
        "# The same analysis of one table that holds the rows of all hospitals.",
        f"files <- c({names})",
        f"texts <- c({texts})" if texts else "texts <- NA",
        "read <- function(file, site) cbind(",
        '  read.csv(file, na.strings = c("", "NA"), check.names = FALSE, colClasses = texts), .site = site)',
        "d <- do.call(rbind, Map(read, files, seq_along(files)))",
        "rownames(d) <- NULL",
    ]
    if SITE in call:
        lines.append("d$.site <- factor(d$.site)")
    for name, levels in factors:
        column = f"d[[{_quoted(name)}]]"
        lines.append(f"{column} <- factor({column}, levels = c({', '.join(map(_quoted, levels))}))")
    return "\n".join([*lines, "", *_statements_of_r(call)])


PIECES_OF_R = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|;(?! )|[^;"'`])+"""


def _statements_of_r(call: str) -> list[str]:
    """The statements of a line of R, one a line; a semicolon within a text parts nothing."""
    parts = [part.strip() for part in re.findall(PIECES_OF_R, call)]
    return parts if "; ".join(parts) == call else [call]


def in_python(step: Step, dictionary: Dictionary, hospitals: int) -> str:
    """The same for Python, with pandas."""
    call = step.result.reproduce.python
    if not call:
        return "# This analysis has no equivalent call in Python."
    factors = _factors(step, dictionary)
    lines = [
        "# The same analysis of one table that holds the rows of all hospitals.",
        "import pandas as pd",
        *(
            line
            for name, line in IMPORTS.items()
            if re.search(rf"(?<![\w.]){name}\.", call) and line not in call
        ),
        "",
        f"files = {files_of(hospitals)!r}",
        f"texts = {{name: str for name in {[name for name, _ in factors]!r}}}",
        "frames = [pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=['', 'NA']) for file in files]",
    ]
    if "frames" in call:  # references and levels are the dictionary's, which frames alone do not tell
        lines[1:1] = ["import json"]
        lines.append('with open("dictionary.json", encoding="utf-8") as file:')
        lines.append("    dictionary = json.load(file)")
    else:
        lines.append("for number, frame in enumerate(frames, start=1):")
        lines.append(f'    frame["{SITE}"] = str(number)')
        lines.append("d = pd.concat(frames, ignore_index=True)")
        for name, levels in factors:
            lines.append(f"d[{name!r}] = pd.Categorical(d[{name!r}], {list(levels)!r})")
    return "\n".join([*lines, "", *_statements_of_python(call)])


def _statements_of_python(call: str) -> list[str]:
    """One statement a line; what is no assignment is printed."""
    try:
        body = ast.parse(call).body
    except SyntaxError:
        return [call]
    parts = [ast.get_source_segment(call, node) or "" for node in body]
    rest = call[call.rindex(parts[-1]) + len(parts[-1]) :].strip(" ;") if parts else ""
    for place, node in enumerate(body):
        if isinstance(node, ast.Expr):
            parts[place] = f"print({parts[place]})"
    return [*parts[:-1], f"{parts[-1]}  {rest}".rstrip()] if parts else [call]


def _factors(step: Step, dictionary: Dictionary) -> list[tuple[str, tuple[str, ...]]]:
    """The factors among the columns that the step and its criteria name; a fixed model names one with its level."""
    said = " ".join(typed(value) for value in step.parameters.values())
    words = set(re.split(r"[,:*\s]+", said))
    cohort = Cohort.read(step.where, dictionary)
    words |= set(cohort.columns if cohort else ())
    return [
        (name, spec.levels)
        for name, spec in dictionary.items()
        if spec.levels and (name in words or any(f"{name}{level}" in said for level in spec.levels))
    ]


def _quoted(text: str) -> str:
    """A text as R writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def simulate_line(step: Step, hospitals: int) -> str:
    """The command that runs the same federated analysis over files of one's own."""
    result = step.result
    sites = [f"--site {name}" for name in files_of(hospitals)]
    settings = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in chosen(step.parameters).items()]
    rules = ["--rules off"] if result.privacy.rules == "off" else []
    where = [f"--where {shlex.quote(step.where)}"] if step.where else []
    parts = [*sites, "--dictionary dictionary.json", *settings, *where, *rules, "--json out.json"]
    return " \\\n    ".join([f"friendlyfl simulate {shlex.quote(result.task)}", *parts])

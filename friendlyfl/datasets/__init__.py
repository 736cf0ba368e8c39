"""Small open data sets with source and licence, for the demo, the rehearsal and the documentation.

Each is a folder beside this file: `site_1.csv` ..., `dictionary.json`, and a `README.md` with source, licence and
columns. What does not live here: test cases with answers, and reading of a hospital's own files (tasks.source).
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from friendlyfl.core.errors import NotFoundError

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
REMARK = "Pseudonymisé – RAND HIE"  # letters that differ between UTF-8 and Windows-1252


def names() -> tuple[str, ...]:
    """The data sets that are here."""
    return tuple(sorted(path.parent.name for path in HERE.glob("*/dictionary.json")))


def sites(name: str) -> tuple[int, ...]:
    """The numbers of a data set's sites: 1, 2, 3."""
    return tuple(range(1, len(list(_folder(name).glob("site_*.csv"))) + 1))


def path(name: str, site: int) -> Path:
    """The file of one site: comma, header, decimal point, an empty cell is missing."""
    if site not in sites(name):
        raise NotFoundError(
            "dataset_unknown", f"The data set “{name}” has sites {sites(name)}: choose one of them."
        )
    return _folder(name) / f"site_{site}.csv"


def dictionary(name: str) -> dict[str, Any]:
    """The data dictionary as JSON, a fresh copy."""
    value: dict[str, Any] = json.loads((_folder(name) / "dictionary.json").read_text("utf-8"))
    return value


def load(name: str) -> dict[int, pd.DataFrame]:
    """The table of each site, typed as its dictionary says."""
    import pandas as pd

    kinds = {"integer": "Int64", "number": "float64", "factor": "string", "text": "string"}
    types = {column: kinds[entry["type"]] for column, entry in dictionary(name).items()}
    return {
        site: pd.read_csv(path(name, site), dtype=types, float_precision="round_trip") for site in sites(name)
    }


def export(name: str, folder: str | Path, *, styles: bool = False) -> list[Path]:
    """Write each site's table into a folder. With `styles`, sites differ as hospitals do; the values do not.

    Site 2 has a byte order mark, semicolons and decimal commas; site 3 tabs, Windows-1252 and one column more.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for site in sites(name):
        target = folder / f"site_{site}.csv"
        with path(name, site).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if styles and site == 2:
            rows = [
                [cell.replace(".", ",") for cell in row] if number else row for number, row in enumerate(rows)
            ]
            _write(target, rows, ";", "utf-8-sig")
        elif styles and site == 3:
            rows = [[*row, REMARK if number else "remark"] for number, row in enumerate(rows)]
            _write(target, rows, "\t", "cp1252")
        else:
            target.write_bytes(path(name, site).read_bytes())
        written.append(target)
    return written


def _write(target: Path, rows: list[list[str]], separator: str, encoding: str) -> None:
    with target.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows(rows)


@cache
def _folder(name: str) -> Path:
    if name not in names():
        raise NotFoundError(
            "dataset_unknown", f"There is no data set “{name}”: choose {' or '.join(names())}."
        )
    return HERE / name

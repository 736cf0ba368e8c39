"""Where a dataset lies: a file, a sheet of a workbook, or a table or query of a database, from what a person typed.

    /data/patients.csv                                   the kind of a file is told by its ending
    /data/patients.xlsx#Follow-up                        one sheet of a workbook
    sqlite:////data/registry.db#patients                 one table of a database
    postgresql://reader:${DB_PASSWORD}@db.example.org/registry#select age, sex from patients order by id

`${NAME}` stands for a variable of the environment, so that a password need not be written down. Reading is in
formats.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from friendlyfl.core.errors import UsageError

DATABASES = ("sqlite", "postgresql", "postgres")
ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".sav": "spss",
    ".zsav": "spss",
    ".dta": "stata",
}
OTHERS = {
    ".xls": "an old Excel workbook: save it as .xlsx",
    ".xlsm": "a workbook with macros: save it as .xlsx, without them",
    ".xlsb": "a binary Excel workbook: save it as .xlsx",
    ".ods": "an OpenDocument sheet: save it as .xlsx or CSV",
    ".pkl": "a Python pickle, which can run code: write the table as Parquet or CSV",
    ".pickle": "a Python pickle, which can run code: write the table as Parquet or CSV",
    ".rds": "an R object: write the table as Parquet or CSV",
    ".rdata": "an R workspace: write the table as Parquet or CSV",
    ".sas7bdat": "a SAS file: write the table as CSV, Parquet or SPSS",
}
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Place:
    """What was typed, taken apart. `part` is a sheet, a table or a query; "" for the first or only one."""

    where: str
    kind: str  # csv, parquet, excel, spss, stata, sqlite, postgresql
    part: str
    path: Path | None  # of what lies in a file

    @property
    def shown(self) -> str:
        return shown(self.where)

    @property
    def file(self) -> Path:
        """The file of a kind that has one."""
        assert self.path is not None
        return self.path

    @classmethod
    def of(cls, where: str | Path) -> Place:
        """Raises UsageError for a kind that is not read."""
        text = str(where)
        if match := _ADDRESS.match(text):
            return cls._database(text, match[1].lower())
        path, sheet = _path(text)
        ending = path.suffix.lower()
        if ending in OTHERS:
            raise UsageError("file_kind", f"The file {path.name} is {OTHERS[ending]}.")
        return cls(text, ENDINGS.get(ending, "csv"), sheet, path)

    @classmethod
    def _database(cls, text: str, scheme: str) -> Place:
        if scheme not in DATABASES:
            raise UsageError(
                "file_kind",
                f"“{scheme}://” is not read: a database's address begins with postgresql:// or sqlite:///.",
            )
        address, sign, part = text.partition("#")
        if not sign or not part.strip():
            raise UsageError(
                "file_table",
                f"Say which table or query of {shown(address)}: end the address with #TABLE or #SELECT …",
            )
        if scheme != "sqlite":
            return cls(text, "postgresql", part.strip(), None)
        rest = address[len("sqlite://") :]
        if not rest.startswith("/") or len(rest) < 2:
            raise UsageError(
                "file_address", "Write sqlite:///name.db#table, or sqlite:////folder/name.db#table."
            )
        return cls(text, "sqlite", part.strip(), Path(rest[1:]).expanduser())

    @property
    def address(self) -> str:
        """The address of a database with its variables filled in."""
        text = filled(self.where).partition("#")[0]
        if open_ := _VARIABLE.search(text):
            raise UsageError(
                "file_password",
                f"The address of the database names {open_[0]}, but there is no such variable in the environment "
                "of FriendlyFL: set it before you start.",
            )
        return text


def _path(text: str) -> tuple[Path, str]:
    """A file and a sheet. A file whose own name has a # is taken as it is."""
    before, sign, sheet = text.rpartition("#")
    if sign and before.lower().endswith(".xlsx") and not Path(text).expanduser().exists():
        return Path(before).expanduser(), sheet.strip()
    return Path(text).expanduser(), ""


def absolute(where: str | Path) -> str:
    """The same place, whatever folder a later process stands in."""
    place = Place.of(where)
    if place.path is None:
        return place.where
    path = place.path.absolute()
    if place.kind == "sqlite":
        return f"sqlite:///{path}#{place.part}"
    return f"{path}#{place.part}" if place.part else str(path)


def shown(where: str | Path) -> str:
    """The place as a page or a log may show it: never a password."""
    text = str(where)
    if not _ADDRESS.match(text):
        return text
    address, sign, part = text.partition("#")
    address = re.sub(r"(://[^:/?#@]*:)(?!\$\{\w+\}@).*@", r"\1…@", address)
    return re.sub(r"(?i)([?&][a-z]*pass[a-z]*=)[^&]*", r"\1…", address) + sign + part


def has_password(where: str) -> bool:
    """A password stands in the address, not as a variable."""
    address = where.partition("#")[0]
    typed = re.search(r"://[^:/?#@]*:(?!\$\{\w+\}@).*@", address)
    return bool(_ADDRESS.match(where) and (typed or re.search(r"(?i)[?&][a-z]*pass[a-z]*=", address)))


def with_password(where: str, password: str) -> str:
    """The address of a database with a password in its place.

    Raises UsageError when the address names nobody whose password it could be.
    """
    address, sign, part = where.partition("#")
    if not (found := re.match(r"([a-zA-Z]+://[^:/?#@]+)@", address)):
        raise UsageError(
            "file_user", "Write whose password it is before the @: postgresql://reader@db.example.org/…"
        )
    return f"{found[1]}:{quote(password, safe='')}{address[found.end(1) :]}{sign}{part}"


def filled(where: str) -> str:
    """The address with the variables of this process's environment; what is not set there is left as it is."""
    if not _ADDRESS.match(where):
        return where
    address, sign, part = where.partition("#")
    return (
        _VARIABLE.sub(lambda m: quote(os.environ[m[1]], safe="") if m[1] in os.environ else m[0], address)
        + sign
        + part
    )


def file_stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino

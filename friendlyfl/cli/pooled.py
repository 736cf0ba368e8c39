"""The pooled answers that the demo is held against: all rows in one table, by pandas and statsmodels.

Only the demo uses this. It knows nothing of federated results beyond where their numbers stand.
"""

from dataclasses import dataclass
from typing import Any

from friendlyfl import datasets
from friendlyfl.core.errors import UsageError

OUTCOME = "visited"
PREDICTORS = ("age", "female", "health", "physlm", "disea", "coins", "lpi")
VARIABLES = ("age", "female", "health", "physlm", "disea", "income")


@dataclass(frozen=True)
class Line:
    """One number beside its pooled twin; `difference` in units of the pooled standard error, or relative."""

    name: str
    federated: float
    pooled: float
    difference: float


def require_statsmodels() -> None:
    """Raises UsageError when the demo's second opinion is not installed."""
    try:
        import statsmodels.api  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "no_statsmodels",
            "The demo compares with statsmodels, which is not installed here: pip install 'friendlyfl[demo]'",
        ) from error


def _rows() -> Any:
    import pandas as pd

    return pd.concat(datasets.load("randhie").values(), ignore_index=True)


def logistic(result: dict[str, Any]) -> list[Line]:
    """Each coefficient and its standard error, beside statsmodels' Logit on all rows."""
    import numpy as np
    import statsmodels.api as sm

    rows = _rows()[[OUTCOME, *PREDICTORS]].dropna()
    levels = datasets.dictionary("randhie")["health"]["levels"]
    columns = {"(Intercept)": np.ones(len(rows))}
    for name in PREDICTORS:
        if name == "health":
            columns |= {f"health{level}": (rows["health"] == level).astype(float) for level in levels[1:]}
        else:
            columns[name] = rows[name].astype(float)
    design = np.column_stack(list(columns.values()))
    fit = sm.Logit(rows[OUTCOME].astype(float).to_numpy(), design).fit(
        disp=0, method="newton", maxiter=100, tol=1e-14
    )
    found = {row["term"]: row for row in result["coefficients"]}
    lines = []
    for term, estimate, error in zip(columns, fit.params, fit.bse, strict=True):
        row = found[term]
        lines.append(Line(term, row["estimate"], estimate, abs(row["estimate"] - estimate) / error))
        lines.append(Line(f"{term}, standard error", row["se"], error, abs(row["se"] - error) / error))
    return lines


def table_one(result: dict[str, Any]) -> list[Line]:
    """Means, standard deviations and counts, beside pandas on all rows."""
    rows, lines = _rows(), []
    numeric = {row["variable"]: row for row in result["tables"]["numeric"] if row["group"] == "all"}
    for name, row in numeric.items():
        values = rows[name].dropna().astype(float)
        pooled = {
            "n": len(values),
            "missing": int(rows[name].isna().sum()),
            "mean": values.mean(),
            "sd": values.std(),
        }
        for what, twin in pooled.items():
            lines.append(
                Line(f"{name}, {what}", row[what], twin, abs(row[what] - twin) / max(abs(twin), 1.0))
            )
    for row in result["tables"]["categorical"]:
        if row["group"] == "all":
            twin = int((rows[row["variable"]] == row["level"]).sum())
            name = f"{row['variable']} {row['level']}, n"
            lines.append(Line(name, row["n"], twin, abs(row["n"] - twin)))
    return lines

"""From an estimate and its covariance to what a paper prints: Wald rows and chi-square tests.

p values come from survival functions, so that 1e-300 does not become 0. What does not live here: how an
estimate is found (newton, likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]

LEVEL = 0.95
SINGULAR = 1e-10  # smallest eigenvalue of a correlation matrix below which a test of all of it has no answer


def two_sided(statistic: float, df: float | None = None) -> float:
    """p of a normal, or with `df` of a t statistic."""
    if df is None:
        return float(2.0 * special.ndtr(-abs(statistic)))
    return float(special.betainc(df / 2.0, 0.5, df / (df + statistic * statistic)))


def critical(level: float = LEVEL, df: float | None = None) -> float:
    """The two-sided critical value, 1.96 for 95% of a normal."""
    upper = 1.0 - (1.0 - level) / 2.0
    return float(special.ndtri(upper) if df is None else special.stdtrit(df, upper))


def chi_square(statistic: float, df: int, **more: Any) -> Row:
    """A test row. Without degrees of freedom there is nothing to test, and the numbers are None."""
    if df < 1 or not math.isfinite(statistic):
        return {"statistic": None, "df": max(df, 0), "p": None, **more}
    statistic = max(float(statistic), 0.0)
    p = float(special.gammaincc(df / 2.0, statistic / 2.0))
    return {"statistic": statistic, "df": df, "p": p, **more}


def f_test(statistic: float, df: int, df_residual: float, **more: Any) -> Row:
    """A test row with its two degrees of freedom as a list; None where there is nothing to test."""
    both = [max(df, 0), df_residual]
    if df < 1 or not df_residual > 0 or not math.isfinite(statistic):
        return {"statistic": None, "df": both, "p": None, **more}
    statistic = max(float(statistic), 0.0)
    p = float(special.betainc(df_residual / 2.0, df / 2.0, df_residual / (df_residual + df * statistic)))
    return {"statistic": statistic, "df": both, "p": p, **more}


def wald(
    terms: Sequence[str],
    estimates: Floats,
    vcov: Floats,
    *,
    level: float = LEVEL,
    df: float | None = None,
    more: Mapping[str, Floats] | None = None,
) -> list[Row]:
    """One row a term; `vcov` decides statistic, p and limits, None where a variance is NaN.

    `more` adds standard errors under other names, or replaces `se`.
    """
    rows: list[Row] = []
    width = critical(level, df)
    for j, (term, estimate) in enumerate(zip(terms, estimates, strict=True)):
        variance = float(vcov[j, j])
        known = variance > 0
        se = math.sqrt(variance) if known else math.nan
        row: Row = {"term": term, "estimate": float(estimate), "se": se if known else None}
        for key in ("statistic", "p", "ci_lower", "ci_upper"):
            row[key] = None
        if known:
            row["statistic"] = float(estimate) / se
            row["p"] = two_sided(row["statistic"], df)
            row["ci_lower"], row["ci_upper"] = float(estimate) - width * se, float(estimate) + width * se
        for name, values in (more or {}).items():
            row[name] = float(values[j]) if math.isfinite(values[j]) else None
        rows.append(row)
    return rows


def quadratic(values: Floats, covariance: Floats) -> float:
    """The squared distance of values from 0 in their own covariance; NaN where that is singular."""
    scale = np.sqrt(np.diag(covariance))
    if not (len(values) and np.isfinite(covariance).all() and (scale > 0).all()):
        return math.nan
    scaled, z = covariance / np.outer(scale, scale), values / scale
    if np.linalg.matrix_rank(scaled, tol=SINGULAR, hermitian=True) < len(values):
        return math.nan
    return float(z @ np.linalg.solve(scaled, z))


def wald_test(estimates: Floats, vcov: Floats) -> Row:
    """Are all these coefficients zero?"""
    df = len(estimates)
    if df == 0:
        return chi_square(math.nan, 0)
    if not np.isfinite(vcov).all():
        return chi_square(math.nan, df)
    scale = np.sqrt(np.diag(vcov))
    z = estimates / scale
    return chi_square(float(z @ np.linalg.solve(vcov / np.outer(scale, scale), z)), df)

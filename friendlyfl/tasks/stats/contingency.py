"""Tests of a table of counts: Pearson's chi-square, and Mantel-Haenszel over several such tables.

What does not live here: who counts and in which groups (chi_square), and the exact test (fisher).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from friendlyfl.tasks.stats.inference import LEVEL, Row, chi_square, critical

Floats = npt.NDArray[np.float64]


def expected(table: Floats) -> Floats:
    """Counts if rows and columns had nothing to do with each other."""
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())


def pearson(table: Floats, yates: bool) -> Row:
    """The chi-square test; `yates` moves each difference of a 2 by 2 table half a person towards 0."""
    difference, mean = np.abs(table - expected(table)), expected(table)
    if yates and table.shape == (2, 2):
        difference = difference - min(0.5, float(difference.min()))
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return chi_square(float((difference**2 / mean).sum()), df)


def cramers_v(table: Floats) -> float | None:
    """How strongly rows and columns go together, from 0 to 1; from the uncorrected chi-square."""
    smaller = min(table.shape) - 1
    statistic = pearson(table, yates=False)["statistic"]
    return None if statistic is None or smaller < 1 else math.sqrt(statistic / (table.sum() * smaller))


def mantel_haenszel(tables: Floats, yates: bool) -> Row:
    """Do rows and columns go together within strata? `tables` are counts by stratum, row and column.

    Two by two: one degree of freedom, corrected if the difference is at least half a person, with the common odds
    ratio and its limits by Robins, Breslow and Greenland (1986). Larger: the generalised test.
    """
    return _two_by_two(tables, yates) if tables.shape[1:] == (2, 2) else _general(tables)


def _two_by_two(tables: Floats, yates: bool) -> Row:
    n = tables.sum(axis=(1, 2))
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    a, b, c, d = (tables[:, i, j] for i in (0, 1) for j in (0, 1))
    off = abs(float((a - rows[:, 0] * columns[:, 0] / n).sum()))
    variance = float((rows.prod(axis=1) * columns.prod(axis=1) / (n**2 * (n - 1.0))).sum())
    correction = 0.5 if yates and off >= 0.5 else 0.0
    statistic = (off - correction) ** 2 / variance if variance > 0 else math.nan
    return chi_square(statistic, 1, **_common_odds_ratio(a, b, c, d, n))


def _common_odds_ratio(a: Floats, b: Floats, c: Floats, d: Floats, n: Floats) -> Row:
    along, across = a * d / n, b * c / n
    up, down = float(along.sum()), float(across.sum())
    if not (up > 0 and down > 0):
        return {"estimate": 0.0 if down > 0 else None, "ci_lower": None, "ci_upper": None}
    agree, differ = (a + d) / n, (b + c) / n
    variance = (
        float((agree * along).sum()) / (2.0 * up**2)
        + float((agree * across + differ * along).sum()) / (2.0 * up * down)
        + float((differ * across).sum()) / (2.0 * down**2)
    )
    log, width = math.log(up / down), critical(LEVEL) * math.sqrt(variance)
    return {"estimate": up / down, "ci_lower": math.exp(log - width), "ci_upper": math.exp(log + width)}


def _general(tables: Floats) -> Row:
    """Distance of the counts from their means given all margins; the last row and column follow from the others."""
    rows, columns = tables.shape[1] - 1, tables.shape[2] - 1
    df = rows * columns
    difference, variance = np.zeros(df), np.zeros((df, df))
    for table in tables:
        n, across, down = table.sum(), table.sum(axis=1), table.sum(axis=0)
        difference += (table - np.outer(across, down) / n)[:rows, :columns].ravel()
        by_row = (np.diag(n * across) - np.outer(across, across))[:rows, :rows]
        by_column = (np.diag(n * down) - np.outer(down, down))[:columns, :columns]
        variance += np.kron(by_row, by_column) / (n**2 * (n - 1.0))
    scale = np.sqrt(np.diag(variance))
    if df == 0 or not (scale > 0).all():
        return chi_square(math.nan, df)
    scaled = variance / np.outer(scale, scale)
    if np.linalg.matrix_rank(scaled, hermitian=True) < df:
        return chi_square(math.nan, df)
    z = difference / scale
    return chi_square(float(z @ np.linalg.solve(scaled, z)), df)

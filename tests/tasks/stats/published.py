"""Small public data with published answers, and ways to cut rows into hospitals.

AML: Miller (1997), Survival Analysis, as `aml` in R's survival. The answers are those R prints for the examples of
`?survfit` and `?survdiff`.
OC and MI: the case-control study of oral contraceptives and myocardial infarction of Shapiro et al., Lancet (1979),
as counts; the answers are R's `summary(glm)` printed in "Logistic Regression in R" (docest.com/doc/559971).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

AML = pd.DataFrame(
    {
        "time": [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161, 5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45],
        "status": [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1],
        "x": ["Maintained"] * 11 + ["Nonmaintained"] * 12,
    }
)
AML_SUMMARY = {  # time: (n.risk, n.event, survival, std.err, lower, upper), limits by log
    "x=Maintained": {
        9: (11, 1, 0.909, 0.0867, 0.7541, 1.000),
        13: (10, 1, 0.818, 0.1163, 0.6192, 1.000),
        18: (8, 1, 0.716, 0.1397, 0.4884, 1.000),
        23: (7, 1, 0.614, 0.1526, 0.3769, 0.999),
        31: (5, 1, 0.491, 0.1642, 0.2549, 0.946),
        34: (4, 1, 0.368, 0.1627, 0.1549, 0.875),
        48: (2, 1, 0.184, 0.1535, 0.0359, 0.944),
    },
    "x=Nonmaintained": {
        5: (12, 2, 0.8333, 0.1076, 0.6470, 1.000),
        8: (10, 2, 0.6667, 0.1361, 0.4468, 0.995),
        12: (8, 1, 0.5833, 0.1423, 0.3616, 0.941),
        23: (6, 1, 0.4861, 0.1481, 0.2675, 0.883),
        27: (5, 1, 0.3889, 0.1470, 0.1854, 0.816),
        30: (4, 1, 0.2917, 0.1387, 0.1148, 0.741),
        33: (3, 1, 0.1944, 0.1219, 0.0569, 0.664),
        43: (2, 1, 0.0972, 0.0919, 0.0153, 0.620),
        45: (1, 1, 0.0, None, None, None),
    },
}
AML_MEDIANS = {"x=Maintained": (31.0, 18.0, None), "x=Nonmaintained": (23.0, 8.0, None)}
AML_LOG_RANK = {"expected": (10.69, 7.31), "statistic": 3.4, "p": 0.0653}

_OC_COUNTS = [
    (4, 62, 1, "Yes"), (2, 224, 1, "No"), (9, 33, 2, "Yes"), (12, 390, 2, "No"), (4, 26, 3, "Yes"),
    (33, 330, 3, "No"), (6, 9, 4, "Yes"), (65, 362, 4, "No"), (6, 5, 5, "Yes"), (93, 301, 5, "No"),
]  # fmt: skip
OC_COEFFICIENTS = {  # term: (estimate, std. error, z, p)
    "(Intercept)": (-4.3698, 0.4347, -10.054, None),
    "age2": (1.1384, 0.4768, 2.388, 0.0170),
    "age3": (1.9344, 0.4582, 4.221, 2.43e-05),
    "age4": (2.6481, 0.4496, 5.889, 3.88e-09),
    "age5": (3.1943, 0.4474, 7.140, 9.36e-13),
    "ocYes": (1.3852, 0.2505, 5.530, 3.19e-08),
}
OC_DICTIONARY = {
    "mi": {"type": "integer", "range": [0, 1]},
    "age": {"type": "factor", "levels": ["1", "2", "3", "4", "5"]},
    "oc": {"type": "factor", "levels": ["No", "Yes"]},
}


def oc_and_mi() -> pd.DataFrame:
    """One row a woman: 234 cases and 1,742 controls."""
    rows = [
        (outcome, age, oc)
        for cases, controls, age, oc in _OC_COUNTS
        for outcome, count in ((1, cases), (0, controls))
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["mi", "age", "oc"])


def cut(table: pd.DataFrame, sites: Sequence[int] | np.ndarray) -> list[pd.DataFrame]:
    """The rows of each hospital; `sites` holds a hospital for each row."""
    labels = np.asarray(sites)
    return [table[labels == site].reset_index(drop=True) for site in np.unique(labels)]


def spread(table: pd.DataFrame, sites: int, seed: int = 0) -> list[pd.DataFrame]:
    """Rows dealt to hospitals by chance, each with at least one."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(sites), rng.integers(0, sites, len(table) - sites)])
    return cut(table, rng.permutation(labels))

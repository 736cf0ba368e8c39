"""Counts as an outcome: how they are asked for, which values are counts, and the sentences about those that are not.

What does not live here: the laws of counts (poisson_regression, negative_binomial_regression).
"""

from __future__ import annotations

import numpy as np

from friendlyfl.tasks import Column, Table
from friendlyfl.tasks.stats.newton import Floats
from friendlyfl.tasks.values import DataError

NO_EVENT = "Every count in this analysis is 0, so there is nothing to explain."

OUTCOME = Column("Outcome", kinds=["number"], help="A count for each patient: 0, 1, 2 ...")
OFFSET = Column(
    "Offset",
    kinds=["number"],
    optional=True,
    help="Added to the logarithm of the rate: give the logarithm of the time observed",
)


def counts_of(data: Table, column: str) -> Floats:
    """The values of a column of counts; DataError names the rows with a value below 0 or with a fraction."""
    values = np.asarray(data[column], dtype=np.float64)
    for wrong, what in ((values < 0, "below 0"), (values != np.floor(values), "not whole numbers")):
        if wrong.any():
            raise DataError(
                "column_type",
                f"“{column}” must hold counts (0, 1, 2 ...), but its values in {data.rows_in_words(wrong)} are {what}.",
            )
    return values

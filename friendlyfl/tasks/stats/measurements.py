"""Several measurements of each patient about their pooled means: what principal components and clusters begin with.

The first round gives pooled means and sizes, so that all later sums are of centred numbers near 1 and no hospital
standardises by itself. What does not live here: what is done with the numbers (pca, kmeans).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from friendlyfl.tasks import Columns, Count, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.stats.moments import Floats, unit_near

FLAT = 1e-28  # squared distance from the mean, in squared sizes, below which a value is the mean and rounding


class Measurements(Task):
    """A task over the columns `variables`, complete cases only."""

    row_additive: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ()
    sends: ClassVar[Mapping[str, type[Kind]]] = {"rows": Count, "values": Sum, "sizes": Sum}

    variables = Columns(
        "Variables", kinds=["number"], help="Numbers; patients without one of them are left out"
    )

    def matrix(self, data: Table) -> Floats:
        """One column a variable. Read as a design, so that the rules for designs hold: size and rare values."""
        return data.design(self.variables)[:, 1:]

    def centred(self, data: Table, state: State) -> Floats:
        """Distances from the pooled means, in units near the sizes."""
        return np.asarray((self.matrix(data) - state["middle"]) / state["unit"])

    def start(self) -> State:
        return {"stage": "means"}

    def local_means(self, data: Table, state: State) -> Update:
        values = (
            self.matrix(data) / self._scales()
        )  # so that sums of large values stay within what can be added
        return {"rows": len(values), "values": values.sum(axis=0), "sizes": np.abs(values).sum(axis=0)}

    def moments(self, total: Update) -> dict[str, Any]:
        """What later rounds need to know, from the total of the first."""
        rows, scales = float(total["rows"]), self._scales()
        return {
            "rows": rows,
            "middle": total["values"] * scales / rows,
            "unit": np.array([unit_near(size) for size in (total["sizes"] * scales / rows).tolist()]),
        }

    def _scales(self) -> Floats:
        return self.scales(self.variables)[1:]

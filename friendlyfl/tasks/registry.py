"""Which tasks are installed here: the built-in ones and those other packages announce. A name never imports a module.

The class comes from this table by (name, version); what a task computes lives in its own module.
"""

from __future__ import annotations

import functools
import importlib
from importlib.metadata import EntryPoint, entry_points

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.dictionary import close_names

GROUP = "friendlyfl.tasks"

BUILT_IN = {
    "connection_check": "friendlyfl.tasks.connection_check:ConnectionCheck",
    "feasibility": "friendlyfl.tasks.stats.feasibility:Feasibility",
    "table_one": "friendlyfl.tasks.stats.table_one:TableOne",
    "kaplan_meier": "friendlyfl.tasks.stats.kaplan_meier:KaplanMeier",
    "logistic_regression": "friendlyfl.tasks.stats.logistic_regression:LogisticRegression",
    "cox": "friendlyfl.tasks.stats.cox:Cox",
    "linear_regression": "friendlyfl.tasks.stats.linear_regression:LinearRegression",
    "t_test": "friendlyfl.tasks.stats.t_test:TTest",
    "anova": "friendlyfl.tasks.stats.anova:Anova",
    "chi_square": "friendlyfl.tasks.stats.chi_square:ChiSquare",
    "rank_test": "friendlyfl.tasks.stats.rank_test:RankTest",
    "correlation": "friendlyfl.tasks.stats.correlation:Correlation",
    "poisson_regression": "friendlyfl.tasks.stats.poisson_regression:PoissonRegression",
    "gamma_regression": "friendlyfl.tasks.stats.gamma_regression:GammaRegression",
    "negative_binomial_regression": "friendlyfl.tasks.stats.negative_binomial_regression:NegativeBinomialRegression",
    "roc": "friendlyfl.tasks.stats.roc:Roc",
    "calibration": "friendlyfl.tasks.stats.calibration:Calibration",
    "competing_risks": "friendlyfl.tasks.stats.competing_risks:CompetingRisks",
    "fine_gray": "friendlyfl.tasks.stats.fine_gray:FineGray",
    "iptw": "friendlyfl.tasks.stats.iptw:Iptw",
    "ordinal_logistic_regression": "friendlyfl.tasks.stats.ordinal_logistic_regression:OrdinalLogisticRegression",
    "censored_regression": "friendlyfl.tasks.stats.censored_regression:CensoredRegression",
    "weibull_regression": "friendlyfl.tasks.stats.weibull_regression:WeibullRegression",
    "pca": "friendlyfl.tasks.stats.pca:Pca",
    "kmeans": "friendlyfl.tasks.stats.kmeans:KMeans",
    "meta_analysis": "friendlyfl.tasks.stats.meta_analysis:MetaAnalysis",
    "fedavg_sklearn": "friendlyfl.tasks.ml.fedavg_sklearn:FedAvgSklearn",
    "fedavg_torch": "friendlyfl.tasks.ml.fedavg_torch:FedAvgTorch",
}


@functools.cache
def _announced() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def names() -> list[str]:
    """Names of all tasks installed here, the built-in ones first."""
    return list(dict.fromkeys([*BUILT_IN, *(point.name for point in _announced())]))


def find(name: str, version: str | None = None) -> type[Task]:
    """The class of a task; without a version the built-in one, or the first that is installed."""
    found = _classes(name)
    if not found:
        raise UsageError(
            "task_missing",
            f"There is no task “{name}” here.{close_names(name, names())} Tasks: {', '.join(names())}.",
        )
    for task in found:
        if version in (None, task.version):
            return task
    have = " and ".join(dict.fromkeys(task.version for task in found))
    raise UsageError("task_missing", f"This hospital has {name} {have}; the plan asks for {version}.")


def _classes(name: str) -> list[type[Task]]:
    found: list[type[Task]] = []
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name].split(":")
        found.append(getattr(importlib.import_module(module), attribute))
    for point in _announced():
        if point.name == name:
            found.append(_loaded(point))
    return found


def _loaded(point: EntryPoint) -> type[Task]:
    """The class another package announces; a package that is broken is named, not shown."""
    try:
        task = point.load()
    except Exception:
        raise UsageError(
            "task_broken",
            f"The task “{point.name}” is installed but cannot be loaded: its package {point.value} fails.",
        ) from None
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise UsageError(
            "task_broken", f"The package announces “{point.name}”, but {point.value} is not a task."
        )
    return task


def every() -> list[tuple[str, type[Task]]]:
    """All tasks that load, by name: for lists, docs and the conformance tests."""
    return [(name, task) for name in names() for task in _classes(name)]

"""The methods paragraph of a Result, in English: what was computed, over whom, how exact, and what left the hospitals.

Words from a Result and from what its task declares; no number is computed. The files around it are made in
`publication`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from friendlyfl.core.errors import UsageError
from friendlyfl.core.texts import CLUSTERS, EVENTS, EXCHANGES, HOSPITALS, LEFT_OUT, PATIENTS, TABLES
from friendlyfl.tasks import registry
from friendlyfl.tasks.base import EachTask, Task
from friendlyfl.tasks.report import Exact, Result

CONVENTIONS = {
    "cohort": "Inclusion criteria",
    "se": "Standard errors",
    "ci": "Confidence intervals",
    "ties": "Ties",
    "contrasts": "Contrasts",
    "missing": "Missing values",
    "quantile_type": "Quantiles",
    "sd": "Standard deviations",
    "smd": "Standardised differences",
    "test": "Test",
    "rmst": "Restricted mean",
    "p": "p values",
    "auc": "AUC",
}
WORDS = {
    "ci": {
        "wald": "Wald",
        "t": "from the t distribution",
        "log": "on the logarithmic scale",
        "log-log": "on the scale of log(−log)",
        "plain": "on the plain scale",
        "delong": "DeLong",
    }
}
PROGRAMS = {
    "friendlyfl": "FriendlyFL",
    "python": "Python",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "torch": "PyTorch",
}


def task_of(result: Result) -> type[Task] | None:
    """The task that made a Result, if it is installed here in that version."""
    try:
        return registry.find(result.task, result.version)
    except UsageError:
        return None


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def paragraph(result: Result, hospitals: int, *, simulated: bool = False, plan: str = "") -> str:
    """The whole paragraph; `plan` is the hash of the plan that the hospitals approved."""
    sentences = [
        *_what(result, hospitals, simulated),
        *who(result),
        *exactness(result),
        *conventions(result),
        *privacy(result, hospitals, simulated),
        *(
            [f"The hospitals approved the plan before the first computation (SHA-256 {plan})."]
            if plan
            else []
        ),
        _software(result),
    ]
    return " ".join(sentences)


def _what(result: Result, hospitals: int, simulated: bool) -> list[str]:
    task = task_of(result)
    name = f"{task.title}: " if task else ""
    by = f"({name}FriendlyFL task {result.task}, version {result.version})"
    first = (
        f"The data of {HOSPITALS(hospitals)} were analysed where they are, by federated analysis {by}; "
        "no patient’s record left a hospital."
    )
    if simulated:
        first = f"The data of {TABLES(hospitals)} were analysed by federated analysis, in simulation {by}."
    rounds = EXCHANGES(result.rounds)
    if task is None or not task.sends:
        return [first, f"There were {rounds}."] if result.rounds else [first]
    kinds = listed(list(dict.fromkeys(kind.words for kind in task.sends.values())))
    each = "were read one by one" if issubclass(task, EachTask) else "were added over all hospitals"
    return [first, f"In {rounds} each hospital computed {kinds}, which {each}."]


def who(result: Result) -> list[str]:
    """Whom the answer describes."""
    n = result.n
    if n.used is None:
        return []
    events = f", {EVENTS(n.events)}" if n.events is not None else ""
    clusters = f", {CLUSTERS(n.clusters)}" if n.clusters is not None else ""
    said = [f"The analysis describes {PATIENTS(n.used)}{events}{clusters}."]
    if n.dropped is None:
        return [*said, "How many were left out for missing values is not shown, because the number is small."]
    if n.dropped:
        said.append(LEFT_OUT(n.dropped))
    return said


def exactness(result: Result) -> list[str]:
    """How close the answer is to one table's."""
    if isinstance(result.exact, Exact):
        of = result.exact.of.upper() if len(result.exact.of) <= 3 else result.exact.of
        bound = f"{result.exact.bound:g}"
        return [f"The {of} is within {bound} of that of one table of all patients: {result.exact.why}."]
    if result.exact:
        return ["Estimates equal those of one table of all patients."]
    return ["The answer is learned and does not equal that of one table of all patients."]


def conventions(result: Result) -> list[str]:
    """One sentence for each convention."""
    return [f"{label}: {words}." for label, words in convention_words(result)]


def convention_words(result: Result) -> list[tuple[str, str]]:
    """What each convention is about, and what holds."""
    level = result.conventions.get("level")
    said = []
    for name, value in result.conventions.items():
        if name == "level":
            continue
        words = WORDS.get(name, {}).get(
            str(value), "; ".join(value) if isinstance(value, list) else str(value)
        )
        label = CONVENTIONS.get(name, name.replace("_", " ").capitalize())
        if name == "ci" and isinstance(level, float):
            label = f"{level * 100:g}% confidence intervals"
        if name == "quantile_type":
            words = f"type {value} of Hyndman and Fan"
        said.append((label, words))
    return said


def privacy(result: Result, hospitals: int, simulated: bool = False) -> list[str]:
    """Who could read what, and what is not shown."""
    kept, said = result.privacy, []
    if kept.secure_sum:
        least = kept.smallest_sum_of_sites or hospitals
        said.append(f"Only sums over at least {HOSPITALS(least)} could be read.")
    elif not simulated:
        said.append("The coordinating hospital received the totals of each hospital, encrypted end to end.")
    if kept.rules == "off":
        said.append("The hospitals’ rules of disclosure were off, as is possible in a simulation only.")
    elif kept.rules == "on":
        said.append("Each hospital checked every message against its rules of disclosure before sending it.")
    else:
        said.append(f"Rules of disclosure: {kept.rules.rstrip('.')}.")
    if kept.suppressed:
        said.append(f"Not shown for privacy: {listed(list(kept.suppressed))}.")
    if kept.refused:
        said.append(f"Refused by {HOSPITALS(len(kept.refused))}.")
    return said


def _software(result: Result) -> str:
    software = result.reproduce.software
    named = [f"{PROGRAMS.get(name, name)} {version}" for name, version in software.items()]
    return f"Software: {', '.join(named) or 'FriendlyFL'}."


def references(result: Result) -> Sequence[str]:
    task = task_of(result)
    return task.references if task else ()


def flow(result: Result) -> list[dict[str, Any]]:
    """Patient flow: who is in the analysis and who is not, over all hospitals and, where known, at each."""
    n = result.n
    rows: list[dict[str, Any]] = [_flow_row("all", n.used, n.dropped)]
    if n.events is not None:
        rows[0]["events"] = n.events
    rows += [_flow_row(row.get("site"), row.get("used"), row.get("dropped")) for row in n.per_site or ()]
    return rows


def _flow_row(hospital: Any, used: int | None, dropped: int | None) -> dict[str, Any]:
    together = None if used is None or dropped is None else used + dropped
    return {"hospital": hospital, "patients": together, "left_out": dropped, "analysed": used}

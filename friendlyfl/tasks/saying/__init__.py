"""What a Result says, in sentences a clinician could say aloud, with their intervals. One place for every face.

    first, *more = sentences(result, parameters, dictionary)

They are made from the Result and from what was asked for, with the labels of the dictionary. They judge nothing: no
sentence calls a finding important or without meaning. Tasks of other packages get sentences by the shape of their
Result. No number is computed here but exp and percentages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.figures.lettering import is_number
from friendlyfl.tasks.report import Result
from friendlyfl.tasks.saying import courses, groups, models
from friendlyfl.tasks.saying.pieces import Said, count, said, width
from friendlyfl.tasks.saying.study import Study

SENTENCES: dict[str, Callable[[Study], list[Said]]] = {
    "connection_check": courses.connection_check,
    "feasibility": groups.feasibility,
    "table_one": groups.table_one,
    "kaplan_meier": courses.kaplan_meier,
    "t_test": groups.t_test,
    "anova": groups.anova,
    "chi_square": groups.chi_square,
    "rank_test": groups.rank_test,
    "correlation": groups.correlation,
    "roc": courses.roc,
    "calibration": courses.calibration,
    "competing_risks": courses.competing_risks,
    "iptw": groups.iptw,
    "pca": groups.pca,
    "kmeans": groups.kmeans,
    "meta_analysis": models.meta_analysis,
    "fedavg_sklearn": courses.learned,
    "fedavg_torch": courses.learned,
}
ADDITIVE = ("linear_regression", "censored_regression")

REFUSED = Said("There is no answer: a hospital’s rules did not allow its numbers to be sent.")
NO_ANSWER = Said("There is no answer. The note below says why.")
NOTHING = Said("There is no answer.")
DESCRIBES = Said("The answer describes {n} patients.")


def sentences(result: Result, parameters: Mapping[str, Any], dictionary: Dictionary) -> list[Said]:
    """At least one; the first one alone says what was found."""
    if not has_numbers(result):
        if result.privacy.refused:
            return [REFUSED]
        return [NO_ANSWER if result.notes else NOTHING]
    study = Study(result, parameters, dictionary)
    if result.task in SENTENCES:
        found = SENTENCES[result.task](study)
    elif result.task in models.QUANTITIES or result.task in ADDITIVE:
        found = models.regression(study) if result.coefficients else []
    else:
        found = _of_another_package(study)
    if found:
        return found
    if is_number(result.n.used):
        return [said(DESCRIBES, n=count(result.n.used))]
    return [NO_ANSWER if result.notes else NOTHING]


def has_numbers(result: Result) -> bool:
    return bool(result.coefficients or result.statistics or result.tests or result.tables or result.curves)


ESTIMATED = Said("{term} was estimated as {estimate}{ci}.")


def _of_another_package(study: Study) -> list[Said]:
    """An estimate and its interval a term, as they are."""
    found = []
    for row in models.factors(study):
        if is_number(row.get("estimate")):
            write = width(row.get("ci_lower"), row.get("ci_upper"), row["estimate"])
            term = f"“{study.names.term(row['term'])}”"
            found.append(said(ESTIMATED, term=term, estimate=write(row["estimate"]), ci=study.ci(row, write)))
    return found

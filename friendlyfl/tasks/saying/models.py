"""Sentences of regressions: what a factor does to the odds, the hazard, the rate or the mean of an outcome."""

from __future__ import annotations

from collections.abc import Callable

from friendlyfl.tasks.figures.forest import NOT_DRAWN
from friendlyfl.tasks.figures.lettering import is_number
from friendlyfl.tasks.report import Row
from friendlyfl.tasks.saying.pieces import Num, Piece, Said, count, exp, interval, percent, ratio, said, width
from friendlyfl.tasks.saying.study import Part, Study, joined

# What is multiplied; `{outcome}` is the outcome's or the event's label.
ODDS = Said("odds of {outcome}")
HIGHER = Said("odds of a higher level of {outcome}")
HAZARD = Said("hazard of {outcome}")
SUBHAZARD = Said("hazard of {outcome} when others compete")
RATE = Said("rate of {outcome}")
MEAN = Said("mean of {outcome}")
TIME = Said("time to {outcome}")

RATIO_LEVEL = Said(
    "Compared with {reference}, patients with {column} “{level}” had {estimate} times the {quantity}{ci}{held}."
)
RATIO_YES = Said("Patients with {column} had {estimate} times the {quantity} of those without{ci}{held}.")
RATIO_UNIT = Said("Each unit more of {column} went with {estimate} times the {quantity}{ci}{held}.")
RATIO_SITE = Said(
    "Compared with hospital {reference}, patients of hospital {level} had {estimate} times the {quantity}{ci}{held}."
)
RATIO_TOGETHER = Said(
    "Where {parts} come together, the {quantity} changed by a further factor of {estimate}{ci}."
)

MEAN_LEVEL = Said(
    "Compared with {reference}, {outcome} was on average {estimate} in patients with {column} “{level}”{ci}{held}."
)
MEAN_YES = Said(
    "{outcome} was on average {estimate} in patients with {column} than in those without{ci}{held}."
)
MEAN_UNIT = Said("With each unit more of {column}, {outcome} was on average {estimate}{ci}{held}.")
MEAN_SITE = Said(
    "Compared with hospital {reference}, {outcome} was on average {estimate} in hospital {level}{ci}{held}."
)
MEAN_TOGETHER = Said("Where {parts} come together, {outcome} was on average a further {estimate}{ci}.")

HIGHER_BY, LOWER_BY = Said("{number} higher"), Said("{number} lower")
EQUAL = Said(", all other factors being equal")
WHERE = Said(", where {conditions}")
IS_LEVEL, IS_ZERO = Said("{column} is “{level}”"), Said("{column} is 0")
IN_HOSPITAL = Said("the hospital is number {level}")
ENDLESS = Said("{term} has no finite estimate, as the note below explains.")
NO_FACTOR = Said("The model of {outcome} has no factors: it describes {n} patients.")
AGREE = Said("For {term}, {share} of the variation between the {k} hospitals is more than chance (I²).")


def outcome_words(study: Study, task: str) -> Piece:
    """The outcome or event that a regression is about."""
    if task in ("cox", "weibull_regression"):
        return study.event(study.given("event"))
    if task == "fine_gray":
        return (
            f"“{study.given('failcode')}”" if study.given("failcode") else study.event(study.given("event"))
        )
    if task == "logistic_regression":
        return study.event(study.given("outcome"))
    return study.quoted(study.given("outcome"))


QUANTITIES = {
    "logistic_regression": ODDS,
    "ordinal_logistic_regression": HIGHER,
    "cox": HAZARD,
    "fine_gray": SUBHAZARD,
    "poisson_regression": RATE,
    "negative_binomial_regression": RATE,
    "gamma_regression": MEAN,
    "weibull_regression": TIME,
}


def factors(study: Study) -> list[Row]:
    """The coefficients that say what a factor does, in their order."""
    return [
        dict(row)
        for row in study.result.coefficients
        if row["term"] not in NOT_DRAWN and "|" not in row["term"]
    ]


def regression(study: Study, task: str = "") -> list[Said]:
    """A sentence for each factor."""
    task = task or study.result.task
    outcome = outcome_words(study, task)
    rows = factors(study)
    if not rows:
        return [said(NO_FACTOR, outcome=outcome, n=study.used)]
    quantity = QUANTITIES.get(task)
    split = [study.parts(row["term"]) for row in rows]
    sentences = []
    for row, parts in zip(rows, split, strict=True):
        if not is_number(row.get("estimate")) or not is_number(row.get("se")):
            sentences.append(said(ENDLESS, term=study.names.term(row["term"])))
            continue
        held = _held(study, parts, split)
        if quantity is not None:
            named: dict[str, Piece] = {"quantity": said(quantity, outcome=outcome)}
            sentences.append(_ratio(study, row, parts, held, named))
        else:
            sentences.append(_difference(study, row, parts, held, outcome))
    return sentences


def _ratio(study: Study, row: Row, parts: list[Part], held: Piece, named: dict[str, Piece]) -> Said:
    estimate = exp(row["estimate"])
    if estimate is None:
        return said(ENDLESS, term=study.names.term(row["term"]))
    shown = {
        "estimate": ratio(estimate),
        "ci": interval(study.level, exp(row.get("ci_lower")), exp(row.get("ci_upper")), ratio),
        "held": held,
        **named,
    }
    kinds = (RATIO_TOGETHER, RATIO_UNIT, RATIO_YES, RATIO_LEVEL, RATIO_SITE)
    return _placed(study, row, parts, kinds, shown)


def _difference(study: Study, row: Row, parts: list[Part], held: Piece, outcome: Piece) -> Said:
    lower, upper = row.get("ci_lower"), row.get("ci_upper")
    write = width(lower, upper, row["estimate"])
    limits: Piece = ""
    if is_number(lower) and is_number(upper):
        limits = Said(
            " ({level} CI {lower} to {upper})",
            {
                "level": study.level,
                "lower": sided(lower, write),
                "upper": sided(upper, write),
            },
        )
    shown: dict[str, Piece] = {
        "estimate": sided(row["estimate"], write),
        "ci": limits,
        "held": held,
        "outcome": outcome,
    }
    return _placed(study, row, parts, (MEAN_TOGETHER, MEAN_UNIT, MEAN_YES, MEAN_LEVEL, MEAN_SITE), shown)


def sided(value: float, write: Callable[[float], Num]) -> Said:
    """“2.2 lower”."""
    return said(LOWER_BY if value < 0 else HIGHER_BY, number=write(abs(value)))


def _placed(
    study: Study, row: Row, parts: list[Part], kinds: tuple[Said, ...], shown: dict[str, Piece]
) -> Said:
    """The sentence for this kind of term."""
    together, unit, yes, level, site = kinds
    if len(parts) > 1:
        return said(together, parts=joined(_named(study, part) for part in parts), **shown)
    if not parts:
        return said(unit, column=f"“{row['term']}”", **shown)
    part = parts[0]
    if part.column == ".site":
        return said(site, level=part.level, reference="1", **shown)
    if part.level:
        label = study.dictionary[part.column].label or part.column
        return said(level, column=label, level=part.level, reference=f"“{study.reference(part)}”", **shown)
    kind = yes if study.is_yes_no(part.column) else unit
    return said(kind, column=study.quoted(part.column), **shown)


def _named(study: Study, part: Part) -> Piece:
    if not part.level:
        return study.quoted(part.column)
    return study.who(f"{part.column}={part.level}")


def _held(study: Study, parts: list[Part], terms: list[list[Part]]) -> Piece:
    """What the other factors are while this one changes: equal, or those that it acts together with at their zero."""
    columns = {part.column for part in parts}
    partners: dict[str, Part] = {}
    for other in terms:
        if len(parts) == 1 and len(other) > 1 and columns & {part.column for part in other}:
            partners |= {part.column: part for part in other if part.column not in columns}
    if partners:
        return said(WHERE, conditions=joined(_at_zero(study, part) for part in partners.values()))
    others = {part.column for other in terms for part in other} - columns
    return EQUAL if others and len(parts) == 1 else ""


def _at_zero(study: Study, part: Part) -> Said:
    if part.column == ".site":
        return said(IN_HOSPITAL, level="1")
    if part.level:
        label = study.dictionary[part.column].label or part.column
        return said(IS_LEVEL, column=label, level=study.reference(part))
    return said(IS_ZERO, column=study.quoted(part.column))


def meta_analysis(study: Study) -> list[Said]:
    """The pooled estimates, then how far hospitals agree."""
    sentences = regression(study, study.given("model", "logistic_regression"))
    for row in study.rows("heterogeneity"):
        if row["term"] not in NOT_DRAWN and "|" not in row["term"] and is_number(row.get("i2")):
            term = f"“{study.names.term(row['term'])}”"
            sentences.append(said(AGREE, term=term, share=percent(row["i2"] / 100), k=count(row["k"])))
    return sentences

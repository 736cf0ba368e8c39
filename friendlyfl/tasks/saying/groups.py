"""Sentences about groups and pairs of columns: Table 1, t test, analysis of variance, chi-square, ranks, correlation,
treatment weighting, clusters."""

from __future__ import annotations

from friendlyfl.tasks.figures.lettering import is_number
from friendlyfl.tasks.report import Row
from friendlyfl.tasks.saying.models import sided
from friendlyfl.tasks.saying.pieces import (
    Num,
    Piece,
    Said,
    Writer,
    count,
    digits,
    fixed,
    interval,
    p_value,
    percent,
    ratio,
    said,
    width,
)
from friendlyfl.tasks.saying.study import Study, joined

P = Said("p = {p}")
P_BOUND = Said("p {p}")
N_WITH = Said("{n} with {group}")


def p_words(value: float | None) -> Piece:
    """“p = 0.04”, “p < 0.001”."""
    number = p_value(value)
    if not isinstance(number, Num):
        return Said("no p value")
    return said(P_BOUND if number.before else P, p=number)


# Who the patients are.

DESCRIBED = Said("{n} patients are described.")
DESCRIBED_BY = Said("{n} patients are described: {groups}.")
AVERAGED = Said("{column} was {mean} on average (standard deviation {sd}).")


def table_one(study: Study) -> list[Said]:
    groups = [row for row in study.rows("groups") if row["group"] != "all" and is_number(row.get("n"))]
    named = [
        said(N_WITH, n=count(row["n"]), group=study.who(row["group"]))
        for row in groups
        if row["group"] != "(missing)"
    ]
    first = said(DESCRIBED, n=study.used)
    if named:
        first = said(DESCRIBED_BY, n=study.used, groups=joined(named))
    means = [
        said(AVERAGED, column=study.quoted(row["variable"]), mean=digits(row["mean"]), sd=digits(row["sd"]))
        for row in study.rows("numeric")
        if row["group"] == "all" and is_number(row.get("mean")) and is_number(row.get("sd"))
    ]
    return [first, *means]


MEET = Said("{n} of {all} patients meet the condition.")
MEET_ALL = Said("{n} of {all} patients meet all {k} conditions.")
MEET_HIDDEN = Said(
    "How many of {all} patients meet all conditions is not shown, because a number is too small."
)
OF_THEM = Said("{n} of them are patients with {group}.")


def feasibility(study: Study) -> list[Said]:
    rows = study.rows("flow")
    last = max((row["step"] for row in rows), default=0)
    ends = {row["group"]: row.get("n") for row in rows if row["step"] == last}
    everybody = study.used
    if not is_number(ends.get("all")):
        return [said(MEET_HIDDEN, all=everybody)]
    first = said(MEET, n=count(ends["all"]), all=everybody)
    if last > 1:
        first = said(MEET_ALL, n=count(ends["all"]), all=everybody, k=count(last))
    parts = [
        said(OF_THEM, n=count(n), group=study.who(group))
        for group, n in ends.items()
        if is_number(n) and group not in ("all", "(missing)")
    ]
    return [first, *parts]


# Means.

TWO_MEANS = Said(
    "On average {outcome} was {difference} in patients with {first} than with {second}{ci}: {mean} against {other}."
)
MEANS = Said("On average {outcome} ran from {low} in patients with {first} to {high} with {last}; {test}.")
MEAN_OF = Said("In patients with {group}, {outcome} was {mean} on average{ci}.")
DIFFERS = Said("the test of {term} gave {p}")


def _means(study: Study, outcome: Piece) -> list[Said]:
    return [
        said(
            MEAN_OF,
            group=study.who(row["group"]),
            outcome=outcome,
            mean=width(row.get("ci_lower"), row.get("ci_upper"), row["mean"])(row["mean"]),
            ci=study.ci(row, width(row.get("ci_lower"), row.get("ci_upper"), row["mean"])),
        )
        for row in study.rows("groups")
        if is_number(row.get("mean"))
    ]


def t_test(study: Study) -> list[Said]:
    outcome = study.quoted(study.given("outcome"))
    name = str(study.result.conventions.get("test", "")).partition(":")[0]
    test = study.result.tests.get(name) or next(iter(study.result.tests.values()), {})
    means = _means(study, outcome)
    rows = [row for row in study.rows("groups") if is_number(row.get("mean"))]
    if not is_number(test.get("estimate")) or len(rows) != 2:
        return means
    lower, upper = test.get("ci_lower"), test.get("ci_upper")
    write = width(lower, upper, test["estimate"])
    limits: Piece = ""
    if is_number(lower) and is_number(upper):
        limits = said(SIDES, level=study.level, lower=sided(lower, write), upper=sided(upper, write))
    first = said(
        TWO_MEANS,
        outcome=outcome,
        difference=sided(test["estimate"], write),
        first=study.who(rows[0]["group"]),
        second=study.who(rows[1]["group"]),
        ci=limits,
        mean=write(rows[0]["mean"]),
        other=write(rows[1]["mean"]),
    )
    return [first, *means]


SIDES = Said(" ({level} CI {lower} to {upper})")


def anova(study: Study) -> list[Said]:
    outcome = study.quoted(study.given("outcome"))
    rows = sorted(
        (row for row in study.rows("groups") if is_number(row.get("mean"))), key=lambda row: row["mean"]
    )
    means = _means(study, outcome)
    if len(rows) < 2:
        return means
    low, high = rows[0], rows[-1]
    write = width(low.get("ci_lower"), low.get("ci_upper"), low["mean"])
    first = said(
        MEANS,
        outcome=outcome,
        low=_with_ci(study, low, write),
        first=study.who(low["group"]),
        high=_with_ci(study, high, write),
        last=study.who(high["group"]),
        test=_test_of_means(study),
    )
    return [first, *means]


WITH_CI = Said("{mean}{ci}")


def _with_ci(study: Study, row: Row, write: Writer) -> Said:
    return said(WITH_CI, mean=write(row["mean"]), ci=study.ci(row, write))


def _test_of_means(study: Study) -> Piece:
    for table in ("anova_type2", "anova_type1"):
        tested = [row for row in study.rows(table) if is_number(row.get("p"))]
        if tested:
            return joined(
                said(DIFFERS, term=f"“{study.names.term(row['term'])}”", p=p_words(row["p"]))
                for row in tested
            )
    test: Row = next(iter(study.result.tests.values()), {})
    return said(DIFFERS, term=Said("all groups"), p=p_words(test.get("p")))


# Counts.

ODDS_OF = Said(
    "Compared with {reference}, patients with {group} had {estimate} times the odds of {column}{ci}."
)
SHARE_OF = Said("{share} of patients with {group} had {column} ({n}).")
TOGETHER = Said("{row} and {column} go together to the degree of {v} (Cramér’s V, from 0 to 1); {p}.")
WITHIN = Said("Within the strata, the odds were {estimate} times as high{ci}.")


def chi_square(study: Study) -> list[Said]:
    row_name, column_name = study.given("row"), study.given("column")
    tests, cells = study.result.tests, study.rows("cells")
    test = tests.get("fisher") or {}
    rows = list(dict.fromkeys(cell["row"] for cell in cells))
    columns = list(dict.fromkeys(cell["column"] for cell in cells))
    sentences = []
    if is_number(test.get("estimate")) and len(rows) == len(columns) == 2:
        column = _column_words(study, column_name, columns[1])
        sentences.append(
            said(
                ODDS_OF,
                reference=study.who(rows[0]),
                group=study.who(rows[1]),
                estimate=ratio(test["estimate"]),
                column=column,
                ci=study.ci(test, ratio),
            )
        )
        within = tests.get("mantel_haenszel") or {}
        if is_number(within.get("estimate")):
            sentences.append(said(WITHIN, estimate=ratio(within["estimate"]), ci=study.ci(within, ratio)))
        sentences += [
            said(
                SHARE_OF,
                share=percent(cell["row_share"]),
                group=study.who(cell["row"]),
                column=column,
                n=count(cell["observed"]),
            )
            for cell in cells
            if cell["column"] == columns[1]
            and is_number(cell.get("row_share"))
            and is_number(cell["observed"])
        ]
        return sentences
    v = study.result.statistics.get("cramers_v")
    p = next((tests[name].get("p") for name in ("chi_square", "fisher") if name in tests), None)
    if is_number(v):
        words = {"row": study.quoted(row_name), "column": study.quoted(column_name)}
        sentences.append(said(TOGETHER, **words, v=Num(v, 2), p=p_words(p)))
    return sentences


def _column_words(study: Study, column: str, group: str) -> Piece:
    """What happened: of a column of 0 and 1 its label, else its level."""
    if study.is_yes_no(column) and group == f"{column}=1":
        return study.quoted(column)
    return study.who(group)


# Ranks and correlation.

LARGER = Said(
    "In {share} of all pairs of a patient with {first} and one with {second}, the first had the larger "
    "{outcome} (equal values count half; {p})."
)
RANKS = Said("{outcome} ranked lowest in patients with {first} and highest with {last} ({p}).")


def rank_test(study: Study) -> list[Said]:
    outcome = study.quoted(study.given("outcome"))
    rows = [row for row in study.rows("groups") if is_number(row.get("mean_rank"))]
    p = p_words(next(iter(study.result.tests.values()), {}).get("p"))
    share = study.result.statistics.get("share_larger_in_first")
    if is_number(share) and len(rows) == 2:
        first, second = (study.who(row["group"]) for row in rows)
        return [said(LARGER, share=percent(share), first=first, second=second, outcome=outcome, p=p)]
    rows.sort(key=lambda row: row["mean_rank"])
    if len(rows) < 2:
        return []
    first, last = study.who(rows[0]["group"]), study.who(rows[-1]["group"])
    return [said(RANKS, outcome=outcome, first=first, last=last, p=p)]


CORRELATE = Said("{one} and {other} had a correlation of {r}{ci}.")
CORRELATE_P = Said("{one} and {other} had a correlation of {r} ({p}).")


def correlation(study: Study) -> list[Said]:
    order = {name: place for place, name in enumerate(study.columns("variables"))}
    tests = [
        test
        for test in study.result.tests.values()
        if is_number(test.get("estimate")) and len(test.get("variables") or ()) == 2
    ]
    tests.sort(key=lambda test: [order.get(name, 0) for name in test["variables"]])
    sentences = []
    for test in tests:
        one, other = map(study.quoted, test["variables"])
        limits = study.ci(test, fixed(2))
        template = CORRELATE if limits else CORRELATE_P
        more: dict[str, Piece] = {"ci": limits} if limits else {"p": p_words(test.get("p"))}
        sentences.append(said(template, one=one, other=other, r=Num(test["estimate"], 2), **more))
    return sentences


# What if everyone had been treated.

EFFECT = Said(
    "With {treated} for everyone {outcome} would have been {mean} on average, without it {other}: "
    "a difference of {difference}{ci}."
)
EFFECT_TREATED = Said(
    "Among those with {treated} {outcome} was {mean} on average, and would have been {other} without it: "
    "a difference of {difference}{ci}."
)
SHARE = Said(
    "With {treated} for everyone {mean} would have had {outcome}, without it {other}: "
    "a difference of {difference} percentage points{ci}."
)
SHARE_TREATED = Said(
    "Among those with {treated} {mean} had {outcome}, and {other} would have had it without: "
    "a difference of {difference} percentage points{ci}."
)


def iptw(study: Study) -> list[Said]:
    treatment = study.given("treatment")
    spec = study.dictionary.get(treatment)
    treated: Piece = study.quoted(treatment)
    if spec is not None and len(spec.levels) == 2:
        treated = study.who(f"{treatment}={spec.levels[1]}")
    att = study.given("estimand") == "ATT"
    sentences = []
    for row in study.rows("effects"):
        if not all(is_number(row.get(name)) for name in ("mean_treated", "mean_control", "difference")):
            continue
        outcome = row["outcome"]
        spec = study.dictionary.get(outcome)
        chance = spec is not None and spec.is_yes_no
        if chance:
            write: Writer = lambda value: Num(value * 100, 1)  # noqa: E731  # percentage points
            means: Writer = percent
            template, words = SHARE_TREATED if att else SHARE, study.event(outcome)
        else:
            write = means = width(row.get("ci_lower"), row.get("ci_upper"), row["difference"])
            template, words = EFFECT_TREATED if att else EFFECT, study.quoted(outcome)
        sentences.append(
            said(
                template,
                treated=treated,
                outcome=words,
                mean=means(row["mean_treated"]),
                other=means(row["mean_control"]),
                difference=write(row["difference"]),
                ci=interval(study.level, row.get("ci_lower"), row.get("ci_upper"), write),
            )
        )
    return sentences


# Components and clusters.

COMPONENT = Said("One combination of the {k} measurements holds {share} of their variance.")
COMPONENTS = Said(
    "Two combinations of the {k} measurements hold {share} of their variance, the first alone {one}."
)


def pca(study: Study) -> list[Said]:
    rows = [row for row in study.rows("variance") if is_number(row.get("proportion"))]
    if not rows:
        return []
    k = count(len(rows))
    one = rows[0]["proportion"]
    if len(rows) == 1:
        return [said(COMPONENT, k=k, share=percent(one))]
    return [said(COMPONENTS, k=k, share=percent(one + rows[1]["proportion"]), one=percent(one))]


CLUSTERS = Said("The {n} patients fall into {k} groups of similar ones: {sizes}.")
CENTRE = Said("Group {number}: {values} on average.")
VALUE = Said("{column} {mean}")
HIDDEN = Said("a number that is not shown")


def kmeans(study: Study) -> list[Said]:
    rows = study.rows("centres")
    if not rows:
        return []
    sizes = joined(count(row["n"]) if is_number(row.get("n")) else HIDDEN for row in rows)
    variables = [name for name in study.columns("variables") if name in rows[0]]
    centres = [
        said(
            CENTRE,
            number=str(row["cluster"]),
            values=joined(
                said(VALUE, column=study.quoted(name), mean=digits(row[name]))
                for name in variables
                if is_number(row.get(name))
            ),
        )
        for row in rows
    ]
    return [said(CLUSTERS, n=study.used, k=count(len(rows)), sizes=sizes), *centres]

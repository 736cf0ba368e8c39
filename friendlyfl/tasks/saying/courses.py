"""Sentences about time to an event, about scores and learned models, and about a line that was tried."""

from __future__ import annotations

from friendlyfl.tasks.figures.lettering import is_number
from friendlyfl.tasks.report import Row
from friendlyfl.tasks.saying.groups import p_words
from friendlyfl.tasks.saying.pieces import (
    Num,
    Piece,
    Said,
    Writer,
    count,
    digits,
    fixed,
    percent,
    said,
)
from friendlyfl.tasks.saying.study import Study, joined

MEDIAN = Said("Half of {group} had {event} by {median}{unit}{ci}.")
NO_MEDIAN = Said("Fewer than half of {group} had {event} in the time observed.")
MEDIANS = Said("Half of {group} had {event} by {median}{unit}{ci}, half of {other} by {second}{unit}{more}.")
PATIENTS_WITH = Said("patients with {group}")
REACHED = Said("Up to {tau}{unit}, {group} stayed free of {event} for {rmst}{unit} on average.")
LOGRANK = Said("The log-rank test of a difference between the groups gave {p}.")
SURVIVED = Said("At {time}{unit}, {share} of {group} were still free of {event}{ci}.")


def _patients(study: Study, group: str) -> Piece:
    return Said("all patients") if group == "all" else said(PATIENTS_WITH, group=study.who(group))


def _unit(study: Study) -> str:
    spec = study.dictionary.get(study.given("time"))
    return f" {spec.unit}" if spec is not None and spec.unit else ""


def _clock(value: float) -> Num:
    """A time, which is recorded on a grid: with no more decimals than it has."""
    return Num(value, min(len(f"{value:.6g}".partition(".")[2]), 6))


def kaplan_meier(study: Study) -> list[Said]:
    event, unit = study.event(study.given("event")), _unit(study)
    rows = study.rows("groups")
    sentences: list[Said] = []
    having = [row for row in rows if is_number(row.get("median"))]
    if len(rows) == len(having) == 2:
        one, two = rows
        sentences.append(
            said(
                MEDIANS,
                group=_patients(study, one["group"]),
                event=event,
                median=_clock(one["median"]),
                unit=unit,
                ci=study.ci(one, _clock, "median_"),
                other=_patients(study, two["group"]),
                second=_clock(two["median"]),
                more=study.ci(two, _clock, "median_"),
            )
        )
    else:
        sentences += [_median(study, row, event, unit) for row in rows]
    sentences += [
        said(
            REACHED,
            tau=_clock(row["rmst_tau"]),
            unit=unit,
            group=_patients(study, row["group"]),
            event=event,
            rmst=digits(row["rmst"]),
        )
        for row in rows
        if is_number(row.get("rmst")) and is_number(row.get("rmst_tau"))
    ]
    test = study.result.tests.get("logrank")
    if test and is_number(test.get("p")):
        sentences.append(said(LOGRANK, p=p_words(test["p"])))
    sentences += [
        said(
            SURVIVED,
            time=_clock(row["time"]),
            unit=unit,
            share=percent(row["survival"]),
            group=_patients(study, row["group"]),
            event=event,
            ci=study.ci(row, percent),
        )
        for row in study.rows("at_times")
        if is_number(row.get("survival"))
    ]
    return sentences


def _median(study: Study, row: Row, event: Piece, unit: str) -> Said:
    group = _patients(study, row["group"])
    if not is_number(row.get("median")):
        return said(NO_MEDIAN, group=group, event=event)
    limits = study.ci(row, _clock, "median_")
    return said(MEDIAN, group=group, event=event, median=_clock(row["median"]), unit=unit, ci=limits)


BY_THEN = Said("By {time}{unit}, “{event}” had happened to {parts}.")
SHARE_OF = Said("{share} of {group}{ci}")


def competing_risks(study: Study) -> list[Said]:
    """The chance of each event, latest time first."""
    unit = _unit(study)
    rows = [row for row in study.rows("at_times") if is_number(row.get("cif"))] or _ends(study)
    events = list(dict.fromkeys(row["event"] for row in rows))
    sentences = []
    for time in sorted({row["time"] for row in rows}, reverse=True):
        for event in events:
            parts = [
                said(
                    SHARE_OF,
                    share=percent(row["cif"]),
                    group=_patients(study, row["group"]),
                    ci=study.ci(row, percent),
                )
                for row in rows
                if (row["time"], row["event"]) == (time, event)
            ]
            if parts:
                sentences.append(
                    said(BY_THEN, time=_clock(time), unit=unit, event=event, parts=joined(parts))
                )
    return sentences


def _ends(study: Study) -> list[Row]:
    """The last point of each curve, where no times were asked for."""
    return [
        {**curve.points[-1], "group": curve.group, "event": curve.event}
        for curve in study.result.curves
        if curve.points and is_number(curve.points[-1].get("cif"))
    ]


# Scores.

TELLS = Said(
    "{marker} was {side} in a patient with {outcome} than in one without in {share} of all pairs "
    "(area under the ROC curve {auc}{ci})."
)
COMPARED = Said("The areas differ by {difference}{ci}; {p}.")
CI_INSIDE = Said(", {level} CI {lower} to {upper}")
HIGHER, LOWER = Said("higher"), Said("lower")


def roc(study: Study) -> list[Said]:
    outcome = study.event(study.given("outcome"))
    side = LOWER if study.given("direction") == "lower" else HIGHER
    sentences = []
    for row in study.rows("auc"):
        if not is_number(row.get("auc")):
            continue
        limits: Piece = ""
        if is_number(row.get("ci_lower")) and is_number(row.get("ci_upper")):
            shown = {"lower": Num(row["ci_lower"], 2), "upper": Num(row["ci_upper"], 2)}
            limits = said(CI_INSIDE, level=study.level, **shown)
        marker, share = study.quoted(row["marker"]), Num(row["auc"], 0, percent=True)
        sentences.append(
            said(
                TELLS,
                marker=marker,
                side=side,
                outcome=outcome,
                share=share,
                auc=Num(row["auc"], 2),
                ci=limits,
            )
        )
    test = study.result.tests.get("delong")
    if test and is_number(test.get("estimate")):
        limits = study.ci(test, fixed(2))
        p = p_words(test.get("p"))
        sentences.append(said(COMPARED, difference=Num(test["estimate"], 2), ci=limits, p=p))
    return sentences


HELD = Said("{outcome} happened {ratio} times as often as foretold (1 is perfect).")
SLOPE = Said("The calibration slope was {slope}{ci}, where 1 is perfect.")
LARGE = Said("Calibration in the large was {estimate}{ci}, where 0 is perfect.")
HELD_SLOPE = Said(
    "{outcome} happened {ratio} times as often as foretold, and the calibration slope was {slope}{ci}; "
    "of both, 1 is perfect."
)


def calibration(study: Study) -> list[Said]:
    outcome = study.event(study.given("outcome"))
    terms = {row["term"]: row for row in study.result.coefficients if is_number(row.get("estimate"))}
    share, slope = study.result.statistics.get("oe_ratio"), terms.get("calibration_slope")
    write: Writer = fixed(2)
    sentences = []
    if is_number(share) and slope:
        limits = study.ci(slope, write)
        shown = {"ratio": Num(share, 2), "slope": Num(slope["estimate"], 2), "ci": limits}
        sentences.append(said(HELD_SLOPE, outcome=outcome, **shown))
    elif is_number(share):
        sentences.append(said(HELD, outcome=outcome, ratio=Num(share, 2)))
    elif slope:
        sentences.append(said(SLOPE, slope=Num(slope["estimate"], 2), ci=study.ci(slope, write)))
    if row := terms.get("calibration_in_the_large"):
        sentences.append(said(LARGE, estimate=Num(row["estimate"], 2), ci=study.ci(row, write)))
    return sentences


LEARNED = Said(
    "In {share} of the pairs of a held-back patient with {outcome} and one without from the same hospital, the learned "
    "model gave the first the higher chance (area under the ROC curve {auc}; {n} patients held back)."
)
LEARNED_NUMBER = Said(
    "For held-back patients the learned model was wrong by {error} in {outcome} on average ({n} patients held back)."
)
NOT_JUDGED = Said("A model was learned from {n} patients; no patients were held back to judge it by.")


def learned(study: Study) -> list[Said]:
    """How good a learned model is. Its metrics come without an interval."""
    numbers = study.result.statistics
    outcome, held = study.given("outcome"), numbers.get("n_held_back")
    auc, error = numbers.get("auc"), numbers.get("mae")
    if is_number(held) and is_number(auc):
        share = Num(auc, 0, percent=True)
        event = study.event(outcome)
        return [said(LEARNED, share=share, outcome=event, auc=Num(auc, 2), n=count(held))]
    if is_number(held) and is_number(error):
        return [said(LEARNED_NUMBER, error=digits(error), outcome=study.quoted(outcome), n=count(held))]
    return [said(NOT_JUDGED, n=study.used)]


LINE = Said("The line works: all hospitals answered {rounds} times, and nothing about patients was sent.")


def connection_check(study: Study) -> list[Said]:
    return [said(LINE, rounds=count(study.result.rounds))]

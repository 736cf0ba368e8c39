"""Sums over those at risk and counted pairs, each against the plainest way to get them."""

import itertools

import numpy as np
import pytest

from friendlyfl.tasks.stats.cox_concordance import (
    FINE,
    Bins,
    Listed,
    Standing,
    Tabled,
    codes_of,
    compared,
    scores_of,
    tables_of,
)
from friendlyfl.tasks.stats.cox_risk import Cells, Followed, OwnPartial, RiskSums, same_times


def followed(n=80, seed=0, late=True):
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 8, n).astype(float)
    time = entry + rng.integers(1, 12, n)
    dead, stratum = rng.random(n) < 0.6, rng.integers(0, 3, n).astype(np.int64)
    cells = Cells.of(stratum[dead], time[dead], 3)
    rows = Followed.of(cells, stratum, time, dead, entry if late else None)
    return rows, cells, time, entry if late else np.full(n, -1.0), stratum, dead


@pytest.mark.parametrize("late", [False, True])
def test_sums_over_those_at_risk(late):
    rows, cells, time, entry, stratum, dead = followed(late=late)
    design = np.random.default_rng(1).normal(size=(80, 3)) * 20  # risks from e^-100 to e^100
    theta = np.array([0.7, -0.4, 0.2])
    ties = rows.deaths(len(cells)) > 1
    shift = np.arange(len(cells)) - 5
    sums = RiskSums.of(rows, design, theta, ties, shift)
    risk = np.exp(design @ theta)
    for place, (group, at) in enumerate(zip(cells.stratum, cells.time, strict=True)):
        who = (stratum == group) & (entry < at) & (time >= at)
        whole = (design[who].T * risk[who]) @ design[who]
        wanted = np.concatenate([[risk[who].sum()], risk[who] @ design[who], whole[np.triu_indices(3)]])
        scale = np.abs(design[who]).max() ** 2 * risk[who].sum()
        assert sums.at[place] * 2.0 ** shift[place] == pytest.approx(wanted, rel=1e-12, abs=1e-14 * scale)
        dying = who & dead & (time == at)
        assert sums.events[place] == pytest.approx(design[dying].sum(axis=0), rel=1e-12)
        if ties[place]:
            found = sums.tied[ties[:place].sum()] * 2.0 ** shift[place]
            assert found[0] == pytest.approx(risk[dying].sum(), rel=1e-13)
    residuals = OwnPartial.of(rows, len(cells), design / 20, theta, True).steps.residuals(
        rows, design / 20, theta
    )
    score = OwnPartial.of(rows, len(cells), design / 20, theta, True).excess.sum(axis=0)
    assert residuals.sum(axis=0) == pytest.approx(score, rel=1e-10)


def test_nobody_at_risk():
    nothing = np.zeros(0, dtype=np.int64)
    cells = Cells.of(nothing, np.zeros(0), 2)
    rows = Followed.of(cells, np.zeros(4, dtype=np.int64), np.arange(4.0), np.zeros(4, dtype=bool), None)
    found = OwnPartial.of(rows, 0, np.ones((4, 2)), np.zeros(2), True)
    assert found.loglik == 0 and (found.information(np.zeros(0)) == 0).all()


def test_times_made_equal():
    time, entry = same_times(np.array([0.1 + 0.2, 0.3, 1.0]), np.array([0.0, 0.1, 0.3]))
    assert time[0] == time[1] == entry[2] and time[2] == 1.0
    assert same_times(np.zeros(0), None)[0].size == 0


def test_people_by_place_and_score():
    rng = np.random.default_rng(2)
    place, score = rng.integers(0, 9, 50), rng.integers(0, 7, 50)
    table = np.zeros((9, 7))
    np.add.at(table, (place, score), 1)
    p, s = (grid.ravel() for grid in np.meshgrid(np.arange(10), np.arange(8), indexing="ij"))
    wanted = [int(((place < a) & (score < b)).sum()) for a, b in zip(p, s, strict=True)]
    assert Listed(place, score, 7).below(p, s).tolist() == wanted
    assert Tabled(table).below(p, s).tolist() == wanted


@pytest.mark.parametrize("late", [False, True])
def test_pairs_one_by_one(late):
    rows, cells, time, entry, stratum, dead = followed(60, 3, late)
    score = np.random.default_rng(4).integers(0, 9, 60).astype(np.int64)
    opened, taken = np.zeros((60, 3)), np.zeros((60, 3))
    for i, j in itertools.permutations(range(60), 2):
        after = time[j] > time[i] or (time[j] == time[i] and not dead[j])
        if dead[i] and stratum[i] == stratum[j] and after and entry[j] < time[i]:
            kind = 2 if score[i] == score[j] else (0 if score[i] > score[j] else 1)
            opened[i, kind] += 1
            taken[[i, j], kind] += 1
    tables = tables_of(rows, score, cells, 9)
    entered = tables["entered_by_score"] if late else None
    tabled = Standing.tabled(tables["events_by_score"], tables["censored_by_score"], entered, cells)
    for everybody in (Standing.listed(rows, score, late), tabled):
        found = compared(rows, score, everybody, cells)
        assert (found[0] == opened).all() and (found[1] == taken).all()


def test_bins_find_every_value():
    score = np.repeat(np.random.default_rng(5).normal(size=400), 2)
    score[::50] += 1e-7  # close neighbours
    code = codes_of(score, 0.1, 2.0)
    bins = Bins.first()
    for _ in range(4):
        bins = bins.seen(bins.look(code))
        finer = bins.finer()
        if finer is None:
            break
        bins = finer
    assert not bins.mixed.any() and len(bins.edges) == len(np.unique(score))
    assert (np.unique(score, return_inverse=True)[1] == bins.of(code)).all()
    few = bins.joined(np.bincount(bins.of(code)).astype(float), 20)
    assert len(few.edges) <= 20 and few.mixed.all() and few.of(code).max() == len(few.edges) - 1


def test_codes_keep_the_order():
    score = np.array([-1e300, -5.0, 0.0, 1e-3, 7.0, 1e300])
    code = codes_of(score, 0.0, 1.0)
    assert (np.diff(code) > 0).all() and code.min() >= 0 and code.max() < FINE
    assert (codes_of(score, 0.0, 0.0) == FINE // 2).all()
    assert (scores_of(np.ones((3, 2)), np.array([0.1, 0.2])) == 0.1 + 0.2).all()

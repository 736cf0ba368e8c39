"""The studentized range: the t distribution it is for two groups, scipy's, and printed tables."""

import math

import pytest
from scipy import stats

from friendlyfl.tasks.stats.inference import two_sided
from friendlyfl.tasks.stats.studentized_range import critical_range, upper_tail


@pytest.mark.parametrize("df", [1, 2, 5, 30, 1000, 10**6])
@pytest.mark.parametrize("q", [0.1, 1.0, 3.0, 7.0, 15.0, 40.0, 200.0])
def test_of_two_groups_it_is_the_t_test(q, df):
    wanted = two_sided(q / math.sqrt(2), df)
    if wanted > 1e-300:
        assert upper_tail(q, 2, df) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("q", "groups", "df"),
    [(3.5, 3, 20), (0.5, 3, 4), (2, 10, 15), (5, 30, 300), (4, 3, 2), (6, 4, 50), (3, 5, 1)],
)
def test_against_scipy(q, groups, df):
    wanted = float(stats.studentized_range.sf(q, groups, df))
    assert upper_tail(q, groups, df) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_a_small_tail_keeps_its_digits():
    """Bonferroni's sum over pairs is what is left far out."""
    for q, groups, df in ((30.0, 4, 100), (60.0, 6, 40)):
        pairs = groups * (groups - 1) / 2
        assert upper_tail(q, groups, df) == pytest.approx(pairs * two_sided(q / math.sqrt(2), df), rel=1e-3)
        assert upper_tail(q, groups, df) < 1e-20


@pytest.mark.parametrize(
    ("groups", "df", "level", "wanted"),
    [
        (3, 10, 0.95, 3.877),
        (5, 20, 0.95, 4.232),
        (10, 60, 0.95, 4.646),
        (4, 12, 0.99, 5.502),
        (2, 5, 0.95, 3.635),
    ],
)
def test_critical_values_as_tables_print_them(groups, df, level, wanted):
    """Harter (1960), as in the tables of every textbook."""
    assert critical_range(groups, df, level) == pytest.approx(wanted, abs=6e-4)
    assert critical_range(groups, df, level) == pytest.approx(
        float(stats.studentized_range.ppf(level, groups, df)), rel=1e-7
    )


def test_no_difference_at_all():
    assert upper_tail(0.0, 3, 10) == 1.0
    assert upper_tail(1e-9, 3, 10) == pytest.approx(1.0, abs=1e-9)

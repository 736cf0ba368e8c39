"""One group's curve from its counts: closed forms, R's rules for medians and limits, and the ends of a curve."""

import numpy as np
import pytest

from friendlyfl.tasks.stats.survival_curve import SurvivalCurve, crossing
from friendlyfl.tasks.stats.time_counts import at_risk


def curve(times, events, entries=None):
    """The curve of people with these times; events are 1 or 0."""
    grid = np.arange(0, max(times) + 1, dtype=float)
    times, events = np.array(times), np.array(events, dtype=float)
    event = np.bincount(times, events, len(grid))
    censored = np.bincount(times, 1 - events, len(grid))
    later = None if entries is None else np.array([sum(e >= t for e in entries) for t in grid], dtype=float)
    return SurvivalCurve.of(grid, event, censored, at_risk(event + censored, later))


def test_without_censoring_it_is_the_share_alive():
    c = curve([1, 2, 3, 4], [1, 1, 1, 1])
    assert c.survival == pytest.approx([0.75, 0.5, 0.25, 0.0])
    assert c.errors()[:3] == pytest.approx([np.sqrt(s * (1 - s) / 4) for s in (0.75, 0.5, 0.25)])
    assert np.isnan(c.errors()[3])


def test_events_come_before_censorings_at_the_same_time():
    c = curve([5, 5, 5, 9], [1, 0, 0, 1])
    assert c.risk.tolist() == [4.0, 1.0] and c.survival == pytest.approx([0.75, 0.0])


def test_at_risk_when_entry_is_before_the_time_and_not_at_it():
    c = curve([3, 5, 5], [1, 1, 0], entries=[0, 3, 0])
    assert c.time.tolist() == [3.0, 5.0] and c.risk.tolist() == [2.0, 2.0]


def test_the_median_is_the_middle_of_a_flat_stretch_at_one_half():
    assert curve([1, 2, 6, 9], [1, 1, 1, 1]).median() == 4.0
    assert curve([1, 2, 4, 9, 9], [1, 1, 1, 1, 0]).median() == 4.0  # below one half at once: no middle
    assert curve([1, 2, 5, 9], [1, 1, 0, 0]).median() == 2.0  # never below: the first time at one half
    assert curve([1, 9], [0, 0]).median() is None


def test_one_half_with_rounding_is_one_half():
    """R's own example: 100 people who die one a day; after 50 the product is 0.5 and a little."""
    assert curve(range(1, 101), [1] * 100).median() == 50.5


def test_limits_that_do_not_exist_do_not_cross():
    assert crossing(np.array([1.0, 2.0]), np.array([np.nan, 0.4])) == 2.0
    assert crossing(np.array([1.0]), np.array([np.nan])) is None


def test_limits_on_the_three_scales():
    c = curve([1, 2, 3, 4, 5], [1, 0, 1, 0, 0])
    s, se = c.survival[2], c.errors()[2]
    z = 1.959963984540054
    lower, upper = c.limits("plain")
    assert (lower[2], upper[2]) == pytest.approx((max(s - z * se, 0), min(s + z * se, 1)))
    lower, upper = c.limits("log")
    assert (lower[2], upper[2]) == pytest.approx((s * np.exp(-z * se / s), min(s * np.exp(z * se / s), 1)))
    lower, upper = c.limits("log-log")
    width = z * se / (s * np.log(s))
    assert (lower[2], upper[2]) == pytest.approx((s ** np.exp(-width), s ** np.exp(width)))
    assert lower[2] < s < upper[2]


def test_limits_at_one_and_at_zero():
    c = curve([1, 2], [0, 1])
    for kind, at_one in (("log", 1.0), ("plain", 1.0), ("log-log", None)):
        lower, upper = c.limits(kind)
        assert (np.isnan(lower[0]) and at_one is None) or lower[0] == upper[0] == at_one
        assert np.isnan(lower[1]) and np.isnan(upper[1])


def test_the_restricted_mean_is_the_area():
    c = curve([2, 4, 7], [1, 0, 1])
    mean, se = c.restricted_mean(6.0)
    assert mean == pytest.approx(2 * 1 + 4 * 2 / 3)
    assert se == pytest.approx(np.sqrt((4 * 2 / 3) ** 2 * 1 / (3 * 2)))
    assert c.restricted_mean(1.0) == (1.0, 0.0)  # before anyone's time
    assert c.restricted_mean(9.0)[0] == pytest.approx(2 + 5 * 2 / 3)


def test_the_restricted_mean_without_censoring_is_that_of_min_t_tau():
    times = [1, 3, 4, 8, 9, 12]
    mean, se = curve(times, [1] * 6).restricted_mean(8.0)
    cut = np.minimum(times, 8.0)
    assert mean == pytest.approx(cut.mean()) and se == pytest.approx(cut.std() / np.sqrt(6))


def test_chosen_times():
    c = curve([2, 4, 4, 7], [1, 1, 0, 0])
    rows = c.at((1.0, 4.0, 5.0, 9.0), "log")
    assert [row["n_risk"] for row in rows] == [4, 3, 1, 0]
    assert [row["n_event_since_last"] for row in rows] == [0, 2, 0, 0]
    assert [row["survival"] for row in rows] == [1.0, 0.5, 0.5, None]  # the last one is beyond follow-up
    dead = curve([1, 2], [1, 1]).at((5.0,), "log")[0]
    assert dead["survival"] == 0.0


def test_points_are_plain_numbers():
    point = curve([2, 3], [1, 0]).points("log")[0]
    assert list(point) == ["time", "n_risk", "n_event", "n_censor", "survival", "se", "ci_lower", "ci_upper"]
    assert isinstance(point["n_risk"], int) and isinstance(point["survival"], float)

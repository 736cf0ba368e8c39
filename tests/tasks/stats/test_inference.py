"""From estimates to what a paper prints, against scipy."""

import numpy as np
import pytest
from scipy import stats

from friendlyfl.tasks.stats.inference import chi_square, critical, two_sided, wald, wald_test


def test_p_values_do_not_become_zero():
    assert two_sided(37.0) == pytest.approx(2 * stats.norm.sf(37.0), rel=1e-10) and two_sided(37.0) > 0
    assert two_sided(-2.5, df=7) == pytest.approx(2 * stats.t.sf(2.5, 7), rel=1e-12)
    assert two_sided(0.0, df=3) == 1.0
    assert chi_square(1400.0, 3)["p"] == pytest.approx(stats.chi2.sf(1400.0, 3), rel=1e-9)


def test_critical_values():
    assert critical() == pytest.approx(1.959963984540054, rel=1e-14)
    assert critical(df=5) == pytest.approx(stats.t.ppf(0.975, 5), rel=1e-12)


def test_wald_rows():
    vcov = np.diag([0.04, 0.25])
    one, two = wald(["a", "b"], np.array([0.5, -1.0]), vcov)
    assert one["se"] == 0.2 and one["statistic"] == 2.5
    assert two["ci_lower"] == pytest.approx(-1.0 - 0.5 * 1.959963984540054)
    assert set(one) == {"term", "estimate", "se", "statistic", "p", "ci_lower", "ci_upper"}


def test_a_term_without_variance_has_no_numbers_but_its_estimate():
    (row,) = wald(["a"], np.array([40.0]), np.array([[np.nan]]))
    assert row["estimate"] == 40.0
    assert all(row[key] is None for key in ("se", "statistic", "p", "ci_lower", "ci_upper"))


def test_other_standard_errors_stand_beside():
    (row,) = wald(
        ["a"], np.array([1.0]), np.eye(1), more={"se": np.array([2.0]), "se_robust": np.array([1.0])}
    )
    assert row["se"] == 2.0 and row["se_robust"] == 1.0 and row["statistic"] == 1.0


def test_the_joint_test():
    vcov = np.array([[2.0, 0.5], [0.5, 1.0]])
    estimate = np.array([1.0, -1.0])
    wanted = estimate @ np.linalg.inv(vcov) @ estimate
    assert wald_test(estimate, vcov)["statistic"] == pytest.approx(wanted, rel=1e-13)
    assert wald_test(np.zeros(0), np.zeros((0, 0))) == {"statistic": None, "df": 0, "p": None}
    assert wald_test(estimate, np.full((2, 2), np.nan))["p"] is None

"""What the tests of Weibull and tobit share: an independent check of an answer by the score in b and Log(scale).

The reference is written from the densities themselves, with scipy's distributions, and knows nothing of Olsen's
parameters: at the right answer its score is nought, and its curvature is the inverse of the covariance.
"""

import numpy as np


def column(result, key):
    return np.array([row[key] for row in result.coefficients], dtype=float)


def assert_close(result, other, factor=1e-9):
    """The distance in standard errors, and the standard errors' own."""
    se = column(other, "se")
    assert [row["term"] for row in result.coefficients] == [row["term"] for row in other.coefficients]
    assert np.abs((column(result, "estimate") - column(other, "estimate")) / se).max() <= factor
    assert np.abs(column(result, "se") / se - 1).max() <= factor


def slopes(loglik, at, steps):
    """The gradient of a function by Richardson's central differences."""
    out = np.zeros(len(at))
    for place, step in enumerate(steps):
        move = np.zeros(len(at))
        move[place] = step
        near = (loglik(at + move) - loglik(at - move)) / (2 * step)
        far = (loglik(at + 2 * move) - loglik(at - 2 * move)) / (4 * step)
        out[place] = (4 * near - far) / 3
    return out


def assert_maximum(result, score, factor=1e-8):
    """`score(theta)` in b and Log(scale): nought at the estimate, and minus its slope the inverse of vcov."""
    theta, vcov = column(result, "estimate"), np.array(result.vcov.values, dtype=float)
    se = np.sqrt(np.diag(vcov))
    info = -np.column_stack([slopes(lambda t, j=j: score(t)[j], theta, se * 1e-3) for j in range(len(theta))])
    assert np.abs(np.linalg.solve(info, score(theta)) / se).max() < factor
    assert np.allclose(np.sqrt(np.diag(np.linalg.inv(info))), se, rtol=1e-7)
    assert np.allclose(column(result, "se"), se, rtol=1e-12)

"""The search: one evaluation at a time, on functions whose answers are known."""

import numpy as np

from friendlyfl.tasks.stats.newton import Search, Seen, inverse_at_limit, inverse_of, judge, uphill


def poisson(theta, n=50.0, mean=3.0):
    """n counts with this mean; the answer is log(mean)."""
    rate = n * np.exp(theta[0])
    return Seen(float(n * mean * theta[0] - rate), np.array([n * mean - rate]), np.array([[rate]]))


def follow(evaluate, start, rounds=60):
    search, verdicts = Search.at(np.array(start, dtype=float)), []
    for _ in range(rounds):
        seen = evaluate(search.theta)
        verdict, search = judge(search, seen, inverse_of(seen.info))
        verdicts.append(verdict)
        if verdict != "again":
            break
    return verdicts, search, seen


def test_the_answer_is_reached_and_belongs_to_the_last_evaluation():
    verdicts, search, seen = follow(poisson, [0.0])
    assert verdicts[-1] == "done" and len(verdicts) < 10
    assert abs(search.theta[0] - np.log(3.0)) < 1e-9 / np.sqrt(150.0)  # a billionth of its standard error
    assert np.array_equal(seen.score, poisson(search.theta).score)


def test_a_step_that_falls_is_halved():
    """From far below, Newton on a Poisson mean leaps far beyond the answer."""
    verdicts, search, _ = follow(poisson, [-4.0])
    assert verdicts[-1] == "done"
    assert abs(search.theta[0] - np.log(3.0)) < 1e-10


def test_overflow_halves_the_step_too():
    def evaluate(theta):
        seen = poisson(theta)
        return Seen(0.0, np.zeros(1), np.zeros((1, 1)), finite=False) if theta[0] > 5 else seen

    verdicts, search, _ = follow(evaluate, [-4.0])
    assert verdicts[-1] == "done" and abs(search.theta[0] - np.log(3.0)) < 1e-10


def test_overflow_at_the_start_is_the_end():
    search = Search.at(np.zeros(1))
    assert judge(search, Seen(0.0, np.zeros(1), np.zeros((1, 1)), False), None)[0] == "stuck"


def test_a_likelihood_that_rises_for_ever_is_called_a_runaway():
    """No event among 40: the log-likelihood -40 log(1 + e^x) has no maximum."""

    def evaluate(theta):
        p = 1 / (1 + np.exp(-theta[0]))
        return Seen(-40 * np.log1p(np.exp(theta[0])), np.array([-40 * p]), np.array([[40 * p * (1 - p)]]))

    verdicts, search, _ = follow(evaluate, [0.0])
    assert verdicts[-1] == "runaway"
    assert search.step[0] < 0 and search.theta[0] < -5


def test_a_very_rare_event_is_no_runaway():
    """One event in 10 million: far out, but finite."""
    n = 1e7

    def evaluate(theta):
        p = 1 / (1 + np.exp(-theta[0]))
        loglik = theta[0] - n * np.log1p(np.exp(theta[0]))
        return Seen(loglik, np.array([1 - n * p]), np.array([[n * p * (1 - p)]]))

    verdicts, search, _ = follow(evaluate, [0.0])
    assert verdicts[-1] == "done"
    assert abs(search.theta[0] + np.log(n - 1)) < 1e-9


def test_a_decrement_at_the_level_of_rounding_ends_the_search():
    search = Search(np.zeros(1), np.ones(1), loglik=-1.0, length=1.0, decrement=2e-14)
    verdict, _ = judge(search, Seen(-1.0, np.array([1e-7]), np.eye(1)), np.eye(1))
    assert verdict == "done"


def test_the_inverse_does_not_mind_units():
    info = np.array([[1e12, 1e3], [1e3, 1e-5]])
    wanted = np.array([[1e-5, -1e3], [-1e3, 1e12]]) / (1e7 - 1e6)
    assert np.allclose(inverse_of(info), wanted, rtol=1e-12)
    assert inverse_of(np.ones((2, 2))) is None
    assert inverse_of(np.array([[np.nan]])) is None


def test_where_the_information_is_indefinite_the_step_still_goes_uphill():
    info, score = np.array([[2.0, 3.0], [3.0, 1.0]]), np.array([1.0, -0.5])
    assert inverse_of(info) is None
    assert score @ uphill(info) @ score > 0
    assert uphill(np.ones((2, 2))) is None and uphill(np.array([[np.inf]])) is None
    assert np.allclose(uphill(np.array([[-4.0]])), 0.25)


def test_at_the_limit_lost_directions_are_left_out():
    info = np.diag([4.0, 1e-15])
    inverse, lost = inverse_at_limit(info, np.ones(2))
    assert np.allclose(inverse, np.diag([0.25, 0.0]))
    assert np.allclose(np.abs(lost), [[0.0], [1.0]])


def test_the_search_travels():
    search = Search(np.ones(2), np.zeros(2), -1.5, 0.5, 1e-3, 2)
    again = Search.from_state(search.to_state())
    assert again.to_state().keys() == search.to_state().keys() and again.loglik == -1.5

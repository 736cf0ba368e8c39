"""Which columns are kept, and how far they may be from each other in size or angle."""

import numpy as np

from friendlyfl.tasks.stats.basis import Basis, orthogonal, pivots, unexplained


def columns(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(n), rng.normal(size=(n, 3))])


def begin(design):
    centre = design.mean(axis=0)
    centre[0] = 0.0
    return Basis.begin(centre, np.abs(design).mean(axis=0))


def gram(design, basis):
    moved = (design - basis.centre) @ basis.matrix
    return moved.T @ moved


def free(size):
    return np.arange(size) == 0


def look(design):
    """The looks that the fit takes, and the columns that remain."""
    basis = begin(design)
    basis = basis.sorted_out(gram(design, basis), free(design.shape[1]))
    looks = 0
    while basis.doubtful and looks < 5:
        looks += 1
        before = len(basis.kept)
        basis = basis.looked_at(gram(design, basis), free(len(basis.kept)))
        if len(basis.kept) == before:
            break
    return basis, looks


def test_pivots_are_shares_of_what_is_new():
    x = columns()
    assert np.all(pivots(x.T @ x) > 0.9)
    assert np.all(pivots(np.ones((3, 3))) == [1.0, 0.0, 0.0])


def test_orthogonal_makes_the_identity():
    x = columns()
    g = x.T @ x
    m = orthogonal(g)
    assert np.allclose(m.T @ g @ m, np.eye(4), atol=1e-12)
    assert orthogonal(np.zeros((0, 0))).shape == (0, 0)


def test_unexplained_takes_the_intercept_out():
    x = columns()
    assert np.allclose(unexplained(x.T @ x, free(4)), len(x) * np.cov(x[:, 1:].T, bias=True))


def test_ordinary_columns_need_no_second_look():
    basis, looks = look(columns())
    assert basis.kept == [0, 1, 2, 3] and looks == 0 and not basis.constant
    assert np.allclose(gram(columns(), basis)[1:, 1:], np.eye(3), atol=1e-12)


def test_a_sum_of_others_is_left_out_wherever_it_stands():
    x = columns()
    for place in (1, 2, 4):
        more = np.insert(x, place, 2 * x[:, 1] - x[:, 3] + 7, axis=1)
        assert look(more)[0].kept == [0, 1, 2, 3]  # of dependent terms the last one goes, as in R


def test_columns_with_one_value_are_known_as_such():
    x = np.column_stack([columns(), np.full(400, 0.1), np.zeros(400)])
    basis, _ = look(x)
    assert basis.kept == [0, 1, 2, 3] and basis.constant == [4, 5]


def test_near_columns_are_told_from_equal_ones_at_the_tolerance_of_r():
    """R's tolerance is 1e-7 of a column's length: here just above and just below it."""
    rng = np.random.default_rng(1)
    x = columns()
    for distance, kept in ((1e-6, 5), (3e-7, 5), (3e-8, 4), (1e-9, 4), (0.0, 4)):
        near = x[:, 1] + distance * rng.normal(size=len(x))
        assert len(look(np.column_stack([x, near]))[0].kept) == kept, distance


def test_a_time_stamp_is_no_constant():
    """Seconds since 1970 that differ by a few: R would drop the column, since it does not centre."""
    x = columns()
    x[:, 3] = 1.7e9 + x[:, 3]
    assert look(x)[0].kept == [0, 1, 2, 3]


def test_parameters_of_the_new_basis_are_those_of_the_first_one_turned():
    x = columns()
    first = begin(x)
    basis = first.sorted_out(gram(x, first), free(4))
    old, new = (x - first.centre) @ first.matrix, (x - basis.centre) @ basis.matrix
    assert np.allclose(old @ basis.from_first(0), new)
    assert basis.from_first(2).shape == (6, 6)
    assert Basis.from_state(basis.to_state()).kept == basis.kept

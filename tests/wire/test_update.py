"""Updates add up in the ring, within its bound, and only if they have one layout."""

import numpy as np
import pytest

from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import RING_SITES
from friendlyfl.wire.update import Update, total


def one(value: float = 0.5) -> Update:
    return Update.of([{"sum": np.array([value, -value])}])


def test_the_sum_is_exact_up_to_the_bound_of_the_ring():
    assert total([one()] * RING_SITES).decoded()["sum"].tolist() == [RING_SITES / 2, -RING_SITES / 2]
    with pytest.raises(FriendlyError) as error:
        total([one()] * (RING_SITES + 1))
    assert error.value.code == "ring_sites"


def test_another_layout_is_not_added():
    with pytest.raises(FriendlyError) as error:
        total([one(), Update.of([{"sum": np.zeros(3)}])])
    assert error.value.code == "bad_update"


def test_parts_add_up_and_may_lack_names():
    whole = Update.of([{"sum": np.array([1.5]), "n": np.array(3.0)}, {"sum": np.array([0.25])}])
    again = Update.from_bytes(whole.to_bytes())
    assert again.layout == whole.layout == (("n", ()), ("sum", (1,)))
    assert again.decoded()["sum"].tolist() == [1.75] and float(again.decoded()["n"]) == 3.0

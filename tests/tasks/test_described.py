"""Rows told apart: by their place in one file, and by what they hold where a newer file stands in its place."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from friendlyfl.tasks import engine
from friendlyfl.tasks.described import Rows, packed, row_sets, too_close, unpacked
from friendlyfl.tasks.row_marks import MarkFiles, marks
from tests.tasks.mean import DICTIONARY, Mean, patients

KEY = bytes(32)


def people(n: int = 200, seed: int = 1) -> pd.DataFrame:
    return patients(n, seed)


def rows(
    frame: pd.DataFrame, chosen: Any = None, columns: tuple[str, ...] = ("age", "sex"), table: str = ""
) -> Rows:
    picked = np.ones(len(frame), bool) if chosen is None else np.asarray(chosen)
    table = table or str(pd.util.hash_pandas_object(frame).sum())
    return Rows(table, picked, {name: marks(frame[name], KEY) for name in columns})


def test_in_one_file_rows_are_told_apart_by_their_place() -> None:
    frame = people()
    everybody, fewer = rows(frame), rows(frame, np.arange(200) >= 3)
    assert everybody.difference(fewer) == {3} and everybody.differ_by_few(fewer, 5)
    assert not everybody.differ_by_few(fewer, 3) and not everybody.differ_by_few(everybody, 5)
    swapped = rows(frame, np.isin(np.arange(200), [0, 1], invert=True))
    assert swapped.difference(rows(frame, np.isin(np.arange(200), [2, 3], invert=True))) == {4}


@pytest.mark.parametrize("new", [1, 2, 3, 4])
def test_a_few_new_patients_in_a_newer_file_are_seen_whatever_its_order(new: int) -> None:
    frame = people()
    newer = pd.concat([frame, people(new, 7)]).sample(frac=1, random_state=3, ignore_index=True)
    assert rows(newer).differ_by_few(rows(frame), 5) and rows(frame).differ_by_few(rows(newer), 5)


def test_a_newer_file_may_have_as_many_new_patients_as_the_rule_asks_for_or_none() -> None:
    frame = people()
    for newer in (
        pd.concat([frame, people(5, 7)]),
        pd.concat([frame, people(50, 7)]),
        frame.sample(frac=1, random_state=3),
        frame.assign(crp=1.0),
    ):
        assert not rows(newer, table="newer").differ_by_few(rows(frame), 5)
    assert rows(frame.sample(frac=1, random_state=3), table="newer").is_same_as(rows(frame))


def test_a_few_corrected_values_are_a_difference_and_many_are_none() -> None:
    frame = people()
    one, many = frame.copy(), frame.copy()
    one.loc[3, "age"] = 119
    many["age"] = frame["age"] + 1
    assert rows(one).differ_by_few(rows(frame), 5) and not rows(many).differ_by_few(rows(frame), 5)


def test_a_column_that_changed_for_everybody_does_not_hide_a_few_new_patients() -> None:
    frame = people().assign(seen=np.arange(200.0))
    newer = pd.concat([frame, people(3, 7)]).assign(seen=np.arange(203.0) + 1000)
    both = ("age", "seen")
    assert rows(newer, columns=both).differ_by_few(rows(frame, columns=both), 5)


def test_others_of_the_same_number_are_not_taken_for_a_few() -> None:
    """A year's new patients take the place of last year's: the counts of two sexes are close, the people are not."""
    assert not rows(people(seed=2)).differ_by_few(rows(people(seed=1)), 5)


def test_without_a_common_column_the_least_possible_difference_counts() -> None:
    frame = people()
    newer = rows(pd.concat([frame, people(3, 7)]), columns=("age",))
    assert newer.differ_by_few(rows(frame, columns=("sex",)), 5)
    assert not rows(frame.head(150), columns=("age",)).differ_by_few(rows(frame, columns=("sex",)), 5)


def test_what_a_plan_described_itself_may_be_asked_again_and_nothing_near_it() -> None:
    frame = people()
    everybody, gaps = rows(frame), rows(frame, np.arange(200) >= 3)
    other = rows(frame, np.arange(200) >= 2)
    assert too_close([gaps], [[everybody]], 5) and not too_close([gaps], [[gaps]], 5)
    assert not too_close([everybody, gaps], [[everybody, gaps]], 5)
    assert too_close([everybody, gaps, other], [[everybody, gaps]], 5)
    # Asked one by one by plans of their own they are refused, although a third plan had both.
    assert too_close([gaps], [[everybody, gaps], [everybody]], 5)


def test_equal_on_what_little_can_be_compared_is_not_the_same() -> None:
    frame = people()
    one, other = rows(frame, columns=("age",), table="a"), rows(frame, columns=("age", "sex"), table="b")
    assert not one.is_same_as(other) and one.is_same_as(rows(frame, columns=("age",), table="b"))


def test_marks_are_of_values_and_not_of_types() -> None:
    texts = pd.Series(["1", "2.50", None, " ", "x"], dtype=object)
    found = marks(texts, KEY)
    numbers = marks(pd.Series([1, 2.5, np.nan, -0.0, 0.0]), KEY)
    assert (found[:3] == numbers[:3]).all() and found[2] == found[3] == 0 and found[4] != 0
    assert numbers[3] == numbers[4] != 0 and len({*numbers.tolist()}) == 4
    assert (marks(pd.Series([1, None], dtype="Int64"), KEY) == numbers[[0, 2]]).all()
    days = marks(pd.Series(pd.to_datetime(["2020-01-02", None])), KEY)
    assert (days == marks(pd.Series(["2020-01-02", None], dtype=object), KEY)).all() and days[0] != 0
    assert (marks(texts, bytes(31) + b"1")[[0, 4]] != found[[0, 4]]).all()
    assert len(np.unique(marks(pd.Series(np.arange(20_000.0)), KEY))) >= 19_999


def test_marks_of_parts_are_those_of_the_whole(tmp_path: Any) -> None:
    frame = people()
    files = MarkFiles(tmp_path / "marks", KEY)
    files.add(frame.head(60))
    files.add(frame.tail(140))
    assert set(files.paths) == set(frame.columns)
    assert (files.read("race") == marks(frame["race"], KEY)).all()


def test_bitmaps_come_back() -> None:
    for n in (1, 7, 8, 9, 1000):
        chosen = np.random.default_rng(n).random(n) < 0.3
        assert (unpacked(packed(chosen), n) == chosen).all()


def test_a_task_describes_its_complete_cases_and_one_that_sees_gaps_each_column_too() -> None:
    frame = people().astype({"age": float})
    frame.loc[:2, "age"] = np.nan

    def sets(task: Any, **parameters: Any) -> list[int]:
        made = engine.make_task(task, None, parameters, DICTIONARY, 1, site=1, where="died = 0")
        return [int(chosen.sum()) for chosen in row_sets(made, frame)]

    assert sets(Mean, outcome="age", group="sex") == [148]
    assert sets("table_one", variables=["age", "sex"]) == [150, 148]

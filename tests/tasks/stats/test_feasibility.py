"""How many patients meet conditions: pandas, any cut of the rows, and numbers that a rule hides."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.stats.feasibility import Feasibility
from friendlyfl.testing.check_task import check_task
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.published import cut, spread

DICTIONARY = {
    "age": {"type": "integer", "label": "Age", "range": [0, 120]},
    "sex": {"type": "factor", "levels": ["male", "female"]},
    "crp": {"type": "number", "range": [0, 600]},
    "ward": {"type": "text"},
}
CONDITIONS = "age >= 40; sex = female; not crp > 10"


def patients(n=400, seed=4):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 95, n),
            "sex": rng.choice(["male", "female"], n),
            "crp": rng.gamma(1.2, 8.0, n),
        }
    )
    for name in table:
        table.loc[rng.random(n) < 0.1, name] = None
    return table


def run(frames, rules="off", conditions=CONDITIONS, **more):
    return simulate("feasibility", frames, DICTIONARY, rules=rules, conditions=conditions, **more)


def kept(table):
    masks = [table.age >= 40, table.sex == "female", table.crp <= 10]
    counts = [len(table)]
    for step in range(1, 4):
        counts.append(int(np.logical_and.reduce(masks[:step]).sum()))
    return counts


def flow(result, group="all"):
    return [row["n"] for row in result.tables["flow"] if row["group"] == group]


def test_the_flow_and_each_condition_alone():
    table = patients()
    result = run(spread(table, 4), group="sex")
    assert flow(result) == kept(table) and result.rounds == 1
    assert flow(result, "sex=female") == kept(table[table.sex == "female"])
    assert flow(result, "(missing)") == kept(table[table.sex.isna()])
    rows = result.tables["flow"]
    assert [row["excluded"] for row in rows[1:4]] == (-np.diff(kept(table))).tolist()
    alone = {(row["condition"], row["group"]): row for row in result.tables["conditions"]}
    row = alone["age >= 40", "all"]
    wanted = [(table.age >= 40).sum(), (table.age < 40).sum(), table.age.isna().sum()]
    assert [row["n"], row["not_met"], row["missing"]] == wanted
    assert result.n.used == 400 and result.n.dropped == 0
    assert result.conventions["conditions"] == [
        "Age is at least 40",
        "sex is female",
        "not (crp is above 10)",
    ]


def test_no_conditions_and_no_group():
    result = run(spread(patients(), 3), conditions="")
    assert flow(result) == [400] and result.tables["conditions"] == []
    assert flow(run(spread(patients(), 3), group=".site"), ".site=2")[0] > 0


def test_a_cohort_comes_before_the_first_condition():
    table = patients()
    result = run(spread(table, 3), where="age < 60")
    assert flow(result) == kept(table[table.age < 60])


def test_small_steps_are_hidden_and_cannot_be_computed():
    """Of 100 women 3 leave at the second condition: neither they nor who leaves first may show, only the end."""
    table = pd.DataFrame({"age": [30] * 20 + [50] * 3 + [70] * 77, "sex": "female", "crp": 1.0})
    other = table.assign(age=[30] * 20 + [50] * 20 + [70] * 60)
    result = run([table, other], rules="on", conditions="age >= 40; age >= 60; crp < 10")
    rows = result.tables["flow"]
    assert [row["n"] for row in rows] == [200, None, 137, 137]
    assert [row["excluded"] for row in rows] == [0, None, None, 0]
    assert "conditions" not in result.tables and any("alone" in note for note in result.notes)
    assert result.privacy.suppressed
    open_ = run([table, other], conditions="age >= 40; age >= 60; crp < 10")
    assert [row["n"] for row in open_.tables["flow"]] == [200, 160, 137, 137]


def test_few_who_stay_are_hidden():
    table = pd.DataFrame({"age": [30] * 60 + [50] * 38 + [70] * 2, "sex": "female", "crp": 1.0})
    result = run([table], rules="on", conditions="age >= 40; age >= 60")
    assert [row["n"] for row in result.tables["flow"]] == [100, 40, None]


def test_wrong_conditions_are_named():
    for text, says in (
        ("ag > 3", "Did you mean “age”"),
        ("ward = a", "is text"),
        ("age > 3 sex = male", "expected and"),
    ):
        with pytest.raises(UsageError, match=says):
            run([patients()], conditions=text)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_answer_does_not_depend_on_the_cut(sites, seed):
    table = patients(60, seed)
    frames = cut(table, np.random.default_rng(seed).integers(0, sites, len(table)))
    answers = [run(parts, group="sex").tables for parts in ([table], frames, frames[::-1])]
    assert answers[0] == answers[1] == answers[2]


def test_it_keeps_the_rules_for_tasks():
    check_task(
        Feasibility, spread(patients(900), 2), DICTIONARY, conditions="age >= 40; sex = female", group="sex"
    )

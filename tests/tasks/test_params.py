"""Parameters validate to a value or to a sentence that names the field, from text and from JSON alike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Choice, Column, Columns, Done, Flag, Number, Numbers, Task, Text
from tests.tasks.mean import DICTIONARY, Mean


class Everything(Task):
    """One of each."""

    title, version = "Everything", "1.0"
    outcome = Column("Outcome", kinds=["yes/no"])
    group = Column("Group", kinds=["group", ".site"], optional=True)
    predictors = Columns("Predictors", terms=True)
    variables = Columns("Variables", min=0, kinds=["number", "factor"])
    tau = Number("Tau", low=0, high=1000, unit="days")
    points = Number("Points", 25, low=1, whole=True)
    times = Numbers("Times", low=0)
    ties = Choice("Ties", ["efron", "breslow"])
    robust = Flag("Robust")
    start_at = Text("Start", max=20)


NEEDED = {"outcome": "died", "predictors": "age"}


def read(**given: Any) -> dict[str, Any]:
    return Everything.validate({**NEEDED, **given}, DICTIONARY, 3)


def test_defaults() -> None:
    assert read() == {
        "outcome": "died",
        "group": None,
        "predictors": ("age",),
        "variables": (),
        "tau": None,
        "points": 25,
        "times": (),
        "ties": "efron",
        "robust": False,
        "start_at": "",
    }


@pytest.mark.parametrize(
    ("name", "text", "plain"),
    [
        ("outcome", " died ", "died"),
        ("group", ".site", ".site"),
        ("predictors", "age, sex,age:sex", ["age", "sex", "age:sex"]),
        ("predictors", "age*sex", ["age", "sex", "age:sex"]),
        ("variables", "age,crp", ["age", "crp"]),
        ("tau", "365", 365),
        ("tau", "1e2", 100.0),
        ("points", "7", 7),
        ("times", "90,30", [30, 90.0]),
        ("times", "30", 30),
        ("ties", "breslow", "breslow"),
        ("robust", "yes", True),
        ("robust", "no", False),
        ("start_at", "2,1;7,6", "2,1;7,6"),
        ("tau", "", None),
    ],
)
def test_text_and_json_mean_the_same(name: str, text: str, plain: Any) -> None:
    assert read(**{name: text}) == read(**{name: plain})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outcome", "age"),
        ("outcome", "race"),
        ("outcome", "dead"),
        ("outcome", ""),
        ("outcome", None),
        ("outcome", 3),
        ("outcome", ".site"),
        ("group", "crp"),
        ("group", "name"),
        ("predictors", ""),
        ("predictors", "age:"),
        ("predictors", "age+sex"),
        ("predictors", "name"),
        ("predictors", [3]),
        ("predictors", {"age": 1}),
        ("variables", "name"),
        ("tau", "soon"),
        ("tau", -1),
        ("tau", 1001),
        ("tau", "nan"),
        ("tau", "inf"),
        ("tau", "1_0"),
        ("tau", True),
        ("tau", [1]),
        ("points", 2.5),
        ("times", "1,x"),
        ("times", [1, -2]),
        ("ties", "exact"),
        ("ties", 1),
        ("robust", "perhaps"),
        ("robust", 1),
        ("start_at", "x" * 21),
        ("start_at", 5),
    ],
)
def test_what_does_not_fit_is_a_sentence_naming_the_field(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        read(**{name: value})
    assert f"({name})" in caught.value.message
    assert caught.value.message.endswith((".", "?"))


def test_close_names_are_offered() -> None:
    with pytest.raises(UsageError, match="Did you mean “age”"):
        read(predictors="agee")
    with pytest.raises(UsageError, match="Did you mean “outcome”"):
        read(outcom="died")


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(max_size=3)))
)
def test_no_value_breaks_a_parameter(value: Any) -> None:
    """Plans come from another site: whatever they hold is read or refused with a sentence."""
    for name in Everything.parameters:
        try:
            read(**{name: value})
        except UsageError as error:
            assert error.message


def test_a_class_knows_its_parameters_in_order() -> None:
    class More(Everything):
        extra_one = Flag("Extra")
        tau = None  # type: ignore[assignment]

    assert list(More.parameters)[0] == "extra_one"
    assert "tau" not in More.parameters
    assert list(Everything.parameters)[:3] == ["outcome", "group", "predictors"]
    assert Everything.outcome.label == "Outcome"  # type: ignore[attr-defined]


def test_mistakes_of_an_author_are_told_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        type("Wrong", (Task,), {"terms": Flag("Terms")})
    with pytest.raises(TypeError, match="stage"):
        type("Wrong", (Task,), {"stages": ("fit",)})
    with pytest.raises(TypeError, match="kind of column"):
        Column("Wrong", kinds=["colour"])
    with pytest.raises(TypeError, match="no option"):
        Choice("Wrong", ["a"], default="b")
    with pytest.raises(TypeError, match="no place"):
        Done(coefs=[])


def test_a_task_reads_its_values_and_columns() -> None:
    task = Everything(
        read(group="sex", predictors="age,.site,race:age", variables="crp"), DICTIONARY, sites=3
    )
    assert task.outcome == "died"
    assert task.columns == ("died", "sex", "age", "race", "crp")
    assert task.group_names("sex") == ("female", "male")
    assert task.group_names(".site") == ("1", "2", "3")
    assert Mean.name == "mean"


def test_chance_is_fixed_by_plan_seat_and_round() -> None:
    def draw(**how: Any) -> float:
        return float(Mean({"outcome": "age"}, DICTIONARY, **how).rng({".round": 1}).random())

    assert draw(seed="a", site=1) == draw(seed="a", site=1)
    assert len({draw(seed=s, site=k) for s in "ab" for k in (1, 2)}) == 4


def test_a_parameter_may_have_a_name_that_the_class_uses_otherwise() -> None:
    class Begins(Mean):
        """From where?"""

        centres = Text("Start", name="start")

    values = Begins.validate({"outcome": "age", "start": "1;2"}, DICTIONARY)
    assert Begins(values, DICTIONARY).centres == "1;2" and Begins.parameters["start"].name == "start"

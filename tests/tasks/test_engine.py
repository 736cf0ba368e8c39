"""One step by hand: rounds, stages, what an Update may hold, and what comes of it."""

from typing import Any

import numpy as np
import pytest

from friendlyfl import datasets
from friendlyfl.core.errors import NoAnswerError, UsageError, WireError
from friendlyfl.tasks import Dictionary, Done, Task, engine, registry, table
from friendlyfl.tasks.disclosure import Policy, Refused
from friendlyfl.tasks.outcome import Exchange, is_answer, site_counts, without_numbers
from friendlyfl.testing.worked_example import SITES, worked
from friendlyfl.wire.update import Update, total
from tests.tasks.mean import DICTIONARY, Endless, Forest, Mean, Products, Spread, patients

FRAMES = [patients(40, 1), patients(30, 2), patients(25, 3)]
POLICY = Policy(tasks=("mean", "spread", "forest", "endless"))


def play(task: type[Task], frames: Any = FRAMES, policy: Policy | None = POLICY, **parameters: Any) -> Any:
    """All rounds; the Result."""
    given = parameters or {"outcome": "age"}
    sites = [
        engine.make_task(task, None, given, DICTIONARY, len(frames), site=k) for k in range(len(frames) + 1)
    ]
    tables = [engine.open_table(site, frame) for site, frame in zip(sites[1:], frames, strict=True)]
    state = engine.begin(sites[0])
    while True:
        updates = [
            Update.of(engine.local(site, data, state, policy))
            for site, data in zip(sites[1:], tables, strict=True)
        ]
        numbers = [one.decoded() for one in updates]
        exchange = Exchange(task.name, per_site=[site_counts(k, one) for k, one in enumerate(numbers, 1)])
        each = numbers if task is Forest else total(updates).decoded()
        word, answer = engine.combine(sites[0], state, each, exchange)
        if word == "done":
            return answer
        state = answer


def test_a_mean_over_sites() -> None:
    result = play(Mean)
    everyone = np.concatenate([frame["age"] for frame in FRAMES])
    assert result.statistics["mean"] == pytest.approx(everyone.mean(), rel=1e-15)
    assert (result.n.used, result.n.dropped, result.rounds) == (95, 0, 1)
    assert result.n.per_site == [{"site": k, "used": len(f), "dropped": 0} for k, f in enumerate(FRAMES, 1)]
    assert result.task == "mean" and result.reproduce.software["numpy"] == np.__version__


def test_stages() -> None:
    result = play(Spread)
    everyone = np.concatenate([frame["age"] for frame in FRAMES])
    assert result.statistics["variance"] == pytest.approx(everyone.var(ddof=1), rel=1e-14)
    assert result.rounds == 2


def test_one_answer_a_site() -> None:
    result = play(Forest)
    assert [row["mean"] for row in result.tables["effects"]] == [
        pytest.approx(frame["age"].mean()) for frame in FRAMES
    ]
    with pytest.raises(UsageError, match="secure sums"):
        engine.make_task(Forest, None, {"outcome": "age"}, DICTIONARY, 3, secure_sum=True)


def test_no_end_in_sight() -> None:
    with pytest.raises(NoAnswerError, match="No answer after 3 rounds"):
        play(Endless)


def test_dependent_columns_are_a_sentence() -> None:
    with pytest.raises(NoAnswerError, match="no single answer"):
        play(
            Products,
            policy=None,
            outcome="died",
            predictors="age",
            weights="died",
            frames=[FRAMES[0].assign(age=3)],
        )


def test_nobody_has_every_column() -> None:
    with pytest.raises(NoAnswerError, match="every column"):
        play(Mean, frames=[FRAMES[0].assign(age=None)] * 2, policy=None)


def make(task: type[Task] = Mean, **how: Any) -> Any:
    return engine.make_task(task, None, {"outcome": "age"}, DICTIONARY, 2, **how)


def broken(update: Any) -> type[Task]:
    return type("Broken", (Mean,), {"local": lambda self, data, state: update})


@pytest.mark.parametrize(
    ("update", "error", "name"),
    [
        ({"n": 30, "sum": np.nan}, NoAnswerError, "sum"),
        ({"n": 30, "sum": [1.0, np.inf]}, NoAnswerError, "sum"),
        ({"n": 30, "secret": 1.0}, UsageError, "secret"),
        ({"n": 30, "sum": "five"}, UsageError, "sum"),
        ({"n": 30, "sum": None}, UsageError, "sum"),
        ({"n": 30, "sum": [[1], [2, 3]]}, UsageError, "sum"),
    ],
)
def test_what_may_not_be_sent_is_refused_with_its_name(update: Any, error: Any, name: str) -> None:
    task = make(broken(update), site=1)
    with pytest.raises(error, match=f"“{name}”"):
        engine.local(task, engine.open_table(task, FRAMES[0]), engine.begin(task), None)


def test_shapes_that_change_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 15)
    rows = type("Rows", (Mean,), {"local": lambda self, data, state: {"sum": data[self.outcome]}})
    task = make(rows, site=1)
    with pytest.raises(UsageError, match="shape of “sum”"):
        engine.local(task, engine.open_table(task, FRAMES[0]), engine.begin(task), None)


@pytest.mark.parametrize("state", [{}, {"stage": "start", ".round": 1}, {"stage": "local", ".round": 1}])
def test_a_state_never_picks_a_method(state: Any) -> None:
    task = make(Spread, site=1)
    with pytest.raises(WireError):
        engine.local(task, engine.open_table(task, FRAMES[0]), state, None)


@pytest.mark.parametrize("number", [None, 0, -1, 1.5, "1"])
def test_a_state_says_its_round(number: Any) -> None:
    task = make(site=1)
    with pytest.raises(WireError):
        engine.local(task, engine.open_table(task, FRAMES[0]), {".round": number}, None)


@pytest.mark.parametrize(
    "update",
    [
        {},
        {".used": 3.0, ".dropped": 0.0},
        {".used": [3.0], ".dropped": 0.0, ".dropped_hidden": 0.0},
        {".used": 3.0, ".dropped": 0.0, ".dropped_hidden": 0.0, "more": 1.0},
        {".used": 3.0, ".dropped": 0.0, ".dropped_hidden": 0.0, ".hidden:n": [1.0, 0.0], "n": 3.0},
    ],
)
def test_an_update_of_another_form_is_no_update(update: Any) -> None:
    given = {name: np.asarray(value) for name, value in update.items()}
    task = make()
    with pytest.raises(WireError):
        engine.combine(task, engine.begin(task), given, Exchange("mean"))


def test_chunks_give_the_same_bits_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 7)
    task = engine.make_task(
        Products, None, {"outcome": "died", "predictors": "age,crp"}, DICTIONARY, 1, site=1
    )
    parts = engine.local(task, engine.open_table(task, FRAMES[0]), engine.begin(task), None)
    assert len(parts) == 6
    assert Update.of(parts).to_bytes() == Update.of(parts[::-1]).to_bytes()
    assert Update.of(parts).decoded()[".used"] == 40


def test_plan_check_tells_all_that_stands_in_the_way() -> None:
    task = make(site=1)
    problems, opened = engine.plan_check(task, "mean", FRAMES[0], POLICY)
    assert problems == [] and opened is not None and len(opened) == 40
    assert engine.plan_check(task, "mean", FRAMES[0].head(3), None)[0] == []
    problems, opened = engine.plan_check(task, "else", FRAMES[0].drop(columns="age"), POLICY)
    assert [p.code for p in problems] == ["refused_tasks", "column_missing"] and opened is None
    refused, _ = engine.plan_check(task, "mean", FRAMES[0].head(3), POLICY)
    assert [type(problem) for problem in refused] == [Refused]
    odd = engine.make_task(Products, None, {"outcome": "died", "predictors": "age"}, DICTIONARY, 1, site=1)
    frame = FRAMES[0].astype({"died": object})
    frame.loc[4, "died"] = "perhaps"
    assert [p.code for p in engine.plan_check(odd, "products", frame, None)[0]] == ["column_type"]


@pytest.mark.parametrize("room", [True, False])
def test_what_was_made_ready_gives_the_same_bits(room: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 7)
    if not room:
        monkeypatch.setattr(table, "KEPT_CELLS", 0)
    values = {"outcome": "died", "predictors": "age,crp"}
    task = engine.make_task("logistic_regression", None, values, DICTIONARY, 1, site=1)
    made, ready = (engine.open_table(task, FRAMES[0]) for _ in range(2))
    engine.make_ready(task, ready)
    sent = [Update.of(engine.local(task, one, engine.begin(task), None)).to_bytes() for one in (made, ready)]
    assert sent[0] == sent[1]


def test_states_travel_as_plain_values() -> None:
    class Odd(Mean):
        def start(self) -> Any:
            return {"k": np.float64(2.5), "pair": (1, np.int64(2)), "deep": {"x": np.bool_(True)}}

    state = engine.begin(make(Odd))
    assert state == {"k": 2.5, "pair": [1, 2], "deep": {"x": True}, ".round": 1}
    assert [type(state["k"]), type(state["pair"][1]), type(state["deep"]["x"])] == [float, int, bool]


def test_results_without_numbers_and_without_an_answer() -> None:
    empty = without_numbers(make(), Exchange("mean"), ["Why."], 2)
    assert not is_answer(empty) and empty.notes == ["Why."] and empty.rounds == 2

    class Separated(Mean):
        def combine(self, state: Any, total: Any) -> Any:
            rows = [{"term": "x", "estimate": 30.0, "se": None}]
            return Done(
                answer="x separates.",
                coefficients=rows,
                notes=["x separates.", "More."],
                events=np.float64(3),
            )

    result = play(Separated, policy=None)
    assert not is_answer(result) and result.notes == ["x separates.", "More."] and result.n.events == 3


# --- how much a step sends at most ---


class Talkative(Spread):
    """Says that it makes fewer numbers than it does in its second stage."""

    def most_numbers(self) -> dict[str, int]:
        return {"moments": 2, "fit": 1}


class Short(Spread):
    """Says that one round is enough."""

    @property
    def most_rounds(self) -> int:
        return 1


def test_what_a_task_says_of_its_numbers_and_rounds_holds() -> None:
    with pytest.raises(UsageError, match="more numbers than it says"):
        play(Talkative, policy=None)
    with pytest.raises(WireError, match="more rounds than this step can take"):
        play(Short, policy=None)


EXAMPLES = (
    "anova", "connection_check", "fedavg_sklearn", "gamma_regression", "kmeans", "linear_regression",
    "logistic_regression", "pca", "poisson_regression", "t_test",
)  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_bound_of_a_task_is_near_what_its_example_sends(name: str) -> None:
    kind = registry.find(name)
    seen = worked(kind, name)
    dictionary = Dictionary.parse(datasets.dictionary("clinic"))
    task = engine.make_task(name, None, kind.example, dictionary, len(SITES))
    most = engine.most_numbers(task)
    assert most is not None and max(seen.numbers) <= most <= 1.25 * max(seen.numbers)
    assert len(seen.numbers) <= task.most_rounds


def test_where_it_depends_on_the_data_nothing_is_promised() -> None:
    task = engine.make_task(Mean, None, {"outcome": "age"}, DICTIONARY, 2)
    assert engine.most_numbers(task) is None and task.most_rounds == task.max_rounds

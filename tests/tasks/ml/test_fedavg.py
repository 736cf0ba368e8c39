"""Learning over hospitals: near the pooled fit, the same bytes, and a sentence where there is nothing to learn."""

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

from friendlyfl import datasets
from friendlyfl.core.errors import RefusedError, UsageError
from friendlyfl.tasks import Dictionary, engine
from friendlyfl.tasks.disclosure import Policy
from friendlyfl.tasks.ml import FedAvg, metrics
from friendlyfl.tasks.ml.fedavg_sklearn import FedAvgSklearn
from friendlyfl.testing import simulate
from friendlyfl.testing.simulate import run
from friendlyfl.wire import codec
from friendlyfl.wire.update import Update, total

CLINIC, RANDHIE = (list(datasets.load(name).values()) for name in ("clinic", "randhie"))
CLINIC_WORDS, RANDHIE_WORDS = (Dictionary.parse(datasets.dictionary(name)) for name in ("clinic", "randhie"))
FEW = {"outcome": "readmitted", "features": "age,sex,bnp", "rounds": 4}
TWO = CLINIC[:2]


def learn(frames=TWO, rules="off", dictionary=CLINIC_WORDS, task="fedavg_sklearn", **given):
    return simulate(task, frames, dictionary, rules=rules, **{**FEW, **given})


def design(frames, terms, dictionary, outcome):
    """The pooled design by another way than the product's."""
    d = pd.concat(frames, ignore_index=True).dropna(subset=[*terms, outcome])
    columns = {}
    for name in terms:
        levels = dictionary[name].levels
        if levels:
            columns |= {f"{name}{level}": (d[name] == level).astype(float) for level in levels[1:]}
        else:
            columns[name] = d[name].astype(float)
    return pd.DataFrame(columns), d[outcome].astype(float)


@pytest.mark.parametrize(
    ("frames", "dictionary", "outcome", "terms"),
    [
        (CLINIC, CLINIC_WORDS, "readmitted", ["age", "sex", "nyha", "bnp", "lvef"]),
        (RANDHIE, RANDHIE_WORDS, "admitted", ["age", "female", "health", "disea", "mhi", "coins", "income"]),
    ],
)
def test_many_rounds_come_near_the_pooled_logistic_fit(frames, dictionary, outcome, terms):
    """Within 0.06 of a standardised coefficient, correlation above 0.99, AUC within 0.003."""
    x, y = design(frames, terms, dictionary, outcome)
    reference = sm.Logit(y, sm.add_constant(x)).fit(disp=0).params
    result = simulate(
        "fedavg_sklearn", frames, dictionary, rules="off", outcome=outcome, features=terms, penalty=0,
        held_back=0, rounds=50 if outcome == "readmitted" else 25, learning_rate=0.003, batch_size=64,
    )  # fmt: skip
    assert result.exact is False
    found = pd.Series({row["term"]: row["estimate"] for row in result.tables["linear_predictor"]})
    sd = x.std()
    ours, theirs = found[x.columns] * sd, reference[x.columns] * sd
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.abs(ours - theirs).max() < 0.06
    ours_auc, theirs_auc = (roc_auc_score(y, x @ each[x.columns]) for each in (found, reference))
    assert abs(ours_auc - theirs_auc) < 0.003


def test_a_number_is_learned_too():
    x, y = design(CLINIC, ["age", "bnp", "bmi"], CLINIC_WORDS, "sbp")
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    result = learn(CLINIC, outcome="sbp", features="age,bnp,bmi", rounds=60, learning_rate=0.001, held_back=0)
    found = {row["term"]: row["estimate"] for row in result.tables["linear_predictor"]}
    for name in x.columns:
        assert abs(found[name] - fit.params[name]) * x[name].std() / y.std() < 0.03
    assert abs(result.statistics["r2"] - fit.rsquared) < 0.005
    assert abs(result.statistics["rmse"] - np.sqrt(fit.ssr / len(y))) < 0.1
    network = learn(CLINIC, outcome="sbp", features="age,bnp,bmi", kind="mlp", rounds=5)
    assert network.statistics["n_held_back"] > 100 and "linear_predictor" not in network.tables


def test_one_hospital_is_local_training():
    """Against scikit-learn called by hand, in the same order of rows."""
    result = learn([CLINIC[0]], held_back=0, learning_rate=0.02, batch_size=50, rounds=3, local_epochs=2)
    x, y = design([CLINIC[0]], ["age", "sex", "bnp"], CLINIC_WORDS, "readmitted")
    z = ((x - x.mean()) / x.std()).to_numpy()
    local = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02, shuffle=False)
    coordinator = engine.make_task("fedavg_sklearn", None, FEW, CLINIC_WORDS, 1, site=1)
    for number in (3, 4, 5):  # the first two exchanges are means and spreads
        rng = coordinator.rng({".round": number})
        for _ in range(2):
            order = rng.permutation(len(y))
            for start in range(0, len(y), 50):
                rows = order[start : start + 50]
                local.partial_fit(z[rows], y.to_numpy()[rows].astype(int), classes=[0, 1])
    arrays = {row["name"]: row["values"] for row in result.tables["model"] if row["part"] == "array"}
    assert np.allclose(arrays["coef"], local.coef_[0], rtol=1e-9, atol=1e-12)
    assert np.allclose(arrays["intercept"], local.intercept_, rtol=1e-9)


def test_fedprox_without_its_term_is_fedavg_bit_for_bit():
    for kind in ("regression", "mlp"):
        plain, proximal, drawn = (
            run("fedavg_sklearn", TWO, CLINIC_WORDS, rules="off", parameters={**FEW, "kind": kind, **more})
            for more in ({}, {"algorithm": "FedProx", "mu": 0}, {"algorithm": "FedProx", "mu": 5})
        )
        assert plain.sent == proximal.sent
        assert plain.result.tables == proximal.result.tables
        assert drawn.sent != plain.sent
    still = learn(algorithm="FedProx", mu=1000, learning_rate=0.5)
    assert max(abs(row["estimate"]) for row in still.tables["linear_predictor"][1:]) < 0.05


def test_a_round_of_fedadam_by_hand():
    one = learn(rounds=1, held_back=0)
    adam = learn(rounds=1, held_back=0, algorithm="FedAdam", server_learning_rate=0.1, beta1=0.8, beta2=0.9)
    for mean, stepped in zip(one.tables["model"], adam.tables["model"], strict=True):
        if mean["part"] == "array":
            change = np.array(mean["values"])  # from 0
            m, v = 0.2 * change, 0.9 * 1e-6 + 0.1 * change**2
            assert np.allclose(stepped["values"], 0.1 * m / (np.sqrt(v) + 1e-3), rtol=1e-12)
    assert "FedAdam" in adam.conventions["algorithm"] and "tau" in adam.conventions["server_steps"]


def test_the_mean_is_weighted_by_patients():
    """Two hospitals of very different size: the sum of rows times weights, over all rows."""
    frames = [CLINIC[0], CLINIC[1].head(30)]
    outcome = run(
        "fedavg_sklearn", frames, CLINIC_WORDS, rules="off", parameters={**FEW, "rounds": 1, "held_back": 0}
    )
    sent = [Update.from_bytes(raw).decoded() for raw in outcome.sent[2]]
    mean = sum(one["weights"] for one in sent) / sum(one["rows"] for one in sent)
    found = [row["values"] for row in outcome.result.tables["model"] if row["part"] == "array"]
    assert np.allclose(np.concatenate(found), mean, rtol=1e-12)
    assert sent[1]["rows"] == 30 and sent[0]["rows"] > 300


def test_a_new_process_each_round_gives_the_same_bits():
    """Every task made anew and every State through its bytes."""
    for kind in ("regression", "mlp"):
        given = {**FEW, "kind": kind, "algorithm": "FedAdam"}
        outcome = run("fedavg_sklearn", TWO, CLINIC_WORDS, rules="off", parameters=given)
        state = engine.begin(engine.make_task("fedavg_sklearn", None, given, CLINIC_WORDS, 2))
        for sent in outcome.sent:
            raw, parts = codec.encode(state), []
            for site, frame in enumerate(TWO, start=1):
                task = engine.make_task("fedavg_sklearn", None, given, CLINIC_WORDS, 2, site=site)
                table = engine.open_table(task, frame)
                parts.append(Update.of(engine.local(task, table, codec.decode(raw, limit=2**30), None)))
            assert [part.to_bytes() for part in parts] == sent
            coordinator = engine.make_task("fedavg_sklearn", None, given, CLINIC_WORDS, 2)
            exchange = engine.Exchange("fedavg_sklearn")
            state = codec.decode(raw, limit=2**30)
            _, state = engine.combine(coordinator, state, total(parts).decoded(), exchange)
        assert state.tables["metrics"] == outcome.result.tables["metrics"]


# What is odd about hospitals and columns.


def test_a_hospital_with_one_class_and_one_with_one_row():
    well = CLINIC[1][CLINIC[1]["readmitted"] == 0]
    result = learn([CLINIC[0], well, CLINIC[2].head(1)])
    assert result.statistics["auc"] > 0.5 and result.n.used == len(CLINIC[0]) + len(well) + 1
    nobody = learn([frame[frame["readmitted"] == 0] for frame in TWO])
    assert "nothing to learn" in nobody.notes[0] and not nobody.statistics and not nobody.tables


def test_a_constant_feature_is_left_out_and_said():
    frames = [frame.assign(sex="male") for frame in TWO]
    result = learn(frames)
    assert any("“sexmale” was left out" in note for note in result.notes)
    assert [row["term"] for row in result.tables["features"]] == ["age", "bnp"]
    assert "nothing to learn from" in learn(frames, features="sex").notes[0]


def test_few_are_not_held_back():
    result = learn([CLINIC[0].head(60), CLINIC[1].head(60)])
    assert result.statistics["n_held_back"] == 0 and result.statistics["best_round"] == 4
    assert "they flatter it" in result.notes[0]
    assert {row["set"] for row in result.tables["metrics"]} == {"train"}


@pytest.mark.parametrize(
    "given",
    [
        {"outcome": "sbp", "features": "age,bnp", "learning_rate": 500},
        {"outcome": "sbp", "features": "age,bnp", "kind": "mlp", "learning_rate": 900},
    ],
)
def test_diverged_is_a_sentence_and_no_number(given):
    result = learn(**given)
    assert "Training diverged in round" in result.notes[0] and "Lower the learning rate" in result.notes[0]
    assert not result.statistics and not result.tables and not result.figures


def test_a_step_of_the_coordinator_may_diverge_too(monkeypatch):
    monkeypatch.setattr("friendlyfl.tasks.ml.fedavg.FARTHEST", 100.0)
    result = learn(algorithm="FedAdam", server_learning_rate=1000)
    assert "diverged in round 1" in result.notes[0] and "or the server’s" in result.notes[0]
    assert not result.statistics and not result.tables


def test_training_stops_early_and_gives_the_best_round():
    result = learn(kind="mlp", rounds=60, learning_rate=0.9, patience=3, hidden=32, local_epochs=3)
    rounds = [row for row in result.tables["metrics"] if row["set"] == "held-back"]
    losses = [row["log_loss"] for row in rounds]
    best = int(result.statistics["best_round"])
    assert len(losses) < 40 and losses[best] == min(losses) == result.statistics["log_loss"]
    assert len(losses) - 1 == best + 3 and result.rounds == len(losses) + 2


def test_rules_hold_for_the_parts_of_a_hospital_that_are_described():
    outcome = run("fedavg_sklearn", TWO, CLINIC_WORDS, parameters=FEW, policy=Policy(rows=50))
    assert outcome.error is None and outcome.result.statistics["n_held_back"] == 144
    refused = run("fedavg_sklearn", TWO, CLINIC_WORDS, parameters=FEW, policy=Policy(rows=80))
    assert isinstance(refused.error, RefusedError)
    assert [row["rule"] for row in refused.result.privacy.refused] == ["rows"]
    assert not refused.result.statistics
    allowed = run("fedavg_sklearn", TWO, CLINIC_WORDS, parameters=FEW)
    assert allowed.error is None and allowed.result.statistics == learn().statistics


# Metrics.


def test_metrics_against_scikit_learn():
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, mean_absolute_error, r2_score

    rng = np.random.default_rng(3)
    y, p = (rng.random(300) < 0.3).astype(float), np.round(rng.random(300), 2)
    told = metrics.told(metrics.sums(y, p, True), metrics.correct(y, p), 300.0, 1.0, True)
    assert told == pytest.approx(
        {
            "log_loss": log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)),
            "auc": roc_auc_score(y, p),
            "brier": brier_score_loss(y, p),
            "accuracy": accuracy_score(y, p >= 0.5),
        },
        rel=1e-12,
    )
    value, guess = rng.normal(size=200), rng.normal(size=200)
    told = metrics.told(metrics.sums(value, guess, False), np.nan, 200.0, 1.0, False)
    assert told["r2"] == pytest.approx(r2_score(value, guess)) and told["mae"] == pytest.approx(
        mean_absolute_error(value, guess)
    )


@pytest.mark.parametrize(
    ("share", "rows", "events"), [(0.2, 400, 100), (0.5, 41, 12), (0.2, 99, 40), (0.3, 300, 9)]
)
def test_held_back_patients_are_never_few(share, rows, events):
    y = (np.arange(rows) < events).astype(float)
    back = metrics.held_back(y, True, share, np.random.default_rng(1))
    count, yes = int(back.sum()), int(y[back].sum())
    assert count == 0 or (count >= 20 and rows - count >= 20)
    assert yes == 0 or yes >= 5
    assert share != 0.2 or rows != 400 or (count, yes) == (80, 20)


# What authors write.


class Readmission(FedAvg):
    """Chance of coming back within 30 days of going home."""

    title, version = "Readmission within 30 days", "1.0"

    def model(self):
        return SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02)


class Made(FedAvg):
    """Whatever is made."""

    title, version = "Made", "1.0"
    made = SGDClassifier

    def model(self):
        return type(self).made()


def made(maker):
    return type("Made", (Made,), {"made": staticmethod(maker), "__doc__": "Made."})


def test_a_task_is_its_model():
    result = learn(task=Readmission)
    assert result.statistics["auc"] > 0.6 and "eta0=0.02" in result.conventions["model"]
    assert "learning rate 0.02" in result.conventions["algorithm"]
    other = learn(task=made(lambda: MLPClassifier((4, 3), learning_rate_init=0.01)), rounds=10)
    assert other.statistics["n_weights"] == 3 * 4 + 4 + 4 * 3 + 3 + 3 + 1
    huber = learn(task=made(lambda: SGDClassifier(loss="modified_huber")))
    assert "linear_predictor" not in huber.tables and huber.statistics["log_loss"] > 0
    scheduled = learn(task=made(lambda: SGDRegressor(learning_rate="invscaling")), outcome="sbp")
    assert scheduled.tables["linear_predictor"] and "own learning rate" in scheduled.conventions["algorithm"]


@pytest.mark.parametrize(
    ("maker", "says", "given"),
    [
        (lambda: SGDClassifier(loss="hinge"), "no probabilities", {}),
        (lambda: SGDClassifier(loss="log_loss", average=True), "average", {}),
        (lambda: SGDClassifier(loss="log_loss", early_stopping=True), "early_stopping", {}),
        (lambda: SGDClassifier(loss="log_loss", class_weight="balanced"), "cannot be trained", {}),
        (SGDRegressor, "made for a number", {}),
        (lambda: SGDClassifier(loss="log_loss"), "made for yes/no", {"outcome": "sbp", "features": "age"}),
        (lambda: SGDClassifier(loss="log_loss"), "constant learning rate", {"algorithm": "FedProx"}),
        (lambda: __import__("sklearn.naive_bayes").naive_bayes.GaussianNB(), "linear or MLP weights", {}),
        (lambda: __import__("sklearn.tree").tree.DecisionTreeClassifier(), "partial_fit", {}),
    ],
)
def test_a_model_that_does_not_fit_gets_a_sentence(maker, says, given):
    with pytest.raises(UsageError, match=says):
        learn(task=made(maker), **given)


def test_the_outcome_is_no_feature():
    with pytest.raises(UsageError, match="cannot be a feature"):
        learn(features="age,readmitted:sex")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(FedAvgSklearn, "needs", ("no_such_package",))
    assert "no_such_package" in FedAvgSklearn.lacks()
    with pytest.raises(UsageError, match="pip install no_such_package"):
        learn()


def test_listing_tasks_loads_no_library_of_models():
    code = (
        "import sys; from friendlyfl.tasks import registry, catalogue; registry.every(); "
        "from friendlyfl.tasks.publication import Publication; "
        "assert not {'sklearn', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- how good the models are, for the page of a run ---


def qualities(monkeypatch, **given):
    """What the coordinator's page would be told in each round, and the Result."""
    told, combine = [], engine.combine

    def seen(task, state, numbers, exchange):
        told.append(engine.quality(task, state, numbers))
        return combine(task, state, numbers, exchange)

    monkeypatch.setattr(engine, "combine", seen)
    return told, learn(**given)


@pytest.mark.parametrize("outcome", ["readmitted", "sbp"])
def test_each_round_tells_the_losses_that_the_result_has_of_it(monkeypatch, outcome):
    told, result = qualities(monkeypatch, outcome=outcome)
    assert told[:2] == [None, None]  # means and standard deviations are no model
    loss, name = ("log_loss", "Log loss") if outcome == "readmitted" else ("mse", "Mean squared error")
    rows = result.tables["metrics"]
    assert len(told) == 2 + 1 + FEW["rounds"]
    for each in told[2:]:
        assert (each.name, each.chosen_by) == (name, "patients held back")
        for which, whose in (("train", "patients trained on"), ("held-back", "patients held back")):
            [row] = [row for row in rows if (row["round"], row["set"]) == (each.counted, which)]
            assert each.values[whose] == row[loss]
    least = min(told[2:], key=lambda each: each.values["patients held back"])
    assert least.counted == result.statistics["best_round"]


def test_with_nobody_held_back_there_is_one_loss_and_no_best_round(monkeypatch):
    told, _result = qualities(monkeypatch, held_back=0)
    assert [list(each.values) for each in told[2:]] == [["patients trained on"]] * (1 + FEW["rounds"])
    assert {each.chosen_by for each in told[2:]} == {""}


def test_a_training_that_diverged_tells_no_loss(monkeypatch):
    told, result = qualities(monkeypatch, learning_rate=1000.0, outcome="sbp")
    assert "diverged" in result.notes[0] and told[-1] is None


def test_the_library_that_learned_is_named_with_its_version():
    result = learn()
    assert result.reproduce.software["scikit-learn"] == version("scikit-learn")

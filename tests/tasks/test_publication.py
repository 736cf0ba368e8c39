"""The publication pack: everything a paper needs, the same bytes every time, and nothing a spreadsheet would run."""

import csv
import io
import json
import re
import shlex
import zipfile

import pandas as pd
import pytest
from click.testing import CliRunner

from friendlyfl import datasets
from friendlyfl.cli.main import friendlyfl
from friendlyfl.tasks import Dictionary, registry
from friendlyfl.tasks.methods import flow, paragraph
from friendlyfl.tasks.publication import Publication, Step, in_python, in_r, simulate_line, table, tables_of
from friendlyfl.tasks.report import Counts, Exact, Privacy, Reproduce, Result
from friendlyfl.testing.check_task import flat
from friendlyfl.testing.simulate import simulate
from tests.cli.keyboard import type_here

CLINIC = Dictionary.parse(datasets.dictionary("clinic"))
PLAN = b'{"v":1}'


def step(name: str) -> Step:
    task = registry.find(name)
    result = simulate(name, list(datasets.load("clinic").values()), CLINIC, rules="off", **task.example)
    return Step(result, task.example, task.title)


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return [step("table_one"), step("logistic_regression")]


def opened(content: bytes) -> dict[str, bytes]:
    pack = zipfile.ZipFile(io.BytesIO(content))
    assert {entry.date_time for entry in pack.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    return {name: pack.read(name) for name in pack.namelist()}


def test_a_study_is_one_zip(steps):
    approvals = [{"hospital": "St Mary's", "decision": "approved", "person": "nurse", "at": "2026-03-01"}]
    study = Publication(
        steps, CLINIC, 3, "Readmission", "Who comes back?", PLAN, "ab" * 32, approvals,
    )  # fmt: skip
    found = opened(study.zipped())
    assert study.zipped() == study.zipped()
    for folder, name in (
        ("step-1-table_one/", "table_one"),
        ("step-2-logistic_regression/", "logistic_regression"),
    ):
        inside = {path.removeprefix(folder) for path in found if path.startswith(folder)}
        assert {"methods.md", "patients.csv", "software.csv", "result.json"} <= inside
        assert {"reproduce/analysis.R", "reproduce/analysis.py", "reproduce/simulate.sh"} <= inside
        figures = {path.rpartition(".")[2] for path in inside if path.startswith("figures/")}
        assert figures == {"svg", "pdf", "csv"}
        assert json.loads(found[folder + "result.json"])["task"] == name
    assert found["plan/plan.json"] == PLAN and found["plan/plan.sha256"].decode().strip() == "ab" * 32
    assert "St Mary's,approved,nurse" in found["plan/approvals.csv"].decode()
    assert Dictionary.parse(json.loads(found["dictionary.json"])).to_json() == CLINIC.to_json()
    readme = found["README.txt"].decode()
    assert readme.startswith("Readmission\nWho comes back?\n") and all(
        path in readme for path in found if path != "README.txt"
    )


def test_one_step_needs_no_folder_and_a_learned_model_has_its_place(steps):
    model = {"model/weights.npz": b"numbers"}
    study = Publication([Step(steps[1].result, steps[1].parameters, files=model)], CLINIC, 3)
    found = opened(study.zipped())
    assert (
        found["model/weights.npz"] == b"numbers" and "methods.md" in found and "plan/plan.json" not in found
    )


def test_tables_hold_all_digits_and_what_names_a_row_comes_first(steps):
    result = steps[1].result
    rows = list(csv.DictReader(io.StringIO(table(tables_of(result)["coefficients"]).decode())))
    assert [float(row["estimate"]) for row in rows] == [row["estimate"] for row in result.coefficients]
    pack = opened(Publication([steps[1]], CLINIC, 3).zipped())
    assert pack["tables/coefficients.csv"].startswith(b"term,estimate,se,statistic,p,ci_lower,ci_upper\n")
    assert {"vcov", "statistics", "tests"} <= set(tables_of(result))
    assert {"numeric", "categorical", "smd", "groups"} <= set(tables_of(steps[0].result))


def test_a_cell_is_never_a_formula():
    text = table(
        [{"=cmd": "=1+1", "a": "+x", "b": -1.5, "c": None, "d": True, "e": 'say "so", please', "f": "-"}]
    ).decode()
    assert text == '\'=cmd,a,b,c,d,e,f\n\'=1+1,\'+x,-1.5,,yes,"say ""so"", please",-\n'


def test_the_methods_paragraph_says_what_was_done(steps):
    said = paragraph(steps[1].result, 3, simulated=True)
    for words in (
        "The data of 3 tables were analysed by federated analysis, in simulation (Logistic regression: ",
        "In 7 exchanges each hospital computed numbers of people, sums over all rows and sums of products",
        "describes 900 patients, 244 events.",
        "Estimates equal those of one table of all patients.",
        "95% confidence intervals: Wald.",
        "Standard errors: model (inverse information at the reported estimate).",
        "rules of disclosure were off",
        "Software: FriendlyFL",
    ):
        assert words in said, words
    real = Result(
        "roc", "9.9", 1, exact=Exact(0.0005, "auc", "scores cut into 1,000 bins"), n=Counts(used=50),
        conventions={"quantile_type": 7},
        privacy=Privacy(secure_sum=True, smallest_sum_of_sites=3, suppressed=["small counts of “sex”"]),
    )  # fmt: skip
    said = paragraph(real, 4, plan="abc")
    for words in (
        "The data of 4 hospitals were analysed where they are",
        "no patient’s record left a hospital",
        "The AUC is within 0.0005 of that of one table of all patients: scores cut into 1,000 bins.",
        "left out for missing values is not shown",
        "Quantiles: type 7 of Hyndman and Fan.",
        "Only sums over at least 3 hospitals could be read.",
        "Not shown for privacy: small counts of “sex”.",
        "approved the plan before the first computation (SHA-256 abc)",
    ):
        assert words in said, words
    assert "is learned and does not equal" in paragraph(Result("x", "1", exact=False), 2)


def test_the_flow_of_patients_gives_no_small_number_away():
    hidden = Result("x", "1", n=Counts(80, None, per_site=[{"site": 1, "used": 40, "dropped": None}]))
    assert flow(hidden) == [
        {"hospital": "all", "patients": None, "left_out": None, "analysed": 80},
        {"hospital": 1, "patients": None, "left_out": None, "analysed": 40},
    ]


def test_the_scripts_read_the_tables_as_one(steps, tmp_path, monkeypatch):
    script = in_python(steps[1], CLINIC, 3)
    datasets.export("clinic", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(script, "analysis.py", "exec"), names)
    fit = names["smf"].glm(  # what the script printed, once more
        "readmitted ~ age + sex + nyha + treatment + age:treatment", names["d"], family=names["sm"].families.Binomial()
    ).fit(tol=1e-12)  # fmt: skip
    here = [row["estimate"] for row in steps[1].result.coefficients]
    assert sorted(fit.params) == pytest.approx(sorted(here), abs=1e-8)
    r = in_r(steps[1], CLINIC, 3)
    assert 'd[["sex"]] <- factor(d[["sex"]], levels = c("female", "male"))' in r
    assert r.endswith("summary(fit)") and "\nfit <- glm(" in r


# A number of each task's Result that its script prints too. What Python's libraries do not have (feasibility,
# fine_gray) is not here.
PRINTED = {
    "kaplan_meier": "tables.at_times.treatment=treated:52.0.se",
    "competing_risks": "tables.at_times.treatment=treated:cardiac:52.0.cif",
    "table_one": "tables.numeric.age:treatment=treated.mean",
    "logistic_regression": "coefficients.age.estimate",
    "cox": "statistics.loglik",
    "linear_regression": "coefficients.treatmenttreated.estimate",
    "t_test": "tests.welch_t.statistic",
    "anova": "tables.anova_type1.treatment.statistic",
    "chi_square": "tests.chi_square.statistic",
    "rank_test": "tests.wilcoxon.p",
    "correlation": "tests.pearson_bmi_lvef.estimate",
    "poisson_regression": "coefficients.(Intercept).se",
    "gamma_regression": "coefficients.(Intercept).se",
    "negative_binomial_regression": "coefficients.nyhaII.estimate",
    "roc": "tables.auc.0.auc",
    "calibration": "coefficients.calibration_slope.estimate",
    "iptw": "tables.effects.0.se_hc0_weights_fixed",
    "ordinal_logistic_regression": "coefficients.age.estimate",
    "censored_regression": "coefficients.(Intercept).se",
    "weibull_regression": "coefficients.(Intercept).estimate",
    "pca": "tables.loadings.age.PC1",
    "kmeans": "statistics.tot_withinss",
    "meta_analysis": "coefficients.age.se",
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_script_gives_the_numbers_of_the_result(name, tmp_path, monkeypatch, capsys):
    datasets.export("clinic", tmp_path)
    (tmp_path / "dictionary.json").write_text(json.dumps(CLINIC.to_json()))
    monkeypatch.chdir(tmp_path)
    found = step(name)
    exec(compile(in_python(found, CLINIC, 3), "analysis.py", "exec"), {})
    printed = [float(one) for one in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", capsys.readouterr().out)]
    wanted = flat(found.result)[PRINTED[name]]
    assert any(one == pytest.approx(wanted, rel=1e-3) for one in printed)


def test_a_script_leaves_out_the_rows_that_the_analysis_left_out(tmp_path, monkeypatch, capsys):
    """And keeps its columns side by side where it takes a factor apart."""
    frame = datasets.load("clinic")[1]
    frame.loc[::7, "treatment"] = None
    frame.to_csv(tmp_path / "site_1.csv", index=False)
    monkeypatch.chdir(tmp_path)
    parameters = {"outcome": "nyha", "group": "treatment"}
    found = Step(simulate("rank_test", [frame], CLINIC, rules="off", **parameters), parameters)
    exec(compile(in_python(found, CLINIC, 1), "analysis.py", "exec"), {})
    assert f"{found.result.tests['wilcoxon']['p']:.8g}"[:9] in capsys.readouterr().out


def test_a_script_reads_the_factors_of_a_fixed_model_as_factors():
    """Levels that look like numbers would otherwise equal no text, and the prediction would lack the term."""
    words = {"smoke": {"type": "factor", "levels": ["0", "1"]}, "low": {"type": "integer", "range": [0, 1]}}
    frame = pd.DataFrame({"smoke": ["0", "1"] * 20, "low": [0, 1, 1, 0] * 10})
    parameters = {"outcome": "low", "predicted": "lp:-1+0.5*smoke1"}
    found = Step(simulate("calibration", [frame], words, rules="off", **parameters), parameters)
    assert "d['smoke'] = pd.Categorical(d['smoke'], ['0', '1'])" in in_python(
        found, Dictionary.parse(words), 1
    )


def test_a_line_of_r_is_parted_between_statements_only():
    step = Step(Result("x", "1", reproduce=Reproduce(r='d <- f("a", "b"); g("c; d"); h(`e; f`)')))
    assert in_r(step, CLINIC, 1).splitlines()[-3:] == ['d <- f("a", "b")', 'g("c; d")', "h(`e; f`)"]


def test_a_level_that_looks_like_no_text_stays_one(tmp_path, monkeypatch):
    """A hospital with women only: its column of nothing but F is text, and not R's FALSE; None is no missing cell."""
    dictionary = Dictionary.parse(
        {"sex": {"type": "factor", "levels": ["F", "M"]}, "drug": {"type": "factor", "levels": ["None", "A"]}}
    )
    frame = pd.DataFrame({"sex": ["F", "F", "F"], "drug": ["None", "A", "None"]})
    frame.to_csv(tmp_path / "site_1.csv", index=False)
    monkeypatch.chdir(tmp_path)
    parameters = {"variables": "drug"}
    result = simulate("table_one", [frame], dictionary, rules="off", where="sex = F", **parameters)
    found = Step(result, parameters, where="sex = F")
    names: dict[str, object] = {}
    exec(compile(in_python(found, dictionary, 1), "analysis.py", "exec"), names)
    assert names["d"]["drug"].tolist() == ["None", "A", "None"]
    assert 'texts <- c("sex" = "character", "drug" = "character")' in in_r(found, dictionary, 1)
    assert "colClasses = texts" in in_r(found, dictionary, 1)


CRITERIA = (
    "not (age < 50 or sex = male) and nyha != I and bmi in (24, 25, 26, 27.1)",
    "age != 60 or not sex in (male)",
)


@pytest.mark.parametrize("where", CRITERIA)
def test_the_python_script_has_the_rows_of_the_cohort(where, tmp_path, monkeypatch):
    datasets.export("clinic", tmp_path)
    monkeypatch.chdir(tmp_path)
    frames = list(datasets.load("clinic").values())
    frames[0].loc[::5, "age"] = None
    frames[0].to_csv(tmp_path / "site_1.csv", index=False)
    given = {"outcome": "lvef", "predictors": "treatment"}
    result = simulate("linear_regression", frames, CLINIC, rules="off", where=where, **given)
    names: dict[str, object] = {}
    exec(compile(in_python(Step(result, given, where=where), CLINIC, 3), "analysis.py", "exec"), names)
    assert len(names["d"]) == result.n.used


def test_scripts_keep_what_they_cannot_take_apart():
    odd = Step(Result("x", "1", reproduce=Reproduce(r='paste("a; b")', python="not python at all ;(")))
    assert in_r(odd, CLINIC, 1).endswith('paste("a; b")')
    assert in_python(odd, CLINIC, 1).endswith("not python at all ;(")
    assert "no equivalent" in in_r(Step(Result("x", "1")), CLINIC, 1)
    assert "no equivalent" in in_python(Step(Result("x", "1")), CLINIC, 1)


def test_the_line_of_the_simulation_gives_the_same_result(steps, tmp_path, monkeypatch):
    datasets.export("clinic", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dictionary.json").write_text(json.dumps(CLINIC.to_json()))
    program, *words = shlex.split(simulate_line(steps[1], 3).replace("\\\n", ""))
    assert program == "friendlyfl"
    done = CliRunner().invoke(friendlyfl, words)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out.json").read_text())["coefficients"] == steps[1].result.coefficients


def test_simulate_writes_the_pack(tmp_path):
    sites = [part for path in datasets.export("clinic", tmp_path) for part in ("--site", str(path))]
    out = tmp_path / "pack.zip"
    said = type_here(
        "simulate", "table_one", *sites, "--set", "variables=age,sex", "--where", "age >= 60", "--json", "-",
        "--pack", str(out),
    )  # fmt: skip
    assert (said.code, said.trace) == (0, ""), said
    found = opened(out.read_bytes())
    assert b"--set variables=age,sex" in found["reproduce/simulate.sh"]
    assert b"--where 'age >= 60'" in found["reproduce/simulate.sh"]
    assert b"Inclusion criteria: " in found["methods.md"]
    said = type_here("simulate", "table_one", *sites, "--set", "variables=age", "--pack", str(tmp_path))
    assert said.code == 2 and "The publication pack cannot be written" in said.err


def test_a_refused_analysis_has_a_pack_too():
    frame = pd.DataFrame({"age": [50, 60, 70]})
    result = simulate("table_one", [frame, frame], variables=["age"])
    found = opened(Publication([Step(result)], Dictionary.parse({"age": {"type": "integer"}}), 2).zipped())
    assert b"Refused by 2 hospitals." in found["methods.md"] and b"Notes" in found["methods.md"]

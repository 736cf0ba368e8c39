"""Numbers that R printed for the kidney data, for the five survival tasks.

R 4.2.2 with survival 3.5-3 and cmprsk 2.2-11. Data: `kidney` of R's package survival (McGilchrist and Aisbett 1991,
Biometrics 47:461; LGPL 2 or later); `cause` is made here: `1 + (frail > 1)` where the infection came, else 0.
Each test holds the R code that printed its numbers, with sprintf("%.15g").
"""

import pandas as pd
import pytest

from friendlyfl.testing import simulate

KIDNEY = """
1,8,1,28,1,Other,2 1,16,1,28,1,Other,2 2,23,1,48,2,GN,2 2,13,0,48,2,GN,0 3,22,1,32,1,Other,2
3,28,1,32,1,Other,2 4,447,1,31,2,Other,1 4,318,1,32,2,Other,1 5,30,1,10,1,Other,2 5,12,1,10,1,Other,2
6,24,1,16,2,Other,2 6,245,1,17,2,Other,2 7,7,1,51,1,GN,2 7,9,1,51,1,GN,2 8,511,1,55,2,GN,1
8,30,1,56,2,GN,1 9,53,1,69,2,AN,1 9,196,1,69,2,AN,1 10,15,1,51,1,GN,1 10,154,1,52,1,GN,1
11,7,1,44,2,AN,1 11,333,1,44,2,AN,1 12,141,1,34,2,Other,2 12,8,0,34,2,Other,0 13,96,1,35,2,AN,2
13,38,1,35,2,AN,2 14,149,0,42,2,AN,0 14,70,0,42,2,AN,0 15,536,1,17,2,Other,1 15,25,0,17,2,Other,0
16,17,1,60,1,AN,2 16,4,0,60,1,AN,0 17,185,1,60,2,Other,1 17,177,1,60,2,Other,1 18,292,1,43,2,Other,1
18,114,1,44,2,Other,1 19,22,0,53,2,GN,0 19,159,0,53,2,GN,0 20,15,1,44,2,Other,2 20,108,0,44,2,Other,0
21,152,1,46,1,PKD,1 21,562,1,47,1,PKD,1 22,402,1,30,2,Other,1 22,24,0,30,2,Other,0 23,13,1,62,2,AN,2
23,66,1,63,2,AN,2 24,39,1,42,2,AN,1 24,46,0,43,2,AN,0 25,12,1,43,1,AN,1 25,40,1,43,1,AN,1
26,113,0,57,2,AN,0 26,201,1,58,2,AN,1 27,132,1,10,2,GN,2 27,156,1,10,2,GN,2 28,34,1,52,2,AN,2
28,30,1,52,2,AN,2 29,2,1,53,1,GN,2 29,25,1,53,1,GN,2 30,130,1,54,2,GN,2 30,26,1,54,2,GN,2
31,27,1,56,2,AN,2 31,58,1,56,2,AN,2 32,5,0,50,2,AN,0 32,43,1,51,2,AN,2 33,152,1,57,2,PKD,2
33,30,1,57,2,PKD,2 34,190,1,44,2,GN,1 34,5,0,45,2,GN,0 35,119,1,22,2,Other,2 35,8,1,22,2,Other,2
36,54,0,42,2,Other,0 36,16,0,42,2,Other,0 37,6,0,52,2,PKD,0 37,78,1,52,2,PKD,2 38,63,1,60,1,PKD,2
38,8,0,60,1,PKD,0
"""
NAMES = ["id", "time", "status", "age", "sex", "disease", "cause"]
DICTIONARY = {
    "id": {"type": "integer", "range": [1, 38]},
    "time": {"type": "integer", "range": [1, 600]},
    "status": {"type": "integer", "range": [0, 1]},
    "age": {"type": "integer", "range": [0, 100]},
    "sex": {"type": "integer", "range": [1, 2]},
    "disease": {"type": "factor", "levels": ["Other", "GN", "AN", "PKD"]},
    "cause": {"type": "integer", "range": [0, 2]},
}
TERMS = ["age", "diseaseGN", "diseaseAN", "diseasePKD"]


def fit(task, time="time", event="status", **more):
    """Over three hospitals: one with a single patient, one without the level PKD and with women's rows first."""
    table = pd.DataFrame([row.split(",") for row in KIDNEY.split()], columns=NAMES)
    table = table.astype({name: int for name in NAMES if name != "disease"})
    second = (table["id"] > 1) & (table["disease"] != "PKD") & (table["id"] % 2 == 0)
    frames = [table[table["id"] == 1], table[second], table[(table["id"] > 1) & ~second]]
    return simulate(task, frames, DICTIONARY, rules="off", time=time, event=event, **more)


def column(result, key):
    return [row[key] for row in result.coefficients]


def close(numbers, rel=1e-8):
    return pytest.approx(numbers, rel=rel)


def test_cox_with_clusters_and_breslow():
    """coxph(Surv(time, status) ~ age + disease, kidney, cluster = id, ties = "breslow", control =
    coxph.control(eps = 1e-14, iter.max = 100)); sqrt(diag(var)), sqrt(diag(naive.var)), cox.zph."""
    found = fit("cox", predictors="age,disease", cluster="id", ties="breslow")
    assert [row["term"] for row in found.coefficients] == TERMS
    wanted = [0.00159695793385648, 0.3311800612617, 0.35157384844333, -0.299098382698496]
    assert column(found, "estimate") == close(wanted)
    robust = [0.00806101265402847, 0.335986215516799, 0.316438913178787, 0.51323740000426]
    assert column(found, "se_robust") == close(robust)
    assert column(found, "se") == close(
        [0.010363380862651, 0.375695304624553, 0.388397741689265, 0.543076292408549]
    )
    assert found.statistics["loglik_null"] == close(-188.155095821247, 1e-12)
    assert found.statistics["loglik"] == close(-186.789139351145, 1e-12)
    assert found.statistics["concordance"] == close(0.543654822335025, 1e-12)
    assert found.statistics["concordance_se"] == close(0.0472457243177663)
    statistics = [row["statistic"] for row in found.tables["ph_test"]]
    assert statistics == close([0.477235476485833, 1.39529124949772, 1.95594877853361])


def test_kaplan_meier_by_disease():
    """survdiff(Surv(time, status) ~ disease + strata(sex), kidney, rho = 1)$chisq;
    summary(survfit(Surv(time, status) ~ disease, kidney, conf.type = "log-log"), times = c(30, 130))."""
    found = fit("kaplan_meier", group="disease", strata="sex", rho="1", ci="log-log", times="30,130")
    assert found.tests["logrank"]["statistic"] == close(4.01259693879026, 1e-10)
    wanted = {
        "survival": [
            0.622425629290618, 0.50925733305596, 0.485431235431235, 0.416083916083916,
            0.727272727272727, 0.291666666666667, 0.833333333333333, 0.5,
        ],
        "se": [
            0.100700749785176, 0.109670488944615, 0.128941039041155, 0.127815925135356,
            0.0949514487031079, 0.101726468584997, 0.152145154862546, 0.204124145231932,
        ],
        "ci_lower": [
            0.39635241274621, 0.28327960449284, 0.226435936531846, 0.17511181887717,
            0.491033340303988, 0.116964433459967, 0.273122849928356, 0.110948260351438,
        ],
        "ci_upper": [
            0.784343037402858, 0.696967577359772, 0.703518059569564, 0.643196920406244,
            0.867113651452869, 0.492883080662999, 0.974712426690894, 0.803709236850057,
        ],
    }  # fmt: skip
    for key, numbers in wanted.items():
        assert [row[key] for row in found.tables["at_times"]] == close(numbers, 1e-12)


def test_competing_risks_by_sex():
    """f <- cuminc(time, cause, sex); f$Tests; timepoints(f, c(30, 130)): est and sqrt(var)."""
    found = fit("competing_risks", event="cause", group="sex", times="30,130")
    tests = [found.tests[name]["statistic"] for name in ("gray_1", "gray_2")]
    assert tests == close([0.25938924728991, 4.29845088305009], 1e-10)
    rows = found.tables["at_times"]
    assert [row["cif"] for row in rows] == close(
        [
            0.112592592592593, 0.168888888888889, 0.0403882625147006, 0.110157065351646,
            0.605925925925926, 0.662222222222222, 0.184879569974945, 0.395198408801843,
        ], 1e-12,
    )  # fmt: skip
    assert [row["se"] for row in rows] == close(
        [
            0.0777658817825172, 0.0944029025103232, 0.0283785472706716, 0.0475800055230067,
            0.12202313656383, 0.120063548406224, 0.0565052708123167, 0.0747979990276868,
        ], 1e-10,
    )  # fmt: skip


def test_fine_gray_as_crr():
    """crr(time, cause, model.matrix(~ age + disease)[, -1], failcode = 1, gtol = 1e-12, maxiter = 100)."""
    found = fit("fine_gray", event="cause", failcode="1", predictors="age,disease")
    wanted = [0.0374716868992515, -0.632162451090289, -0.547234521985851, -1.11423943720878]
    assert column(found, "estimate") == close(wanted, 1e-7)
    assert column(found, "se") == close(
        [0.0170491130538219, 0.601415349758695, 0.661836076468125, 0.899529119397645], 1e-7
    )
    assert found.statistics["loglik"] == close(-83.8656199294819, 1e-10)
    assert found.statistics["loglik_null"] == close(-86.1557523801462, 1e-10)


def test_weibull_regression():
    """survreg(Surv(time, status) ~ age + disease, kidney, control = survreg.control(rel.tolerance = 1e-15,
    maxiter = 200)); the last are log(scale) and its error."""
    found = fit("weibull_regression", predictors="age,disease")
    wanted = [
        5.13245747248883, -0.000953749640515522, -0.380636162545488, -0.554516189529419, 0.0528118367303094,
        0.0822525982190475,
    ]  # fmt: skip
    assert column(found, "estimate") == close(wanted, 1e-7)
    errors = [
        0.4397704001986, 0.0111678970244359, 0.402141160272539, 0.410348303166953, 0.541802495033715,
        0.0989030894405493,
    ]  # fmt: skip
    assert column(found, "se") == close(errors, 1e-7)
    assert found.statistics["loglik_null"] == close(-340.937439453267, 1e-10)
    assert found.statistics["loglik"] == close(-339.369442401342, 1e-10)

"""One small public table, and what R prints of it: answers of the tests and descriptions, to all digits.

CARS: Motor Trend (1974), as `mtcars` in R's datasets (GPL-2 or GPL-3). Answers are of R 4.2.2 with all digits;
packages where they are not R's own are named beside them. `d` is the table.
"""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

CARS = pd.read_csv(
    io.StringIO("""\
mpg,cyl,hp,drat,wt,qsec,vs,am,gear
21,6,110,3.9,2.62,16.46,0,1,4
21,6,110,3.9,2.875,17.02,0,1,4
22.8,4,93,3.85,2.32,18.61,1,1,4
21.4,6,110,3.08,3.215,19.44,1,0,3
18.7,8,175,3.15,3.44,17.02,0,0,3
18.1,6,105,2.76,3.46,20.22,1,0,3
14.3,8,245,3.21,3.57,15.84,0,0,3
24.4,4,62,3.69,3.19,20,1,0,4
22.8,4,95,3.92,3.15,22.9,1,0,4
19.2,6,123,3.92,3.44,18.3,1,0,4
17.8,6,123,3.92,3.44,18.9,1,0,4
16.4,8,180,3.07,4.07,17.4,0,0,3
17.3,8,180,3.07,3.73,17.6,0,0,3
15.2,8,180,3.07,3.78,18,0,0,3
10.4,8,205,2.93,5.25,17.98,0,0,3
10.4,8,215,3,5.424,17.82,0,0,3
14.7,8,230,3.23,5.345,17.42,0,0,3
32.4,4,66,4.08,2.2,19.47,1,1,4
30.4,4,52,4.93,1.615,18.52,1,1,4
33.9,4,65,4.22,1.835,19.9,1,1,4
21.5,4,97,3.7,2.465,20.01,1,0,3
15.5,8,150,2.76,3.52,16.87,0,0,3
15.2,8,150,3.15,3.435,17.3,0,0,3
13.3,8,245,3.73,3.84,15.41,0,0,3
19.2,8,175,3.08,3.845,17.05,0,0,3
27.3,4,66,4.08,1.935,18.9,1,1,4
26,4,91,4.43,2.14,16.7,0,1,5
30.4,4,113,3.77,1.513,16.9,1,1,5
15.8,8,264,4.22,3.17,14.5,0,1,5
19.7,6,175,3.62,2.77,15.5,0,1,5
15,8,335,3.54,3.57,14.6,0,1,5
21.4,4,109,4.11,2.78,18.6,1,1,4
""")
)

# Task, parameters, and R's numbers by their path in the Result.
PRINTED_BY_R: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    (
        "feasibility",
        {"conditions": "mpg >= 20; hp < 110", "group": "am"},
        {  # table(subset(mtcars, mpg >= 20 & hp < 110)$am)
            "tables.flow.am=0.n": 3,
            "tables.flow.am=1.n": 7,
        },
    ),
    (
        "table_one",
        {"variables": ["mpg", "qsec"], "group": "vs"},
        {  # mean, sd, quantile (type 7), m3 / m2^1.5
            "tables.numeric.mpg:vs=0.mean": 16.6166666666667,
            "tables.numeric.mpg:vs=0.sd": 3.86069941849919,
            "tables.numeric.mpg:vs=0.skewness": 0.528252206838586,
            "tables.numeric.mpg:vs=0.q05": 10.4,
            "tables.numeric.mpg:vs=0.q25": 14.775,
            "tables.numeric.mpg:vs=0.median": 15.65,
            "tables.numeric.mpg:vs=0.q75": 19.075,
            "tables.numeric.mpg:vs=0.q95": 21.75,
            "tables.numeric.qsec:vs=0.mean": 16.6938888888889,
            "tables.numeric.qsec:vs=0.sd": 1.09189602440185,
            "tables.numeric.qsec:vs=0.skewness": -0.77129718283877,
            "tables.numeric.qsec:vs=0.q05": 14.585,
            "tables.numeric.qsec:vs=0.q25": 15.995,
            "tables.numeric.qsec:vs=0.median": 17.02,
            "tables.numeric.qsec:vs=0.q75": 17.415,
            "tables.numeric.qsec:vs=0.q95": 17.983,
            "tables.numeric.mpg:vs=1.mean": 24.5571428571429,
            "tables.numeric.mpg:vs=1.sd": 5.37897821090647,
            "tables.numeric.mpg:vs=1.skewness": 0.453245464242932,
            "tables.numeric.mpg:vs=1.q05": 17.995,
            "tables.numeric.mpg:vs=1.q25": 21.4,
            "tables.numeric.mpg:vs=1.median": 22.8,
            "tables.numeric.mpg:vs=1.q75": 29.625,
            "tables.numeric.mpg:vs=1.q95": 32.925,
            "tables.numeric.qsec:vs=1.mean": 19.3335714285714,
            "tables.numeric.qsec:vs=1.sd": 1.35441504343761,
            "tables.numeric.qsec:vs=1.skewness": 0.959327494859213,
            "tables.numeric.qsec:vs=1.q05": 17.81,
            "tables.numeric.qsec:vs=1.q25": 18.6025,
            "tables.numeric.qsec:vs=1.median": 19.17,
            "tables.numeric.qsec:vs=1.q75": 19.975,
            "tables.numeric.qsec:vs=1.q95": 21.158,
            "tables.smd.mpg.smd": -1.69603248205151,
        },
    ),
    (
        "t_test",
        {"outcome": "mpg", "group": "am"},
        {  # t.test(mpg ~ am), and with var.equal = TRUE
            "tests.welch_t.statistic": -3.76712314514493,
            "tests.welch_t.df": 18.3322516384005,
            "tests.welch_t.p": 0.00137363833307103,
            "tests.welch_t.ci_lower": -11.2801943550402,
            "tests.welch_t.ci_upper": -3.20968418746996,
            "tests.student_t.statistic": -4.10612698310069,
            "tests.student_t.df": 30,
            "tests.student_t.p": 0.000285020743935067,
            "tests.student_t.ci_lower": -10.8483689708612,
            "tests.student_t.ci_upper": -3.64150957164888,
        },
    ),
    (
        "anova",
        {"outcome": "mpg", "groups": ["cyl"]},
        {  # summary(aov(mpg ~ factor(cyl))); oneway.test(mpg ~ cyl); TukeyHSD (its p of 8-4 has 4 digits)
            "tests.anova.statistic": 39.697515255869,
            "tests.anova.p": 4.97891917440023e-09,
            "tests.welch_anova.statistic": 31.6242364658255,
            "tests.welch_anova.df.1": 18.0318456017699,
            "tests.welch_anova.p": 1.27080937124479e-06,
            "tables.tukey.0.diff": -6.92077922077922,
            "tables.tukey.0.ci_lower": -10.7693498289673,
            "tables.tukey.0.ci_upper": -3.07220861259118,
            "tables.tukey.0.p": 0.000342372049701112,
            "tables.tukey.1.diff": -11.5636363636364,
            "tables.tukey.1.ci_lower": -14.7707785371264,
            "tables.tukey.1.ci_upper": -8.35649419014632,
            "tables.tukey.2.diff": -4.64285714285714,
            "tables.tukey.2.ci_lower": -8.32758296925066,
            "tables.tukey.2.ci_upper": -0.958131316463611,
            "tables.tukey.2.p": 0.0112286813531052,
        },
    ),
    (
        "anova",
        {"outcome": "mpg", "groups": ["cyl", "am"]},
        {  # summary(aov(mpg ~ factor(cyl) * factor(am))); car::Anova(..., type = 2)
            "tables.anova_type1.cyl.sum_sq": 824.784590097402,
            "tables.anova_type1.cyl.statistic": 44.85165668722,
            "tables.anova_type1.cyl.p": 3.72527361452686e-09,
            "tables.anova_type1.am.sum_sq": 36.7669194925444,
            "tables.anova_type1.am.statistic": 3.99875863425507,
            "tables.anova_type1.am.p": 0.0560837312771076,
            "tables.anova_type1.cyl:am.sum_sq": 25.4365112433863,
            "tables.anova_type1.cyl:am.statistic": 1.38323349309211,
            "tables.anova_type1.cyl:am.p": 0.268614022629597,
            "tables.anova_type2.cyl.sum_sq": 456.400921280231,
            "tables.anova_type2.cyl.statistic": 24.8190105377386,
            "tables.anova_type2.cyl.p": 9.3547346210138e-07,
            "tables.anova_type2.am.sum_sq": 36.7669194925444,
            "tables.anova_type2.am.statistic": 3.99875863425507,
            "tables.anova_type2.am.p": 0.0560837312771076,
            "tables.anova_type2.cyl:am.sum_sq": 25.4365112433863,
            "tables.anova_type2.cyl:am.statistic": 1.38323349309211,
            "tables.anova_type2.cyl:am.p": 0.268614022629596,
        },
    ),
    (
        "rank_test",
        {"outcome": "hp", "group": "am"},
        {  # wilcox.test(hp ~ am, exact = FALSE)
            "tests.wilcoxon.statistic": 176,
            "tests.wilcoxon.p": 0.0457013160663359,
        },
    ),
    (
        "rank_test",
        {"outcome": "hp", "group": "gear"},
        {  # kruskal.test(hp ~ gear)
            "tests.kruskal.statistic": 14.6064705882353,
            "tests.kruskal.df": 2,
            "tests.kruskal.p": 0.000673356740233951,
        },
    ),
    (
        "correlation",
        {"variables": ["mpg", "hp"]},
        {  # cor.test(mpg, hp)
            "tests.pearson.estimate": -0.776168371826586,
            "tests.pearson.statistic": -6.74238854270679,
            "tests.pearson.p": 1.78783525412106e-07,
            "tests.pearson.ci_lower": -0.885268613495523,
            "tests.pearson.ci_upper": -0.586099412685315,
        },
    ),
    (
        "correlation",
        {"variables": ["mpg", "hp"], "method": "spearman"},
        {  # cor.test(mpg, hp, method = "spearman", exact = FALSE)
            "tests.spearman.estimate": -0.894664645749963,
            "tests.spearman.statistic": 10337.2903072118,
            "tests.spearman.p": 5.08596943092452e-12,
        },
    ),
    (
        "chi_square",
        {"row": "am", "column": "vs", "strata": "gear"},
        {  # chisq.test, fisher.test, mantelhaen.test(am, vs, gear)
            "tests.chi_square.statistic": 0.347535505430242,
            "tests.chi_square.p": 0.55551154701315,
            "tests.fisher.p": 0.47269744160178,
            "tests.mantel_haenszel.statistic": 0.06875,
            "tests.mantel_haenszel.p": 0.793165548076098,
        },
    ),
    (
        "chi_square",
        {"row": "cyl", "column": "gear", "strata": "vs", "yates": False},
        {  # the same of a larger table
            "tests.chi_square.statistic": 18.0363636363636,
            "tests.chi_square.p": 0.00121406603378516,
            "tests.fisher.p": 8.2597156846191e-05,
        },
    ),
    (
        "chi_square",
        {"row": "gear", "column": "am", "strata": "vs"},
        {  # mantelhaen.test(gear, am, vs): generalised
            "tests.mantel_haenszel.statistic": 20.0753282106879,
            "tests.mantel_haenszel.df": 2,
            "tests.mantel_haenszel.p": 4.37217833450902e-05,
        },
    ),
    (
        "roc",
        {"outcome": "am", "markers": ["wt", "hp"], "direction": "lower"},
        {  # pROC 1.18.0: roc(direction = ">"), var, ci.auc, roc.test(method = "delong")
            "tables.auc.0.auc": 0.933198380566802,
            "tables.auc.0.se": 0.0481121281240915,
            "tables.auc.0.ci_lower": 0.838900342224006,
            "tables.auc.0.ci_upper": 1,
            "tables.auc.1.auc": 0.712550607287449,
            "tables.auc.1.se": 0.107313969850468,
            "tables.auc.1.ci_lower": 0.502219091342515,
            "tables.auc.1.ci_upper": 0.922882123232384,
            "tests.delong.statistic": 2.71413691929854,
            "tests.delong.p": 0.00664486960136409,
        },
    ),
    (
        "calibration",
        {"outcome": "am", "predicted": "lp:4-0.03*hp", "bins": 4},
        {  # glm(am ~ 1, offset = lp), glm(am ~ lp), epsilon = 1e-14
            "coefficients.calibration_in_the_large.estimate": -0.424600444842311,
            "coefficients.calibration_intercept.estimate": -0.305669280584042,
            "coefficients.calibration_slope.estimate": 0.270570708141389,
            "coefficients.calibration_in_the_large.se": 0.453717923916001,
            "coefficients.calibration_intercept.se": 0.372174593135532,
            "coefficients.calibration_slope.se": 0.202477960935551,
            "tests.perfect_calibration.statistic": 9.98053902019848,
            "tests.perfect_calibration.p": 0.00680383054406273,
            "statistics.brier": 0.225711712879167,
            "statistics.oe_ratio": 0.863844780688844,
            "statistics.log_loss": 0.800126635089472,
        },
    ),
    (
        "iptw",
        {"treatment": "vs", "predictors": ["drat"], "outcomes": ["mpg"], "estimand": "ATE"},
        {  # sandwich 3.0.2: vcovHC(lm(mpg ~ vs, weights = w), "HC0"); the stacked sandwich by hand
            "tables.effects.0.mean_treated": 22.7716592434067,
            "tables.effects.0.mean_control": 17.87012745702,
            "tables.effects.0.difference": 4.90153178638663,
            "tables.effects.0.se_hc0_weights_fixed": 2.04842113723139,
            "tables.effects.0.se_stacked": 1.42651122696164,
            "tables.effects.0.ess_treated": 8.83357586057731,
            "tables.effects.0.ess_control": 14.0567885437936,
            "coefficients.drat.estimate": 1.98746796016418,
            "coefficients.drat.se": 0.866332274170294,
        },
    ),
    (
        "iptw",
        {"treatment": "vs", "predictors": ["drat"], "outcomes": ["mpg"], "estimand": "ATT"},
        {  # sandwich 3.0.2: vcovHC(lm(mpg ~ vs, weights = w), "HC0"); the stacked sandwich by hand
            "tables.effects.0.mean_treated": 24.5571428571429,
            "tables.effects.0.mean_control": 19.4290206053545,
            "tables.effects.0.difference": 5.12812225178831,
            "tables.effects.0.se_hc0_weights_fixed": 2.40260721416339,
            "tables.effects.0.se_stacked": 2.11733080807242,
            "tables.effects.0.ess_treated": 14,
            "tables.effects.0.ess_control": 7.46220669696362,
            "coefficients.drat.estimate": 1.98746796016418,
            "coefficients.drat.se": 0.866332274170294,
        },
    ),
    (
        "pca",
        {"variables": ["mpg", "hp", "qsec"], "scale": True},
        {  # prcomp(scale. = TRUE), the largest loading positive
            "tables.variance.0.variance": 2.28018470119457,
            "tables.variance.1.variance": 0.583870544402274,
            "tables.variance.2.variance": 0.135944754403156,
            "tables.loadings.mpg.PC1": -0.559173077323356,
            "tables.loadings.hp.PC1": 0.634333848812034,
            "tables.loadings.qsec.PC1": -0.53380337002312,
            "tables.loadings.mpg.PC2": -0.657440421654548,
            "tables.loadings.hp.PC2": 0.0529783176555897,
            "tables.loadings.qsec.PC2": 0.751641796225485,
            "tables.loadings.mpg.PC3": 0.505071838030412,
            "tables.loadings.hp.PC3": 0.771241768908877,
            "tables.loadings.qsec.PC3": 0.387412664117846,
        },
    ),
    (
        "pca",
        {"variables": ["mpg", "hp", "qsec"], "scale": False},
        {  # prcomp(scale. = FALSE), the largest loading positive
            "tables.variance.0.variance": 4724.41564912412,
            "tables.variance.1.variance": 14.5310909139024,
            "tables.variance.2.variance": 1.43746439746283,
            "tables.loadings.mpg.PC1": -0.0682607191727259,
            "tables.loadings.hp.PC1": 0.997497864670446,
            "tables.loadings.qsec.PC1": -0.018397939991283,
            "tables.loadings.mpg.PC2": 0.991801091485757,
            "tables.loadings.hp.PC2": 0.0658509130578336,
            "tables.loadings.qsec.PC2": -0.109518273256611,
            "tables.loadings.mpg.PC3": 0.108032722569055,
            "tables.loadings.hp.PC3": 0.0257228930594953,
            "tables.loadings.qsec.PC3": 0.993814501618369,
        },
    ),
    (
        "kmeans",
        {"variables": ["mpg", "qsec"], "start": "15,17;22,18;30,19"},
        {  # kmeans(algorithm = "Lloyd", iter.max = 100)
            "tables.centres.0.n": 12,
            "tables.centres.1.n": 14,
            "tables.centres.2.n": 6,
            "tables.centres.0.withinss": 68.9233333333333,
            "tables.centres.1.withinss": 96.4576071428571,
            "tables.centres.2.withinss": 53.3526166666666,
            "tables.centres.0.mpg": 14.4583333333333,
            "tables.centres.1.mpg": 20.6428571428571,
            "tables.centres.2.mpg": 30.0666666666667,
            "statistics.tot_withinss": 218.733557142857,
            "statistics.betweenss": 1006.30178035714,
        },
    ),
    (
        "meta_analysis",
        {"model": "linear_regression", "outcome": "mpg", "predictors": ["hp"], "method": "DL"},
        {  # metafor 3.8.1: rma(yi, sei = se, method = "DL", control = list(threshold = 1e-14)) by site
            "coefficients.hp.estimate": -0.07410862495697539,
            "coefficients.hp.se": 0.022615337335145345,
            "coefficients.hp.p": 0.00104946531503043,
            "coefficients.hp.ci_lower": -0.1184338716320843,
            "coefficients.hp.ci_upper": -0.029783378281866474,
            "tables.heterogeneity.hp.q": 16.8752579772086,
            "tables.heterogeneity.hp.p": 0.000216563015414115,
            "tables.heterogeneity.hp.tau2": 0.001344885877186723,
            "tables.heterogeneity.hp.i2": 88.14832933101725,
            "tables.heterogeneity.hp.h2": 8.437628988604285,
        },
    ),
    (
        "meta_analysis",
        {"model": "linear_regression", "outcome": "mpg", "predictors": ["hp"], "method": "REML"},
        {  # metafor 3.8.1: rma(yi, sei = se, method = "REML", control = list(threshold = 1e-14)) by site
            "coefficients.hp.estimate": -0.07414039269613662,
            "coefficients.hp.se": 0.02325503398245932,
            "coefficients.hp.p": 0.001431893013432474,
            "coefficients.hp.ci_lower": -0.11971942176101194,
            "coefficients.hp.ci_upper": -0.028561363631261293,
            "tables.heterogeneity.hp.q": 16.8752579772086,
            "tables.heterogeneity.hp.p": 0.000216563015414115,
            "tables.heterogeneity.hp.tau2": 0.001432748882726888,
            "tables.heterogeneity.hp.i2": 88.79368275787579,
            "tables.heterogeneity.hp.h2": 8.923538200766156,
        },
    ),
]

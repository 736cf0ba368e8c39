"""Every test and description against R's own numbers, with the rows cut so that a site has one row or no case."""

import pandas as pd
import pytest

from friendlyfl.testing.check_task import flat
from friendlyfl.testing.simulate import simulate
from tests.tasks.stats.cars import CARS, PRINTED_BY_R

NAMES = [f"{task}-{place}" for place, (task, _, _) in enumerate(PRINTED_BY_R)]
WHOLE = {"cyl", "hp", "vs", "am", "gear"}
DICTIONARY = {name: {"type": "integer" if name in WHOLE else "number"} for name in CARS}
THIRDS = [CARS[:11], CARS[11:21], CARS[21:]]
CUTS = {
    "one row": [CARS[:1], CARS[1:4], CARS[4:]],
    "by case": [CARS[CARS.am == 1], CARS[CARS.am == 0]],
    "thirds": THIRDS,
}


@pytest.mark.parametrize(("task", "parameters", "wanted"), PRINTED_BY_R, ids=NAMES)
def test_the_result_is_rs(task, parameters, wanted):
    for name, frames in CUTS.items() if task != "meta_analysis" else [("thirds", THIRDS)]:
        frames = [frame.reset_index(drop=True) for frame in frames]
        found = flat(simulate(task, frames, DICTIONARY, rules="off", **parameters))
        here = {path: found.get(path) for path in wanted}
        assert here == pytest.approx(wanted, rel=1e-9), name


def test_mantel_haenszel_is_rs():
    """R 4.2.2: mantelhaen.test(UCBAdmissions), and with correct = FALSE; datasets, GPL-2 or GPL-3 (Bickel, 1975)."""
    counts = [
        512,
        313,
        89,
        19,
        353,
        207,
        17,
        8,
        120,
        205,
        202,
        391,
        138,
        279,
        131,
        244,
        53,
        138,
        94,
        299,
        22,
        351,
        24,
        317,
    ]
    cells = [(a, g, d) for d in "ABCDEF" for g in ("Male", "Female") for a in ("Admitted", "Rejected")]
    table = pd.DataFrame(cells, columns=["admit", "gender", "dept"]).loc[lambda t: t.index.repeat(counts)]
    levels = {"admit": ["Admitted", "Rejected"], "gender": ["Male", "Female"], "dept": list("ABCDEF")}
    dictionary = {name: {"type": "factor", "levels": named} for name, named in levels.items()}
    frames = [part.reset_index(drop=True) for _, part in table.groupby("dept")]
    asked = {"row": "admit", "column": "gender", "strata": "dept"}
    test = simulate("chi_square", frames, dictionary, rules="off", **asked).tests["mantel_haenszel"]
    plain = simulate("chi_square", frames, dictionary, rules="off", **asked, yates=False).tests[
        "mantel_haenszel"
    ]
    wanted = (1.426946228586688, 0.232263462817048, 0.904696828258623, 0.771907361759350, 1.060329764436656)
    assert tuple(test[k] for k in ("statistic", "p", "estimate", "ci_lower", "ci_upper")) == pytest.approx(
        wanted, rel=1e-9
    )
    assert (plain["statistic"], plain["p"]) == pytest.approx((1.524606660443436, 0.216923697055518), rel=1e-9)

"""A plan about some of the patients: said on the request, applied at every hospital, narrower for one step."""

import json

import pandas as pd

from friendlyfl import datasets
from tests.e2e.house import House

WOMEN = "Which women see a doctor"
STEPS = (
    ("table_one", {"variables": "age"}),
    ("logistic_regression", {"outcome": "visited", "predictors": "age"}),
)
ON = ("-p", WOMEN)


def test_only_the_patients_of_the_plan_are_in_its_results(house: House) -> None:
    house.study(WOMEN, STEPS, coordinator_data="yes")
    said = house.marys.refused("plan", "cohort", "--where", "age >= old", *ON)
    assert "at “old” (character 8)" in said and "no number" in said
    everybody = house.marys.json("project", "show", *ON)["plan_sha256"]
    house.marys.run("plan", "cohort", "--where", "female=1 and age>=30", *ON)
    house.marys.run("plan", "change", "2", "--where", "age < 50", *ON)
    house.approve(WOMEN)
    assert house.marys.json("project", "show", *ON)["plan_sha256"] != everybody
    request = house.north.json("plan", "show", *ON)
    assert request["cohort"]["text"] == "female = 1 and age >= 30"
    assert [step["cohort"]["text"] for step in request["steps"]] == ["", "age < 50"]
    assert "female" in request["steps"][1]["columns"]
    shown = " ".join(house.north.run("plan", "show", *ON).split())
    assert (
        "Patients: only where" in shown
        and f"Of these patients only where {request['steps'][1]['cohort']['words']}" in shown
    )
    results = json.loads(house.succeed(house.start_run(WOMEN), WOMEN))
    rows = pd.concat(datasets.load("randhie").values())
    chosen = rows[(rows["female"] == 1) & (rows["age"] >= 30)]
    table, model = results.values()
    assert table["n"]["used"] == len(chosen)
    assert model["n"]["used"] == len(chosen[chosen["age"] < 50]) < len(chosen)
    assert table["conventions"]["cohort"] == request["cohort"]["words"]
    [line] = [row for row in table["tables"]["numeric"] if row["variable"] == "age" and row["group"] == "all"]
    assert abs(line["mean"] - chosen["age"].mean()) < 1e-10
    left = [what for (what,) in house.north.ask("SELECT what FROM controller_departure")]
    assert any("rows that meet the inclusion criteria" in what for what in left)

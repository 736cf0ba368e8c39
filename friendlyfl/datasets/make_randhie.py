"""How the files in `randhie/` were cut from the RAND Health Insurance Experiment. A record, never run at run time.

    python -m friendlyfl.datasets.make_randhie

reads the original data that statsmodels ships (20,190 person-years, 45 columns, public domain) and writes the same
bytes again. Nothing is drawn at random. The columns and the choices are explained in `randhie/README.md`.
"""

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent / "randhie"
HOSPITALS = {2: 1, 6: 1, 1: 2, 5: 2, 3: 3, 4: 3}  # the experiment's own site codes, two to a hospital
YEARS = 3
OUTCOMES = ["visited", "mdvis", "admitted", "years"]
PEOPLE = ["age", "female", "health", "physlm", "disea", "mhi"]
PLANS = ["coins", "idp", "lpi", "income"]


def cut(person_years: pd.DataFrame) -> pd.DataFrame:
    """One row for each adult who took part for at least three years: the first year, and admissions in all three."""
    ordered = person_years.sort_values(["zper", "year"], kind="stable")
    people = ordered.groupby("zper")
    stayed = people["year"].agg(lambda years: years.tolist()[:YEARS] == [1, 2, 3])
    first = people.first()
    admissions = ordered[(ordered["totadm"] > 0) & (ordered["year"] <= YEARS)].groupby("zper")["year"].first()

    table = first[stayed & (first["xage"] >= 18)].copy()
    table["hospital"] = table["site"].map(HOSPITALS)
    table["visited"] = (table["mdvis"] > 0).astype(int)
    table["admitted"] = table.index.isin(admissions.index).astype(int)
    table["years"] = admissions.reindex(table.index).fillna(YEARS).astype(int)
    table["age"] = table["xage"].astype(int)
    table["health"] = "excellent"
    for column, level in {"hlthg": "good", "hlthf": "fair", "hlthp": "poor"}.items():
        table.loc[table[column] == 1, "health"] = level
    # Means that stand for a missing answer in the original are gaps here: nobody has 0.144 of a limitation.
    table["physlm"] = table["physlm"].where(table["physlm"].isin([0, 1]))
    for column in ("disea", "mhi"):
        table[column] = table[column].where(table[column] == table[column].round(1))
    whole = ["mdvis", "female", "coins", "idp", "physlm"]
    table[whole] = table[whole].astype("Int64")
    # The third hospital lacks a level of a factor, as real ones do: its nine people in poor health are left out.
    return table[(table["hospital"] != 3) | (table["health"] != "poor")]


def main() -> None:
    from statsmodels.datasets import randhie

    original = Path(randhie.__file__).parent / "src" / "randhie.csv"
    table = cut(pd.read_csv(original, float_precision="round_trip"))
    for hospital, rows in table.groupby("hospital"):
        columns = [*OUTCOMES, *PEOPLE, *PLANS]
        rows[columns].to_csv(HERE / f"site_{hospital}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()

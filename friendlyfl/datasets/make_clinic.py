"""How the files in `clinic/` were made up. A record, never run at run time.

    python -m friendlyfl.datasets.make_clinic

draws 900 patients of three heart failure clinics who do not exist, so that every task has something to find: known
effects, ties, gaps, censoring, competing deaths. The columns are explained in `clinic/README.md`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

HERE = Path(__file__).parent / "clinic"
ROWS = {1: 420, 2: 300, 3: 180}
CLASSES = ["I", "II", "III", "IV"]
FOLLOW_UP = 730  # days
DETECTED = 5.0  # ng/l of troponin; less is reported as this


def draw(site: int, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """The patients of one clinic; the clinics differ in age, severity and follow-up."""
    age = np.clip(rng.normal(66 + 2 * site, 11, rows), 30, 95).round().astype(int)
    sex = rng.choice(["female", "male"], rows, p=[0.42, 0.58])
    man = (sex == "male").astype(float)
    bmi = np.clip(rng.normal(27 + 0.5 * site, 4.5, rows), 16, 48).round(1)
    diabetes = (rng.random(rows) < expit(-1.2 + 0.09 * (bmi - 27))).astype(int)
    sbp = np.clip(rng.normal(128 + 0.2 * (age - 68), 18, rows), 80, 210).round().astype(int)
    severity = 0.035 * (age - 68) + 0.5 * diabetes + rng.logistic(0, 1, rows)
    nyha = np.searchsorted([-1.0, 1.0, 2.3], severity)
    lvef = np.clip(48 - 6 * nyha + rng.normal(0, 8, rows), 12, 70).round().astype(int)
    bnp = np.exp(5.6 + 0.45 * nyha + 0.012 * (age - 68) + rng.normal(0, 0.6, rows)).round().astype(int)
    treated = (rng.random(rows) < expit(0.3 - 0.02 * (age - 68) + 0.35 * (nyha >= 2))).astype(int)
    risk = -1.3 + 0.03 * (age - 68) + 0.45 * nyha + 0.4 * diabetes - 0.7 * treated
    readmitted = (rng.random(rows) < expit(risk)).astype(int)
    score = np.clip(expit(0.8 * risk + rng.normal(0, 0.4, rows)), 0.001, 0.999).round(3)
    years = np.clip(rng.uniform(0.3, 2.0, rows), 0.3, 2.0).round(1)
    visits = rng.negative_binomial(2.0, 2.0 / (2.0 + years * np.exp(0.9 + 0.25 * nyha - 0.2 * treated)))
    shape = 2.5
    cost = rng.gamma(shape, np.exp(7.8 + 0.2 * nyha + 0.3 * readmitted) / shape).round().astype(int) + 1
    hazard = np.exp(-7.4 + 0.03 * (age - 68) + 0.35 * nyha + 0.2 * man - 0.45 * treated)
    cardiac = rng.weibull(1.2, rows) * (1 / hazard) ** (1 / 1.2) * 1.4
    other = rng.exponential(1 / (0.00025 * np.exp(0.05 * (age - 68))))
    censored = rng.uniform(200, 900, rows)
    first = np.minimum(np.minimum(cardiac, other), np.minimum(censored, FOLLOW_UP))
    weeks = np.maximum(np.ceil(first / 7), 1).astype(int)
    status = np.where(first == cardiac, "cardiac", np.where(first == other, "other", "alive"))
    entry = np.where(rng.random(rows) < 0.3, np.floor(rng.random(rows) * weeks).astype(int), 0)
    troponin = np.exp(2.2 + 0.3 * nyha + 0.01 * (age - 68) + rng.normal(0, 0.8, rows))
    frame = pd.DataFrame(
        {
            "age": age,
            "sex": sex,
            "bmi": bmi,
            "diabetes": diabetes,
            "sbp": sbp,
            "nyha": np.array(CLASSES)[nyha],
            "lvef": lvef,
            "bnp": bnp,
            "treatment": np.where(treated, "treated", "control"),
            "readmitted": readmitted,
            "risk_score": score,
            "years": years,
            "log_years": np.log(years).round(6),
            "visits": visits,
            "cost": cost,
            "entry_week": entry,
            "weeks": weeks,
            "status": status,
            "dead": (status != "alive").astype(int),
            "troponin": np.maximum(troponin, DETECTED).round(1),
            "troponin_low": (troponin < DETECTED).astype(int),
            "weight": rng.choice([0.5, 1.0, 1.5, 2.0], rows),
            "physician": [f"D{site}{number:02d}" for number in rng.integers(1, 13, rows)],
        }
    )
    for column in ("bmi", "sbp", "lvef"):  # gaps, as in every real table
        frame.loc[rng.random(rows) < 0.04, column] = np.nan
    frame[["sbp", "lvef"]] = frame[["sbp", "lvef"]].astype("Int64")
    return frame


DICTIONARY = {
    "age": {"type": "integer", "label": "Age", "unit": "years", "range": [18, 110]},
    "sex": {"type": "factor", "label": "Sex", "levels": ["female", "male"]},
    "bmi": {"type": "number", "label": "Body mass index", "unit": "kg/m²", "range": [10, 60], "step": 0.1},
    "diabetes": {"type": "integer", "label": "Diabetes", "range": [0, 1]},
    "sbp": {"type": "integer", "label": "Systolic blood pressure", "unit": "mmHg", "range": [60, 260]},
    "nyha": {"type": "factor", "label": "NYHA class", "levels": CLASSES, "ordered": True},
    "lvef": {"type": "integer", "label": "Ejection fraction", "unit": "%", "range": [5, 85]},
    "bnp": {"type": "integer", "label": "NT-proBNP", "unit": "ng/l", "range": [0, 70000]},
    "treatment": {"type": "factor", "label": "Treatment", "levels": ["control", "treated"]},
    "readmitted": {"type": "integer", "label": "Back in hospital within 30 days", "range": [0, 1]},
    "risk_score": {
        "type": "number",
        "label": "Predicted risk of coming back",
        "range": [0, 1],
        "step": 0.001,
    },
    "years": {"type": "number", "label": "Time observed", "unit": "years", "range": [0.1, 5], "step": 0.1},
    "log_years": {"type": "number", "label": "Logarithm of the time observed", "range": [-3, 2]},
    "visits": {"type": "integer", "label": "Visits to the clinic", "range": [0, 200]},
    "cost": {"type": "integer", "label": "Cost of care", "unit": "€", "range": [1, 500000]},
    "entry_week": {"type": "integer", "label": "Week first seen here", "unit": "weeks", "range": [0, 105]},
    "weeks": {"type": "integer", "label": "Weeks to death or last seen", "unit": "weeks", "range": [0, 105]},
    "status": {"type": "factor", "label": "State at last seen", "levels": ["alive", "cardiac", "other"]},
    "dead": {"type": "integer", "label": "Died", "range": [0, 1]},
    "troponin": {"type": "number", "label": "Troponin", "unit": "ng/l", "range": [0, 2000], "step": 0.1},
    "troponin_low": {"type": "integer", "label": "Troponin below what can be detected", "range": [0, 1]},
    "weight": {"type": "number", "label": "Sampling weight", "range": [0, 10], "step": 0.5},
    "physician": {"type": "text", "label": "Physician in charge"},
}


def main() -> None:
    HERE.mkdir(exist_ok=True)
    rng = np.random.default_rng(20)
    for site, rows in ROWS.items():
        draw(site, rows, rng).to_csv(HERE / f"site_{site}.csv", index=False, lineterminator="\n")
    lines = ",\n".join(
        f" {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in DICTIONARY.items()
    )
    (HERE / "dictionary.json").write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main()

"""Data, dictionary and mapping: empty, full, and with something wrong."""

from pathlib import Path
from typing import Any

from tests.e2e.states import State

WARDS = ("A", "B", "Intensive care")
TABLE = "\ufeffPatient age;Sex;BMI;Ward;Admitted;Note\n" + "".join(
    f"{20 + n % 60};{'wm'[n % 2]};{19 + n % 14},{n % 10};{WARDS[n % 3]};{1 + n % 28:02}.{1 + n % 9:02}.2024;\n"
    for n in range(240)
)
TABLE += "unknown;w;22,5;A;03.04.2024;\nunknown;m;21,0;B;03.04.2024;\n"
DICTIONARY = {
    "age": {"type": "integer", "label": "Age at admission", "unit": "years", "range": [0, 120]},
    "sex": {"type": "factor", "label": "Sex", "levels": ["female", "male"]},
    "bmi": {"type": "number", "label": "Body mass index", "unit": "kg/m²", "range": [10, 80], "step": 0.1},
    "lactate": {"type": "number", "label": "First lactate", "unit": "mmol/l", "range": [0, 40], "step": 0.1},
}


def table(state: str = "ready") -> Any:
    """A table as a hospital's spreadsheet saves it."""
    from friendlyfl.controller import actions, here
    from friendlyfl.controller.models import Dataset
    from tests.controller.world import RESEARCHER

    path = Path(here.home().folder.parent / "admissions.csv")
    path.write_text(TABLE, encoding="utf-8")
    row, _ = actions.add_dataset(RESEARCHER, "Admissions 2024", str(path), missing=("-9",))
    Dataset.objects.filter(pk=row.pk).update(given_as="admissions.csv", state=state, added_by="rosa")
    return Dataset.objects.get(pk=row.pk)


def looked() -> int:
    """Read, and not saved yet; a correction could not be."""
    from friendlyfl.controller.models import Reading

    row = table("looked")
    Reading.objects.create(
        dataset=row,
        person="rosa",
        state="failed",
        trouble="Column “Patient age” holds text in 2 rows (241, 242).",
    )
    return row.pk


def live() -> int:
    """A long table under way."""
    from friendlyfl.controller.models import Dataset, Reading

    row = table("reading")
    Dataset.objects.filter(pk=row.pk).update(description={}, rows=0)
    Reading.objects.create(dataset=row, person="rosa", share=0.43)
    return row.pk


def serving() -> int:
    """Two tables, one of which serves a project of Northfield's."""
    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Dataset
    from tests.controller.world import RESEARCHER, World

    row = table()
    Dataset.objects.create(
        name="Registry",
        path="postgresql://reader:x@db/registry#patients",
        rows=1_204_331,
        digest="",
        state="looked",
    )
    project = World().study("Northfield", "Southgate", name="Length of stay after hip fracture").project
    actions.use_dataset(RESEARCHER, project, row)
    return row.pk


def mapped() -> int:
    """A participant that has mapped half of the columns and checked them."""
    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Reading
    from tests.controller.world import RESEARCHER, World

    row = table()
    study = World().study("Northfield", "Southgate", name="Length of stay after hip fracture")
    study.propose(dictionary=DICTIONARY)
    actions.use_dataset(RESEARCHER, study.project, row)
    columns = {
        "age": {"column": "Patient age"},
        "sex": {"column": "Sex", "recode": {"w": "female", "m": "male"}},
        "bmi": {"column": "BMI"},
    }
    actions.map_columns(RESEARCHER, study.project, {"v": 1, "columns": columns})
    fits = {"n": 242, "missing": 0, "problem": ""}
    problem = "“age” holds “unknown” in rows 241 and 242: it should be a number."
    found = {"age": {"n": 0, "missing": 0, "problem": problem}, "sex": fits, "bmi": fits}
    Reading.objects.create(
        dataset=row, project=study.project, person="rosa", state="done", asked={"mapping": 1},
        outcome={"columns": found, "rows": 242, "planned": True, "problems": [
            {"step": 1, "code": "column_missing", "sentence": "“lactate” is not mapped to a column of this hospital."}
        ]},
    )  # fmt: skip
    return study.project.pk


def agreed() -> int:
    """A coordinator's own draft."""
    from friendlyfl.controller import actions
    from tests.controller.world import RESEARCHER, World

    table()
    project = World().consortium("Northfield", name="Length of stay after hip fracture").project
    actions.set_dictionary(RESEARCHER, project, DICTIONARY)
    return project.pk


def empty_project() -> int:
    from tests.controller.world import World

    return World().study("Northfield", name="Births").project.pk


def send_nothing(page: Any) -> None:
    page.locator("main form button").last.click()


STATES = {
    "data, empty": State("data", "/data/", role="researcher"),
    "data, full": State("data", "/data/", serving, role="researcher"),
    "data_add": State("data_add", "/data/add/", role="researcher"),
    "data_add, error": State("data_add", "/data/add/", role="researcher", act=send_nothing, status=400),
    "dataset, looked": State("dataset", "/data/{}/", looked, role="researcher"),
    "dataset, live": State("dataset", "/data/{}/", live, role="researcher"),
    "dataset, full": State("dataset", "/data/{}/", serving, role="researcher"),
    "dataset_correct": State("dataset_correct", "/data/{}/correct/", looked, role="researcher"),
    "dataset_remove": State("dataset_remove", "/data/{}/remove/", serving, role="researcher"),
    "dictionary, empty": State("dictionary", "/projects/{}/dictionary/", empty_project, role="viewer"),
    "dictionary, full": State("dictionary", "/projects/{}/dictionary/", agreed, role="researcher"),
    "column_add, error": State(
        "column_add", "/projects/{}/dictionary/add/", agreed, role="researcher", act=send_nothing, status=400
    ),
    "column_change": State("column_change", "/projects/{}/dictionary/1/", agreed, role="researcher"),
    "column_remove": State("column_remove", "/projects/{}/dictionary/1/remove/", agreed, role="researcher"),
    "columns_take": State("columns_take", "/projects/{}/dictionary/from/1/", agreed, role="researcher"),
    "mapping, full": State("mapping", "/projects/{}/mapping/", mapped, role="researcher"),
    "mapping_column, recode": State("mapping_column", "/projects/{}/mapping/3/", mapped, role="researcher"),
    "mapping_column, number": State("mapping_column", "/projects/{}/mapping/2/", mapped, role="researcher"),
}

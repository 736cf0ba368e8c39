"""What the runner's child does with a table outside any run: describe it, or try it against a dictionary.

The answers hold values, for this hospital's own people; nothing of them travels. Who asks for it, and when, is decided
in `readings`.
"""

from collections.abc import Callable
from typing import Any

from friendlyfl.tasks import formats
from friendlyfl.tasks.corrections import Corrections
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.intake import Intake
from friendlyfl.tasks.mapping import Mapping


def intake(dataset: dict[str, Any], dictionary: Dictionary) -> Intake:
    """A dataset as `preflight.described` gives it."""
    mapping = None if dataset["mapping"] is None else Mapping.from_json(dataset["mapping"])
    corrections = Corrections.from_json(dataset.get("corrections"))
    return Intake(dataset["path"], dataset["missing"], mapping, dictionary, corrections)


def describe(request: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """The table with all that was guessed of it, as a person corrected it."""
    from friendlyfl.tasks.description import describe as described

    dataset = request["dataset"]
    corrections = Corrections.from_json(dataset["corrections"])
    names = formats.names(dataset["path"], csv=corrections.csv) if corrections.missing else ()
    found = formats.survey(
        dataset["path"],
        missing=corrections.codes(dataset["missing"], names),
        types=corrections.types,
        csv=corrections.csv,
        progress=progress,
    )
    return {"description": described(found), "digest": found.digest, "rows": found.rows}


def fit(request: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """How each mapped column fits the dictionary."""
    return intake(request["dataset"], Dictionary.parse(request["dictionary"])).fit(progress)

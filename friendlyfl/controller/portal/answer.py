"""One step's Result as the parts of a page: sentences, warnings, tables, figures, how it was computed, files.

Words and tables come from `tasks.saying`, so that every face says the same. No figure is drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller.plans import Content, PlanStep
from friendlyfl.controller.portal.ours import called, ours
from friendlyfl.core.errors import WireError
from friendlyfl.tasks import methods, publication
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.figures import drawings
from friendlyfl.tasks.outcome import is_answer
from friendlyfl.tasks.report import Result
from friendlyfl.tasks.saying import sentences
from friendlyfl.tasks.saying.grid import Shown
from friendlyfl.tasks.saying.headings import TABLES
from friendlyfl.tasks.saying.pieces import Piece
from friendlyfl.tasks.saying.study import Study
from friendlyfl.tasks.saying.tables import of_rows, shown

SAID = 5  # sentences after the first one; more are folded away
ROWS = 40  # of one table on a page; the file has all


@dataclass(frozen=True)
class Table:
    """A table on a page. `id` is unique on it, `lost` the number of rows that only the file has."""

    id: str
    shown: Shown
    rows: Sequence[Sequence[Piece]]
    lost: int = 0


@dataclass(frozen=True)
class Figure:
    number: int
    title: str
    description: str
    table: Table


@dataclass(frozen=True)
class Answer:
    seq: int
    title: str
    question: str
    lead: Piece
    more: Sequence[Piece] = ()
    folded: Sequence[Piece] = ()
    is_answer: bool = False
    warnings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    asides: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    computed: Sequence[tuple[str, Sequence[str]]] = ()
    files: Sequence[tuple[str, str]] = ()  # name and words of the tables' files


def of(step: PlanStep, plan: Content, values: dict[str, Any]) -> Answer:
    """The page's parts of a Result as it is stored; it may come from another hospital and hold anything."""
    try:
        return _of(step, plan, Result.from_json(values))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, WireError):
        words = _(
            "This result is written in a way that this version cannot show. Its file can be downloaded."
        )
        return Answer(step.seq, called(step.title), "", words)


def _of(step: PlanStep, plan: Content, result: Result) -> Answer:
    dictionary = Dictionary.parse(plan.dictionary)
    study = Study(result, step.parameters, dictionary)
    task = methods.task_of(result)
    lead, *more = sentences(result, step.parameters, dictionary)
    tables = shown(study)
    made = [_table(f"t{step.seq}-{place}", one) for place, one in enumerate(tables)]
    return Answer(
        seq=step.seq,
        title=called(step.title),
        question=task.question if task else "",
        lead=lead,
        more=more[:SAID] if len(more) <= SAID else (),
        folded=more if len(more) > SAID else (),
        is_answer=is_answer(result),
        warnings=result.notes,
        tables=[table for table in made if not table.shown.aside],
        asides=[table for table in made if table.shown.aside],
        figures=[
            Figure(
                number,
                drawing.title,
                drawing.description,
                _table(
                    f"f{step.seq}-{number}-data",
                    of_rows(
                        study,
                        f"figure-{number}",
                        _("Numbers of the figure: %(title)s") % {"title": ours(drawing.title)},
                        drawing.table,
                    ),
                ),
            )
            for number, drawing in enumerate(drawings(result, dictionary), start=1)
        ],
        computed=_computed(result, plan, step),
        files=[(name, _file_words(name)) for name in publication.tables_of(result)],
    )


def _table(id_: str, table: Shown) -> Table:
    return Table(id_, table, table.rows[:ROWS], max(0, len(table.rows) - ROWS))


def _file_words(name: str) -> str:
    """What a table's file holds."""
    words = {
        "coefficients": _("factors"),
        "vcov": _("covariances"),
        "statistics": _("the model as a whole"),
        "tests": _("tests"),
        "numeric": _("measurements"),
        "categorical": _("levels"),
        "smd": _("standardised differences"),
        "groups": _("groups"),
    }
    return words.get(name) or called(str(TABLES.get(name, name.replace("_", " "))))


def conventions(result: Result) -> list[str]:
    """One sentence for each convention."""
    pairs = methods.convention_words(result)
    return [
        _("%(about)s: %(holds)s.") % {"about": ours(about), "holds": ours(holds)} for about, holds in pairs
    ]


def _computed(result: Result, plan: Content, step: PlanStep) -> list[tuple[str, list[str]]]:
    """How it was computed, as names and sentences."""
    hospitals = len(plan.seats)
    exchanges = ngettext("%(n)d exchange", "%(n)d exchanges", result.rounds) % {"n": result.rounds}
    over = ngettext(
        "The data of %(n)d hospital stayed where they are.",
        "The data of %(n)d hospitals stayed where they are.",
        hospitals,
    )
    task = methods.task_of(result)
    name = _(task.title) if task else step.title
    method = _("%(name)s (task %(task)s, version %(version)s).") % {
        "name": name,
        "task": result.task,
        "version": result.version,
    }
    if not result.rounds:
        return [(_("Method"), [method]), (_("Privacy"), [_("No number was sent.")])]
    rows = [
        (_("Method"), [method, *conventions(result)]),
        (_("Patients"), methods.who(result)),
        (_("Rounds"), [over % {"n": hospitals}, _("%(exchanges)s with each.") % {"exchanges": exchanges}]),
        (_("Exactness"), methods.exactness(result)),
        (_("Privacy"), methods.privacy(result, hospitals)),
        (_("Who is in it"), [_("Patients for whom %(text)s.") % {"text": text} for text in step.criteria]),
    ]
    return [(name, said) for name, said in rows if said]

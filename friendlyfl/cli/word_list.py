"""The catalogue of all texts that the portal shows, for those who translate it.

    python -m friendlyfl.cli.word_list words.pot

From the portal come the texts that it hands to gettext. Tasks, the core, actions and what they call make plain English
sentences: of these modules every text of two words or more is taken that is no program, and shorter ones where a name
says what they are (a label, a title, `Said`). In place of what an f-string puts in stands a named place. How the portal
finds such a text again is in `controller.portal.ours`.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.utils.translation.template import templatize

from friendlyfl.controller.portal.ours import JOINED

ROOT = Path(__file__).parent.parent
PORTAL = ROOT / "controller" / "portal"
MAKERS = ("core", "wire", "tasks", "client", "controller")
MARKERS = ("_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy")
IN_WORDS = (
    "Said",
    "Counted",
    "translatable",
    "Figure",
    "Column",
    "Columns",
    "Number",
    "Numbers",
    "Choice",
    "Flag",
    "Text",
)
LABELS = ("label", "help", "unit", "title", "question", "asks", "words", "axis", "options", "topic")
# Calls whose texts no page shows: faults of a program; patterns, statements and logs.
FAULTS = ("TypeError", "ValueError", "KeyError", "RuntimeError", "AssertionError", "LookupError")
NOT_FOR_PEOPLE = (*FAULTS, "compile", "execute", "debug", "info", "warning", "error", "exception", "getenv")
WORD = re.compile(r"[^\W\d_]{2,}")
PROGRAM = re.compile(
    r"[=~]|<-|\w[(\[]|\w\.\w+\.\w|::|\w_\w|\bSELECT\b|\bINSERT\b|\bPRAGMA\b|\bimport\b|\\|[|]\{|%\w|^[.#-]\w|://|\$\{"
)
# Sentences of their own that are put in before or behind others.
STANDS_ALONE = re.compile(r"(?<=[.?!])(?: ?\{\w+\})+$|^(?:\{\w+\}){2,} (?=[A-Z])")
PIECE = re.compile(
    r"n?gettext\(u?((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(?:, u?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))?)"
)


@dataclass
class Words:
    """The texts found: each with its second form, "" for one that is not counted, and where it stands."""

    found: dict[str, str] = field(default_factory=dict)
    where: dict[str, list[str]] = field(default_factory=dict)

    def add(self, text: str, place: str, many: str = "") -> None:
        if text.strip():
            self.found[text] = self.found.get(text) or many
            self.where.setdefault(text, []).append(place)


def words() -> Words:
    """All texts, those of the portal first."""
    words = Words()
    for path in sorted((PORTAL / "templates").rglob("*.html")):
        for found in PIECE.findall(templatize(path.read_text())):
            forms = ast.literal_eval(f"({found},)".replace(" u'", " '").replace(' u"', ' "'))
            words.add(forms[0], _place(path), forms[1] if len(forms) > 1 else "")
    for path in sorted(PORTAL.rglob("*.py")):
        _marked(path, words)
    for text in JOINED.values():
        words.add(text, _place(PORTAL / "ours.py"))
    for room in MAKERS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts and PORTAL not in path.parents:
                _Made(path, words).visit(ast.parse(path.read_text()))
    return words


def _place(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT.parent).as_posix()}{f':{line}' if line else ''}"


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _marked(path: Path, words: Words) -> None:
    """What a module of the portal hands to gettext."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _called(node) in MARKERS:
            texts = [
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if texts:
                words.add(texts[0], _place(path, node.lineno), texts[1] if len(texts) > 1 else "")


class _Made(ast.NodeVisitor):
    """The texts of a module that makes English ones."""

    def __init__(self, path: Path, words: Words) -> None:
        self.path, self.words, self.labels = path, words, False
        self.constants: dict[str, str] = {}

    def visit_Module(self, node: ast.Module) -> None:
        for one in node.body:
            if (
                isinstance(one, ast.Assign)
                and isinstance(one.targets[0], ast.Name)
                and isinstance(one.value, ast.Constant)
            ):
                self.constants[one.targets[0].id] = str(one.value.value)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._of_a_task(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _called(node)
        if name in NOT_FOR_PEOPLE:
            return
        if name == "Counted":
            one, many = (ast.literal_eval(arg) for arg in node.args)
            self.words.add(one, _place(self.path, node.lineno), many)
            return
        labelled = name in IN_WORDS or any(keyword.arg == "help" for keyword in node.keywords)
        before, self.labels = self.labels, self.labels or labelled
        self.generic_visit(node)
        self.labels = before

    def visit_keyword(self, node: ast.keyword) -> None:
        self._labelled(node, node.arg in LABELS)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        self._labelled(node, any(name in LABELS for name in names) or self._is_table(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            named = isinstance(node.target, ast.Name) and node.target.id in LABELS
            self._labelled(node.value, named or self._is_table(node.value))

    def _is_table(self, node: ast.expr) -> bool:
        """A dict whose values are words, one by one or behind `Said`."""
        if isinstance(node, ast.DictComp):
            return isinstance(node.value, ast.Call) and _called(node.value) in IN_WORDS
        if not isinstance(node, ast.Dict):
            return False
        return any(isinstance(value, ast.Constant) and _is_words(str(value.value)) for value in node.values)

    def _labelled(self, node: ast.AST, labels: bool) -> None:
        before, self.labels = self.labels, labels
        self.generic_visit(node) if not isinstance(node, ast.expr) else self.visit(node)
        self.labels = before

    def visit_Dict(self, node: ast.Dict) -> None:
        for value in node.values:
            self.visit(value)

    def visit_Compare(self, node: ast.Compare) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node.value, node.lineno)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for text in _texts(node, self.constants):
            self._add(text, node.lineno)
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and not _choices(part.value):
                self.visit(part.value)

    def _add(self, text: str, line: int) -> None:
        tail = text.startswith((" ", ", ")) and "{" in text  # of a sentence, which is there or not
        text = STANDS_ALONE.sub("", text).strip()
        few = self.labels or (tail and not _is_program(text))
        if _is_words(text) or (few and WORD.search(text)):
            self.words.add(text, _place(self.path, line))

    def _of_a_task(self, node: ast.ClassDef) -> None:
        """A task's docstring is its description."""
        doc = ast.get_docstring(node)
        declared = {
            name.id
            for one in node.body
            if isinstance(one, ast.Assign | ast.AnnAssign)
            for name in ast.walk(one)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        if doc and "title" in declared and self.path.is_relative_to(ROOT / "tasks"):
            first, _, rest = doc.partition("\n")
            for text in (first.strip(), " ".join(rest.split())):
                self.words.add(text, _place(self.path, node.lineno))


def _is_words(text: str) -> bool:
    bare = re.sub(r"\{\w+\}", " ", text)
    found = WORD.findall(bare)
    enough = len(found) >= 2 or (len(found) == 1 and bare != text and len(found[0]) > 3)
    return " " in text.strip() and enough and not _is_program(text)


def _is_program(text: str) -> bool:
    return bool(PROGRAM.search(re.sub(r"\{\w+\}", "{}", text)))


# --- what stands in an f-string ---


def _texts(node: ast.JoinedStr, constants: dict[str, str]) -> Iterator[str]:
    """The text with named places; where one of two words is put in, both whole texts."""
    used: dict[str, str] = {}
    parts = [list(_ways(part, used, constants)) for part in node.values]
    for ways in itertools.product(*parts):
        yield "".join(ways)


def _ways(part: ast.expr, used: dict[str, str], constants: dict[str, str]) -> Iterator[str]:
    if isinstance(part, ast.Constant):
        yield str(part.value)
    elif isinstance(part, ast.FormattedValue):
        if choices := _choices(part.value):
            yield from choices
        elif isinstance(part.value, ast.Name) and " " in constants.get(part.value.id, ""):
            yield constants[part.value.id]
        else:
            yield "{" + _name(part, used) + "}"


def _choices(value: ast.expr) -> list[str]:
    """The two texts of `"with" if … else "without"`."""
    if isinstance(value, ast.IfExp):
        both = [value.body, value.orelse]
        if all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in both):
            return [str(one.value) for one in both if isinstance(one, ast.Constant)]
    return []


def _name(part: ast.FormattedValue, used: dict[str, str]) -> str:
    """A name for a place by what is put in; the same expression has the same."""
    source = ast.unparse(part)
    names = [
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(part.value)
        if isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and node.id != "self")
    ]
    wanted = names[0].lower().strip("_") if names else "value"
    if isinstance(part.value, ast.Call) and len(names) > 1 and not isinstance(part.value.func, ast.Attribute):
        wanted = names[1].lower().strip("_")
    name, number = wanted, 1
    while used.get(name, source) != source:
        number += 1
        name = f"{wanted}_{number}"
    used[name] = source
    return name


# --- the file ---


def pot(words: Words) -> str:
    """The catalogue as gettext's tools read it."""
    lines = ['msgid ""', 'msgstr "Content-Type: text/plain; charset=UTF-8\\n"', ""]
    for text, many in words.found.items():
        lines += [f"#: {place}" for place in words.where[text]]
        lines.append(f"msgid {_quoted(text)}")
        lines += (
            [f"msgid_plural {_quoted(many)}", 'msgstr[0] ""', 'msgstr[1] ""', ""]
            if many
            else ['msgstr ""', ""]
        )
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(pot(words()), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Each refusal of this room has its own code, and a sentence that says what happened and what to do."""

import ast
import re
from collections import Counter
from pathlib import Path

import friendlyfl.wire

ROOM = Path(friendlyfl.wire.__file__).parent
MINE = (
    "canonical",
    "codec",
    "fields",
    "invitation",
    "keyfile",
    "keys",
    "message",
    "requests",
    "ring",
    "seal",
    "trust",
)


def calls():
    for name in MINE:
        for node in ast.walk(ast.parse((ROOM / f"{name}.py").read_text())):
            if isinstance(node, ast.Call):
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                yield name, called, node


def test_codes_of_wire_errors_are_not_shared():
    codes = Counter(
        node.args[0].value
        for _, called, node in calls()
        if called in ("WireError", "refuse") and isinstance(node.args[0], ast.Constant)
    )
    assert len(codes) > 60
    assert [code for code, times in codes.items() if times > 1] == []
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", code) for code in codes)


def test_sentences_are_plain():
    for name, called, node in calls():
        if called.endswith("Error") and len(node.args) > 1:
            text = "".join(
                n.value
                for n in ast.walk(node.args[1])
                if isinstance(n, ast.Constant) and isinstance(n.value, str)
            )
            assert not re.search(r"invalid|oops|client|illegal", text, re.IGNORECASE), (name, text)


def test_the_routing_servers_half_opens_nothing():
    """No numpy, and none of the modules that open post."""
    forbidden = re.compile(r"\b(numpy|seal|codec|ring)\b")
    for name in set(MINE) - {"seal", "codec", "ring"}:
        lines = (ROOM / f"{name}.py").read_text().splitlines()
        assert not [line for line in lines if re.match("from|import", line) and forbidden.search(line)]

"""Figures of Results, drawn once: a figure takes matplotlib half a second, and a page asks for it each time.

A bounded memory of this process, by digest of what a figure is drawn from. Nothing is written to disk.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from friendlyfl.core.errors import NotFoundError

KEPT = 64  # files; the largest are pictures of a few hundred kB
KINDS = ("svg", "pdf", "png")

_made: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
_lock = threading.Lock()


def drawn(result: Mapping[str, Any], dictionary: Mapping[str, Any], number: int, kind: str) -> bytes:
    """The file of a Result's figure, counted from 1 among those that have something to show.

    Raises NotFoundError when there is no such figure or no such kind of file.
    """
    if kind not in KINDS:
        raise NotFoundError("no_figure", "A figure is given as SVG, PDF or PNG.")
    whole = json.dumps([result, dictionary], sort_keys=True).encode()
    key = (hashlib.sha256(whole).hexdigest(), number, kind)
    with _lock:
        if key in _made:
            _made.move_to_end(key)
            return _made[key]
    content = _draw(result, dictionary, number, kind)
    with _lock:
        _made[key] = content
        while len(_made) > KEPT:
            _made.popitem(last=False)
    return content


def _draw(result: Mapping[str, Any], dictionary: Mapping[str, Any], number: int, kind: str) -> bytes:
    from friendlyfl.tasks.dictionary import Dictionary
    from friendlyfl.tasks.figures import drawings
    from friendlyfl.tasks.report import Result

    found = drawings(Result.from_json(result), Dictionary.parse(dictionary))
    if not 1 <= number <= len(found):
        raise NotFoundError("no_figure", "This Result has no such figure.")
    drawing = found[number - 1]
    return {"svg": drawing.svg, "pdf": drawing.pdf, "png": drawing.png}[kind]()

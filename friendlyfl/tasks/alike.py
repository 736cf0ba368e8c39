"""Names and levels that are the same but for how they are written: what is proposed before a person has chosen."""

from __future__ import annotations

from collections.abc import Iterable


def same_names(wanted: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """For each wanted name the same one, else the only one alike but for capitals, blanks, dots and underscores."""
    names = list(own)
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_bare(name), []).append(name)
    close = {name: [name] if name in names else alike.get(_bare(name), []) for name in wanted}
    return {name: found[0] for name, found in close.items() if len(found) == 1}


def same_levels(levels: Iterable[str], written: Iterable[str]) -> dict[str, str]:
    """For each written value that is no level, the only level that differs in capitals alone."""
    known = list(levels)
    alike: dict[str, list[str]] = {}
    for level in known:
        alike.setdefault(level.casefold(), []).append(level)
    close = {value: alike.get(value.casefold(), []) for value in written if value not in known}
    return {value: found[0] for value, found in close.items() if len(found) == 1}


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " ._-")

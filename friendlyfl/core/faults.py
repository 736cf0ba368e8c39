"""Named places where a test may kill the process. Does nothing unless a hook was installed at process start.

The hook itself (which reads the environment and kills) belongs to the program that starts, not to the core.
"""

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def install(hook: Callable[[str], None]) -> None:
    """Let `hook(name)` run at every faultpoint of this process."""
    global _hook
    _hook = hook


def faultpoint(name: str) -> None:
    """Mark a place between an intent, an effect and its done row."""
    if _hook is not None:
        _hook(name)

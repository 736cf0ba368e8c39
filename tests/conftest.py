"""Which rooms are tested together: Django knows one project a process, so the Routing Server's tests run apart.

`pytest` alone runs every room but that one, `pytest tests/router` that one; `make test` runs both.
"""

from pathlib import Path

import pytest

ROUTER = Path(__file__).parent / "router"


def _asked_for_router(config: pytest.Config) -> bool:
    asked = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return any(path == ROUTER or ROUTER in path.parents for path in asked)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path == ROUTER and not _asked_for_router(config) else None


def pytest_report_header(config: pytest.Config) -> str | None:
    return None if _asked_for_router(config) else "the Routing Server's tests run apart: pytest tests/router"

"""System checks of the Routing Server: each has an id and a hint that says what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection


@register(Tags.database)
def commits_are_synced(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """No 2xx before the commit is on disk: the database may not be told otherwise."""
    if not databases or "default" not in databases:
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous")
            safe = int(cursor.fetchone()[0]) >= 2
        else:
            cursor.execute("SHOW synchronous_commit")
            safe = cursor.fetchone()[0] != "off"
    if safe:
        return []
    return [
        Error(
            "The database may forget acknowledged messages at a power cut.",
            hint="Set synchronous=FULL (SQLite) or synchronous_commit=on (PostgreSQL).",
            id="router.E001",
        )
    ]


@register(Tags.security, deploy=True)
def hosts_are_listed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if any(host.startswith(".") for host in settings.ALLOWED_HOSTS):
        return [
            Error(
                "ALLOWED_HOSTS admits every name below a domain.",
                hint="List each name of this server in full.",
                id="router.E002",
            )
        ]
    return []

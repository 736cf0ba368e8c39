"""The one ASGI application: the relay answers for messages and uploads, Django for everything else.

Both see the same request: a trusted proxy's X-Forwarded headers are believed here, everybody else's thrown
away, and plain HTTP from beyond loopback is refused here, before either room. The clock of the jobs
starts with each worker. The relay's routes are relative to settings.PREFIX (it is mounted with `root_path`).
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "friendlyfl.router.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from .front import House  # noqa: E402  (needs Django's settings)
from .relay.app import relay  # noqa: E402

application = House(records=django_application, relay=relay)

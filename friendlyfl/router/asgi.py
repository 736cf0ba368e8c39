"""The one ASGI application: the relay answers for messages and uploads, Django for everything else.

uvicorn's `friendlyfl.router.asgi:application`. What each part does is said in front, records and relay.
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "friendlyfl.router.settings")
django.setup(set_prefix=False)

from .front import House  # noqa: E402  (needs Django to be set up)
from .records import Records  # noqa: E402
from .relay.app import relay  # noqa: E402

application = House(records=Records(), relay=relay)

"""The Django application of the Routing Server: its name and what is loaded when Django starts."""

from django.apps import AppConfig


class RouterConfig(AppConfig):
    name = "friendlyfl.router"
    label = "router"
    verbose_name = "FriendlyFL Routing Server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers the system checks)

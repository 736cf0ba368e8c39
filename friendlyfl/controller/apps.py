"""The Django application of a site's records."""

from django.apps import AppConfig


class ControllerConfig(AppConfig):
    name = "friendlyfl.controller"
    label = "controller"
    default_auto_field = "django.db.models.BigAutoField"

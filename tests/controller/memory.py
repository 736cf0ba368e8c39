"""What this site remembers, as one value: two equal ones mean that nothing was changed in between."""

from typing import Any

from django.apps import apps

NOT_COMPARED = {
    "HeldPost",
    "SmallContent",
    "Session",
}  # SmallContent: bytes mean nothing until a row names them


def records() -> dict[str, list[Any]]:
    """Every row of every table, post that was put aside left out: that is what a refusal may write."""
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in apps.get_models()
        if model.__name__ not in NOT_COMPARED
    }

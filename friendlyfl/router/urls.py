"""All addresses that Django answers: the records, a login page for the browsable API, and the admin site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from .api.house import Root
from .api.problems import handler400, handler403, handler404, handler500

API = settings.PREFIX.lstrip("/")

urlpatterns = [
    path("", RedirectView.as_view(url=settings.PREFIX)),
    path("admin/", admin.site.urls),
    path("account/", include("rest_framework.urls")),
    path(API, include("friendlyfl.router.api.urls")),
    path(API.rstrip("/"), Root.as_view()),
]

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

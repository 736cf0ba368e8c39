"""All addresses of the Routing Server that Django answers: the API's records and the admin site."""

from django.contrib import admin
from django.urls import include, path

from .settings import PREFIX

urlpatterns = [
    path("admin/", admin.site.urls),
    path(PREFIX.lstrip("/"), include("friendlyfl.router.api.urls")),
]

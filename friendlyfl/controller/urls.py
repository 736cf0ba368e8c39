"""Addresses of the portal."""

from django.urls import include, path

urlpatterns = [path("", include("friendlyfl.controller.portal.urls"))]

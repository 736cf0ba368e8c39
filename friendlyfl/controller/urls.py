"""Where the Controller's addresses lead: all of them to the portal."""

from django.urls import include, path

urlpatterns = [path("", include("friendlyfl.controller.portal.urls"))]

"""Addresses of the portal's pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from friendlyfl.controller.portal import views

app_name = "portal"
urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.LogIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="portal:login"), name="logout"),
    path("first/", views.first, name="first"),
]

"""Accounts on the portal, what each form of theirs led to, and the audit of what people did."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

ROLES = ("viewer", "researcher", "site-admin")


class Person(AbstractUser):
    """Somebody with an account on this site's portal."""

    role = models.CharField(max_length=16, default="viewer", choices=[(role, role) for role in ROLES])
    language = models.CharField(max_length=16, blank=True)  # "": as the browser asks for
    inbox_read_at = models.DateTimeField(null=True)  # notices up to then are read


class FormKey(models.Model):
    """One sending of a form on the portal, so that it counts once; see portal/page.py."""

    key = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    leads_to = models.CharField(max_length=500, blank=True)  # where its answer led; "" while it is being done
    at = models.DateTimeField(default=timezone.now)


class AuditLine(models.Model):
    """Who did what on this site, by which verb, with which outcome. Append-only."""

    at = models.DateTimeField(default=timezone.now)
    person = models.CharField(max_length=150)
    verb = models.CharField(max_length=40)
    object = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=200, default="done")

"""The admin site: users, sites, projects, runs; of messages sizes and states; the audit, read only.

An administrator can neither make a card nor post a message, start a run or read a payload: no form here does.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from .models import AuditEntry, Delivery, Message, Project, Run, Seat, Site, User
from .registry import audit, lease, sites
from .registry.actor import Actor, Kind

admin.site.site_header = "FriendlyFL Routing Server"
admin.site.site_title = "FriendlyFL Routing Server"
admin.site.index_title = "Records"


def _administrator(request: HttpRequest) -> Actor:
    assert isinstance(request.user, User)
    return Actor(Kind.ADMINISTRATOR, user=request.user)


class ReadOnly(admin.ModelAdmin):
    """Nothing is added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class People(UserAdmin):
    list_display = ("username", "name", "email", "is_staff", "is_active", "date_joined")
    search_fields = ("username", "name", "email")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )


@admin.register(Site)
class Sites(ReadOnly):
    list_display = ("name", "uid", "owner", "state", "connected", "last_seen", "version", "lease_holder")
    list_filter = ("state",)
    search_fields = ("name", "uid", "fingerprint")
    actions = ("revoke", "release_lease")
    exclude = ("noted_connected",)

    @admin.display(boolean=True)
    def connected(self, site: Site) -> bool:
        return site.connected

    @admin.display(description="lease")
    def lease_holder(self, site: Site) -> str:
        held = getattr(site, "lease", None)
        return f"{held.fence} ({held.instance or 'free'})" if held else "-"

    @admin.action(description="Revoke: refuse this site from its next request on")
    def revoke(self, request: HttpRequest, chosen: QuerySet) -> None:
        for site in chosen:
            sites.revoke(site)
            audit.did(_administrator(request), "site.revoked", f"site:{site.uid}")
        messages.success(request, "The chosen sites are revoked.")

    @admin.action(description="Release the lease: let another copy of the Controller take over")
    def release_lease(self, request: HttpRequest, chosen: QuerySet) -> None:
        for site in chosen:
            if lease.release(site):
                audit.did(_administrator(request), "lease.released", f"site:{site.uid}")
        messages.success(request, "The next Controller that asks will hold the lease.")


@admin.register(Project)
class Projects(ReadOnly):
    list_display = ("uid", "name", "coordinator", "state", "epoch", "created_at")
    list_filter = ("state",)
    search_fields = ("name", "uid")


class Seats(admin.TabularInline):
    model = Seat
    fields = ("site", "state", "step", "round", "updated_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class Runs(ReadOnly):
    list_display = ("project", "number", "state", "step", "round", "started_at", "ended_at", "reason")
    list_filter = ("state",)
    search_fields = ("uid", "project__uid")
    inlines = (Seats,)


class Deliveries(admin.TabularInline):
    model = Delivery
    fields = ("site", "position", "acked_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Message)
class Messages(ReadOnly):
    """Sizes and states; the sealed bytes are of no use to anybody here and are not shown."""

    list_display = ("type", "project", "sender", "run", "step", "round", "part", "blob_length", "posted_at")
    list_filter = ("type",)
    search_fields = ("digest", "run")
    exclude = ("envelope", "signature", "slot")
    inlines = (Deliveries,)


@admin.register(AuditEntry)
class Audit(ReadOnly):
    list_display = ("at", "actor", "action", "object", "project", "address", "outcome")
    list_filter = ("action", "outcome")
    search_fields = ("actor", "object", "project")

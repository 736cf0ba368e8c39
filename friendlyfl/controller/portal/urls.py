"""Addresses of the portal's pages: each room lists its own."""

from friendlyfl.controller.portal import entry, help, home, ledger, rehearsal, requests

app_name = "portal"
urlpatterns = [
    *entry.urlpatterns,
    *home.urlpatterns,
    *help.urlpatterns,
    *rehearsal.urlpatterns,
    *requests.urlpatterns,
    *ledger.urlpatterns,
]

"""Addresses of the portal's pages: each room lists its own."""

from friendlyfl.controller.portal import (
    data,
    dictionary,
    entry,
    help,
    home,
    language,
    ledger,
    mapping,
    people,
    projects,
    rehearsal,
    requests,
    results,
    runs,
    settings,
    setup,
    sites,
)

app_name = "portal"
urlpatterns = [
    *entry.urlpatterns,
    *home.urlpatterns,
    *help.urlpatterns,
    *rehearsal.urlpatterns,
    *requests.urlpatterns,
    *ledger.urlpatterns,
    *language.urlpatterns,
    *setup.urlpatterns,
    *settings.urlpatterns,
    *people.urlpatterns,
    *runs.urlpatterns,
    *data.urlpatterns,
    *dictionary.urlpatterns,
    *mapping.urlpatterns,
    *results.urlpatterns,
    *projects.urlpatterns,
    *sites.urlpatterns,
]

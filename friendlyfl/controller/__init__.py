"""The program on a site: it holds the keys, touches the data, does the adding, shows the portal.

`open_home(path)` prepares Django for one home in this process; import nothing of the controller before it.
`open(path)` does the same for a notebook, and returns the verbs of `actions`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.notebook import Site


def open_home(path: str | Path | None = None) -> None:
    """Use this home in this process: check its folder, set up Django, bring the database up to date.

    Raises BrokenError when the home is missing, or when its folder can be read by others; ConflictError when this
    process uses another home already.
    """
    from friendlyfl.controller.home import Home

    home = Home.locate(path)
    home.check()
    use_home(home)
    from django.core.management import call_command

    if unapplied():
        call_command("migrate", verbosity=0, interactive=False)


def use_home(home: "Home") -> None:
    """Set up Django for this home, and change nothing in it.

    Raises ConflictError `other_home`: Django knows one project a process.
    """
    import os

    from friendlyfl.core.errors import ConflictError

    os.environ["FRIENDLYFL_HOME"] = str(home.folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "friendlyfl.controller.settings"
    import django
    from django.conf import settings

    if home != settings.HOME:
        raise ConflictError(
            "other_home",
            f"This process uses the site in {settings.HOME.folder} already. Start another one for {home.folder}.",
        )
    django.setup()


def unapplied() -> list[str]:
    """The names of the migrations that this home's database still lacks."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def open(path: str | Path | None = None, *, person: str = "", role: str = "site-admin") -> "Site":
    """The site in this home, for a notebook: every verb of `actions`, in the name of a person.

    >>> site = friendlyfl.controller.open("~/friendlyfl/st-marys")  # doctest: +SKIP
    >>> site.start_run("Who sees a doctor")  # doctest: +SKIP

    Without `person` it is whoever is signed in on this machine. Raises what `open_home` raises.
    """
    import os

    # A notebook's cells run inside an event loop, where Django refuses to wait for its database unless it is told
    # that nothing else runs there.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    open_home(path)
    from friendlyfl.controller.actions import Actor
    from friendlyfl.controller.notebook import Site

    return Site(Actor.at_the_keyboard(person, role))

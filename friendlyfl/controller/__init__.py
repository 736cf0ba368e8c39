"""The program on a site: it holds the keys, touches the data, does the adding, shows the portal.

`open_home(path)` prepares Django for one home in this process; import nothing of the controller before it.
"""

from pathlib import Path


def open_home(path: str | Path | None = None) -> None:
    """Use this home in this process: check its folder, set up Django, bring the database up to date.

    Raises BrokenError when the home is missing, or when its folder can be read by others.
    """
    import os

    from friendlyfl.controller.home import Home

    home = Home.locate(path)
    home.check()
    os.environ["FRIENDLYFL_HOME"] = str(home.folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "friendlyfl.controller.settings"
    import django
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    django.setup()
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)

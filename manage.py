#!/usr/bin/env python3
"""The Routing Server's commands: migrate, createsuperuser, runserver, runjob NAME."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "friendlyfl.router.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

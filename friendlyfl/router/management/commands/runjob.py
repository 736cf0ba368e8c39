"""`manage.py runjob NAME`: run one of the house's regular jobs now. `--help` lists them."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from friendlyfl.router import jobs


class Command(BaseCommand):
    help = "Run one regular job now. The server's own clock runs them all by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        lines = [f"  {name:20} {job.about} (every {job.every} s)" for name, job in jobs.JOBS.items()]
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = "Jobs:\n" + "\n".join(lines)
        parser.add_argument("name", choices=sorted(jobs.JOBS), metavar="NAME", help="one of the jobs below")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        self.stdout.write(f"{name}: {jobs.run(name)}")

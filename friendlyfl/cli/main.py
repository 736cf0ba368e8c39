"""`friendlyfl`: the group of all commands, and the one place where a failure becomes a sentence and an exit code.

A command's own work lives in its module, read only when it is asked for, so that `friendlyfl --help` is quick.
"""

import errno
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from friendlyfl.cli.opening import Group, tell
from friendlyfl.core.errors import BrokenError, FriendlyError, UnreachableError, WireError

COMMANDS = {
    "demo": ("friendlyfl.cli.demo", "demo", "See a whole study on this machine, with real data."),
    "rehearsal": ("friendlyfl.cli.rehearsal", "rehearsal", "Practise with three pretend hospitals."),
    "doctor": ("friendlyfl.cli.doctor", "doctor", "Say what is wrong here, and who can repair it."),
    "router": ("friendlyfl.cli.router", "router", "Run a Routing Server, which forwards sealed post."),
    "controller": ("friendlyfl.cli.controller", "controller", "Make this hospital's site and run it."),
    "site": ("friendlyfl.cli.site", "site", "This hospital: its connection, rules and people."),
    "dataset": ("friendlyfl.cli.dataset", "dataset", "Tables that stay in this hospital."),
    "project": ("friendlyfl.cli.project", "project", "Start a question, invite hospitals, join."),
    "plan": ("friendlyfl.cli.plan", "plan", "Draft, propose, read and approve a plan."),
    "run": ("friendlyfl.cli.run", "run", "Start, watch and stop runs; read results and logs."),
    "ledger": ("friendlyfl.cli.ledger", "ledger", "Everything that ever left this hospital."),
    "tasks": ("friendlyfl.cli.tasks", "tasks", "The kinds of analysis that are installed here."),
    "simulate": ("friendlyfl.cli.simulate", "simulate", "Try an analysis on files, in one process."),
    "new-task": ("friendlyfl.cli.new_task", "new_task", "Begin a package with a task of your own."),
}
EXIT_CODES = """\b
Exit codes:
  0  done
  1  it could not be done, a run did not succeed, or a check found something
  2  wrong arguments or wrong data
  3  refused by a hospital's rule
  4  the data hold no finite answer"""
# Their codes help whoever is called for help; of the others the sentence says it all.
_CODE_SHOWN = (BrokenError, UnreachableError, WireError)


class Said(click.ClickException):
    """A failure as the person reads it: the sentence alone, on stderr."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        tell(self.message, err=True)


class Commands(Group):
    """Commands by name, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, _, words) in COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with failures_in_words():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with failures_in_words():
            return super().invoke(ctx)


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Turn whatever went wrong into one sentence; only a mistake of ours before a site is open keeps its traceback."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, Said):
        raise
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group alone: the help is the answer
            raise
        raise Said(_usage(error), error.exit_code) from error
    except click.ClickException as error:
        raise Said(error.format_message(), error.exit_code) from error
    except FriendlyError as error:
        code = f" ({error.code})" if isinstance(error, _CODE_SHOWN) else ""
        typed = f" Type: {error.command}" if error.command else ""
        raise Said(error.message + typed + code, error.exit_code) from error
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # the reader, such as `head`, has had enough
        raise Said(_of_the_disk(error), 1) from error
    except Exception as error:
        _unforeseen(error)


def _usage(error: click.UsageError) -> str:
    words = error.format_message()
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        hint = error.param_hint or (error.param.get_error_hint(error.ctx) if error.param else "")
        words = f"{hint}: {error.message}" if hint else error.message
    see = f" See: {error.ctx.command_path} --help" if error.ctx else ""
    return words + see


def _of_the_disk(error: OSError) -> str:
    why = (error.strerror or str(error)).lower()
    if not error.filename:
        return f"It could not be done: {why}."
    return f"{error.filename} cannot be used: {why}."


def _unforeseen(error: Exception) -> None:
    """A mistake of FriendlyFL's own: its traceback goes to the site's log, if a site is open, and may name data."""
    if type(error).__module__ == "django.db.utils":
        words = f"The database of this site cannot be used: {str(error).rstrip('.')}. Ask: friendlyfl doctor"
        raise Said(words, 1) from error
    settings = sys.modules.get("friendlyfl.controller.settings")
    if settings is None:
        raise error
    logging.getLogger("friendlyfl.cli").exception("a command broke")
    raise Said(
        f"FriendlyFL made a mistake ({type(error).__name__}). The details are in {settings.HOME.sub('logs')}; "
        "they may name data, so read them before you pass them on.",
        1,
    ) from error


@click.command(
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 80},
)
@click.version_option(package_name="friendlyfl", message="FriendlyFL %(version)s")
def friendlyfl() -> None:
    """Hospitals learn from their data together; the data never leaves any of them.

    Begin with `friendlyfl demo`, or with docs/quick-start.md. Every command explains itself with --help.
    """


def main() -> None:
    """The program `friendlyfl`."""
    friendlyfl()

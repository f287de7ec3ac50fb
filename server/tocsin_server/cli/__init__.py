"""The command line: ``tocsin``.

Each command lives in a module of its own with a click command named ``command``; the module is imported when its
command is called, so that ``tocsin --help`` stays quick.
"""

import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import click

from tocsin_server.cli.interrupt import interrupt
from tocsin_server.errors import ExitCode, UserError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "server": ("server", "Start the server."),
        "demo": ("demo", "Watch a failing flow become an alert."),
        "init": ("init", "Write a starter project."),
        "plan": ("plan", "Show what apply would change."),
        "apply": ("apply", "Apply deployments, automations and notifiers from files."),
        "rollback": ("rollback", "Return to an earlier revision of what was applied."),
        "test": ("test", "Run the tests of rules, in virtual time."),
        "backtest": ("backtest", "Show what rules would have done over the stored events."),
        "import": ("import_", "Turn what was written for other services into Tocsin's files."),
        "schema": ("schema", "Print the JSON schema of the files, for editors."),
        "why": ("why", "Explain why an automation fired, or did not."),
        "run": ("run", "Start a run of a deployment."),
        "runs": ("runs", "Runs: list, show, read logs."),
        "deployments": ("deployments", "Deployments: list, show, pause, resume."),
        "automations": ("automations", "Automations: list, show, pause, resume."),
        "alerts": ("alerts", "Alerts: list, show, acknowledge, resolve."),
        "silences": ("silences", "Silences: list, create, end."),
        "inbox": ("inbox", "Messages in the built-in inbox."),
        "notifiers": ("notifiers", "Notifiers: list, test."),
        "events": ("events", "Events: emit, list, show, tail, types."),
        "secrets": ("secrets", "Secrets: set, list, remove."),
        "keys": ("keys", "API keys: create, list, revoke."),
        "dead-letters": ("dead_letters", "What could not be processed: list, show, replay, drop."),
        "worker": ("worker", "Start a worker that executes runs."),
        "config": ("config", "Show the settings."),
        "completion": ("completion", "Print the script of shell completion."),
        "version": ("version", "Print the version."),
    }
)
"""Every command: the module that holds it, and its summary."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tocsin_server.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _with_nearest(error, args[0]) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url", envvar="TOCSIN_API_URL", help="The server's address; found by its state file by default."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def tocsin(ctx: click.Context, url: str | None, debug: bool) -> None:
    """Event-driven automation and notification for data workflows."""
    ctx.obj = {"url": url, "debug": debug}


def main() -> None:
    """Run the command line, and end with its exit code."""
    debug = "--debug" in sys.argv
    signal.signal(signal.SIGINT, interrupt)
    try:
        # Without its standalone mode, click returns what `ctx.exit` was given.
        ended = tocsin.main(prog_name="tocsin", standalone_mode=False)
        code = ended if isinstance(ended, int) else ExitCode.OK
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = ExitCode.OK
    except UserError as error:
        if debug:
            raise
        _show(error)
        code = error.code
    except Exception as error:
        if debug:
            raise
        _show(
            UserError(
                "Tocsin made a mistake.",
                f"{type(error).__name__}: {error}",
                "Run it again with --debug to see where, and please report it.",
            )
        )
        code = ExitCode.FAILED
    sys.exit(code)


def _show(error: UserError) -> None:
    click.secho(f"Error: {error.what}", fg="red", err=True)
    for line in (error.why, error.fix):
        if line:
            click.echo(f"  {line}", err=True)


def _with_nearest(error: click.UsageError, name: str) -> click.UsageError:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    if near:
        return click.UsageError(f"There is no command {name!r}. Did you mean {near[0]!r}?", error.ctx)
    return error


def settings_of(ctx: click.Context) -> dict[str, Any]:
    """Return the options that stand before the command."""
    found = ctx.find_root().obj
    assert isinstance(found, dict)
    return found

"""``tocsin automations``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list, show_one


@click.group(name="automations")
def command() -> None:
    """Look at automations, and pause them."""


@command.command()
@output_option
@click.pass_context
def ls(ctx: click.Context, output: str) -> None:
    """List the automations."""
    show_list(
        api_of(ctx).get("/automations")["items"],
        output,
        [
            ("NAME", "name"),
            ("PAUSED", "paused"),
            ("FIRINGS", "firings"),
            ("LAST FIRED", lambda row: local_time(row["last_fired"])),
            ("ERRORS", lambda row: row["decisions"].get("condition_error", 0)),
            ("DESCRIPTION", "description"),
        ],
        empty="No automation has been applied: `tocsin apply PATH`.",
    )


@command.command()
@click.argument("name", shell_complete=completing("/automations", about="description"))
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, output: str) -> None:
    """Show one automation: definition, state, decisions."""
    show_one(api_of(ctx).get("/automations/{}", name), output)


@command.command()
@click.argument("name", shell_complete=completing("/automations", about="description"))
@click.option("--limit", default=20, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def firings(ctx: click.Context, name: str, limit: int, output: str) -> None:
    """List the firings of one automation, the newest first."""
    columns: list[Column] = [
        ("AT", lambda row: local_time(row["at"])),
        ("STATE", "state"),
        ("KEY", "key"),
        ("COUNT", "count"),
        ("REASON", "reason"),
        ("ID", "id"),
    ]
    found = api_of(ctx).pages("/firings", limit=limit, automation=name)
    show_list(found, output, columns, name="id", empty="It has not fired.")


@command.command()
@click.argument("name", shell_complete=completing("/automations", about="description"))
@click.pass_context
def pause(ctx: click.Context, name: str) -> None:
    """Stop an automation from firing; its open alerts are withdrawn."""
    done = api_of(ctx).post("/automations/{}/pause", name)
    click.echo(
        f"Paused {name}." if not done["pending"] else f"{name} pauses once the engine comes to it.", err=True
    )


@command.command()
@click.argument("name", shell_complete=completing("/automations", about="description"))
@click.pass_context
def resume(ctx: click.Context, name: str) -> None:
    """Let an automation fire again."""
    done = api_of(ctx).post("/automations/{}/resume", name)
    click.echo(
        f"Resumed {name}." if not done["pending"] else f"{name} resumes once the engine comes to it.",
        err=True,
    )

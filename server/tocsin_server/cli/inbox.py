"""``tocsin inbox``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list, show_one


@click.group(name="inbox")
def command() -> None:
    """Read the built-in inbox."""


@command.command()
@click.option("--unread", is_flag=True, help="Only what was not read yet.")
@click.option("--limit", default=50, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(ctx: click.Context, unread: bool, limit: int, output: str) -> None:
    """List messages, the newest first."""
    columns: list[Column] = [
        ("AT", lambda row: local_time(row["at"])),
        ("STATUS", "status"),
        ("SEVERITY", "severity"),
        ("TITLE", "title"),
        ("NUMBER", "number"),
    ]
    found = api_of(ctx).pages("/inbox", limit=limit, unread=unread or None)
    show_list(found, output, columns, name="number", empty="The inbox is empty.")


@command.command()
@click.argument("number", type=int, shell_complete=completing("/inbox", "number", "title"))
@output_option
@click.pass_context
def show(ctx: click.Context, number: int, output: str) -> None:
    """Print a message, which counts as read from then on."""
    api = api_of(ctx)
    message = api.get("/inbox/{}", str(number))
    if output == "table":
        from tocsin_notifiers.console import payload
        from tocsin_notifiers.message import Message

        click.echo(payload(Message.model_validate(message["message"])))
    else:
        show_one(message, output, name="number")
    if not message["read"]:
        api.post("/inbox/{}/read", str(number))

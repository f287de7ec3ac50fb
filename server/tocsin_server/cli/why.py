"""``tocsin why``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import output_option, printable, show_one


@click.command(name="why")
@click.argument("name", shell_complete=completing("/automations", about="description"))
@click.option("--event", required=True, metavar="ID", help="The event that it did or did not fire at.")
@click.option("--source", help="Needed where several sources used the same id.")
@output_option
@click.pass_context
def command(ctx: click.Context, name: str, event: str, source: str | None, output: str) -> None:
    """Explain what automation NAME made of an event: each part of its trigger with its value."""
    answer = api_of(ctx).get("/automations/{}/why", name, event=event, source=source)
    if output != "table":
        show_one(answer, output, name="automation")
        return
    if answer["note"]:
        click.echo(answer["note"], err=True)
    for line in answer["lines"]:
        click.echo(printable(line))

"""``tocsin notifiers``."""

from collections.abc import Mapping
from typing import Any

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, output_option, printable, show_list
from tocsin_server.cli.tellings import last_word, what_became_of
from tocsin_server.errors import UserError


@click.group(name="notifiers")
def command() -> None:
    """Look at notifiers, and try them."""


@command.command()
@output_option
@click.pass_context
def ls(ctx: click.Context, output: str) -> None:
    """List the notifiers, and what is wrong: one can't work, or a target is gone."""
    columns: list[Column] = [("NAME", "name"), ("KIND", "kind"), ("PROBLEM", "problem")]
    show_list(api_of(ctx).get("/notifiers")["items"], output, columns)


@command.command()
@click.argument("name", shell_complete=completing("/notifiers"))
@output_option
@click.pass_context
def test(ctx: click.Context, name: str, output: str) -> None:
    """Send a sample through the whole pipeline, and show each target's result, or what holds it back."""
    done = api_of(ctx).post("/notifiers/{}/test", name)
    columns: list[Column] = [
        ("NOTIFIER", "notifier"),
        ("TARGET", "target"),
        ("STATUS", "status"),
        ("LAST WORD", _last_word),
    ]
    kept_back = [one for one in done["ways"] if one["state"] != "passed"]
    rows = [*done["deliveries"], *({**one, "target": "", "status": one["state"]} for one in kept_back)]
    show_list(rows, output, columns, name="target", empty="It leads to nobody.")
    failed = any(one["status"] != "delivered" for one in done["deliveries"])
    if failed or kept_back or not rows:
        advice = "`tocsin dead-letters ls` and the server's log say more." if failed else ""
        raise UserError("Not every target got the sample.", "", advice)


@command.command()
@click.argument("name", shell_complete=completing("/notifiers"))
@click.option("--event", required=True, metavar="ID", help="The event that a rule would notify of.")
@click.option("--source", help="The event's source, where several gave the id.")
@output_option
@click.pass_context
def preview(ctx: click.Context, name: str, event: str, source: str | None, output: str) -> None:
    """Show the messages that an event would become, without sending any.

    The table's form is plain text; with --output json, `payload` is what the service would get.
    """
    found = api_of(ctx).post("/notifiers/{}/preview", name, json={"event": event, "source": source})
    if output != "table":
        show_list(found["messages"], output, [], name="target")
        return
    for one in found["messages"]:
        click.echo(
            click.style(printable(f"{' > '.join(one['path'])} ({one['kind']}): {one['target']}"), bold=True)
        )
        for line in one["text"].split("\n"):
            click.echo(f"  {printable(line)}")
        if one["message"]["image"]:
            click.echo(click.style(printable(f"  {_picture(one)}"), dim=True))
    if not found["messages"]:
        click.echo("It leads to nobody at once.", err=True)


def _picture(row: Mapping[str, Any]) -> str:
    """Return what the picture shows, and how it gets there."""
    image, payload = row["message"]["image"], row["payload"]
    attached = payload.get("attached") if isinstance(payload, dict) else None
    if attached:
        way = ", ".join(f"attached as {one['name']}, {one['bytes']} bytes" for one in attached)
    else:
        way = image["url"] or "in the message where the service can show it, else in these words"
    return f"[Picture: {image['alt']} ({way})]"


def _last_word(row: Mapping[str, Any]) -> str:
    """Return what the last attempt came to, or why there is none."""
    return what_became_of(row) if "state" in row else last_word(row)

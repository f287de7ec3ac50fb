"""``tocsin alerts``."""

from collections.abc import Mapping
from typing import Any

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, printable, show_list, show_one
from tocsin_server.cli.tellings import last_word, what_became_of, what_it_says, when


@click.group(name="alerts")
def command() -> None:
    """Look at alerts, acknowledge and end them."""


@command.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["open", "acknowledged", "resolved", "withdrawn"]),
    help="Only those in a state; may be repeated.",
)
@click.option("--automation", help="Only alerts of this automation.")
@click.option("--limit", default=50, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(ctx: click.Context, states: tuple[str, ...], automation: str | None, limit: int, output: str) -> None:
    """List alerts, the last changed first."""
    columns: list[Column] = [
        ("STATE", "state"),
        ("SEVERITY", "severity"),
        ("AUTOMATION", "automation"),
        ("KEY", "key"),
        ("TITLE", "title"),
        ("COUNT", "count"),
        ("OPENED", lambda row: local_time(row["opened"])),
        ("ACKNOWLEDGED BY", "acknowledged_by"),
        ("ID", "id"),
    ]
    found = api_of(ctx).pages("/alerts", limit=limit, state=list(states) or None, automation=automation)
    show_list(found, output, columns, name="id", empty="No alert.")


@command.command()
@click.argument("id", metavar="ID", shell_complete=completing("/alerts", "id", "title"))
@output_option
@click.pass_context
def show(ctx: click.Context, id: str, output: str) -> None:  # noqa: A002 - the argument's name
    """Show an alert: history, who was told or not and why, each delivery.

    With --output json or yaml: every attempt, and the firing with its events, too.
    """
    alert = api_of(ctx).get("/alerts/{}", id)
    if output != "table":
        show_one(alert, output, name="id")
        return
    over = alert["ended"] is not None
    _headed(alert)
    _heading("History")
    show_list(alert["history"], output, [
        ("AT", lambda row: local_time(row["at"])), ("STEP", "step"), ("BY", "by"), ("WHAT", "detail"),
    ])  # fmt: skip
    _heading("Who was told, and who was not")
    show_list(alert["ways"], output, [
        ("AT", when), ("NOTIFIER", "notifier"), ("MESSAGE", what_it_says),
        ("WHAT BECAME OF IT", lambda row: what_became_of(row, alert["deliveries"], over=over)),
    ], empty="Nobody was asked to tell of it.")  # fmt: skip
    _heading("Deliveries")
    show_list(alert["deliveries"], output, [
        ("AT", lambda row: local_time(row["created"])), ("NOTIFIER", "notifier"), ("TARGET", "target"),
        ("MESSAGE", "message_status"), ("STATUS", "status"), ("LAST WORD", last_word),
    ], empty="None.")  # fmt: skip
    if any(one["status"] == "failed" for one in alert["deliveries"]):
        click.echo("\nMend what failed, then `tocsin dead-letters ls` and `replay`.", err=True)


@command.command()
@click.argument(
    "ids", metavar="ID…", nargs=-1, required=True, shell_complete=completing("/alerts", "id", "title")
)
@click.pass_context
def ack(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Acknowledge alerts: reminders and escalation stop."""
    api = api_of(ctx)
    for one in ids:
        alert = api.post("/alerts/{}/ack", one)
        click.echo(printable(f"{alert['title']}: acknowledged by {alert['acknowledged_by']}."), err=True)


@command.command()
@click.argument(
    "ids", metavar="ID…", nargs=-1, required=True, shell_complete=completing("/alerts", "id", "title")
)
@click.option("--reason", default="", help="Why; those who were told will read it.")
@click.pass_context
def resolve(ctx: click.Context, ids: tuple[str, ...], reason: str) -> None:
    """End alerts by hand."""
    api = api_of(ctx)
    for one in ids:
        alert = api.post("/alerts/{}/resolve", one, json={"reason": reason})
        click.echo(printable(f"{alert['title']}: resolved."), err=True)


def _headed(alert: Mapping[str, Any]) -> None:
    """Print what an alert is, as a few lines."""
    click.echo(click.style(printable(alert["title"]), bold=True))
    about = [alert["state"], alert["severity"], alert["automation"], *map(str, alert["key"])]
    click.echo(printable(" · ".join(about)))
    times = f"{alert['count']} times" if alert["count"] > 1 else "once"
    click.echo(f"opened {local_time(alert['opened'])}, fired {times}")
    if alert["acknowledged_by"]:
        said = f"acknowledged by {alert['acknowledged_by']} at {local_time(alert['acknowledged_at'])}"
        click.echo(printable(said))
    if alert["ended"]:
        because = f": {alert['reason']}" if alert["reason"] else ""
        click.echo(printable(f"{alert['state']} {local_time(alert['ended'])}{because}"))
    for label, value in alert["labels"].items():
        click.echo(printable(f"{label}: {value}"))
    click.echo(alert["id"])


def _heading(text: str) -> None:
    click.echo()
    click.echo(click.style(text, bold=True))

"""``tocsin server start``."""

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin_server.cli.output import Column, output_option, show_list, show_one

if TYPE_CHECKING:
    from tocsin_server.serve import Ready


@click.group(name="server")
def command() -> None:
    """Run the service."""


@command.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 4200]")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of data, key and state."
)
@click.option("--services", help="What this process runs, commas between.  [default: all]")
@click.option(
    "--durability", type=click.Choice(["durable", "relaxed"]), help="When the own bus syncs to disk."
)
@click.option(
    "--accept-gap",
    is_flag=True,
    help="Go on although the bus has lost messages that were not read yet; those are lost.",
)
@click.option("--config", "file", type=click.Path(path_type=Path), help="The settings file.")
@click.option(
    "--output", "-o", type=click.Choice(["text", "json"]), default="text", help="How to say that it is ready."
)
def start(output: str, file: Path | None, accept_gap: bool, **flags: Any) -> None:
    """Start the server in the foreground; it ends with 0 on SIGTERM or Ctrl-C."""
    import uvloop

    from tocsin_server.log import set_up_logging
    from tocsin_server.serve import serve
    from tocsin_server.settings import load_settings

    services = flags.pop("services")
    loaded = load_settings(
        {
            "server.services": tuple(services.split(",")) if services else None,
            "nats.durability": flags.pop("durability"),
            **{f"server.{name}": value for name, value in flags.items()},
        },
        os.environ,
        file=file,
    )
    set_up_logging(loaded.settings.log.level, loaded.settings.log.format)

    def ready(told: "Ready") -> None:
        click.echo(_json_line(told) if output == "json" else _text(told, loaded.settings.key_file))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(loaded, ready, accept_gap=accept_gap))


@command.command()
@output_option
@click.pass_context
def status(ctx: click.Context, output: str) -> None:
    """Show how the server's services are, and how much waits for whom."""
    from tocsin_server.cli.client import api_of

    found = api_of(ctx).get("/status")
    if output != "table":
        show_one(found, output, name="version")
        return
    click.echo(f"Tocsin {found['version']}, revision {found['revision']}", err=True)
    services: list[Column] = [
        ("SERVICE", "name"),
        ("STATE", "state"),
        ("RESTARTS", "restarts"),
        ("PROBLEM", "problem"),
    ]
    show_list(found["services"], output, services)
    waiting = [{"consumer": name, "messages": count} for name, count in sorted(found["pending"].items())]
    pending: list[Column] = [("CONSUMER", "consumer"), ("WAITING", "messages")]
    show_list(waiting, output, pending, empty="Nothing waits.")


def _json_line(told: "Ready") -> str:
    return json.dumps({"ready": True, "url": told.url, "nats": told.nats, "pid": told.pid})


def _text(told: "Ready", key_file: Path) -> str:
    return f"Tocsin is ready at {told.url} (bus {told.nats}, key in {key_file}). Ctrl-C stops it."

"""``tocsin deployments``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import output_option, show_list, show_one


@click.group(name="deployments")
def command() -> None:
    """Look at deployments, and pause them."""


@command.command()
@output_option
@click.pass_context
def ls(ctx: click.Context, output: str) -> None:
    """List the deployments."""
    show_list(
        api_of(ctx).get("/deployments")["items"],
        output,
        [
            ("NAME", "name"),
            ("FLOW", "flow"),
            ("PAUSED", "paused"),
            ("POOL", lambda row: f"{row['work_pool']}/{row['work_queue']}"),
            ("TAGS", "tags"),
            ("LABELS", "labels"),
        ],
        empty="No deployment has been applied: `tocsin apply PATH`.",
    )


@command.command()
@click.argument("name", shell_complete=completing("/deployments"))
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, output: str) -> None:
    """Show one deployment, with the parameters that its flow takes."""
    show_one(api_of(ctx).get("/deployments/{}", name), output)


@command.command()
@click.argument("name", shell_complete=completing("/deployments"))
@click.pass_context
def pause(ctx: click.Context, name: str) -> None:
    """Keep a deployment's runs from starting; those that run go on."""
    done = api_of(ctx).post("/deployments/{}/pause", name)
    click.echo(f"Paused {name}." if done["changed"] else f"{name} was paused already.", err=True)


@command.command()
@click.argument("name", shell_complete=completing("/deployments"))
@click.pass_context
def resume(ctx: click.Context, name: str) -> None:
    """Let a deployment's runs start again."""
    done = api_of(ctx).post("/deployments/{}/resume", name)
    click.echo(f"Resumed {name}." if done["changed"] else f"{name} was not paused.", err=True)

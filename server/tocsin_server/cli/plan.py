"""``tocsin plan``."""

from pathlib import Path

import click

from tocsin_server.cli.apply import send_files, show_changes, show_done
from tocsin_server.cli.client import api_of
from tocsin_server.cli.output import output_option


@click.command(name="plan")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Delete what the files' sections no longer define.")
@output_option
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], prune: bool, output: str) -> None:
    """Show what apply would change; nothing is changed."""
    plan = send_files(api_of(ctx), "/config/plan", paths, prune=prune)
    if output == "table":
        show_changes(plan)
        if not plan["changes"]:
            click.echo("Nothing to change.")
    else:
        show_done(plan, output)

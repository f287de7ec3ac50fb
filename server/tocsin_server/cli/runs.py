"""``tocsin runs``."""

import sys

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list, show_one


@click.group(name="runs")
def command() -> None:
    """Look at runs, read their logs, end them."""


@command.command()
@click.option("--deployment", help="Only those of a deployment.")
@click.option("--flow", help="Only those of a flow.")
@click.option("--state", multiple=True, help="Only those in a state; may be repeated.")
@click.option("--limit", default=20, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(
    ctx: click.Context,
    deployment: str | None,
    flow: str | None,
    state: tuple[str, ...],
    limit: int,
    output: str,
) -> None:
    """List runs, the newest first."""
    columns: list[Column] = [
        ("CREATED", lambda row: local_time(row["created"])),
        ("NAME", "name"),
        ("FLOW", "flow"),
        ("DEPLOYMENT", "deployment"),
        ("STATE", "state"),
        ("MESSAGE", lambda row: row["state_message"][:80]),
        ("ID", "id"),
    ]
    found = api_of(ctx).pages("/runs", limit=limit, deployment=deployment, flow=flow, state=state)
    show_list(found, output, columns, name="id", empty="No run yet: `tocsin run DEPLOYMENT`.")


@command.command()
@click.argument("run", shell_complete=completing("/runs", "id", "name"))
@output_option
@click.pass_context
def show(ctx: click.Context, run: str, output: str) -> None:
    """Show one run by its id."""
    show_one(api_of(ctx).get("/runs/{}", run), output, name="id")


@command.command()
@click.argument("run", shell_complete=completing("/runs", "id", "name"))
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended, and end as it did.")
@click.pass_context
def logs(ctx: click.Context, run: str, follow: bool) -> None:
    """Print the log of a run."""
    from tocsin_server.cli.watching import exit_code_of, print_lines, told_end, watch

    api = api_of(ctx)
    if not follow:
        print_lines(api, run, 0, on_stderr=False)
        return
    ended = watch(api, run, seconds=None, on_stderr=False)
    assert ended is not None
    click.echo(f"{told_end(ended)}.", err=True)
    sys.exit(exit_code_of(ended))


@command.command()
@click.argument("run", shell_complete=completing("/runs", "id", "name"))
@click.pass_context
def cancel(ctx: click.Context, run: str) -> None:
    """End a run: one that waits never starts, one that is executed is terminated."""
    done = api_of(ctx).post("/runs/{}/cancel", run)
    click.echo(f"Run {done['name']} is {done['state']}.", err=True)

"""``tocsin backtest``."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tocsin_server.cli.apply import files_of, refusal_of
from tocsin_server.cli.client import Api, api_of
from tocsin_server.cli.output import local_time, output_option, printable, show_list

_BARS = " ▁▂▃▄▅▆▇█"


@click.command(name="backtest")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--since", required=True, metavar="T", help="A duration before now (7d) or an RFC 3339 time.")
@click.option("--until", metavar="T", help="Likewise; now by default.")
@click.option("--name", "names", multiple=True, help="Only this automation; may be given several times.")
@output_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    since: str,
    until: str | None,
    names: tuple[str, ...],
    output: str,
) -> None:
    """Show what the automations of files would have done over the stored events. Nothing acts."""
    wanted = {"files": files_of(paths), "since": since, "until": until, "names": names}
    report = asyncio.run(_run(api_of(ctx), wanted))
    tested = report["automations"]
    if output != "table":
        show_list(tested, output, [])
        return
    show_list(
        tested,
        output,
        [
            ("AUTOMATION", "name"),
            ("FIRED", "fired"),
            ("RESOLVED", "resolved"),
            ("KEYS", "keys"),
            ("MESSAGES", "notifications"),
            ("AS IN LIFE", "really.same"),
            ("NEW", "really.new"),
            ("GONE", "really.gone"),
            ("OVER TIME", _bars),
        ],
        empty="The files define no automations.",
    )
    for one in tested:
        _differences(one)


async def _run(api: Api, wanted: Mapping[str, Any]) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from tocsin.client import ApiError

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    report: dict[str, Any] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=1.0)
        try:
            async with api.streaming() as client, client.lines("/backtests", json=wanted) as lines:
                async for line in lines:
                    report = json.loads(line)
                    if "share" in report:
                        progress.update(
                            task, completed=report["share"], description=f"{report['events']:,} events"
                        )
        except ApiError as problem:
            raise refusal_of(problem) from problem
    return report


def _bars(one: Mapping[str, Any]) -> str:
    counts = [point["fired"] for point in one["timeline"]]
    most = max(counts, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts[-24:]) if most else ""


def _differences(one: Mapping[str, Any]) -> None:
    for sign, named in (("+", "first_new"), ("-", "first_gone")):
        for firing in one["really"][named]:
            key = ", ".join(str(part) for part in firing["key"])
            click.echo(
                printable(
                    f"{sign} {local_time(firing['at'])}  {one['name']}  {firing['state']}  {key}"
                ).rstrip()
            )

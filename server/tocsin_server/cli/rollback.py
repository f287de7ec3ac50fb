"""``tocsin rollback``."""

import click

from tocsin_server.cli.apply import show_changes
from tocsin_server.cli.client import api_of
from tocsin_server.cli.output import Column, local_time, output_option, show_list


@click.command(name="rollback")
@click.argument("revision", type=int, required=False)
@output_option
@click.pass_context
def command(ctx: click.Context, revision: int | None, output: str) -> None:
    """Return to REVISION; without one, list the revisions."""
    api = api_of(ctx)
    if revision is None:
        columns: list[Column] = [
            ("REVISION", "revision"),
            ("APPLIED", lambda row: local_time(row["created"])),
            ("BY", "author"),
            ("HOW", "note"),
        ]
        show_list(api.get("/config/revisions")["items"], output, columns, name="revision")
        return
    done = api.post("/config/rollback", json={"revision": revision})
    show_changes(done)
    click.echo(
        f"Revision {done['revision']} is in force, with the content of {revision}."
        if done["changes"]
        else "Nothing to change."
    )

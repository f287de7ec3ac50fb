"""``tocsin run``."""

import json
import sys
from typing import Any

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import output_option, show_one
from tocsin_server.errors import ExitCode, UserError


@click.command(name="run")
@click.argument("name", shell_complete=completing("/deployments"))
@click.option(
    "--param", "-p", "params", multiple=True, metavar="KEY=VALUE", help="A parameter; may be repeated."
)
@click.option("--params", "json_params", metavar="JSON", help="Parameters as a JSON object.")
@click.option("--tag", "tags", multiple=True, help="A tag of the run; may be repeated.")
@click.option("--delay", metavar="DURATION", help="Start it later: 30s, 10m.")
@click.option("--idempotency-key", help="Two starts with the same key are one run.")
@click.option("--watch", is_flag=True, help="Print the log until the run has ended, and end as it did.")
@click.option("--timeout", type=float, metavar="SECONDS", help="With --watch: wait no longer; ends with 7.")
@output_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    params: tuple[str, ...],
    json_params: str | None,
    tags: tuple[str, ...],
    delay: str | None,
    idempotency_key: str | None,
    watch: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Start a run of the deployment NAME.

    Ends with 0 when the run was started (with --watch: completed), 1 when it failed, 3 where there is no such
    deployment, 4 when the parameters don't fit, 7 when --timeout passed.
    """
    from tocsin_server.cli.watching import exit_code_of, told_end
    from tocsin_server.cli.watching import watch as watch_run

    api = api_of(ctx)
    wanted = {"parameters": _parameters(params, json_params), "tags": list(tags)}
    wanted |= {
        key: value
        for key, value in (("delay", delay), ("idempotency_key", idempotency_key))
        if value is not None
    }
    run = api.post("/deployments/{}/runs", name, json=wanted)
    click.echo(f"Run {run['name']} ({run['id']}) is {run['state']}.", err=True)
    if not watch:
        show_one(run, output) if output != "table" else click.echo(run["id"])
        return
    ended = watch_run(api, run["id"], seconds=timeout, on_stderr=output != "table")
    if ended is None:
        raise UserError(
            f"Run {run['name']} has not ended after {timeout:g} s.",
            "It goes on.",
            f"Watch it with `tocsin runs logs {run['id']} --follow`, or end it with `tocsin runs cancel {run['id']}`.",
            code=ExitCode.TIMED_OUT,
        )
    if output != "table":
        show_one(ended, output)
    click.echo(f"{told_end(ended)}.", err=True)
    sys.exit(exit_code_of(ended))


def _parameters(params: tuple[str, ...], json_params: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if json_params is not None:
        try:
            found = json.loads(json_params)
        except ValueError as problem:
            raise _bad("--params is not JSON.", str(problem)) from None
        if not isinstance(found, dict):
            raise _bad("--params is not a JSON object.", f"It is {json_params[:80]!r}.")
    for param in params:
        key, equals, value = param.partition("=")
        if not (key and equals):
            raise _bad(f"--param {param!r} has no value.", "A parameter is written KEY=VALUE.")
        found[key] = value
    return found


def _bad(what: str, why: str) -> UserError:
    return UserError(
        what,
        why,
        "For example: --param url=https://example.com --param limit=10",
        code=ExitCode.INVALID_INPUT,
    )

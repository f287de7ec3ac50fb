"""``tocsin secrets``."""

import sys
from typing import IO

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list
from tocsin_server.errors import ExitCode, UserError


@click.group(name="secrets")
def command() -> None:
    """Keep secrets, encrypted."""


@command.command(name="set")
@click.argument("name")
@click.option("--file", type=click.File("r"), help="Read the value from a file; - is stdin.")
@click.pass_context
def set_(ctx: click.Context, name: str, file: IO[str] | None) -> None:
    """Keep a secret; its value comes from a prompt or stdin, never from the command line."""
    if file is not None:
        value = file.read()
    elif sys.stdin.isatty():
        value = click.prompt("Value", hide_input=True, err=True)
    else:
        value = sys.stdin.read()
    value = value.removesuffix("\n")
    if not value:
        raise UserError(
            "The value is empty.",
            "Nothing came from the prompt, stdin or the file.",
            f'For example: printf %s "$TOKEN" | tocsin secrets set {name}',
            code=ExitCode.INVALID_INPUT,
        )
    api_of(ctx).call("PUT", "/secrets/{}", name, json={"value": value})
    click.echo(f"Kept the secret {name}.", err=True)


@command.command()
@output_option
@click.pass_context
def ls(ctx: click.Context, output: str) -> None:
    """List the names of the secrets; values are not shown."""
    columns: list[Column] = [
        ("NAME", "name"),
        ("SET", lambda row: local_time(row["updated_at"])),
        ("BY", "updated_by"),
    ]
    show_list(api_of(ctx).get("/secrets")["items"], output, columns)


@command.command()
@click.argument("name", shell_complete=completing("/secrets"))
@click.pass_context
def rm(ctx: click.Context, name: str) -> None:
    """Forget a secret."""
    api_of(ctx).call("DELETE", "/secrets/{}", name)
    click.echo(f"Removed the secret {name}.", err=True)

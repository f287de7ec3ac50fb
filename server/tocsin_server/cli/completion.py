"""``tocsin completion``, and the completion of names that only the server knows."""

from collections.abc import Callable
from threading import Thread
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

_SHELLS: Final = ("bash", "zsh", "fish")
_SECONDS: Final = 0.3
_MOST: Final = 100

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(name="completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and names in SHELL.

    \b
    bash: tocsin completion bash > ~/.local/share/bash-completion/completions/tocsin
    zsh:  tocsin completion zsh > "${fpath[1]}/_tocsin"
    fish: tocsin completion fish > ~/.config/fish/completions/tocsin.fish
    """  # noqa: D301 - \b is click's word for: keep these lines
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "tocsin", "_TOCSIN_COMPLETE").source())


def completing(path: str, name: str = "name", about: str = "") -> Completer:
    """Return what completes an argument with the ``name`` of the items that the server has at a path.

    ``about`` is the field that shells show beside it. Where the server does not answer within 300 ms, nothing is
    completed.
    """

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        items = _items(ctx.find_root().params.get("url"), path)
        return [
            CompletionItem(str(item[name]), help=_line(item.get(about)) if about else None)
            for item in items
            if str(item.get(name, "")).startswith(incomplete)
        ]

    return complete


def _items(url: str | None, path: str) -> list[dict[str, Any]]:
    """Return what the server has; in a thread, because no timeout of a connection bounds the whole of a request."""
    found: list[dict[str, Any]] = []

    def ask() -> None:
        from tocsin.client import ApiError, Client
        from tocsin.discovery import find_server

        try:
            server = find_server(url)
            if server is not None:
                with Client(server, timeout=_SECONDS) as client:
                    found.extend(client.get(path)["items"][:_MOST])
        except ApiError:
            return

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return list(found)


def _line(value: object) -> str:
    return " ".join(str(value or "").split())

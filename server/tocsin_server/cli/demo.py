"""``tocsin demo``."""

import os
import shutil
import signal
import sys
import time
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

import click

from tocsin_server.cli.interrupt import interrupt
from tocsin_server.cli.output import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tocsin_notifiers.message import Message
    from tocsin_server.demo import Demo, Failure

_WIDEST: Final = 100
_NEXT: Final = (
    ("tocsin init my-project", "write a flow, a rule and its test of your own"),
    ("tocsin server start", "start a server that stays"),
    ("tocsin apply my-project", "put your rule in force"),
)


@click.command(name="demo")
@click.option("--once", is_flag=True, help="End after the story instead of leaving the server running.")
def command(once: bool) -> None:
    """Watch a failing flow become an alert, and the alert resolve; needs no account and no setting.

    Everything runs on this machine, on free ports and in a temporary folder that is gone in the end. Ends with 0 only
    if all that it shows really happened.
    """
    from tocsin_server.demo import demo_server

    began = time.monotonic()
    console = _console()
    # A service manager's way to say Ctrl-C.
    signal.signal(signal.SIGTERM, interrupt)
    with demo_server() as demo:
        failure = _tell(console, demo)
        try:
            _end(console, time.monotonic() - began)
            if not once:
                _stay(console, demo, failure)
        except KeyboardInterrupt:
            # Once the story is told, Ctrl-C is the way out.
            console.print()


def _tell(console: "Console", demo: "Demo") -> "Failure":
    """Let the story happen, and tell each part of it once it has."""
    from rich.syntax import Syntax

    console.print()
    _step(console, 1, "A server runs", f"bus, log, engine, notifier, worker at {demo.url}")
    rule = demo.apply_rule().strip()
    _step(console, 2, "A rule is in force", "tell the inbox when load-orders fails, until it works")
    _indented(console, Syntax(rule.partition("\n")[2], "yaml", theme="ansi_dark", background_color="default"))
    failure = demo.let_the_flow_fail()
    _step(console, 3, "The flow fails", "python flows/orders.py --broken")
    _indented(console, _text(failure.last_words, "red"))
    _step(console, 4, "The rule fires", f"because of event {failure.event}")
    for line in failure.because:
        depth = len(line) - len(line.lstrip())
        _indented(console, _text(line.lstrip(), "green" if " is true" in line else ""), 3 + depth)
    _step(console, 5, "An alert is in the inbox", "and so it looks in Slack, Teams, a mailbox")
    _previews(console, failure.message)
    over = demo.let_the_flow_succeed(failure.message.alert.id if failure.message.alert else "")
    _step(console, 6, "The flow works again", "python flows/orders.py")
    _indented(console, _text(f"{over.title} – {over.body.splitlines()[0] if over.body else ''}", "green"))
    return failure


def _previews(console: "Console", message: "Message") -> None:
    from rich.panel import Panel

    from tocsin_server.previews import email, slack, teams

    for title, draw in (
        ("Slack  #data-alerts", slack.preview),
        ("Teams", teams.preview),
        ("Email", email.preview),
    ):
        panel = Panel(draw(message), title=title, title_align="left", border_style="dim", padding=(0, 1))
        console.print(panel)


def _end(console: "Console", seconds: float) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print()
    console.print(Text(f"All of this really happened, in {seconds:.1f} s.", style="bold green"))
    console.print()
    console.print(Text("Next:", style="bold"))
    table = Table.grid(padding=(0, 3, 0, 0))
    for text, purpose in _NEXT:
        table.add_row(Text(text, style="cyan"), Text(purpose))
    _indented(console, table)


def _stay(console: "Console", demo: "Demo", failure: "Failure") -> None:
    from rich.text import Text

    from tocsin_server.demo import RULE

    console.print()
    console.print(Text(f"The server stays at {demo.url} until Ctrl-C. In another terminal:", style="bold"))
    for line in (
        f"export TOCSIN_DATA_DIR={demo.data_dir}",
        "tocsin alerts ls",
        f"tocsin why {RULE} --event {failure.event}",
        f"python {demo.folder}/flows/orders.py --broken",
    ):
        # Lines to copy are not wrapped.
        console.print(Text("   " + line, style="cyan"), soft_wrap=True)
    sys.stdout.flush()
    while True:
        signal.pause()


def _step(console: "Console", number: int, what: str, more: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text.assemble((f"{number}  {what}", "bold"), "  ", (printable(more), "dim")))


def _indented(console: "Console", inside: "RenderableType", columns: int = 3) -> None:
    from rich.padding import Padding

    console.print(Padding(inside, (0, 0, 0, columns), expand=False))


def _text(line: str, style: str) -> "RenderableType":
    from rich.text import Text

    return Text(printable(line), style=style)


def _console() -> "Console":
    from rich.console import Console

    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a character shows another instead of ending the demo.
        sys.stdout.reconfigure(errors="replace")
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return Console(width=width, no_color=not colour, color_system="auto" if colour else None, highlight=False)

"""``tocsin version``."""

import click

from tocsin_server.cli.output import output_option, show_one


@click.command(name="version")
@output_option
def command(output: str) -> None:
    """Print the version of Tocsin and of what it runs on."""
    import platform
    from importlib.metadata import version

    known = {
        "version": version("tocsin"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if output == "table":
        click.echo(f"tocsin {known['version']} (Python {known['python']}, {known['platform']})")
    else:
        show_one(known, output, name="version")

"""The installed command ``tocsin``: says what to install where only the SDK is."""

import sys


def main() -> None:
    """Run the command line, which needs the extra ``server``."""
    try:
        from tocsin_server.cli import main as run
    except ModuleNotFoundError as missing:
        print(  # noqa: T201 - nothing that could print it better is installed
            f"Error: The command line is not installed.\n"
            f"  It needs the package {missing.name}, which comes with the server.\n"
            f"  Install it: pip install 'tocsin[server]'. Flows run without it.",
            file=sys.stderr,
        )
        sys.exit(1)
    run()

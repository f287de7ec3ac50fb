"""Run benchmarks by name, or ``all`` of them."""

import argparse
from importlib import import_module

from benchmarks.report import print_figures, print_machine

ROWS = (
    "engine",
    "engine-live",
    "restart",
    "backtest",
    "publish",
    "ingest-http",
    "record",
    "query",
    "task-overhead",
    "latency",
    "burst",
    "notify",
    "start",
    "scale",
    "peers",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="+", choices=[*ROWS, "all"], metavar="NAME", help=f"{', '.join(ROWS)} or all"
    )
    names = parser.parse_args().names
    print_machine()
    for name in ROWS if "all" in names else names:
        row = import_module(f"benchmarks.{name.replace('-', '_')}")
        print_figures(name, row.measure())


if __name__ == "__main__":
    main()

"""Write a revision that brings the schema from the last revision to the tables of all rooms.

``python -m tocsin_server.migrations "Add silences"``; with ``--initial`` the one revision that exists before the
first release is written anew.
"""

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from tocsin_server.db import MIGRATIONS, metadata


def main() -> None:
    """Compare the tables with the newest revision and write the difference as a new one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", nargs="?", default="Initial schema")
    parser.add_argument("--initial", action="store_true")
    options = parser.parse_args()
    if options.initial:
        for old in (MIGRATIONS / "versions").glob("0*.py"):
            old.unlink()
    number = 1 + len(list((MIGRATIONS / "versions").glob("0*.py")))
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        config = Config(attributes={"connection": connection, "metadata": metadata()})
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("file_template", "%%(rev)s")
        command.upgrade(config, "head")
        written = command.revision(config, options.message, autogenerate=True, rev_id=f"{number:04}")
    if written is not None and not isinstance(written, list):
        print(Path(written.path).name)  # noqa: T201 - a tool's result


main()

"""The database: SQLite in WAL mode or PostgreSQL, and its schema."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from tocsin_server.errors import ExitCode, UserError
from tocsin_server.postgres import open_postgres
from tocsin_server.sqlite import open_sqlite

MIGRATIONS = Path(__file__).parent / "migrations"

ROOMS_WITH_TABLES = (
    "tocsin_events.tables",
    "tocsin_automations.revisions",
    "tocsin_automations.store",
    "tocsin_notifiers.store",
    "tocsin_server.tables",
    "tocsin_server.actions.results",
    "tocsin_server.deployments",
    "tocsin_server.outgoing",
    "tocsin_server.run_tables",
)


def metadata() -> MetaData:
    """Return the tables of all rooms."""
    for room in ROOMS_WITH_TABLES:
        import_module(room)
    return SQLModel.metadata


def open_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Return an engine for ``sqlite:///FILE`` or ``postgresql://…``.

    SQLite runs in WAL mode with foreign keys, its writers take turns, waits up to 30 s for other processes, and syncs
    each commit to disk: what a consumer acknowledged after a commit is not lost in a power cut.

    Raises:
        UserError: the URL is of another kind.

    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url() from None
    match parsed.get_backend_name():
        case "sqlite":
            return open_sqlite(parsed, pool_size=pool_size)
        case "postgresql" | "postgres":
            return open_postgres(parsed, pool_size=pool_size)
        case _:
            raise _bad_url()


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database's schema to this version's.

    Raises:
        UserError: the database can't be reached, or has the schema of a newer version.

    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except (TimeoutError, OSError, SQLAlchemyError) as problem:
        raise UserError(
            f"The database {engine.url.render_as_string(hide_password=True)} cannot be used.",
            _first_line(problem),
            "Check that it runs, that TOCSIN_DATABASE_URL is right, and that its user may create tables.",
        ) from problem


def _upgrade(connection: Connection) -> None:
    if _revision_of(connection) == _head():
        return
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    if connection.dialect.name == "postgresql":
        # Two servers that start at once upgrade one after the other.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7052001)")
    config = Config(attributes={"connection": connection, "metadata": metadata()})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise UserError(
            f"The database was written by a newer version of Tocsin (its schema is {current!r}).",
            f"This version knows schemas up to {scripts.get_current_head()!r} and could damage what it does not know.",
            "Start the newer version again, or restore the backup made before the upgrade; nothing was changed.",
        )
    if current != scripts.get_current_head():
        command.upgrade(config, "head")


def _revision_of(connection: Connection) -> str | None:
    """Return the schema's revision; asked without Alembic, whose import costs more than most starts need."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _head() -> str:
    return max(file.stem for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _bad_url() -> UserError:
    return UserError(
        "The database URL is not one that Tocsin can use.",
        "It has to begin with sqlite:/// or postgresql://.",
        "Correct TOCSIN_DATABASE_URL, or leave it out to use SQLite in the data folder.",
        code=ExitCode.INVALID_INPUT,
    )


def _first_line(problem: BaseException) -> str:
    return str(getattr(problem, "orig", None) or problem).strip().partition("\n")[0] or type(problem).__name__

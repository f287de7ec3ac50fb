from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_server.db import ROOMS_WITH_TABLES, metadata, open_engine, upgrade
from tocsin_server.errors import UserError


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tocsin.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def engine(database_url: str) -> Iterator[AsyncEngine]:
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata()))


async def test_the_migrated_schema_is_that_of_the_tables(engine: AsyncEngine):
    await upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_upgrading_twice_changes_nothing(engine: AsyncEngine):
    await upgrade(engine)
    await upgrade(engine)


async def test_a_database_of_a_newer_schema_is_refused_untouched(engine: AsyncEngine):
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match="newer version") as refused:
        await upgrade(engine)
    assert "9999" in refused.value.what
    assert "Start the newer version" in refused.value.fix


def test_a_url_of_another_database_is_refused_without_repeating_it():
    with pytest.raises(UserError) as refused:
        open_engine("mysql://root:geheim@db/x")
    assert "geheim" not in str(refused.value)


async def test_a_database_that_does_not_answer_is_named_without_its_password():
    engine = open_engine("postgresql://tocsin:geheim@127.0.0.1:1/x")
    with pytest.raises(UserError, match="cannot be used") as refused:
        await upgrade(engine)
    assert "geheim" not in str(refused.value)
    await engine.dispose()


async def test_sqlite_syncs_each_commit_and_checks_foreign_keys(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    async with engine.connect() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    await engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_every_module_with_tables_is_known_to_the_migrations():
    root = Path(__file__).parents[2]
    found = {
        ".".join(path.relative_to(root / room).with_suffix("").parts)
        for room in ("events", "automations", "notifiers", "server")
        for path in (root / room).rglob("*.py")
        if "table=True" in path.read_text()
    }
    assert found == set(ROOMS_WITH_TABLES)

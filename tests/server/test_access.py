import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from tocsin_server.access import Access, Scope, new_key, read_private, write_private
from tocsin_server.db import open_engine
from tocsin_server.errors import UserError
from tocsin_server.vault import Vault, cipher_from


@pytest.fixture
async def engine(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield engine
    await engine.dispose()


async def dump(engine: AsyncEngine, table: str) -> str:
    async with engine.connect() as connection:
        return repr((await connection.execute(text(f"SELECT * FROM {table}"))).all())


async def test_a_key_lets_in_with_its_roles_scopes_and_is_not_stored(engine: AsyncEngine):
    access = Access(engine)
    made = await access.create("ci", role="operator")
    caller = await access.caller(made.key)
    assert caller is not None
    assert caller.may(Scope.EVENTS_WRITE)
    assert not caller.may(Scope.AUTOMATIONS_WRITE)
    assert made.key not in await dump(engine, "api_keys")
    assert made.key not in repr(made)


async def test_an_admin_may_everything(engine: AsyncEngine):
    access = Access(engine)
    caller = await access.caller((await access.create("root", scopes=[Scope.ADMIN])).key)
    assert caller is not None
    assert all(caller.may(scope) for scope in Scope)


async def test_a_revoked_or_expired_key_does_not_get_in(engine: AsyncEngine):
    access = Access(engine)
    made = await access.create("old", role="viewer")
    assert await access.caller(made.key)
    assert await access.revoke("old") == 1
    assert await access.caller(made.key) is None
    expired = await access.create("short", role="viewer", expires_at=1)
    assert await access.caller(expired.key) is None


async def test_a_key_of_the_settings_that_was_revoked_is_not_let_in_again(engine: AsyncEngine):
    access, key = Access(engine), new_key()
    assert await access.admit(key, "local")
    assert await access.admit(key, "local")
    await access.revoke("local")
    assert not await access.admit(key, "local")


def test_a_private_file_can_be_read_by_its_owner_alone(tmp_path: Path):
    file = tmp_path / "config" / "api-key"
    write_private(file, "tsk_x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert read_private(file) == "tsk_x"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_secret_is_encrypted_at_rest_and_comes_back(engine: AsyncEngine, tmp_path: Path):
    vault = Vault(engine, cipher_from(None, tmp_path / "secrets.key"), {})
    assert await vault.set("slack-token", "xoxb-geheim")
    assert not await vault.set("slack-token", "xoxb-anders")
    assert await vault.get("slack-token") == "xoxb-anders"
    assert "xoxb" not in await dump(engine, "secrets")
    assert "xoxb" not in repr(await vault.ls()) + repr(vault)
    assert await vault.rm("slack-token")
    assert await vault.get("slack-token") is None


async def test_a_secret_of_the_environment_goes_first(engine: AsyncEngine, tmp_path: Path):
    vault = Vault(engine, cipher_from(None, tmp_path / "k"), {"TOCSIN_SECRET_SLACK_TOKEN": "from outside"})
    await vault.set("slack-token", "stored")
    assert await vault.get("slack-token") == "from outside"


async def test_the_encryption_key_can_be_changed_without_losing_secrets(engine: AsyncEngine, tmp_path: Path):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    await Vault(engine, cipher_from(old, tmp_path), {}).set("a", "1")
    assert await Vault(engine, cipher_from(f"{new},{old}", tmp_path), {}).get("a") == "1"
    with pytest.raises(UserError, match="cannot be decrypted"):
        await Vault(engine, cipher_from(new, tmp_path), {}).get("a")


def test_a_key_that_is_no_fernet_key_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="not a Fernet key"):
        cipher_from("short", tmp_path)

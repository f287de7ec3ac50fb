"""The secrets store: encrypted at rest, each read by name."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.upsert import insert_into
from tocsin_server.access import write_private
from tocsin_server.errors import ExitCode, UserError
from tocsin_server.tables import SECRETS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Vault:
    """Secrets by name. ``TOCSIN_SECRET_<NAME>`` in the environment goes before what is stored."""

    def __init__(self, engine: AsyncEngine, cipher: MultiFernet, environment: Mapping[str, str]) -> None:
        self._engine = engine
        self._cipher = cipher
        self._environment = environment

    def __repr__(self) -> str:
        return "Vault()"

    async def get(self, name: str) -> str | None:
        """Return a secret's value, None where there is none.

        Raises:
            UserError: it was encrypted with a key that is not here.

        """
        from_outside = self._environment.get(environment_name(name))
        if from_outside is not None:
            return from_outside
        query = select(SECRETS.c.token).where(SECRETS.c.name == name)
        async with self._engine.connect() as connection:
            token = (await connection.execute(query)).scalar()
        if token is None:
            return None
        try:
            return self._cipher.decrypt(token).decode()
        except InvalidToken:
            raise UserError(
                f"The secret {name!r} cannot be decrypted.",
                "It was encrypted with a key that this server does not have.",
                "Give the server the old key as well (TOCSIN_SECRETS__KEYS=new,old), or set the secret again.",
            ) from None

    async def set(self, name: str, value: str, *, by: str = "") -> bool:
        """Keep a secret; return whether the name is new.

        Raises:
            UserError: the name is not one.

        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} is no name for a secret.",
                "A name has letters, digits, dots, dashes and underscores, 200 at most.",
                "Choose another name.",
                code=ExitCode.INVALID_INPUT,
            )
        values = {
            "name": name,
            "token": self._cipher.encrypt(value.encode()),
            "updated_at": time.time_ns() // 1000,
            "updated_by": by,
        }
        change = insert_into(self._engine, SECRETS).values(values)
        changed = {key: value for key, value in values.items() if key != "name"}
        async with self._engine.begin() as connection:
            known = (await connection.execute(select(SECRETS.c.name).where(SECRETS.c.name == name))).first()
            await connection.execute(change.on_conflict_do_update(index_elements=["name"], set_=changed))
        return known is None

    async def rm(self, name: str) -> bool:
        """Forget a secret; return whether there was one."""
        async with self._engine.begin() as connection:
            return bool((await connection.execute(delete(SECRETS).where(SECRETS.c.name == name))).rowcount)

    async def ls(self) -> list[dict[str, Any]]:
        """Return the names, when and by whom each was set; never a value."""
        query = select(SECRETS.c.name, SECRETS.c.updated_at, SECRETS.c.updated_by).order_by(SECRETS.c.name)
        async with self._engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]


def environment_name(name: str) -> str:
    """Return the variable that holds a secret from outside: ``slack-token`` is ``TOCSIN_SECRET_SLACK_TOKEN``."""
    return "TOCSIN_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def cipher_from(keys: str | None, file: Path) -> MultiFernet:
    """Return the cipher of these keys (commas between, the newest first), else of the key file, made at first.

    Raises:
        UserError: a key is not a Fernet key.

    """
    if keys is None:
        if not file.exists():
            write_private(file, Fernet.generate_key().decode())
        os.chmod(file, 0o600)  # noqa: PTH101 - Path.chmod says the same, this reads as what it does
        keys = file.read_text(encoding="ascii")
    try:
        return MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
    except ValueError:
        raise UserError(
            "The key of the secrets store is not a Fernet key.",
            f"It comes from TOCSIN_SECRETS__KEYS or {file}.",
            "Put the right key back: stored secrets cannot be read without it.",
            code=ExitCode.INVALID_INPUT,
        ) from None

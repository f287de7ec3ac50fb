"""Keeps the notification service up to date with what is configured and with the secrets that it needs."""

import asyncio
import contextlib
from typing import Final

import structlog

from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.service import Notifications
from tocsin_notifiers.setup import Setup
from tocsin_notifiers.usable import usable_setup
from tocsin_server.config import Configurations
from tocsin_server.errors import UserError
from tocsin_server.notification_sections import secret_names, sections_of
from tocsin_server.vault import Vault

_LOOK_SECONDS: Final = 2.0

_log = structlog.get_logger("tocsin.notifiers")


class KnownSecrets:
    """The secrets that notifiers name, read beforehand: notifiers are made where nothing can be waited for."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._values)})"

    def look_up(self, name: str) -> str:
        """Return a secret's value.

        Raises:
            LookupError: there is none of that name.

        """
        return self._values[name]

    async def read(self, vault: Vault, names: frozenset[str]) -> bool:
        """Read these secrets anew; tell whether one changed."""
        values = {}
        for name in names:
            with contextlib.suppress(UserError):
                value = await vault.get(name)
                if value is not None:
                    values[name] = value
        changed, self._values = values != self._values, values
        return changed


class NotifierSetup:
    """Looks after what is configured: at once in the process that applied it, within two seconds in others."""

    def __init__(
        self, config: Configurations, vault: Vault, secrets: KnownSecrets, notifications: Notifications
    ) -> None:
        self._config = config
        self._vault = vault
        self._secrets = secrets
        self._notifications = notifications
        self._kinds = load_kinds()
        self._loaded = -1
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Configure the notification service with the revision in force, if something changed."""
        async with self._loading:
            current = await self._config.current()
            written = sections_of(current.content)
            changed = await self._secrets.read(self._vault, frozenset(secret_names(written)))
            if current.revision == self._loaded and not changed:
                return
            setup = usable_setup(written, self._kinds)
            for (section, name), problem in setup.problems.items():
                _log.error("what is in force cannot be used", section=section, name=name, problem=problem)
            if changed:
                # A notifier keeps the secret that it was made with.
                self._notifications.configure(Setup())
            self._notifications.configure(setup)
            self._loaded = current.revision

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await self.load()
            await asyncio.sleep(_LOOK_SECONDS)

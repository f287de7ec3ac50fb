"""The roster: the notifiers in force, made from their settings."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.message import FollowUp
from tocsin_notifiers.notifier import Notifier, Outside, Rejected, follow_ups, wants_ack_link
from tocsin_notifiers.secret import UnknownSecret
from tocsin_notifiers.setup import Setup, Unusable, make

_log = logging.getLogger(__name__)


class Roster:
    """Who can be told. ``kinds`` are the known services; `changed` is set whenever `configure` was called."""

    def __init__(self, kinds: Mapping[str, Any], outside: Outside) -> None:
        self._kinds = kinds
        self._outside = outside
        self._made: dict[str, tuple[ServiceNotifier, Notifier]] = {}
        self._broken: dict[str, str] = {}
        self.mended: set[str] = set()
        """Notifiers whose settings have changed since somebody last emptied this."""
        self.setup = Setup()
        self.changed = asyncio.Event()
        self.configure(self.setup)

    @property
    def broken(self) -> Mapping[str, str]:
        """The notifiers that can't work, and why: a secret is missing, or a setting is unusable."""
        return {**self._broken, **self.setup.broken}

    @property
    def working(self) -> Mapping[str, tuple[ServiceNotifier, Notifier]]:
        """The notifiers that can work, by name, each with its settings."""
        return self._made

    def configure(self, setup: Setup) -> None:
        """Replace what is configured; notifiers whose settings are the same go on as they are."""
        self.setup = setup
        services = setup.services
        self.mended |= {name for name, (config, _) in self._made.items() if services.get(name) != config}
        kept: dict[str, tuple[ServiceNotifier, Notifier]] = {}
        self._broken = {}
        for name, config in services.items():
            before = self._made.get(name)
            if before is not None and before[0] == config:
                kept[name] = before
                continue
            if isinstance(config.settings, Unusable):
                continue
            try:
                kept[name] = (config, make(config, self._kinds, self._outside))
            except (UnknownSecret, Rejected, ValueError) as problem:
                self._broken[name] = str(problem)
                _log.warning("notifier %s can't work: %s", name, problem)
        self._made = kept
        self.changed.set()

    def notifier(self, name: str) -> Notifier | None:
        """Return a notifier that can work."""
        made = self._made.get(name)
        return None if made is None else made[1]

    def targets_of(self, config: ServiceNotifier) -> Sequence[str]:
        """Return whom a notifier tells; nobody, where it can't work."""
        made = self.notifier(config.name)
        return made.targets() if made is not None else ()

    def follow_up_of(self, config: ServiceNotifier) -> FollowUp:
        """Return how a notifier follows up on an alert's first message: as wanted where it can, else its best way."""
        made = self.notifier(config.name)
        possible = follow_ups(made) if made is not None else ("message",)
        wanted = config.options.resolve
        if wanted is None:
            return possible[0]
        return wanted if wanted != "none" and wanted in possible else "message"

    def has_ack_link(self, config: ServiceNotifier) -> bool:
        """Tell whether a notifier's messages have a link by which its reader acknowledges."""
        made = self.notifier(config.name)
        return made is not None and wants_ack_link(made)

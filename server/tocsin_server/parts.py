"""The parts of one running server, handed to whoever needs several of them."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.address import BusAddress
from tocsin_events.bus import Bus
from tocsin_events.dead_letters import DeadLetters
from tocsin_events.store import EventStore
from tocsin_notifiers.ack_link import AckLinks
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.picture_link import PictureLinks
from tocsin_notifiers.service import Notifications
from tocsin_server.access import Access, Audit
from tocsin_server.config import Configurations
from tocsin_server.deployments import Deployments
from tocsin_server.metrics import Metrics
from tocsin_server.notifier_setup import NotifierSetup
from tocsin_server.outgoing import Outgoing
from tocsin_server.runs import Runs
from tocsin_server.settings import LoadedSettings, Settings
from tocsin_server.supervisor import Supervisor
from tocsin_server.vault import Vault


@dataclass(frozen=True)
class Parts:
    """What `tocsin_server.serve` put together."""

    loaded: LoadedSettings
    url: str
    engine: AsyncEngine
    bus: Bus
    events: EventStore
    dead_letters: DeadLetters
    access: Access
    audit: Audit
    vault: Vault
    metrics: Metrics
    supervisor: Supervisor
    outgoing: Outgoing
    deployments: Deployments
    runs: Runs
    config: Configurations
    http: HttpClient
    notifications: Notifications
    ack_links: AckLinks
    picture_links: PictureLinks
    notifier_setup: NotifierSetup
    stopping: asyncio.Event
    run_bus: BusAddress
    """The bus as runs and other programs reach it, which only publish."""
    accept_gap: bool = False
    """Whether readers go on where messages are gone that they had not read."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    @property
    def public_url(self) -> str:
        """How people reach the server, without a slash at the end."""
        return (self.settings.server.public_url or self.url).rstrip("/")

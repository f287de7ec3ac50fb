"""The service's settings: flag > environment > tocsin.toml > default, each with where it came from."""

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from tocsin_events.duration import parse_duration
from tocsin_events.instant import SECOND
from tocsin_server.errors import ExitCode, UserError
from tocsin_server.settings_sources import Found, Place, from_environment, from_file

if TYPE_CHECKING:
    from tocsin_events.streams import StreamLimits

SERVICES = ("api", "engine", "recorder", "actions", "notifier", "scheduler", "worker")
"""What one server process can run, in the order of starting."""


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _services(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in SERVICES:
            raise ValueError(f"{name!r} is no service; there are {', '.join(SERVICES)}")
    return names


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as problem:
            raise ValueError(f"{problem}; a network is written as 10.1.0.0/16 or fd00:1::/32") from None
    return networks


def _key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().startswith("tsk_") or len(key.get_secret_value()) < _SHORTEST_KEY:
        raise ValueError('a key is "tsk_" and at least 32 random characters')
    return key


_SHORTEST_KEY = len("tsk_") + 32

Duration = Annotated[str, AfterValidator(_duration)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSection(_Section):
    """Where the server listens and what it runs."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(4200, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Path | None = Field(None, description="folder of this server's data, key and state file")
    services: Annotated[tuple[str, ...], AfterValidator(_services)] = Field(
        SERVICES, description="which services this process runs"
    )
    public_url: str | None = Field(
        None, description="how people reach the server; links in messages start with it"
    )
    allowed_hosts: tuple[str, ...] = Field((), description="further names that a Host header may carry")
    shutdown_grace: Duration = Field("5s", description="how long open requests may take to end at shutdown")


class DatabaseSection(_Section):
    """The database that keeps the record."""

    url: SecretStr | None = Field(None, description="postgresql://… ; SQLite in the data folder by default")
    pool_size: int = Field(10, ge=1, le=500, description="connections to PostgreSQL kept open")


class NatsSection(_Section):
    """The bus."""

    url: SecretStr | None = Field(
        None, description="nats://user:password@host:4222 ; an own nats-server by default"
    )
    client_url: SecretStr | None = Field(
        None, description="the bus of url for flows and the SDK, as a user that may only publish events"
    )
    durability: Literal["durable", "relaxed"] = Field(
        "durable", description="whether the own nats-server syncs each message to disk before it acknowledges"
    )
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream in a NATS cluster")


class EventsSection(_Section):
    """How long events are kept, and how they get in."""

    max_age: Duration = Field("7d", description="how long the bus keeps events")
    max_bytes: int = Field(10 * 2**30, ge=2**20, description="how many bytes of events the bus keeps")
    log_max_age: Duration | None = Field(
        None, description="how long the log keeps events; for good by default"
    )
    log_max_bytes: int | None = Field(None, ge=2**20, description="how many bytes of events the log keeps")
    max_request_bytes: int = Field(
        16 * 2**20, ge=2**19, description="the largest body that POST /api/v1/events takes"
    )
    max_pending_requests: int = Field(
        1000, ge=1, description="ingest requests under way before further ones get 429"
    )


class AuthSection(_Section):
    """Who gets in."""

    admin_key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        None, description="an API key with every right, tsk_…, for servers without a person at the keyboard"
    )


class SecretsSection(_Section):
    """How stored secrets are encrypted."""

    keys: SecretStr | None = Field(
        None,
        description="Fernet keys separated by commas, the newest first; secrets.key in the data folder by default",
    )


class ActionsSection(_Section):
    """What automations may do."""

    allow_private_addresses: bool = Field(
        False, description="whether call_webhook and notifiers over HTTP may reach all private addresses"
    )
    allowed_networks: Annotated[tuple[str, ...], AfterValidator(_networks)] = Field(
        (), description="networks of private addresses that they may reach, such as 10.1.0.0/16"
    )


class WorkerSection(_Section):
    """The worker that the server runs itself."""

    pool: str = Field("default", description="the work pool it takes runs from")
    limit: int = Field(10, ge=1, description="how many runs at a time")
    grace: Duration = Field("10s", description="how long runs may go on when the server stops")

    @property
    def grace_seconds(self) -> float:
        """How long runs may go on, in seconds."""
        return parse_duration(self.grace) / SECOND


class OutboxSection(_Section):
    """Where programs keep their events until the bus has them; read by the SDK, too."""

    dir: Path | None = Field(None, description="the outbox's folder; outbox in the data folder by default")
    max_bytes: int = Field(100_000_000, ge=1, description="how much the folder may hold")


class LogSection(_Section):
    """What the server says about itself, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is written"
    )
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="auto: text on a terminal, JSON elsewhere"
    )


class Settings(_Section):
    """Every setting of the service. Made by `load_settings`."""

    server: ServerSection = Field(default_factory=ServerSection)
    database: DatabaseSection = Field(default_factory=DatabaseSection)
    nats: NatsSection = Field(default_factory=NatsSection)
    events: EventsSection = Field(default_factory=EventsSection)
    auth: AuthSection = Field(default_factory=AuthSection)
    secrets: SecretsSection = Field(default_factory=SecretsSection)
    actions: ActionsSection = Field(default_factory=ActionsSection)
    worker: WorkerSection = Field(default_factory=WorkerSection)
    outbox: OutboxSection = Field(default_factory=OutboxSection)
    log: LogSection = Field(default_factory=LogSection)

    @property
    def data_dir(self) -> Path:
        """The folder of this server's data."""
        return (self.server.data_dir or default_data_dir(os.environ)).expanduser().absolute()

    @property
    def key_file(self) -> Path:
        """Where the local key lies: in an explicit data folder, else in the user's config folder."""
        if self.server.data_dir is not None:
            return self.data_dir / "api-key"
        return default_config_dir(os.environ) / "api-key"

    def stream_limits(self) -> "StreamLimits":
        """Return how much the bus keeps."""
        from tocsin_events.streams import StreamLimits

        return StreamLimits(
            events_age=parse_duration(self.events.max_age),
            events_bytes=self.events.max_bytes,
            replicas=self.nats.replicas,
        )

    @property
    def outbox_dir(self) -> Path:
        """The folder that programs of this machine leave their events in."""
        from tocsin.outbox import default_directory

        return self.outbox.dir or default_directory(os.environ, self.server.data_dir and self.data_dir)

    @property
    def database_url(self) -> str:
        """The database's URL; SQLite in the data folder unless one was set."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'tocsin.db'}"


class LoadedSettings(BaseModel):
    """The settings, and for each dotted name the place that it was set at."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    places: Mapping[str, str]


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the data folder that XDG names."""
    base = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tocsin"


def default_config_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's configuration that XDG names."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "tocsin"


def find_file(environment: Mapping[str, str], flag: Path | None = None) -> Path | None:
    """Return the settings file: the flag's, TOCSIN_CONFIG's, ./tocsin.toml, or the one in the config folder.

    Raises:
        UserError: a file that was named does not exist.

    """
    named = flag or (Path(environment["TOCSIN_CONFIG"]) if environment.get("TOCSIN_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise UserError(
                f"There is no settings file {named}.",
                "It was named by --config or TOCSIN_CONFIG.",
                "Create it, or leave the name out to use the defaults.",
                code=ExitCode.INVALID_INPUT,
            )
        return named
    for candidate in (Path("tocsin.toml"), default_config_dir(environment) / "tocsin.toml"):
        if candidate.is_file():
            return candidate
    return None


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], *, file: Path | None = None
) -> LoadedSettings:
    """Return the settings from flags (dotted names), environment and file, the first that sets one wins.

    Raises:
        UserError: a key is unknown, or a value does not fit; says which, where, and the nearest valid spelling.

    """
    known = known_names()
    path = find_file(environment, file)
    found: Found = {}
    if path is not None:
        found.update(from_file(path, known))
    found.update(from_environment(environment, known))
    found.update(
        {
            name: (value, Place(f"flag --{name.rpartition('.')[2].replace('_', '-')}"))
            for name, value in flags.items()
            if value is not None
        }
    )
    values: dict[str, dict[str, Any]] = {}
    for name, (value, _) in found.items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as problem:
        raise _refusal(problem, found) from None
    return LoadedSettings(settings=settings, places={name: str(place) for name, (_, place) in found.items()})


def known_names() -> dict[str, Any]:
    """Return every setting's dotted name with its field."""
    return {
        f"{section}.{key}": field
        for section, outer in Settings.model_fields.items()
        if isinstance(outer.annotation, type) and issubclass(outer.annotation, BaseModel)
        for key, field in outer.annotation.model_fields.items()
    }


def _refusal(problem: ValidationError, found: Found) -> UserError:
    first = problem.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    place = found[name][1] if name in found else "?"
    return UserError(
        f"The setting {name} does not fit: {first['msg'].removeprefix('Value error, ')}.",
        f"It comes from {place}.",
        "Correct it there; `tocsin config show --sources` prints where each setting comes from.",
        code=ExitCode.INVALID_INPUT,
    )

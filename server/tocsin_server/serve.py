"""Runs one server process: everything is put together here, started in order and stopped in the opposite order."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.bus import Bus
from tocsin_events.dead_letters import DeadLetters
from tocsin_events.duration import parse_duration
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore
from tocsin_notifiers.ack_link import AckLinks
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.picture_link import PictureLinks, public_base
from tocsin_notifiers.pictures import Pictures
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.service import Notifications
from tocsin_server.access import Access, Audit, new_key, read_private, write_private
from tocsin_server.api.security import is_loopback
from tocsin_server.app import create_app
from tocsin_server.bus_access import BusAccess, bus_access, connect_bus, state_files
from tocsin_server.config import Configurations
from tocsin_server.db import open_engine, upgrade
from tocsin_server.deployments import Deployments
from tocsin_server.errors import ExitCode, UserError
from tocsin_server.heap import give_way_to_database_threads, long_lived_objects
from tocsin_server.last_runs import LastRuns
from tocsin_server.link_keys import link_keys
from tocsin_server.metrics import Metrics
from tocsin_server.notifier_setup import KnownSecrets, NotifierSetup
from tocsin_server.outgoing import Outgoing
from tocsin_server.parts import Parts
from tocsin_server.run_claims import Cancellations
from tocsin_server.runs import Runs
from tocsin_server.services import makers
from tocsin_server.settings import LoadedSettings, Settings
from tocsin_server.supervisor import Supervisor
from tocsin_server.vault import Vault, cipher_from

_LOCAL_KEY = "local"

_log = structlog.get_logger("tocsin.server")


@dataclass(frozen=True)
class Ready:
    """What a server says when it is ready."""

    url: str
    nats: str
    pid: int


async def serve(loaded: LoadedSettings, ready: Callable[[Ready], None], *, accept_gap: bool = False) -> None:
    """Run a server until SIGTERM or SIGINT; call ``ready`` when it answers.

    ``accept_gap`` lets the readers of the bus go on where messages are gone that they had not read.

    Raises:
        UserError: it can't start; says why.

    """
    settings = loaded.settings
    stop = _stop_signal()
    give_way_to_database_threads()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings))
        _prepare_data_dir(settings.data_dir)
        url = _url_of(listener)
        engine = open_engine(settings.database_url, pool_size=settings.database.pool_size)
        stack.push_async_callback(engine.dispose)
        access = await stack.enter_async_context(bus_access(settings))
        await upgrade(engine)
        events = EventStore(engine)
        bus = await connect_bus(stack, settings, access.service, events)
        parts = _parts(loaded, url, engine, bus, events, access=access, accept_gap=accept_gap)
        stack.push_async_callback(parts.http.aclose)
        await _admit(parts)
        async with _running(parts, listener, settings):
            stack.enter_context(state_files(settings, url, access))
            stack.enter_context(long_lived_objects())
            ready(Ready(url=url, nats=access.service.url, pid=os.getpid()))
            await stop.wait()
            _log.info("stopping")


def _parts(
    loaded: LoadedSettings,
    url: str,
    engine: AsyncEngine,
    bus: Bus,
    events: EventStore,
    *,
    access: BusAccess,
    accept_gap: bool,
) -> Parts:
    settings = loaded.settings
    keys = settings.secrets.keys.get_secret_value() if settings.secrets.keys else None
    vault = Vault(engine, cipher_from(keys, settings.data_dir / "secrets.key"), os.environ)
    starting: dict[str, Parts] = {}
    outgoing = Outgoing(engine, bus)
    deployments = Deployments(engine, outgoing)
    audit = Audit(engine)
    config = Configurations(engine, outgoing, deployments, audit, vault)
    signing = link_keys(keys, settings.data_dir / "secrets.key")
    ack_links = AckLinks(signing)
    picture_links = PictureLinks(signing, public_base(settings.server.public_url))
    known = KnownSecrets()
    actions = settings.actions
    http = HttpClient(
        AddressGuard(allow_private=actions.allow_private_addresses, allowed=actions.allowed_networks)
    )
    notifications = Notifications(
        engine,
        bus,
        secrets=Secrets(known.look_up),
        http=http,
        pages=Pages((settings.server.public_url or url).rstrip("/"), ack_links),
        pictures=Pictures(LastRuns(engine), picture_links),
        write=partial(print, file=sys.stderr),
    )
    setup = NotifierSetup(config, vault, known, notifications)
    config.on_change(setup.load)
    parts = Parts(
        loaded=loaded,
        url=url,
        engine=engine,
        bus=bus,
        events=events,
        dead_letters=DeadLetters(engine),
        access=Access(engine),
        audit=audit,
        vault=vault,
        metrics=Metrics(),
        supervisor=Supervisor(
            makers(settings.server.services, lambda: starting["parts"]),
            patience=settings.worker.grace_seconds + 5,
        ),
        outgoing=outgoing,
        deployments=deployments,
        runs=Runs(engine, outgoing, deployments, Cancellations(bus)),
        config=config,
        http=http,
        notifications=notifications,
        ack_links=ack_links,
        picture_links=picture_links,
        notifier_setup=setup,
        stopping=asyncio.Event(),
        run_bus=access.client,
        accept_gap=accept_gap,
    )
    starting["parts"] = parts
    return parts


@asynccontextmanager
async def _running(parts: Parts, listener: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Serve HTTP and run the services while the block runs."""
    server = _Server(
        uvicorn.Config(
            create_app(parts),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=max(1, parse_duration(settings.server.shutdown_grace) // SECOND),
        )
    )
    parts.supervisor.start()
    http = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started:
            if http.done():
                http.result()
            await asyncio.sleep(0.005)
        yield
    finally:
        parts.stopping.set()
        server.should_exit = True
        await asyncio.gather(http, return_exceptions=True)
        await parts.supervisor.stop()


class _Server(uvicorn.Server):
    """Uvicorn without handlers of its own for signals: `serve` decides when to stop, and exits 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _admit(parts: Parts) -> None:
    """Let in by the local key file and the admin key of the settings; refuse to be open to others without one."""
    settings = parts.settings
    if settings.auth.admin_key is not None and not await parts.access.admit(
        settings.auth.admin_key.get_secret_value(), "settings"
    ):
        raise UserError(
            "The key in auth.admin_key was revoked.",
            "A revoked key never gets in again.",
            "Put a new one there: `tsk_` and at least 32 random characters.",
            code=ExitCode.DENIED,
        )
    if not is_loopback(settings.server.host) and not await parts.access.has_keys_besides(_LOCAL_KEY):
        raise UserError(
            f"The server refuses to listen on {settings.server.host}.",
            "Other machines can reach that address, and no API key has been made for them.",
            "Make one first: `tocsin keys create NAME --role admin` on a server on 127.0.0.1,"
            " or set TOCSIN_AUTH__ADMIN_KEY_FILE.",
            code=ExitCode.DENIED,
        )
    key = read_private(settings.key_file)
    if key is None or not await parts.access.admit(key, _LOCAL_KEY):
        key = write_private(settings.key_file, new_key())
        await parts.access.admit(key, _LOCAL_KEY)


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as problem:
        raise UserError(
            f"The server cannot listen on {host}:{port}.",
            f"{problem.strerror or problem}.",
            f"Stop what uses it (`ss -ltnp 'sport = :{port}'` names it), or choose another with --port.",
        ) from None
    with listener:
        yield listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _prepare_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} is not writable")
    except OSError as problem:
        raise UserError(
            f"The data folder {folder} cannot be used.",
            str(problem),
            "Give the user that runs the server the right to write there, or choose another with --data-dir.",
        ) from None


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop

"""What the server counts, in Prometheus's form. Never an id as a label.

What this process does itself is counted here; what is in the database (decisions, firings, deliveries, runs) is read
from it when it is asked for, so that it is right whichever process did it.
"""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from tocsin_automations import store as _store  # noqa: F401 - it defines the tables
from tocsin_events.instant import SECOND
from tocsin_notifiers.delivery import DeliveryStatus
from tocsin_notifiers.store import DELIVERIES
from tocsin_server.backlog import Backlog
from tocsin_server.run_tables import RUNS

_COUNTERS, _FIRINGS = (SQLModel.metadata.tables[name].c for name in ("decision_counters", "firings"))


def tocsin_version() -> str:
    """Return the version that is installed."""
    try:
        return version("tocsin")
    except PackageNotFoundError:
        return "0+unknown"


_COUNTED: Final[tuple[tuple[str, str, tuple[str, ...], Select[Any]], ...]] = (
    (
        "tocsin_decisions",
        "Decisions of the engine.",
        ("automation", "outcome"),
        select(_COUNTERS.automation, _COUNTERS.outcome, func.sum(_COUNTERS["count"])).group_by(
            _COUNTERS.automation, _COUNTERS.outcome
        ),
    ),
    (
        "tocsin_firings",
        "Firings of automations.",
        ("automation",),
        select(_FIRINGS.automation, func.count())
        .where(_FIRINGS.state == "firing")
        .group_by(_FIRINGS.automation),
    ),
    (
        "tocsin_deliveries",
        "Deliveries of notifications.",
        ("notifier", "outcome"),
        select(DELIVERIES.c.notifier, DELIVERIES.c.status, func.count()).group_by(
            DELIVERIES.c.notifier, DELIVERIES.c.status
        ),
    ),
)


class Metrics:
    """The counters of one server process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = Counter(
            "tocsin_events_received_total", "Events accepted and acknowledged by the bus.", ["source"],
            registry=self.registry,
        )  # fmt: skip
        self.rejected = Counter(
            "tocsin_events_rejected_total",
            "Requests with events refused.",
            ["reason"],
            registry=self.registry,
        )
        self.actions = Counter(
            "tocsin_actions_total",
            "Actions done for automations.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.engine_lag = Gauge(
            "tocsin_engine_lag_seconds", "How far the engine is behind the bus.", registry=self.registry
        )
        self.pending = Gauge(
            "tocsin_consumer_pending",
            "Messages waiting for a consumer.",
            ["consumer"],
            registry=self.registry,
        )
        build = Gauge(
            "tocsin_build_info", "The version that runs; always 1.", ["version"], registry=self.registry
        )
        build.labels(version=tocsin_version()).set(1)

    def count_action(self, kind: str, outcome: str) -> None:
        """Count the result of an action."""
        self.actions.labels(kind=kind, outcome=outcome).inc()

    def note(self, backlog: Backlog) -> None:
        """Keep how much waits for whom."""
        for consumer, messages in backlog.pending.items():
            self.pending.labels(consumer=consumer).set(messages)
        if backlog.engine_lag is not None:
            self.engine_lag.set(backlog.engine_lag)

    async def render(self, engine: AsyncEngine) -> bytes:
        """Return all of it in the text format."""
        stored = CollectorRegistry()
        stored.register(_Stored(await _read(engine)))
        return generate_latest(self.registry) + generate_latest(stored)


class _Stored(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def _read(engine: AsyncEngine) -> list[Metric]:
    families: list[Metric] = []
    async with engine.connect() as connection:
        for name, text, labels, query in _COUNTED:
            family = CounterMetricFamily(name, text, labels=labels)
            for *values, count in await connection.execute(query):
                family.add_metric([str(value) for value in values], float(count))
            families.append(family)
        runs = GaugeMetricFamily("tocsin_runs", "Runs by state.", labels=["state"])
        for state, count in await connection.execute(
            select(RUNS.c.state, func.count()).group_by(RUNS.c.state)
        ):
            runs.add_metric([state], count)
        took = select(func.count(), func.sum(DELIVERIES.c.finished - DELIVERIES.c.created)).where(
            DELIVERIES.c.status == DeliveryStatus.DELIVERED
        )
        count, micros = (await connection.execute(took)).one()
        families += [
            runs,
            SummaryMetricFamily(
                "tocsin_delivery_seconds",
                "From the message to its arrival at the service.",
                count_value=count,
                sum_value=float(micros or 0) / SECOND,
            ),
        ]
    return families

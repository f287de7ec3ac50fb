"""What events say about runs, written into the table of runs.

Events of a run come from several processes (server, worker, the flow's own) and may arrive twice or out of order.
`supersedes` decides, purely, which of two states is the later one. What comes while a transaction is under way shares the
next one, which is three statements, however many events it takes into account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin.states import FINAL, StateType, allowed
from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus, Work
from tocsin_events.ending import run_together
from tocsin_events.instant import SECOND, parse_rfc3339
from tocsin_events.streams import EVENTS, LOGS, event_filters
from tocsin_events.upsert import insert_into
from tocsin_events.view import EventView, InvalidEvent
from tocsin_notifiers.batches import Batches, group_commit
from tocsin_server.run_tables import RUN_LOGS, RUNS
from tocsin_server.runs import SKIPPED, LogLine

_TRIM_EVERY: Final = 500
_TOGETHER: Final = 200
_LONGEST_LINE: Final = 20_000
_LONGEST_ID: Final = 200
_LONGEST_NAME: Final = 500
_MOST_ATTEMPTS: Final = 2**31
_END_OF_TIME: Final = 253_402_300_800 * SECOND
"""The year 10,000, in microseconds."""

_STATES: Final = {f"flow-run.{state.value}": state for state in StateType} | {
    "flow-run.resumed": StateType.RUNNING
}


_TRACKED: Final = (
    "state", "state_name", "state_message", "state_time", "state_event", "state_source", "attempt", "error",
    "started", "ended", "worker",
)  # fmt: skip
"""The columns that events change."""


@dataclass(frozen=True)
class Sighting:
    """A state that a run was in: when (microseconds), who said so, in which event, following which."""

    state: StateType
    attempt: int
    time: int
    source: str
    event: str
    follows: str | None = None


def supersedes(seen: Sighting, known: Sighting) -> bool:
    """Tell whether a state that was just seen is later than the known one.

    Within one source time decides. Clocks of different machines don't agree, so between sources it is the table of
    allowed transitions that decides. An ended run stays ended, except that a crashed one may be executed again, as a
    further attempt.
    """
    if seen.event == known.event:
        return False
    if seen.follows is not None and seen.follows == known.event:
        return True
    if known.state in FINAL and known.state is not StateType.CRASHED:
        return False
    if seen.attempt != known.attempt or known.state is StateType.CRASHED:
        return seen.attempt > known.attempt
    if seen.source == known.source:
        return seen.time >= known.time
    return seen.state in FINAL or allowed(known.state, seen.state)


class RunTracker:
    """The subscriber that keeps the table of runs, and the lines of their logs, up to date."""

    def __init__(self, bus: Bus, engine: AsyncEngine, *, lines_per_run: int = 10_000) -> None:
        self._bus = bus
        self._lines_per_run = lines_per_run
        self._events: Batches[EventView, None] = group_commit(engine, _see_all)
        self._lines: Batches[tuple[str, LogLine], None] = group_commit(engine, self._keep_all)

    async def run(self) -> None:
        """Follow the events and logs of runs until cancelled."""
        subjects = event_filters(["flow-run.*"])
        await run_together(
            self._bus.consume(
                EVENTS, "run-tracker", subjects, self._take_event, concurrency=_TOGETHER, max_deliver=None
            ),
            self._bus.consume(
                LOGS, "run-logs", ["tocsin.logs.>"], self._take_line, concurrency=_TOGETHER, max_deliver=None
            ),
        )

    async def see(self, view: EventView) -> None:
        """Take one event of a run into account; a second time changes nothing."""
        run = view.resource
        if view.type in _STATES and run is not None and run["kind"] == "flow-run" and _is_run_id(run["id"]):
            await self._events.add(view)

    async def keep_line(self, run_id: str, sequence: int, line: LogLine) -> None:
        """Keep one line of a run's log; a run keeps its latest ones."""
        await self._lines.add((run_id, line.model_copy(update={"sequence": sequence})))

    async def _keep_all(
        self, connection: AsyncConnection, lines: Sequence[tuple[str, LogLine]]
    ) -> list[None]:
        insert = insert_into(connection, RUN_LOGS).on_conflict_do_nothing(index_elements=["sequence"])
        await connection.execute(insert, [{**line.model_dump(), "run_id": run_id} for run_id, line in lines])
        for run_id in {run_id for run_id, line in lines if line.sequence % _TRIM_EVERY == 0}:
            await self._trim(connection, run_id)
        return [None] * len(lines)

    async def _trim(self, connection: AsyncConnection, run_id: str) -> None:
        of_run = RUN_LOGS.c.run_id == run_id
        kept = (
            select(RUN_LOGS.c.sequence)
            .where(of_run)
            .order_by(RUN_LOGS.c.sequence.desc())
            .limit(1)
            .offset(self._lines_per_run)
        )
        oldest = (await connection.execute(kept)).scalar()
        if oldest is not None:
            await connection.execute(delete(RUN_LOGS).where(of_run, RUN_LOGS.c.sequence <= oldest))

    async def _take_event(self, work: Work) -> None:
        try:
            view = event_of(work)
        except InvalidEvent:
            return  # the recorder puts it among the dead letters
        await self.see(view)

    async def _take_line(self, work: Work) -> None:
        run_id = unquote(work.subject.rpartition(".")[2])
        if _is_run_id(run_id):
            await self.keep_line(run_id, work.sequence, _line(work))


async def _see_all(connection: AsyncConnection, views: Sequence[EventView]) -> list[None]:
    """Take events into account in order: make the rows of runs that are new, read them all, write those that changed."""
    firsts: dict[str, EventView] = {}
    for view in views:
        firsts.setdefault(_run_id(view), view)
    insert = insert_into(connection, RUNS).on_conflict_do_nothing(index_elements=["id"])
    # Sorted, so that two trackers that meet the same runs wait for each other instead of deadlocking.
    await connection.execute(insert, [_first_values(view) for _, view in sorted(firsts.items())])
    query = select(RUNS.c.id, *(RUNS.c[name] for name in _TRACKED)).where(RUNS.c.id.in_(list(firsts)))
    rows = {row.id: dict(row._mapping) for row in await connection.execute(query.with_for_update())}
    changed = set()
    for view in views:
        id_ = _run_id(view)
        if values := _changes(rows[id_], view):
            rows[id_] |= values
            changed.add(id_)
    if changed:
        write = update(RUNS).where(RUNS.c.id == bindparam("b_id"))
        await connection.execute(
            write.values({name: bindparam(f"b_{name}") for name in _TRACKED}),
            [{f"b_{name}": value for name, value in rows[id_].items()} for id_ in sorted(changed)],
        )
    return [None] * len(views)


def _is_run_id(text: str) -> bool:
    """Tell whether this can be a run's id. Anybody may publish events of runs, and not every text can be in an index."""
    return len(text) <= _LONGEST_ID and text.isprintable()


def _run_id(view: EventView) -> str:
    assert view.resource is not None
    return str(view.resource["id"])


def _payload(view: EventView) -> Mapping[str, Any]:
    return view.data if isinstance(view.data, dict) else {}


def _sighting(view: EventView) -> Sighting:
    attempt = _attempt(_payload(view))
    return Sighting(_STATES[view.type], attempt, view.time, view.source, view.id, view.follows)


def _attempt(payload: Mapping[str, Any]) -> int:
    attempt = payload.get("attempt")
    return attempt if type(attempt) is int and 0 < attempt < _MOST_ATTEMPTS else 1


def _first_values(view: EventView) -> dict[str, Any]:
    """Return the row of a run that this event is the first sign of: one that a script started by itself."""
    resource, payload, seen = view.resource, _payload(view), _sighting(view)
    assert resource is not None
    parameters = payload.get("parameters")
    return {
        "id": resource["id"],
        "name": (resource["name"] or resource["id"])[:_LONGEST_NAME],
        "flow": _name(view, "flow") or "",
        "deployment": _name(view, "deployment"),
        "idempotency_key": None,
        "parameters": parameters if isinstance(parameters, dict) else {},
        "tags": list(resource["tags"]),
        "work_pool": _name(view, "work-pool"),
        "work_queue": _name(view, "work-queue"),
        "automation": _name(view, "automation"),
        "cause": view.cause,
        "hops": view.hops,
        "created": view.time,
        "due": view.time,
        "worker": _name(view, "worker"),
        **_state_values(seen, payload),
        **_instants(None, None, seen),
    }


def _changes(row: Mapping[str, Any], view: EventView) -> dict[str, Any]:
    """Return what an event changes in a run's row."""
    values: dict[str, Any] = {}
    seen = _sighting(view)
    if row["state"] == SKIPPED or row["state_event"] == seen.event:
        return values
    known = Sighting(
        StateType(row["state"]), row["attempt"], row["state_time"], row["state_source"], row["state_event"]
    )
    same_attempt = seen.attempt == row["attempt"]
    if supersedes(seen, known):
        values |= _state_values(seen, _payload(view))
        values |= _instants(row["started"] if same_attempt else None, None, seen)
    elif same_attempt and seen.state is StateType.RUNNING:
        values |= {"started": min(seen.time, row["started"] or seen.time)}
    worker = _name(view, "worker")
    if worker is not None and (row["worker"] is None or values):
        values["worker"] = worker
    return values


def _state_values(seen: Sighting, payload: Mapping[str, Any]) -> dict[str, Any]:
    state = payload.get("state")
    state = state if isinstance(state, dict) else {}
    error = payload.get("error")
    return {
        "state": seen.state.value,
        "state_name": str(state.get("name") or seen.state.label)[:200],
        "state_message": str(state.get("message") or payload.get("message") or "")[:2000],
        "state_time": seen.time,
        "state_event": seen.event,
        "state_source": seen.source,
        "attempt": seen.attempt,
        "error": error if isinstance(error, dict) else None,
    }


def _instants(started: int | None, ended: int | None, seen: Sighting) -> dict[str, Any]:
    if seen.state is StateType.RUNNING and (started is None or seen.time < started):
        started = seen.time
    if seen.state in FINAL:
        ended = seen.time
    return {"started": started, "ended": ended}


def _name(view: EventView, kind: str) -> str | None:
    """Return the name of the related resource of a kind; its id where it has no name."""
    for one in view.related:
        if one["kind"] == kind:
            return str(one["name"] or one["id"])[:_LONGEST_NAME]
    return None


def _line(work: Work) -> LogLine:
    """Return the line that a message on ``LOGS`` carries; whatever else it is becomes the line's text."""
    try:
        found = msgspec.json.decode(work.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        found = {"message": work.body.decode(errors="replace")}
    time = found.get("time")
    return LogLine(
        sequence=work.sequence,
        time=_instant(time, work.received),
        level=str(found.get("level") or "info").lower()[:20],
        logger=str(found.get("logger") or "")[:200],
        message=str(found.get("message") or "")[:_LONGEST_LINE],
    )


def _instant(written: Any, otherwise: int) -> int:
    if type(written) is int:
        return written if abs(written) < _END_OF_TIME else otherwise
    try:
        return parse_rfc3339(str(written))
    except ValueError:
        return otherwise

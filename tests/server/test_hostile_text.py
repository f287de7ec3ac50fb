"""Whatever text and numbers outsiders send, no database stops at them, and nobody waits behind them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from run_rooms import Rooms, open_rooms, sqlite_url
from tocsin_automations.store import Checkpoint, EngineStore
from tocsin_events.bus import Bus
from tocsin_events.view import EventView
from tocsin_server.run_tracker import RunTracker
from tocsin_server.runs import NoSuchRun

NUL = "a\0b"
# No compression helps: each character is another one.
LONG = "".join(chr(0x20000 + number * 7919 % 40_000) for number in range(2_000))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def rooms(url: str, bus: Bus) -> AsyncIterator[Rooms]:
    async with open_rooms(url, bus) as rooms:
        yield rooms


def seen(run: str, text: str, *, attempt: object = 1) -> EventView:
    resource = {"kind": "flow-run", "id": run, "name": text, "labels": {text: text}, "tags": [text]}
    related = [
        {"kind": kind, "id": text, "name": text, "labels": {}, "tags": [], "role": kind}
        for kind in ("flow", "deployment", "worker", "work-pool", "automation")
    ]
    payload = {
        "state": {"type": "failed", "name": text, "message": text},
        "attempt": attempt,
        "error": {"type": text, "message": text, "at": 2**70},
        "parameters": {text: [text, 2**70]},
    }
    return EventView(
        id=f"{run[:20]} {text[:20]}", type="flow-run.failed", source="/outside", time=7, received=7,
        resource=resource, related=related, data=payload, cause=text[:500], follows=text[:500],
    )  # fmt: skip


@pytest.mark.parametrize("text", [NUL, LONG], ids=["nul", "long"])
async def test_a_run_is_known_whatever_its_texts_are(rooms: Rooms, text: str) -> None:
    tracker = RunTracker(rooms.bus, rooms.engine)
    await tracker.see(seen("r1", text))
    run = await rooms.runs.get("r1")
    assert run.state == "failed"
    assert len(await rooms.runs.ls(flow=run.flow)) == 1


@pytest.mark.parametrize("id_", [NUL, LONG], ids=["nul", "long"])
async def test_what_can_be_no_runs_id_is_passed_over(rooms: Rooms, id_: str) -> None:
    tracker = RunTracker(rooms.bus, rooms.engine)
    await tracker.see(seen(id_, "x"))
    await tracker.see(seen("r2", "x"))
    assert [run.id for run in await rooms.runs.ls()] == ["r2"]


async def test_an_attempt_that_is_no_number_of_one_is_the_first(rooms: Rooms) -> None:
    tracker = RunTracker(rooms.bus, rooms.engine)
    for number, attempt in enumerate((2**31, 2**70, -1, 0, True, "3", 1.5)):
        await tracker.see(seen(f"r{number}", "x", attempt=attempt))
        assert (await rooms.runs.get(f"r{number}")).attempt == 1


async def test_the_engines_memory_has_any_key(rooms: Rooms) -> None:
    store = EngineStore(rooms.engine)
    fence, _ = await store.claim("0")
    entries: dict[tuple[str, str], bytes | None] = {
        ("part", LONG): b"long", ("part", LONG[:-1]): b"nearly as long", ("part", "short"): b"short",
    }  # fmt: skip

    async def commit(sequence: int, changed: dict[tuple[str, str], bytes | None]) -> None:
        checkpoint = Checkpoint(sequence, 1, 1, frozenset(), b"", changed)
        await store.commit("0", fence, checkpoint, firings=(), counters={}, updated=1)

    await commit(1, entries)
    await commit(2, {("part", LONG): b"longer", ("part", LONG[:-1]): None, ("part", NUL): b"nul"})
    _, found = await store.claim("0")
    assert found is not None
    assert found.entries["part", LONG] == b"longer"
    assert found.entries["part", "short"] == b"short"
    assert ("part", LONG[:-1]) not in found.entries
    assert b"nul" in found.entries.values()
    assert len(found.entries) == 3


async def test_nobody_is_found_by_a_text_that_no_database_holds(rooms: Rooms) -> None:
    with pytest.raises(NoSuchRun):
        await rooms.runs.get(NUL)
    assert await rooms.runs.ls(flow=NUL) == []

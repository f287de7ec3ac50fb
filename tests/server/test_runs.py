"""Runs: created once, handed to the bus once, refused with reasons."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from run_rooms import Rooms, open_rooms, sqlite_url
from tocsin_events.bus import Bus
from tocsin_events.instant import SECOND
from tocsin_events.nats_server import NatsServer
from tocsin_server.deployments import NoSuchDeployment, Origin
from tocsin_server.parameters import InvalidParameters
from tocsin_server.runs import NoSuchRun, RunRequest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def rooms(request: pytest.FixtureRequest, bus: Bus, tmp_path: Path) -> AsyncIterator[Rooms]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path)
    else:
        url = await _postgres(request)
    async with open_rooms(url, bus) as rooms:
        yield rooms


async def _postgres(request: pytest.FixtureRequest) -> str:
    import uuid

    import asyncpg

    server = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    return f"{server}/{name}"


async def test_a_run_is_recorded_told_of_and_handed_out(rooms: Rooms) -> None:
    await rooms.deploy(parameters={"note": "hi"}, tags=["prod"], labels={"env": "prod"})
    run, new = await rooms.runs.create("nightly", RunRequest({"n": "12"}, tags=("extra",)))
    assert new
    assert run.state == "scheduled"
    assert run.parameters == {"n": 12, "note": "hi"}
    (order,) = await rooms.orders()
    assert order["run_id"] == run.id
    assert order["parameters"] == {"n": 12, "note": "hi"}
    assert order["tags"] == ["prod", "extra"]
    (event,) = await rooms.events("flow-run.*")
    assert event.type == "flow-run.scheduled"
    assert event.resolve("deployment")["labels"] == {"env": "prod"}
    assert event.resolve("flow")["name"] == "count"
    assert await rooms.outgoing.waiting() == 0


async def test_the_same_idempotency_key_is_one_run(rooms: Rooms) -> None:
    await rooms.deploy()
    request = RunRequest({"n": 1}, idempotency_key="f1:1")
    made = await asyncio.gather(*(rooms.runs.create("nightly", request) for _ in range(5)))
    assert len({run.id for run, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    assert len(await rooms.orders()) == 1


async def test_two_deployments_may_use_the_same_key(rooms: Rooms) -> None:
    await rooms.deploy("a")
    await rooms.deploy("b")
    first, _ = await rooms.runs.create("a", RunRequest({"n": 1}, idempotency_key="k"))
    second, _ = await rooms.runs.create("b", RunRequest({"n": 1}, idempotency_key="k"))
    assert first.id != second.id


async def test_a_run_of_a_paused_deployment_is_recorded_as_skipped_with_the_reason(rooms: Rooms) -> None:
    await rooms.deploy()
    await rooms.deployments.pause("nightly", Origin(reason="automation three-strikes"))
    run, _ = await rooms.runs.create("nightly", RunRequest({"n": 1}))
    assert run.state == "skipped"
    assert run.state_message == "deployment nightly is paused: automation three-strikes"
    assert run.has_ended
    assert await rooms.orders() == []
    (event,) = await rooms.events("flow-run.*")
    assert event.type == "flow-run.cancelled"
    assert event.data["state"]["name"] == "Skipped"


async def test_a_resumed_deployment_runs_again(rooms: Rooms) -> None:
    await rooms.deploy(paused=True)
    assert await rooms.deployments.resume("nightly")
    assert not await rooms.deployments.resume("nightly")
    run, _ = await rooms.runs.create("nightly", RunRequest({"n": 1}))
    assert run.state == "scheduled"
    assert await rooms.types("deployment.*") == [
        "deployment.created",
        "deployment.paused",
        "deployment.resumed",
    ]


async def test_parameters_that_do_not_fit_create_nothing(rooms: Rooms) -> None:
    await rooms.deploy()
    with pytest.raises(InvalidParameters, match="n: 'x' is not of type 'integer'"):
        await rooms.runs.create("nightly", RunRequest({"n": "x"}))
    with pytest.raises(InvalidParameters, match="'n' is a required property"):
        await rooms.runs.create("nightly", RunRequest())
    assert await rooms.runs.ls() == []
    assert await rooms.orders() == []


async def test_an_unknown_deployment_or_run_is_named(rooms: Rooms) -> None:
    with pytest.raises(NoSuchDeployment, match="'nope'"):
        await rooms.runs.create("nope", RunRequest())
    with pytest.raises(NoSuchRun, match="'nope'"):
        await rooms.runs.get("nope")


async def test_a_delayed_run_waits_for_its_time(rooms: Rooms) -> None:
    await rooms.deploy()
    await rooms.runs.create("nightly", RunRequest({"n": 1}, delay=3600 * SECOND))
    assert await rooms.orders() == []
    assert await rooms.outgoing.waiting() == 1


async def test_runs_are_listed_newest_first_in_pages(rooms: Rooms) -> None:
    await rooms.deploy()
    made = [(await rooms.runs.create("nightly", RunRequest({"n": n})))[0] for n in range(5)]
    first = await rooms.runs.ls(limit=3)
    rest = await rooms.runs.ls(limit=3, before=(first[-1].created, first[-1].id))
    assert [run.id for run in [*first, *rest]] == [run.id for run in reversed(made)]
    assert await rooms.runs.ls(deployment="other") == []
    assert len(await rooms.runs.ls(states=("scheduled",))) == 5


async def test_a_run_committed_while_the_bus_was_away_is_handed_out_when_it_is_back(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms:
        await rooms.deploy()
        await nats_server.stop()
        run, _ = await rooms.runs.create("nightly", RunRequest({"n": 1}))
        assert await rooms.outgoing.waiting() == 2
        sweeper = asyncio.create_task(rooms.outgoing.run())
        try:
            await nats_server.start()
            async with asyncio.timeout(60):
                while await rooms.outgoing.waiting():
                    await asyncio.sleep(0.05)
        finally:
            sweeper.cancel()
        assert [order["run_id"] for order in await rooms.orders()] == [run.id]

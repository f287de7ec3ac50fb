"""Deployments: what a file may say, what is told of changes, what is known of a flow without running it here."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from run_rooms import Rooms, open_rooms, sqlite_url
from tocsin_events.bus import Bus
from tocsin_server.deployment import Deployment
from tocsin_server.deployments import NoSuchDeployment
from tocsin_server.flow_schema import FlowProblem, describe_flow


@pytest.fixture
async def rooms(bus: Bus, tmp_path: Path) -> AsyncIterator[Rooms]:
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms:
        yield rooms


def deployment(**more: Any) -> Deployment:
    return Deployment.model_validate({"name": "nightly", "flow": "flows.py:etl", **more})


@pytest.mark.parametrize("key", ["schedules", "triggers", "concurrency"])
def test_what_comes_later_is_refused_with_what_to_write_instead(key: str) -> None:
    with pytest.raises(ValidationError, match=rf"{key}: not available in this version; "):
        deployment(**{key: []})


@pytest.mark.parametrize("flow", ["flows.py", "etl", ":etl", "flows.py:", "flows.py:1x", "flows.py:a b"])
def test_a_flow_is_named_by_file_and_function(flow: str) -> None:
    with pytest.raises(ValidationError, match=r"write file\.py:function or module:function"):
        deployment(flow=flow)


@pytest.mark.parametrize("source", [{"git": "https://example.com"}, "s3://bucket/key"])
def test_only_a_directory_is_a_source_yet(source: Any) -> None:
    with pytest.raises(ValidationError, match="only a directory is available"):
        deployment(source=source)


@pytest.mark.parametrize("name", ["Nightly", "a b", "", "-a", "a/b", "x" * 201])
def test_a_name_is_lower_case_and_short(name: str) -> None:
    with pytest.raises(ValidationError):
        deployment(name=name)


def test_labels_that_yaml_reads_as_numbers_are_texts() -> None:
    assert deployment(labels={"tier": 1, "live": True}).labels == {"tier": "1", "live": "true"}


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        deployment(parametres={})


async def test_each_change_is_an_event_and_no_change_is_none(rooms: Rooms) -> None:
    await rooms.deploy()
    await rooms.deploy()
    await rooms.deploy(tags=["prod"])
    assert await rooms.types("deployment.*") == ["deployment.created", "deployment.updated"]
    created, updated = await rooms.events("deployment.*")
    assert created.resolve("deployment")["name"] == "nightly"
    assert updated.data["changes"] == ["tags"]


async def test_applying_a_file_again_does_not_undo_what_an_automation_paused(rooms: Rooms) -> None:
    await rooms.deploy()
    await rooms.deployments.pause("nightly")
    await rooms.deploy(tags=["prod"])
    assert (await rooms.deployments.get("nightly")).paused
    await rooms.deploy(paused=False)
    assert not (await rooms.deployments.get("nightly")).paused


async def test_a_pruned_deployment_is_gone_and_told_of(rooms: Rooms) -> None:
    await rooms.deploy()
    async with rooms.engine.begin() as connection:
        await rooms.deployments.apply(connection, [], {}, prune=["nightly"])
    assert await rooms.deployments.ls() == []
    assert (await rooms.types("deployment.*"))[-1] == "deployment.deleted"


async def test_a_transaction_that_is_rolled_back_tells_nothing(rooms: Rooms) -> None:
    with pytest.raises(NoSuchDeployment):
        async with rooms.engine.begin() as connection:
            await rooms.deployments.apply(connection, [deployment()], {}, prune=["nope"])
    assert await rooms.deployments.ls() == []
    assert await rooms.types() == []


async def test_a_flow_is_described_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "flows_of_this_test.py").write_text(
        "from tocsin import flow\nprint('noise')\n"
        "@flow\ndef etl(n: int, url: str = 'x') -> None:\n    'Loads it.'\n"
    )
    found = await describe_flow("flows_of_this_test.py:etl", tmp_path)
    assert (found.name, found.description) == ("etl", "Loads it.")
    assert found.schema["properties"]["n"]["type"] == "integer"
    assert found.schema["required"] == ["n"]
    assert "flows_of_this_test" not in sys.modules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("1 +", "SyntaxError"),
        ("etl = 3", "int, not a flow"),
        ("", "no 'etl'"),
        ("import os; os._exit(3)", "ended without a word"),
        ("import time; time.sleep(60)", "took longer than 3 s"),
    ],
)
async def test_a_flow_that_cannot_be_loaded_says_why(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "flows.py").write_text(text)
    with pytest.raises(FlowProblem, match=problem):
        await describe_flow("flows.py:etl", tmp_path, seconds=3)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlowProblem, match=r"no file .*flows\.py"):
        await describe_flow("flows.py:etl", tmp_path)
    with pytest.raises(FlowProblem, match="no directory"):
        await describe_flow("flows.py:etl", tmp_path / "nowhere")

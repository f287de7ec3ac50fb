"""Pictures of the last runs on a real server: drawn from its own record, and loaded by address without a key."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from png_pixels import decoded
from server_process import ServerProcess, event, eventually, post_events
from tocsin_notifiers.message import RunsOf
from tocsin_notifiers.picture_link import PictureLinks
from tocsin_notifiers.run_chart import PastRun, read_chart
from tocsin_server.db import metadata, open_engine
from tocsin_server.last_runs import LastRuns
from tocsin_server.link_keys import link_keys
from tocsin_server.run_tables import RUNS

CHART = "m7fcffc80f20"
MAIL = (
    "notifiers: {{{name}: {{email: {{to: [ada@example.com], from: t@example.com, smtp: {{host: mail}}}}}}}}"
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = open_engine(f"sqlite:///{tmp_path / 'test.db'}")
    async with made.begin() as connection:
        await connection.run_sync(metadata().create_all)
    yield made
    await made.dispose()


def row(id_: str, created: int, **further: Any) -> dict[str, Any]:
    return {
        "id": id_, "name": id_, "flow": "etl", "deployment": "nightly", "parameters": {}, "tags": [],
        "created": created, "due": created, "state": "completed", "state_name": "", "state_message": "",
        "state_time": created, "started": created, "ended": created + 5, **further,
    }  # fmt: skip


async def test_the_last_runs_are_those_of_the_deployment_or_the_flow_the_latest_first(engine: AsyncEngine):
    rows = [
        *(row(f"r{number:02}", number) for number in range(30)),
        row("other", 40, deployment="hourly"),
        row("script", 41, deployment=None),
        row("foreign", 42, deployment="weekly", flow="report"),
        row("planned", 43, state="scheduled", started=None, ended=None),
        row("skipped", 44, state="skipped", started=None),
        row("lagging", 45, state="pending", started=None, ended=None),
        row("broken", 46, state="failed"),
    ]
    async with engine.begin() as connection:
        await connection.execute(RUNS.insert(), rows)
    runs = LastRuns(engine)
    found = await runs.last_runs(RunsOf(kind="deployment", name="nightly", run="lagging"), 20)
    assert len(found) == 20
    assert found[0] == PastRun("broken", "failed", 46, 51)
    assert [one.id for one in found[1:4]] == ["lagging", "r29", "r28"]
    found = await runs.last_runs(RunsOf(kind="flow", name="etl"), 4)
    assert [one.id for one in found] == ["broken", "script", "other", "r29"]
    assert await runs.last_runs(RunsOf(kind="flow", name="' or 1=1 --"), 20) == []


def test_a_picture_is_loaded_by_its_address_without_a_key_and_nothing_else_is(server: ServerProcess):
    links = PictureLinks(link_keys(None, server.data_dir / "secrets.key"))
    token = links.token(read_chart(CHART))
    forged = PictureLinks([b"another key"]).token(read_chart(CHART))
    with server.client(key="") as client:
        shown = client.get(f"{server.url}/pictures/{token}.png")
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
        assert decoded(shown.content).width == 1080
        assert "max-age=3600" in shown.headers["cache-control"]
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert client.head(f"{server.url}/pictures/{token}.png").status_code == 200
        signature = token.partition(".")[2]
        for hostile in (
            forged, CHART, f"{CHART}.", f".{signature}", f"{CHART}0.{signature}", f"cff.{signature}", token.upper(),
            f"{CHART}.{'A' * 10_000}", "%00", "..%2f..%2fsecrets", "%F0%9F%98%80", f"{token}.{signature}",
            base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        ):  # fmt: skip
            refused = client.get(f"{server.url}/pictures/{hostile}.png")
            assert refused.status_code == 404, hostile
            assert hostile not in refused.text
        assert client.post(f"{server.url}/pictures/{token}.png").status_code == 405


def test_a_preview_of_a_failed_run_says_that_the_picture_is_attached(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(MAIL.format(name="picture-mail"))
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).returncode == 0
    with server.client() as client:
        states = ("completed", "completed", "failed")
        told = [
            _run_event(f"pictured-{number}", number, state)
            for number, last in enumerate(states)
            for state in ("running", last)
        ]
        assert post_events(client, told).status_code == 202
        eventually(lambda: client.get("/events/pictured-2-failed").status_code == 200)
        wanted = {"event": "pictured-2-failed"}

        def pictured() -> Any:
            answer = client.post("/notifiers/picture-mail/preview", json=wanted).json()
            image = answer["messages"][0]["message"]["image"]
            return image is not None and "2 completed, 1 failed" in image["alt"] and answer["messages"][0]

        shown = eventually(pictured)
        said = "The last 3 runs of pictured: 2 completed, 1 failed; median 60 s"
        assert shown["message"]["image"]["alt"] == said
        assert shown["message"]["image"]["url"] == ""
        assert [one["name"] for one in shown["payload"]["attached"]] == ["last-runs.png"]
    text = eventually(
        lambda: _with(
            said, server.cli("notifiers", "preview", "picture-mail", "--event", "pictured-2-failed").stdout
        )
    )
    assert "attached as last-runs.png" in text


def _with(said: str, text: str) -> str:
    return text if said in text else ""


def _run_event(run: str, number: int, state: str) -> dict[str, Any]:
    minute = 10 + 2 * number + (state != "running")
    return event(
        f"flow-run.{state}", f"{run}-{state}", time=f"2026-03-01T12:{minute}:00Z", dataschema="tocsin:event",
        subject=f"flow-run/{run}",
        data={
            "resource": {"kind": "flow-run", "id": run, "name": run},
            "related": [{"kind": "flow", "id": "pictured", "name": "pictured", "role": "flow"}],
            "payload": {"state": {"type": state, "name": state.title()}, "attempt": 1},
        },
    )  # fmt: skip

"""`emit`, secrets, and what never gets out."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin import Secret, Variable, emit, flow, redaction
from tocsin.client import Unreachable
from tocsin.plain import plain
from tocsin.testing import CapturedEvents, capture_events
from tocsin_events.envelope import MAX_EVENT_BYTES
from tocsin_events.event import Event
from tocsin_events.view import EventView


def test_an_event_of_ones_own(events: CapturedEvents) -> None:
    id_ = emit(
        "orders.loaded",
        resource="table/orders",
        data={"rows": 3},
        related=[{"kind": "job", "id": "7", "role": "loader"}, "host/a"],
        time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    view = EventView.decode(events[0].body, received=0)
    assert (view.id, view.type, view.subject, view.data) == (
        id_,
        "orders.loaded",
        "table/orders",
        {"rows": 3},
    )
    assert [(one["role"], one["id"]) for one in view.related] == [("loader", "7"), ("host", "a")]
    assert view.time == 1767312000_000000


@pytest.mark.parametrize("type_", ["", "with blank", "a.*", "a.>", "line\nbreak", 7])
def test_what_is_no_type_is_the_callers_error(type_: Any) -> None:
    with pytest.raises(ValueError, match="is no event type"):
        emit(type_)


@pytest.mark.parametrize("resource", ["", {"kind": "a"}, {"id": "1", "colour": "red"}])
def test_what_is_no_resource_is_the_callers_error(resource: Any) -> None:
    with pytest.raises(ValueError, match="resource"):
        emit("a", resource=resource)


def test_a_time_without_a_zone_is_the_callers_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        emit("a", time=datetime(2026, 1, 2))  # noqa: DTZ001


class Odd:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes()
        | st.builds(Odd) | st.complex_numbers() | st.decimals(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
        max_leaves=10,
    )
)  # fmt: skip
def test_any_data_becomes_an_event(data: Any) -> None:
    with capture_events() as events:
        emit("any", data=data)
    json.loads(events[0].body)
    json.dumps(plain(data), allow_nan=False)


def test_data_that_contains_itself_becomes_an_event(events: CapturedEvents) -> None:
    loop: list[Any] = []
    loop.append(loop)
    emit("loop", data=loop)
    emit("decimal", data=Decimal("1.5"))
    assert len(events) == 2


def test_data_that_is_too_large_is_left_out_and_said_so(
    events: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        emit("large", data="x" * MAX_EVENT_BYTES)
    assert events[0].data["truncated"] is True
    assert "goes without its data" in caplog.text


def test_our_events_fit_the_model_of_the_edges(events: CapturedEvents) -> None:
    @flow(tags=["a"], labels={"team": "data"})
    def main() -> None:
        emit("inside")

    main()
    for event in events:
        raw = json.loads(event.body)
        Event(
            id=raw["id"], type=raw["type"], source=raw["source"], time=raw["time"],
            resource=raw["data"]["resource"], related=raw["data"]["related"], data=raw["data"]["payload"],
        )  # fmt: skip


@dataclass
class Login:
    password: str


@pytest.fixture
def forget_secrets() -> Any:
    yield
    redaction._revealed.clear()


@pytest.mark.usefixtures("forget_secrets")
def test_a_secret_is_masked_wherever_it_turns_up(
    events: CapturedEvents, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOCSIN_SECRET_SQL_PASSWORD", 'hunter2"\\nine')
    secret = Secret("sql-password")
    assert "hunter2" not in repr(secret)

    @flow
    def main() -> None:
        password = secret.get()
        emit("leak", data=Login(password))
        loop: list[Any] = [password]
        loop.append(loop)
        emit("leak", data=loop)
        emit("leak", data={"url": f"sql://me:{password}@db", password: [password]})
        raise ConnectionError(f"cannot reach sql://me:{password}@db")

    with pytest.raises(ConnectionError, match="hunter2"):
        main()
    assert not any(b"hunter2" in event.body for event in events)
    assert redaction.MASK in events[-1].data["error"]["message"]
    assert "hunter2" not in capsys.readouterr().err


def test_without_a_server_a_secret_that_is_not_in_the_environment_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(Unreachable, match="tocsin server start"):
        Secret("nowhere").get()


def test_a_variable_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_VARIABLE_REGION", "eu")
    assert Variable("region").get() == "eu"


def test_where_nothing_can_be_written_a_flow_runs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    blocker = tmp_path / "file"
    blocker.write_text("")
    script = "from tocsin import flow, emit\n@flow\ndef f(): emit('a'); return 1\nprint(f())"
    monkeypatch.setenv("TOCSIN_OUTBOX__DIR", str(blocker / "outbox"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert done.stderr.count("cannot be written") == 1


def test_text_that_is_no_unicode_becomes_an_event_too(events: CapturedEvents) -> None:
    emit("file.seen", resource={"id": "a\udcff", "kind": "file"}, data={"name\udcff": ["b\udcff"]})
    assert events[0].data == {"name?": ["b?"]}
    with pytest.raises(ValueError, match="is no event type"):
        emit("a\udcff")

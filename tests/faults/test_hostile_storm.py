"""A storm of hostile events, through all kinds of rules and notifiers: no service stops at any of them, and none is lost."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess, event, eventually, running_server

COUNT = 700

CONFIGURED = """
notifiers:
  grouped: {file: {path: grouped.jsonl}, group: {by: [data.name, data.n], wait: 1s, interval: 2s}, remind: 5s}
  plain: {file: {path: plain.jsonl}}
automations:
  each:
    when: {event: "s.*", for_each: [data.name]}
    until: {event: "t.*", for_each: [data.name]}
    then:
      - {notify: grouped, title: "hi {{ event.data.name }} {{ event.data.n }}"}
      - {emit_event: pong, data: {n: "{{ event.data.name }}", m: "{{ event.data.n }}"}}
  counted: {when: {event: "s.*", count: 2, within: 1h, for_each: [data.name, data.n]}, then: [{notify: plain, title: "{{ event.data }}"}]}
  by-resource: {when: {event: "s.*", count: 2, within: 1h, for_each: resource.id}, then: [{notify: plain}]}
  highest: {when: {event: "s.*", value: data.n, aggregate: max, over: 10m, above: 1, for_each: resource.name}, then: [{notify: grouped}]}
  lasting: {when: {event: "s.a", for: 2s}, then: [{notify: plain}]}
  missing: {when: {missing: t.a, after: s.a, within: 2s, for_each: data.name}, then: [{notify: plain}]}
  labelled:
    when: {event: "s.*", where: "data.name.size() > 3 && data.n > 5", for_each: [resource.labels]}
    then: [{notify: grouped, title: "{{ event.resource }}", body: "{{ event.data.name }}"}]
"""

TEXTS = (
    "a\0b", "", "a", "b", "x" * 500, "x" * 1_990, "<!channel> </script> {{7*7}} ${x} %s %00 \u202e\u2028\r\n",
    "\x1b[31m\x07\x7f", "'; DROP TABLE runs;--", "\N{PILE OF POO}" * 900,
)  # fmt: skip
NUMBERS = (
    0,
    1,
    6,
    -1,
    2**31,
    2**63,
    -(2**63),
    2**70,
    1e308,
    -1e308,
    1.5,
    5e-324,
    True,
    None,
    "7",
    [1],
    {"a": 1},
)


class Storm:
    """Random events; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self) -> str:
        if self._random.random() < 0.2:
            size = self._random.choice((10, 400, 999, 1_500))
            return "".join(chr(self._random.randint(0x20000, 0x2A000)) for _ in range(size))
        return self._random.choice(TEXTS)

    def data(self) -> dict[str, Any]:
        name = self._random.choice((self.text(), self.text(), self._random.choice(NUMBERS)))
        deep = {"deep": json.loads("[" * 60 + "]" * 60)} if self._random.random() < 0.2 else {}
        return {"name": name, "n": self._random.choice(NUMBERS), **deep, self.text() or "k": self.text()}

    def event(self, number: int) -> dict[str, Any]:
        type_ = self._random.choice(
            ("s.a", "s.b", "t.a", "flow-run.failed", "flow-run.running", "deployment.x")
        )
        if self._random.random() < 0.3:
            return event(type_, f"e{number}", data=self.data())
        resource = {
            "kind": self._random.choice(("table", "flow-run", "deployment")), "id": self.text() or "x",
            "name": self.text(), "labels": {(self.text() or "l")[:100]: self.text()[:100]}, "tags": [self.text()[:100]],
        }  # fmt: skip
        related = [{"kind": "flow", "id": self.text() or "x", "name": self.text(), "role": "flow"}]
        told = {"resource": resource, "related": related, "payload": self.data()}
        return event(type_, f"e{number}", dataschema="tocsin:event", data=told)


@pytest.mark.soak
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_hostile_events_stop_no_service_and_none_is_lost(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(CONFIGURED.replace("path: ", f"path: {tmp_path}/"))
    environment = {}
    if database == "postgres":
        environment["TOCSIN_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    with running_server(tmp_path / "data", environment=environment) as server:
        done = server.cli("apply", str(rules))
        assert done.returncode == 0, done.stderr
        accepted = _send(server, Storm(7))
        assert len(accepted) == COUNT
        assert eventually(lambda: accepted <= _recorded(server))
        assert eventually(lambda: _is_through(server), seconds=180)
        _assert_well(server)
    # And what it remembers of them, it can read again.
    with running_server(tmp_path / "data", environment=environment) as server:
        assert eventually(lambda: _is_through(server), seconds=180)
        _assert_well(server)


def _send(server: ServerProcess, storm: Storm) -> set[str]:
    accepted = set()
    with server.client() as client:
        for number in range(COUNT):
            one = storm.event(number)
            headers = {"Content-Type": "application/cloudevents+json"}
            answer = client.post("/events", content=json.dumps(one), headers=headers)
            assert answer.status_code == 202, answer.text
            accepted.add(one["id"])
    return accepted


def _recorded(server: ServerProcess) -> set[str]:
    found: set[str] = set()
    cursor: dict[str, str] = {}
    with server.client() as client:
        while True:
            page = client.get("/events", params={"source": "/test", "limit": 1_000, **cursor}).json()
            found |= {one["id"] for one in page["items"]}
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


def _is_through(server: ServerProcess) -> bool:
    with server.client() as client:
        pending = client.get("/status").json()["pending"]
        return not any(pending[who] for who in ("actions", "alert-keeper", "run-tracker"))


def _assert_well(server: ServerProcess) -> None:
    with server.client() as client:
        for service in client.get("/status").json()["services"]:
            assert (service["state"], service["restarts"]) == ("running", 0), service
        assert client.get("/dead-letters").json()["items"] == []
    assert '"level": "error"' not in server.log()

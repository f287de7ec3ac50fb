"""`kill -9` of the whole server in the middle of the work: nothing is lost, nothing happens twice."""

import random
import signal
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from server_process import (
    ServerProcess,
    event,
    eventually,
    post_events,
    ready_server,
    running_server,
    start_server,
)

EVENTS = 5_000
BATCH = 50

RULES = """
automations:
  one-in-ten:
    when:
      event: order.checked
      where: data.number % 10 == 0
    then:
      - notify: inbox
        title: "order {{ data.number }}"
      - emit_event: order.flagged
        data: {number: "{{ data.number }}"}
"""


def send(server: ServerProcess, first: int, last: int) -> int:
    """Send events until the server is gone; return the number of the first that was not accepted."""
    with server.client() as client:
        for start in range(first, last, BATCH):
            batch = [
                event(
                    "order.checked",
                    f"order-{number}",
                    data={"number": number},
                    datacontenttype="application/json",
                )
                for number in range(start, min(start + BATCH, last))
            ]
            try:
                accepted = post_events(client, batch).status_code == 202
            except httpx2.TransportError:
                accepted = False
            if not accepted:
                return start
    return last


def titles(server: ServerProcess) -> Counter[str]:
    """Count the titles in the inbox, all pages."""
    found: Counter[str] = Counter()
    with server.client() as client:
        cursor = None
        while True:
            page = client.get(
                "/inbox", params={"limit": 200, **({"cursor": cursor} if cursor else {})}
            ).json()
            found.update(item["title"] for item in page["items"])
            cursor = page.get("next")
            if not cursor:
                return found


def flagged(server: ServerProcess) -> Counter[int]:
    """Count the events that the second action emitted, all pages."""
    found: Counter[int] = Counter()
    with server.client() as client:
        cursor = None
        while True:
            wanted = {"type": "order.flagged", "limit": 200, **({"cursor": cursor} if cursor else {})}
            page = client.get("/events", params=wanted).json()
            found.update(item["data"]["payload"]["number"] for item in page["items"])
            cursor = page.get("next")
            if not cursor:
                return found


def kill_in_the_middle(data_dir: Path, seed: int) -> None:
    chance = random.Random(seed)
    rules = data_dir / "rules.yaml"
    process = start_server(data_dir)
    server = ready_server(process, data_dir)
    rules.write_text(RULES)
    applied = server.cli("apply", str(rules))
    assert applied.returncode == 0, applied.stderr
    middle = chance.randrange(BATCH, EVENTS - BATCH)
    done = send(server, 0, middle)
    # Some of what was accepted is still on its way to the engine, the actions and the inbox.
    time.sleep(chance.random() / 5)
    server.stop(signal.SIGKILL)
    assert process.stdout is not None
    process.stdout.close()
    with running_server(data_dir) as again:
        while done < EVENTS:
            done = send(again, done, EVENTS)
        wanted = {f"order {number}" for number in range(0, EVENTS, 10)}
        eventually(lambda: titles(again).keys() >= wanted, seconds=90)
        eventually(lambda: len(flagged(again)) >= EVENTS // 10, seconds=90)
        assert titles(again) == Counter(wanted)
        assert flagged(again) == Counter(range(0, EVENTS, 10))


def test_after_kill_9_of_the_server_each_firing_has_acted_exactly_once(tmp_path: Path) -> None:
    kill_in_the_middle(tmp_path / "data", seed=0)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(1, 11))
def test_it_holds_wherever_the_kill_falls(tmp_path: Path, seed: int) -> None:
    kill_in_the_middle(tmp_path / "data", seed)

"""Load for `ingest-http`, as a process of its own: requests over keep-alive connections, each waiting for its answer.

Run: module, host:port, key, events a request, connections, seconds, a number that makes the ids unique. Prints events
a second.
"""

import asyncio
import contextlib
import sys
import time

import uvloop

from benchmarks.samples import state_event

_WARM_UP = 0.5


def _request(host: str, key: str, first: int, count: int) -> bytes:
    now = time.time_ns() // 1000
    events = [state_event(first + number, time=now) for number in range(count)]
    body = events[0] if count == 1 else b"[" + b",".join(events) + b"]"
    media = "cloudevents+json" if count == 1 else "cloudevents-batch+json"
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/{media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Load:
    def __init__(self, host: str, key: str, count: int, seed: int) -> None:
        self._host, self._key, self._count = host, key, count
        self._next = seed * 1_000_000_000
        self.answered = 0

    async def keep_asking(self) -> None:
        name, _, port = self._host.partition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        while True:
            self._next += self._count
            writer.write(_request(self._host, self._key, self._next, self._count))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b" 202 " not in head.split(b"\r\n", 1)[0]:
                raise RuntimeError(head.decode())
            length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            if length:
                await reader.readexactly(int(length))
            self.answered += self._count


async def _measure(host: str, key: str, count: int, connections: int, seconds: float, seed: int) -> float:
    load = _Load(host, key, count, seed)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.keep_asking()) for _ in range(connections)]
        await asyncio.sleep(_WARM_UP)
        before, start = load.answered, time.perf_counter()
        await asyncio.sleep(seconds)
        rate = (load.answered - before) / (time.perf_counter() - start)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
    return rate


if __name__ == "__main__":
    host, key, count, connections, seconds, seed = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(_measure(host, key, int(count), int(connections), float(seconds), int(seed))))

"""Publishing through the HTTP API, for where the bus itself can't be reached (another network, a key of one's own)."""

import contextlib
from collections.abc import Sequence

import msgspec

from tocsin import client
from tocsin.discovery import Server
from tocsin.links import Denied, Link, LinkDown, LogRecord
from tocsin.outbox import Entry

_BATCH = {"Content-Type": "application/cloudevents-batch+json"}
_BATCH_BYTES = 1_000_000


class HttpLink(Link):
    """The server's API as a way to the bus; not for use by several threads."""

    def __init__(self, server: Server) -> None:
        self._client = client.Client(server)

    def publish(self, entries: Sequence[Entry]) -> list[str | None]:
        """Publish events in order; return, for each, None once the bus has it, or why it never will."""
        verdicts: list[str | None] = []
        for part in _parts(entries):
            verdicts += self._post(part)
        return verdicts

    def publish_logs(self, records: Sequence[LogRecord]) -> None:
        """Publish log lines of runs."""
        by_run: dict[str, list[msgspec.Raw]] = {}
        for run_id, body in records:
            by_run.setdefault(run_id, []).append(msgspec.Raw(body))
        for run_id, bodies in by_run.items():
            with contextlib.suppress(client.Invalid, client.NotFound):
                self._send(
                    f"runs/{run_id}/logs", msgspec.json.encode(bodies), {"Content-Type": "application/json"}
                )

    def idle(self) -> None:
        """Nothing: each request stands alone."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, entries: Sequence[Entry]) -> list[str | None]:
        """Post a batch; one that the server finds fault with is halved until the guilty event is alone."""
        try:
            self._send("events", b"[" + b",".join(entry.body for entry in entries) + b"]", _BATCH)
        except (client.Invalid, client.Conflict) as problem:
            if len(entries) == 1:
                return [f"the server refuses it: {problem}"]
            middle = len(entries) // 2
            return self._post(entries[:middle]) + self._post(entries[middle:])
        return [None] * len(entries)

    def _send(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        try:
            self._client.request("POST", path, content=content, headers=headers)
        except client.Denied as problem:
            raise Denied(f"the server does not accept our key (TOCSIN_API_KEY): {problem}") from problem
        except client.Unavailable as problem:
            raise LinkDown(f"the server can't take events now: {problem}", problem.retry_after) from problem
        except client.Unreachable as problem:
            raise LinkDown(str(problem)) from problem


def _parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    parts: list[list[Entry]] = []
    size = 0
    for entry in entries:
        if not parts or size + len(entry.body) > _BATCH_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += len(entry.body)
    return parts

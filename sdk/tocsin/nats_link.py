"""Publishing to JetStream over a plain blocking socket, with many acknowledgements outstanding.

nats-py is made for event loops. In a flow's process it would cost an event loop in a thread and 70 ms of imports, and
25 to 30 µs of the interpreter's one lock for each event, which the flow's own code then waits for; this costs a few
µs. It does one thing, so it stays small: connect, publish a batch, collect its acknowledgements. When anything goes
wrong the connection is given up, and the batch is sent again over a new one: its message ids make that harmless.
"""

import contextlib
import json
import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from tocsin import nats_wire
from tocsin.links import Denied, Link, LinkDown, LogRecord
from tocsin.outbox import Entry
from tocsin_events.address import BusAddress
from tocsin_events.streams import event_subject, log_subject, told_by_service_alone

_CONNECT_TIMEOUT = 2.0
_ACK_TIMEOUT = 10.0
_READ = 1 << 16
_DEFAULT_PORT = 4222
_HEADER_BYTES = 64
_NEVER = (10054, 10137)  # the message is too large; anything else (no space, no quorum) passes


class NatsLink(Link):
    """A connection to the bus; not for use by several threads.

    Raises:
        LinkDown: the server can't be reached.
        Denied: it doesn't accept the credentials.

    """

    def __init__(self, address: BusAddress) -> None:
        self._decoder = nats_wire.Decoder()
        self._frames: list[nats_wire.Frame] = []
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._sent = 0
        self._max_payload = 1 << 20
        problems = []
        for url in address.servers:
            try:
                self._socket = self._open(url, address)
                return
            except Denied:
                raise
            except (OSError, LinkDown) as problem:
                problems.append(f"{url}: {problem}")
        raise LinkDown(f"the bus can't be reached ({'; '.join(problems)})")

    def publish(self, entries: Sequence[Entry]) -> list[str | None]:
        """Publish events in order and return, for each, None (the bus has it) or why it never will."""
        verdicts: list[str | None] = [None] * len(entries)
        first = self._sent
        waiting: set[int] = set()
        subjects: dict[int, str] = {}
        frames = []
        for number, (type_, key, body) in enumerate(entries):
            try:
                subject = self._subject(type_, len(body) + len(key))
            except ValueError as problem:
                verdicts[number] = str(problem)
                continue
            waiting.add(first + number)
            subjects[first + number] = subject
            frames.append(nats_wire.publish(subject, f"{self._inbox}.{first + number}", key, body))
        self._sent += len(entries)
        self._send(b"".join(frames))
        deadline = time.monotonic() + _ACK_TIMEOUT
        while waiting:
            for frame in self._receive(deadline):
                if isinstance(frame, nats_wire.Message):
                    number = int(frame.subject.rpartition(".")[2])
                    if number in waiting:
                        waiting.discard(number)
                        verdicts[number - first] = _verdict(frame)
                elif isinstance(frame, nats_wire.Refusal):
                    forbidden = nats_wire.forbidden_subject(frame.reason)
                    for number in [one for one in waiting if subjects[one] == forbidden]:
                        waiting.discard(number)
                        verdicts[number - first] = _forbidden(entries[number - first].type, frame.reason)
        return verdicts

    def publish_logs(self, records: Sequence[LogRecord]) -> None:
        """Publish log lines; nobody waits for them to be stored."""
        self._send(
            b"".join(
                b"PUB %b %d\r\n%b\r\n" % (log_subject(run_id).encode(), len(body), body)
                for run_id, body in records
            )
        )

    def idle(self) -> None:
        """Answer the server's pings.

        Raises:
            LinkDown: the connection is gone.

        """
        try:
            self._socket.setblocking(False)
            data = self._socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as problem:
            raise LinkDown(str(problem)) from problem
        finally:
            self._socket.setblocking(True)
        self._take(data)

    def close(self) -> None:
        """Let what was sent reach the server, then end the connection."""
        with contextlib.suppress(LinkDown, Denied, OSError):
            self._round_trip(time.monotonic() + 1.0)
        self._socket.close()

    def _subject(self, type_: str, size: int) -> str:
        if size + _HEADER_BYTES > self._max_payload:
            raise ValueError(f"{size} bytes; the bus takes messages of {self._max_payload}")
        return event_subject(type_)

    def _open(self, url: str, address: BusAddress) -> socket.socket:
        parts = urlsplit(url)
        if parts.scheme not in ("nats", "tls"):
            raise LinkDown(
                f"{parts.scheme} is not spoken here; set TOCSIN_API_URL instead, to deliver over HTTP"
            )
        host, port = parts.hostname or "127.0.0.1", parts.port or _DEFAULT_PORT
        connection = socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = connection
            deadline = time.monotonic() + _CONNECT_TIMEOUT
            info: nats_wire.Info | None = None
            while info is None:
                info = next((one for one in self._receive(deadline) if isinstance(one, nats_wire.Info)), None)
            self._max_payload = int(info.values.get("max_payload", self._max_payload))
            if parts.scheme == "tls" or info.values.get("tls_required"):
                connection = ssl.create_default_context().wrap_socket(connection, server_hostname=host)
                self._socket = connection
            user, password, token = _credentials(address)
            self._send(nats_wire.connect(user, password, token) + f"SUB {self._inbox}.* 1\r\n".encode())
            self._round_trip(deadline)
        except BaseException:
            self._socket.close()
            raise
        return connection

    def _round_trip(self, deadline: float) -> None:
        self._send(b"PING\r\n")
        while not any(isinstance(frame, nats_wire.Pong) for frame in self._receive(deadline)):
            pass

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(_ACK_TIMEOUT)
            self._socket.sendall(data)
        except OSError as problem:
            raise LinkDown(f"the bus went away: {problem}") from problem

    def _receive(self, deadline: float) -> list[nats_wire.Frame]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LinkDown("the bus does not answer")
        try:
            self._socket.settimeout(left)
            data = self._socket.recv(_READ)
        except OSError as problem:
            raise LinkDown(f"the bus went away: {problem}") from problem
        return self._take(data)

    def _take(self, data: bytes) -> list[nats_wire.Frame]:
        if not data:
            raise LinkDown("the bus closed the connection")
        try:
            frames = self._decoder.feed(data)
        except nats_wire.WireError as problem:
            raise LinkDown(f"what answers there is no NATS server: {problem}") from problem
        for frame in frames:
            if isinstance(frame, nats_wire.Ping):
                self._send(b"PONG\r\n")
            elif isinstance(frame, nats_wire.Refusal) and not nats_wire.forbidden_subject(frame.reason):
                kind = Denied if _is_about_rights(frame.reason) else LinkDown
                raise kind(f"the bus refuses: {frame.reason}")
        return frames


def _verdict(answer: nats_wire.Message) -> str | None:
    if answer.status == 503:
        raise LinkDown("the bus has no stream for events (JetStream off, or the server not ready)")
    if b'"error"' not in answer.payload:
        return None
    error = json.loads(answer.payload).get("error") or {}
    reason = str(error.get("description", "unknown error"))
    if error.get("err_code") in _NEVER:
        return f"the bus refuses it: {reason}"
    raise LinkDown(f"the bus can't store events now: {reason}")


def _forbidden(type_: str, reason: str) -> str:
    """Return why an event is never taken. What somebody forbade by mistake is to wait instead: that raises."""
    if told_by_service_alone(type_):
        return f"the bus lets only the service publish {type_!r}: choose a type of your own"
    raise Denied(f"the bus refuses: {reason}")


def _credentials(address: BusAddress) -> tuple[str | None, str | None, str | None]:
    """Return user, password and token; a URL with a user and no password carries a token."""
    if address.user and not address.password:
        return None, None, address.user
    return address.user, address.password, None


def _is_about_rights(reason: str) -> bool:
    lowered = reason.lower()
    return "authorization" in lowered or "permissions" in lowered or "authentication" in lowered

"""The NATS client protocol, as far as publishing with acknowledgements needs it. Pure: bytes in, frames out.

The publisher speaks it over a blocking socket in its own thread (nats_link.py says why). Source of the protocol:
https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_MAX_LINE = 65_536


class WireError(ValueError):
    """Bytes that are not the NATS protocol."""


class Info(NamedTuple):
    """What the server says of itself when a client connects, or when that changes."""

    values: Mapping[str, Any]


class Message(NamedTuple):
    """A message to one of our subscriptions; ``status`` is that of a header-only answer (503: nobody listens)."""

    subject: str
    payload: bytes
    status: int = 0


class Ping(NamedTuple):
    """The server asks whether we are there."""


class Pong(NamedTuple):
    """The server answers a ping: it has handled everything sent before."""


class Refusal(NamedTuple):
    """The server's ``-ERR``."""

    reason: str


Frame = Info | Message | Ping | Pong | Refusal


class Decoder:
    """Turns the bytes of a connection, however they are cut, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now.

        Raises:
            WireError: this is not the NATS protocol; the connection is of no use any more.

        """
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while (end := buffer.find(b"\r\n", start)) >= 0:
            line = bytes(buffer[start:end])
            after = end + 2
            if line[:4] in (b"MSG ", b"HMSG"):
                message, after = _message(line, buffer, after)
                if message is None:
                    break
                frames.append(message)
            elif (frame := _control(line)) is not None:
                frames.append(frame)
            start = after
        del buffer[:start]
        if len(buffer) > _MAX_LINE and b"\r\n" not in buffer[:_MAX_LINE]:
            raise WireError("a line without end")
        return frames


def connect(user: str | None, password: str | None, token: str | None) -> bytes:
    """Return the first thing a client says."""
    options: dict[str, Any] = {
        "verbose": False, "pedantic": False, "headers": True, "no_responders": True, "protocol": 1,
        "lang": "python", "version": "1", "name": "tocsin-sdk",
    }  # fmt: skip
    options |= {
        name: value
        for name, value in (("user", user), ("pass", password), ("auth_token", token))
        if value is not None
    }
    return b"CONNECT " + json.dumps(options).encode() + b"\r\n"


def publish(subject: str, reply: str, key: str, body: bytes) -> bytes:
    """Return a message that asks for an acknowledgement to ``reply``; ``key`` is what the bus knows doubles by."""
    header = b"NATS/1.0\r\nNats-Msg-Id: " + key.encode() + b"\r\n\r\n"
    size = len(header)
    start = f"HPUB {subject} {reply} {size} {size + len(body)}\r\n".encode()
    return b"".join((start, header, body, b"\r\n"))


def forbidden_subject(reason: str) -> str | None:
    """Return the subject that a refusal says we may not publish to; None if it is about something else."""
    found = _FORBIDDEN.fullmatch(reason)
    return _ESCAPED.sub(_unescaped, found[1]) if found else None


_FORBIDDEN = re.compile(r'Permissions Violation for Publish to "(.*)"', re.IGNORECASE | re.DOTALL)
# The server writes it as Go's %q does.
_ESCAPED = re.compile(r"""\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|x([0-9a-f]{2})|([\\"'abfnrtv]))""")
_SIMPLE = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    return chr(int(code, 16)) if code else _SIMPLE.get(found[4], found[4])


def _control(line: bytes) -> Frame | None:
    word, _, rest = line.partition(b" ")
    match word.upper():
        case b"PING":
            return Ping()
        case b"PONG":
            return Pong()
        case b"+OK" | b"":
            return None
        case b"-ERR":
            return Refusal(rest.decode(errors="replace").strip("' "))
        case b"INFO":
            try:
                return Info(json.loads(rest))
            except ValueError as problem:
                raise WireError(f"INFO: {problem}") from problem
        case _:
            raise WireError(f"unknown operation {word[:20]!r}")


def _message(line: bytes, buffer: bytearray, start: int) -> tuple[Message | None, int]:
    """Return the message whose first line is given, and where the next frame starts; None if it isn't whole yet."""
    parts = line.split()
    try:
        subject = parts[1].decode()
        total = int(parts[-1])
        head = int(parts[-2]) if parts[0] == b"HMSG" else 0
    except (IndexError, ValueError) as problem:
        raise WireError(f"{line[:80]!r}") from problem
    if len(buffer) < start + total + 2:
        return None, start
    payload = bytes(buffer[start + head : start + total])
    status = buffer[start : start + head].split(b"\r\n", 1)[0].split(b" ")[1:2] if head else []
    return Message(
        subject, payload, int(status[0]) if status and status[0].isdigit() else 0
    ), start + total + 2

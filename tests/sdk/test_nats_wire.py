"""The NATS protocol as the publisher speaks it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.nats_wire import Decoder, Frame, Info, Message, Ping, Pong, Refusal, WireError, publish

STREAM = (
    b'INFO {"max_payload":1048576}\r\nPING\r\nPONG\r\n+OK\r\n'
    b'MSG _INBOX.a.1 1 26\r\n{"stream":"EVENTS","seq":1}\r\n'.replace(b" 26", b" 27")
    + b"HMSG _INBOX.a.2 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"
    + b"MSG _INBOX.a.3 1 0\r\n\r\n"
    + b"MSG _INBOX.a.4 1 6\r\nab\r\ncd\r\n"
    + b"-ERR 'Authorization Violation'\r\n"
)
FRAMES: list[Frame] = [
    Info({"max_payload": 1048576}),
    Ping(),
    Pong(),
    Message("_INBOX.a.1", b'{"stream":"EVENTS","seq":1}'),
    Message("_INBOX.a.2", b"", 503),
    Message("_INBOX.a.3", b""),
    Message("_INBOX.a.4", b"ab\r\ncd"),
    Refusal("Authorization Violation"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_frames_come_out_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})
    decoder = Decoder()
    frames = [frame for a, b in pairwise(edges) for frame in decoder.feed(STREAM[a:b])]
    assert frames == FRAMES


@given(st.binary(max_size=300))
def test_anything_else_is_a_wire_error_and_nothing_worse(noise: bytes) -> None:
    decoder = Decoder()
    try:
        for frame in decoder.feed(noise + b"\r\n"):
            assert isinstance(frame, Frame)
    except WireError:
        pass


def test_a_line_without_end_is_given_up() -> None:
    with pytest.raises(WireError, match="without end"):
        Decoder().feed(b"x" * 100_000)


def test_a_message_carries_its_key_as_the_buses_message_id() -> None:
    assert publish("tocsin.events.a", "_INBOX.x.1", "/s 1", b"{}") == (
        b"HPUB tocsin.events.a _INBOX.x.1 31 33\r\nNATS/1.0\r\nNats-Msg-Id: /s 1\r\n\r\n{}\r\n"
    )

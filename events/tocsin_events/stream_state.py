"""What a stream holds, and who has come how far on it."""

from dataclasses import dataclass

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from tocsin_events.instant import to_micros
from tocsin_events.publish import BusUnavailable


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream holds: its first and last sequence, how much, and when it was made (microseconds).

    ``made`` tells one stream from another that took its name later: sequences mean something only together with it.
    """

    first: int
    last: int
    messages: int
    bytes: int
    made: int


def lost_between(read: int, state: StreamState) -> tuple[int, int] | None:
    """Return the first and the last message that are gone and that a reader who came to ``read`` had not read."""
    return (read + 1, state.first - 1) if 0 < read < state.first - 1 else None


async def stream_state(js: JetStreamContext, stream: str) -> StreamState:
    """Return what a stream holds.

    Raises:
        BusUnavailable: the bus can't say.

    """
    try:
        info = await js.stream_info(stream)
    except (nats.errors.Error, OSError) as problem:
        raise BusUnavailable(f"the bus can't say what {stream} holds: {problem}") from problem
    return StreamState(
        first=info.state.first_seq,
        last=info.state.last_seq,
        messages=info.state.messages,
        bytes=info.state.bytes,
        made=to_micros(info.created) if info.created is not None else 0,
    )


async def stored_message(js: JetStreamContext, stream: str, sequence: int) -> RawStreamMsg | None:
    """Return a message of a stream; None if it is not kept.

    Raises:
        BusUnavailable: the bus can't say.

    """
    try:
        return await js.get_msg(stream, sequence)
    except NotFoundError:
        return None
    except (nats.errors.Error, OSError) as problem:
        raise BusUnavailable(f"the bus can't give message {sequence} of {stream}: {problem}") from problem


async def first_arrived_at(js: JetStreamContext, stream: str, state: StreamState, moment: int) -> int:
    """Return the first sequence that arrived at or after a moment (microseconds), by halves.

    Raises:
        BusUnavailable: the bus can't say.

    """
    # A stream that never had a message says that its first is 0.
    low, high = max(state.first, 1), state.last + 1
    while low < high:
        middle = (low + high) // 2
        message = await stored_message(js, stream, middle)
        if message is not None and message.time is not None and to_micros(message.time) < moment:
            low = middle + 1
        else:
            high = middle
    return low


async def durable_positions(js: JetStreamContext, stream: str, last: int) -> dict[str, int]:
    """Return up to which sequence each durable consumer of a stream is done.

    ``last`` is the stream's last sequence, asked before: one that waits for nothing has come that far.

    Raises:
        BusUnavailable: the bus can't say.

    """
    found: dict[str, int] = {}
    read = 0
    try:
        while page := await js.consumers_info(stream, offset=read):
            read += len(page)
            for one in page:
                if one.config.durable_name:
                    idle = not one.num_pending and not one.num_ack_pending
                    done = 0 if one.ack_floor is None else one.ack_floor.stream_seq
                    found[one.name] = max(last, done) if idle else done
    except (nats.errors.Error, OSError) as problem:
        raise BusUnavailable(f"the bus can't say who reads {stream}: {problem}") from problem
    return found

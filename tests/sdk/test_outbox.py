"""The outbox on disk, with real files."""

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tocsin.outbox import Outbox, default_directory, drain
from tocsin.segment import Segment, adopt_all, segment_paths
from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event


def event(number: int, *, size: int = 0, type_: str = "test.happened") -> bytes:
    return encode_event(id=str(number), type=type_, source="/test", time=number, payload={"pad": "x" * size})


def gap(lost: int, since: int) -> bytes:
    return encode_event(
        id=f"gap-{since}", type="outbox.overflowed", source="/test", time=1, payload={"lost": lost}
    )


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def new_outbox(folder: Path, warnings: list[str] | None = None, **options: int) -> Outbox:
    return Outbox(folder, make_gap=gap, warn=(warnings if warnings is not None else []).append, **options)


class Bus:
    """Takes events as a bus does: doubles are known by their key."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.order: list[str] = []
        self.fails_after: int | None = None

    async def publish(self, entries: list[tuple[str, str, bytes]]) -> None:
        for _, key, body in entries:
            if self.fails_after == 0:
                raise ConnectionError("the bus is gone")
            if self.fails_after is not None:
                self.fails_after -= 1
            if key not in self.bodies:
                self.bodies[key] = body
                self.order.append(json.loads(body)["id"])


async def test_events_of_a_process_that_is_gone_are_delivered_in_order(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    for number in range(1200):
        assert outbox.append(event(number))
    outbox.close()
    bus = Bus()
    assert await drain(tmp_path, bus.publish) == 1200
    assert bus.order == [str(number) for number in range(1200)]
    assert names_in(tmp_path) == []


async def test_events_of_a_living_process_are_left_to_it(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    outbox.append(event(1))
    bus = Bus()
    assert await drain(tmp_path, bus.publish) == 0
    outbox.close()
    assert await drain(tmp_path, bus.publish) == 1


async def test_what_the_bus_did_not_take_stays(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    for number in range(30):
        outbox.append(event(number))
    outbox.close()
    bus = Bus()
    bus.fails_after = 17
    with pytest.raises(ConnectionError):
        await drain(tmp_path, bus.publish, batch=5)
    bus.fails_after = None
    assert await drain(tmp_path, bus.publish, batch=5) == 15  # the batch that failed in the middle goes again
    assert bus.order == [str(number) for number in range(30)]


async def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    outbox.append(event(1))
    outbox.close()
    (path,) = segment_paths(tmp_path)
    with path.open("ab") as file:
        file.write(event(2)[:40])
    bus = Bus()
    assert await drain(tmp_path, bus.publish) == 1
    assert names_in(tmp_path) == []


async def test_the_next_process_writes_on_behind_a_torn_line(tmp_path: Path) -> None:
    first = new_outbox(tmp_path)
    first.append(event(1))
    first.close()
    (path,) = segment_paths(tmp_path)
    with path.open("ab") as file:
        file.write(event(2)[:40])
    second = new_outbox(tmp_path)
    second.append(event(3))
    second.close()
    bus = Bus()
    await drain(tmp_path, bus.publish)
    assert bus.order == ["1", "3"]
    assert "not an event" in (tmp_path / "rejected").read_text()


async def test_a_line_that_is_no_event_is_set_aside_and_blocks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = new_outbox(tmp_path)
    outbox.append(event(1))
    outbox.append(b"\x00\x00\x00")
    outbox.append(b'{"id": 7}')
    outbox.append(event(2, size=MAX_EVENT_BYTES))
    outbox.append(event(3))
    outbox.close()
    bus = Bus()
    with caplog.at_level(logging.ERROR, "tocsin.outbox"):
        await drain(tmp_path, bus.publish)
    assert bus.order == ["1", "3"]
    rejected = [json.loads(line) for line in (tmp_path / "rejected").read_text().splitlines()]
    assert len(rejected) == len(caplog.records) == 3
    assert f"at most {MAX_EVENT_BYTES}" in rejected[2]["reason"]


async def test_an_event_that_the_bus_never_takes_is_set_aside_and_the_others_go(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    for number in range(10):
        outbox.append(event(number, type_="bad" if number == 6 else "good"))
    outbox.close()
    bus = Bus()

    async def publish(entries: list[tuple[str, str, bytes]]) -> None:
        if any(type_ == "bad" for type_, _, _ in entries):
            raise ValueError("never")
        await bus.publish(entries)

    assert await drain(tmp_path, publish) == 9
    assert bus.order == [str(number) for number in range(10) if number != 6]
    assert json.loads((tmp_path / "rejected").read_text())["reason"] == "never"


async def test_a_full_outbox_refuses_counts_warns_once_and_records_the_gap(tmp_path: Path) -> None:
    warnings: list[str] = []
    outbox = new_outbox(tmp_path, warnings, max_bytes=4000)
    kept = [number for number in range(50) if outbox.append(event(number))]
    assert 0 < len(kept) < 50
    assert outbox.lost == 50 - len(kept)
    assert len(warnings) == 1
    assert "TOCSIN_OUTBOX__MAX_BYTES" in warnings[0]
    outbox.close()
    bus = Bus()
    await drain(tmp_path, bus.publish)
    assert bus.order[:-1] == [str(number) for number in kept]
    assert json.loads(bus.bodies[list(bus.bodies)[-1]])["data"]["payload"]["lost"] == 50 - len(kept)


def test_when_there_is_room_again_the_gap_comes_before_the_next_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = new_outbox(tmp_path, max_bytes=3000)
    while outbox.append(event(1)):
        pass
    for segment in outbox.segments():
        segment.acknowledge(segment.size)
        outbox.release(segment)
    monkeypatch.setattr(outbox, "_next_look", 0.0)
    assert outbox.append(event(2))
    bodies = [line.body for segment in outbox.segments() for line in segment.read(segment.position)]
    assert [json.loads(body)["type"] for body in bodies] == ["outbox.overflowed", "test.happened"]
    assert outbox.lost == 0


def test_where_the_folder_cannot_be_made_events_are_kept_in_memory(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("no folder")
    warnings: list[str] = []
    outbox = new_outbox(blocker / "outbox", warnings)
    for number in range(5):
        assert outbox.append(event(number))
    assert len(warnings) == 1
    assert "TOCSIN_OUTBOX__DIR" in warnings[0]
    (segment,) = outbox.segments()
    assert segment.path is None
    assert len(segment.read(0)) == 5
    outbox.close()


def test_a_full_disk_loses_nothing_that_was_kept_and_never_raises(tmp_path: Path) -> None:
    """A process that may write 8 KiB to a file (RLIMIT_FSIZE) stands for a disk that fills up in mid-line."""
    script = f"""
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_outbox import event, new_outbox
warnings = []
outbox = new_outbox(Path({str(tmp_path)!r}), warnings)
assert all(outbox.append(event(number)) for number in range(40)), outbox.lost
bodies = [line.body for segment in outbox.segments() for line in segment.read(0)]
assert bodies == [event(number) for number in range(40)], len(bodies)
assert len(outbox.segments()) == 2 and outbox.segments()[1].path is None
print(len(warnings))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr


def test_only_the_user_may_read_the_outbox(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "outbox")
    outbox.append(event(1))
    (path,) = segment_paths(tmp_path / "outbox")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    outbox.close()


def test_scripts_that_run_one_after_another_share_a_file(tmp_path: Path) -> None:
    for number in range(20):
        outbox = new_outbox(tmp_path)
        outbox.append(event(number))
        outbox.close()
    assert len(segment_paths(tmp_path)) == 1


def test_a_forked_child_leaves_the_parents_file_alone(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    outbox.append(event(1))
    child = os.fork()
    if child == 0:
        outbox.forget()
        outbox.append(event(2))
        outbox.close()
        os._exit(0)
    os.waitpid(child, 0)
    outbox.append(event(3))
    (own,) = outbox.segments()
    assert [line.body for line in own.read(0)] == [event(1), event(3)]
    assert len(segment_paths(tmp_path)) == 2
    outbox.close()


def test_a_position_that_fits_no_line_is_not_believed(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path)
    outbox.append(event(1))
    outbox.close()
    (path,) = segment_paths(tmp_path)
    for position in ("7", "999999", "nonsense", ""):
        path.with_suffix(".position").write_text(position)
        segment = Segment.adopt(path)
        assert segment is not None
        assert segment.position == 0
        segment.forget()


def test_the_folder_is_where_the_environment_says() -> None:
    assert default_directory({"TOCSIN_OUTBOX__DIR": "/a", "TOCSIN_DATA_DIR": "/b"}) == Path("/a")
    assert default_directory({"TOCSIN_DATA_DIR": "/b", "XDG_STATE_HOME": "/c"}) == Path("/b/outbox")
    assert default_directory({"XDG_STATE_HOME": "/c"}) == Path("/c/tocsin/outbox")
    assert default_directory({}, Path("/d")) == Path("/d/outbox")


@given(
    st.lists(st.binary(min_size=1, max_size=300).map(lambda raw: raw.replace(b"\n", b" ")), max_size=30),
    st.integers(1, 500),
)
@settings(deadline=None)
def test_lines_come_back_as_they_were_however_small_the_reads(bodies: list[bytes], limit: int) -> None:
    segment = Segment.in_memory()
    for body in bodies:
        segment.append(body)
    seen: list[bytes] = []
    while lines := segment.read(segment.position, limit):
        seen += [line.body for line in lines]
        segment.acknowledge(lines[-1].end)
    assert seen == bodies
    assert segment.is_done
    segment.forget()


class OutboxMachine(RuleBasedStateMachine):
    """Processes that emit, are killed and come back, and a bus that takes batches and forgets to answer."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.processes: list[Outbox] = []
        self.emitted: list[str] = []
        self.of_process: dict[str, int] = {}
        self.delivered: list[str] = []
        self.started = 0
        self.numbers: dict[int, int] = {}

    @rule()
    def start(self) -> None:
        if len(self.processes) < 3:
            self.started += 1
            outbox = new_outbox(self.folder)
            outbox._segment_bytes = 600
            self.processes.append(outbox)
            self.numbers[id(outbox)] = self.started

    @precondition(lambda self: self.processes)
    @rule(pick=st.integers(0, 2), count=st.integers(1, 5))
    def emit(self, pick: int, count: int) -> None:
        outbox = self.processes[pick % len(self.processes)]
        for _ in range(count):
            number = len(self.emitted)
            assert outbox.append(event(number))
            self.emitted.append(str(number))
            self.of_process[str(number)] = self.numbers[id(outbox)]

    @precondition(lambda self: self.processes)
    @rule(pick=st.integers(0, 2), answers=st.booleans(), batch=st.integers(1, 4))
    def publish_own(self, pick: int, answers: bool, batch: int) -> None:
        outbox = self.processes[pick % len(self.processes)]
        for segment in outbox.segments():
            lines = segment.read(segment.position)[:batch]
            self.take([line.body for line in lines])
            if not lines or not answers:
                return
            segment.acknowledge(lines[-1].end)
            if not segment.is_done:
                return
            outbox.release(segment)

    @precondition(lambda self: self.processes)
    @rule(pick=st.integers(0, 2))
    def kill(self, pick: int) -> None:
        outbox = self.processes.pop(pick % len(self.processes))
        for segment in outbox.segments():
            segment.forget()

    @precondition(lambda self: self.processes)
    @rule(pick=st.integers(0, 2))
    def end(self, pick: int) -> None:
        self.processes.pop(pick % len(self.processes)).close()

    @rule(answers=st.integers(0, 3))
    def adopt(self, answers: int) -> None:
        for segment in adopt_all(self.folder):
            while lines := segment.read(segment.position)[:2]:
                self.take([line.body for line in lines])
                answers -= 1
                if answers < 0:
                    segment.forget()
                    return
                segment.acknowledge(lines[-1].end)
            segment.close()

    def take(self, bodies: list[bytes]) -> None:
        for body in bodies:
            id_ = json.loads(body)["id"]
            if id_ not in self.delivered:
                self.delivered.append(id_)

    @invariant()
    def each_process_is_heard_in_order(self) -> None:
        last: dict[int, int] = {}
        for id_ in self.delivered:
            process = self.of_process[id_]
            assert last.get(process, -1) < int(id_)
            last[process] = int(id_)

    def teardown(self) -> None:
        while self.processes:
            self.processes.pop().close()
        self.adopt(10_000)
        assert sorted(self.delivered, key=int) == self.emitted
        assert segment_paths(self.folder) == []
        self.each_process_is_heard_in_order()
        self._folder.cleanup()


TestAnyInterleaving: Callable[..., object] = OutboxMachine.TestCase
OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

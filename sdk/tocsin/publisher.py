"""The thread that carries a process's events and log lines to the bus.

It opens a link when a server is known, first sends what processes that are gone have left, then follows this
process's own segments; each batch's position is recorded once the bus has it. Without a server it only looks for one
now and then, in a small file.
"""

import collections
import logging
import random
import threading
import time
from collections.abc import Callable

from tocsin.links import Denied, Link, LinkDown, LogRecord
from tocsin.outbox import Outbox, entries_of, set_aside
from tocsin.segment import Segment, adopt_all

_BATCH_EVENTS = 1000
_BATCH_BYTES = 1 << 19
_LOOK_FOR_SERVER = 1.0  # seconds
_LONGEST_PAUSE = 15.0
_ADOPT_EVERY = 5.0
_GATHER = 0.001
_GATHER_LONG = 0.01
_MANY = 20
_MAX_LOGS = 10_000

_log = logging.getLogger("tocsin.outbox")


class Publisher:
    """Publishes an outbox in the background; ``open_link`` gives a link, None if no server is known.

    ``open_link`` may raise `LinkDown`. `start` is called with the first event; `wake` with each.
    """

    def __init__(self, outbox: Outbox, open_link: Callable[[], Link | None]) -> None:
        self._outbox = outbox
        self._open_link = open_link
        self._wake = threading.Event()
        # Unlike a new event, a flush or the end of the process is worth another try during a pause.
        self._hurry = threading.Event()
        self._settled = threading.Condition()
        self._flush_wanted = 0
        self._flush_done = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._logs: collections.deque[LogRecord] = collections.deque(maxlen=_MAX_LOGS)
        self._next_adoption = 0.0
        self._just_sent = 0
        self._complained: set[type] = set()

    def wake(self) -> None:
        """Say that there is something new to send."""
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def log(self, record: LogRecord) -> None:
        """Send a log line of a run when there is a server; the oldest are dropped when too many wait."""
        self._logs.append(record)
        self.wake()

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent, or it turns out that no server takes it now; tell whether all is sent."""
        if self._thread is None:
            return self._all_sent()
        with self._settled:
            self._flush_wanted += 1
            mine = self._flush_wanted
            self._hurry.set()
            self._wake.set()
            self._settled.wait_for(lambda: self._flush_done >= mine or not self._is_running(), timeout)
        return self._all_sent()

    def stop(self, timeout: float) -> None:
        """Flush for at most that long, then end the thread."""
        self.flush(timeout)
        self._stopping = True
        self._hurry.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=0.5)

    def _start(self) -> None:
        # Daemon: it must never keep a script from ending; what it has not sent is on disk.
        thread = threading.Thread(target=self._run, name="tocsin-publisher", daemon=True)
        self._thread = thread
        thread.start()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _all_sent(self) -> bool:
        return all(segment.is_done for segment in self._outbox.segments())

    def _run(self) -> None:
        link: Link | None = None
        pause = 0.0
        while not self._stopping:
            wanted = self._flush_wanted
            try:
                link = link or self._open_link()
                pause = 0.0 if link else _LOOK_FOR_SERVER
                if link:
                    self._deliver(link)
                    self._complained.clear()
            except LinkDown as problem:
                if link:
                    link.close()
                link = None
                pause = _next_pause(pause, problem)
                self._complain(problem)
            except Exception:  # noqa: BLE001 - the outermost loop: events stay on disk, and it goes on
                _log.exception("publishing events failed unexpectedly; they stay in the outbox")
                if link:
                    link.close()
                link, pause = None, _LONGEST_PAUSE
            self._settle(wanted)
            self._rest(pause)
        if link:
            link.close()

    def _rest(self, pause: float) -> None:
        if pause:
            self._hurry.wait(pause)
        else:
            # The first event after a rest goes at once, those of a burst together: every turn of this thread takes
            # the interpreter's lock from the flow's own code.
            if not self._hurry.is_set():
                time.sleep(_GATHER_LONG if self._just_sent >= _MANY else _GATHER)
            self._wake.wait(_ADOPT_EVERY)
            self._wake.clear()
        if self._flush_wanted == self._flush_done and not self._stopping:
            self._hurry.clear()

    def _settle(self, wanted: int) -> None:
        with self._settled:
            self._flush_done = max(self._flush_done, wanted)
            self._settled.notify_all()

    def _deliver(self, link: Link) -> None:
        if time.monotonic() >= self._next_adoption:
            for segment in adopt_all(self._outbox.directory):
                try:
                    self._send(link, segment)
                finally:
                    segment.close()
            self._next_adoption = time.monotonic() + _ADOPT_EVERY
        self._just_sent = 0
        for segment in self._outbox.segments():
            self._just_sent += self._send(link, segment)
            if segment.is_done:
                self._outbox.release(segment)
        while self._logs:
            count = min(len(self._logs), _BATCH_EVENTS)
            batch = [self._logs.popleft() for _ in range(count)]
            try:
                link.publish_logs(batch)
            except LinkDown:
                self._logs.extendleft(reversed(batch))
                raise
        link.idle()

    def _send(self, link: Link, segment: Segment) -> int:
        """Send what a segment has and return how many events that were."""
        sent = 0
        while lines := segment.read(segment.position, _BATCH_BYTES)[:_BATCH_EVENTS]:
            entries = entries_of(lines, self._outbox.directory)
            if entries:
                verdicts = link.publish(entries)
                for entry, reason in zip(entries, verdicts, strict=True):
                    if reason is not None:
                        set_aside(self._outbox.directory, entry.body, reason)
            try:
                segment.acknowledge(lines[-1].end)
            except OSError:
                # The position is kept in memory; after a crash these go out again, and the bus knows them.
                continue
            finally:
                sent += len(lines)
        return sent

    def _complain(self, problem: LinkDown) -> None:
        kind = type(problem)
        if kind in self._complained:
            return
        self._complained.add(kind)
        level = logging.ERROR if isinstance(problem, Denied) else logging.WARNING
        _log.log(level, "%s; events wait in %s", problem, self._outbox.directory)


def _next_pause(last: float, problem: LinkDown) -> float:
    if problem.retry_after is not None:
        return min(problem.retry_after, 300.0)
    grown = min(_LONGEST_PAUSE, max(0.25, last * 2))
    return grown * (0.75 + random.random() / 2)  # noqa: S311 - spreads retries, no secret

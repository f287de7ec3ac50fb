"""Logging of runs, on the standard library's logging: one logger ``tocsin``, no touch of the root logger.

A line goes to the console (stderr) unless the program has set up logging itself, then to that; and to the bus, if
there is a server. TOCSIN_LOG_LEVEL sets the level (INFO).
"""

import builtins
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin import redaction
from tocsin.links import LogRecord
from tocsin.plain import plain
from tocsin_events.instant import to_rfc3339

if TYPE_CHECKING:
    from tocsin.runs import Run

_MAX_MESSAGE = 32_000

logger = logging.getLogger("tocsin")
_runs = logging.getLogger("tocsin.run")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to a run."""

    def __init__(self, target: logging.Logger, run: "Run | None") -> None:
        super().__init__(target, {"run": run})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Mark the record with the run, beside what the caller gives."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


def run_logger(run: "Run | None") -> RunLogger:
    """Return the logger of a run; without one, the plain logger."""
    set_up()
    return RunLogger(logger if run is None else _runs, run)


def set_up(*, console: bool = True) -> None:
    """Give the logger ``tocsin`` its level and handlers, once. Without the console, lines only go to the bus."""
    if any(isinstance(handler, BusHandler) for handler in logger.handlers):
        return
    if logger.level == logging.NOTSET:
        logger.setLevel(_level(os.environ.get("TOCSIN_LOG_LEVEL", "")))
    if console:
        handler = _Console()
        handler.setFormatter(_Formatter())
        logger.addHandler(handler)
    logger.addHandler(BusHandler())


class BusHandler(logging.Handler):
    """Sends the lines of runs to the bus; lines outside of runs are not its business."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record for the publisher; never waits, never raises."""
        from tocsin import emitter
        from tocsin.runs import TaskRun, current_run, flow_run_of

        run = getattr(record, "run", None) or current_run()
        flow_run = flow_run_of(run)
        if run is None:
            return
        try:
            line: dict[str, Any] = {
                "run_id": (flow_run or run).id,
                "time": to_rfc3339(int(record.created * 1_000_000)),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": _message(record)[:_MAX_MESSAGE],
            }
            if isinstance(run, TaskRun):
                line["task_run"] = {"id": run.id, "name": run.name}
            emitter.current().carrier.log(LogRecord(line["run_id"], msgspec.json.encode(plain(line))))
        except Exception:  # noqa: BLE001 - logging never breaks the program; the standard way to say so
            self.handleError(record)


class _Console(logging.Handler):
    """The console; it stays silent where the program has handlers of its own, which get the line too."""

    def emit(self, record: logging.LogRecord) -> None:
        if logger.propagate and any(not isinstance(other, BusHandler) for other in logging.root.handlers):
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - logging never breaks the program; the standard way to say so
            self.handleError(record)


class _Formatter(logging.Formatter):
    """``12:00:01 | INFO    | flow 'etl' / jumpy-puppy | message``."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} | {record.levelname:<7} | {_label(record)}{_message(record)}"


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        from tocsin.traces import format_trace

        text = f"{text}\n{format_trace(record.exc_info[1])}"
    return redaction.redact_text(text) if redaction.is_needed() else text


def _label(record: logging.LogRecord) -> str:
    run: Run | None = getattr(record, "run", None)
    if run is None:
        return "" if record.name == "tocsin" else f"{record.name} | "
    word = run.kind.partition("-")[0]
    return f"{word} {run.definition!r} / {run.name} | "


def _level(text: str) -> int:
    named = logging.getLevelNamesMapping().get(text.upper())
    if named is not None:
        return named
    return int(text) if text.isdigit() else logging.INFO


class _Prints:
    """Turns `print` into log lines while runs with ``log_prints`` are going on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._print: Callable[..., None] = builtins.print

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._print = builtins.print
                builtins.print = self._printed

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            # Someone else may have replaced print in the meantime, and is to keep theirs.
            if self._users == 0 and builtins.print == self._printed:
                builtins.print = self._print

    def _printed(
        self,
        *values: object,
        sep: str | None = " ",
        end: str | None = "\n",
        file: Any = None,
        flush: bool = False,
    ) -> None:
        from tocsin.runs import current_run

        run = current_run()
        if run is None or not run.log_prints or file not in (None, sys.stdout):
            self._print(*values, sep=sep, end=end, file=file, flush=flush)
            return
        text = (" " if sep is None else sep).join(str(value) for value in values)
        run_logger(run).info("%s", text)


_prints = _Prints()


@contextmanager
def prints_logged() -> Iterator[None]:
    """Turn what runs with ``log_prints`` print into log lines."""
    _prints.begin()
    try:
        yield
    finally:
        _prints.end()

"""Exceptions as events and logs show them: the user's frames, without ours in between."""

import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from tocsin import redaction

_OURS = str(Path(__file__).parent)
_MAX_FRAMES = 20
_MAX_TEXT = 4_000


def is_ours(filename: str) -> bool:
    """Tell whether a file is part of this package."""
    return filename.startswith(_OURS)


def without_our_head(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame on that isn't ours; as it is where all are."""
    first = trace
    while first is not None and is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return first or trace


def summarize(error: BaseException) -> str:
    """Return type and message in one line."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1:]
    line = text[0] if text else type(error).__name__
    return _safe(line)


def describe_error(error: BaseException) -> dict[str, str]:
    """Return an exception as an event carries it: its type, message, and the last lines of its traceback."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's must not cost the event
        message = "(its message can't be shown)"
    return {"type": name, "message": _safe(message), "traceback": _safe(format_trace(error), keep_end=True)}


def format_trace(error: BaseException) -> str:
    """Return the traceback's last frames, ours left out, and the exception."""
    shown = traceback.TracebackException.from_exception(error, limit=-_MAX_FRAMES * 3, compact=True)
    _leave_out_ours(shown)
    return "".join(shown.format()).rstrip()


def _leave_out_ours(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not is_ours(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept[-_MAX_FRAMES:])
    for other in (shown.__cause__, shown.__context__):
        if other is not None:
            _leave_out_ours(other)


def _safe(text: str, *, keep_end: bool = False) -> str:
    if redaction.is_needed():
        text = redaction.redact_text(text)
    if len(text) <= _MAX_TEXT:
        return text
    return "…" + text[-_MAX_TEXT:] if keep_end else text[:_MAX_TEXT] + "…"


def place(error: BaseException) -> str:
    """Return ``file:line`` of the last frame that isn't ours, or an empty text."""
    last: dict[str, Any] = {}
    trace = error.__traceback__
    while trace is not None:
        if not is_ours(trace.tb_frame.f_code.co_filename):
            last = {"file": trace.tb_frame.f_code.co_filename, "line": trace.tb_lineno}
        trace = trace.tb_next
    return f"{last['file']}:{last['line']}" if last else ""

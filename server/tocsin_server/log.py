"""The server's log: structured events on stderr, as text on a terminal and as JSON elsewhere."""

import logging
import sys
from typing import TextIO

import structlog

_TALKATIVE = (
    "uvicorn",
    "nats",
    "faststream",
    "alembic",
    "sqlalchemy",
    "aiosqlite",
    "asyncio",
    "aiohttp",
    "httpx2",
    "httpcore2",
)
"""Libraries of which only warnings are written: at debug they repeat values that nobody may see."""


def set_up_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send what structlog and the libraries say to a stream, stderr by default; ``form`` is auto, text or json."""
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        ending: list[structlog.types.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Plain: a rich traceback shows local variables, and with them secrets.
        plain = structlog.dev.plain_traceback
        ending = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for talkative in _TALKATIVE:
        logging.getLogger(talkative).setLevel(max(logging.WARNING, root.level))

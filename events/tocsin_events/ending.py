"""Ending a task for sure.

Until Python 3.12 `asyncio.wait_for` swallowed a cancellation that met its result (bpo-37658), and nats-py waits with it
for every answer: a task that was cancelled once in that moment goes on for ever.
"""

import asyncio
from typing import Any


async def end(task: asyncio.Task[Any], *, patience: float = 2.0) -> BaseException | None:
    """Cancel a task until it has ended; return what it ended with, None for a cancellation or a result.

    ``patience`` is how long, in seconds, it may take before it is asked again.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=patience)
    return None if task.cancelled() else task.exception()

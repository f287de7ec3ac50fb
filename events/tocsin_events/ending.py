"""Ending a task for sure.

Until Python 3.12 `asyncio.wait_for` swallowed a cancellation that met its result (bpo-37658), and nats-py waits with it
for every answer: a task that was cancelled once in that moment goes on for ever.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any


async def end(task: asyncio.Task[Any], *, patience: float = 2.0) -> BaseException | None:
    """Cancel a task until it has ended; return what it ended with, None for a cancellation or a result.

    ``patience`` is how long, in seconds, it may take before it is asked again.
    """
    await end_all([task], patience=patience)
    return None if task.cancelled() else task.exception()


async def end_all(tasks: Collection[asyncio.Task[Any]], *, patience: float | None) -> None:
    """Cancel tasks until all have ended, however they do.

    They are asked again after ``patience`` seconds (None: never), and whenever the caller is cancelled meanwhile; the
    caller is cancelled when all have ended.
    """
    cancelled = False
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=patience)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # or asyncio complains that nobody looked at it
    if cancelled:
        raise asyncio.CancelledError


async def run_together(*parts: Coroutine[Any, Any, None], patience: float = 10.0) -> None:
    """Run the parts of a service until one fails or all are done; then end the others for sure, as `end_all` does.

    An `asyncio.TaskGroup` asks its tasks to end only once. Raises what one of the parts raised, as it is.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await end_all(tasks, patience=patience)
    for task in tasks:
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            raise problem

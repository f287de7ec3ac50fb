"""Doing for many what is asked for one at a time: what comes while one batch is under way makes the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST: Final = 500


class Batches(Generic[_Item, _Result]):
    """Collects items while a batch is under way, and works on all of them in the next one.

    ``work`` gets items and returns a result for each, in order. A batch that fails is tried again item by item, so one
    bad item takes no others with it.
    """

    def __init__(self, work: Callable[[Sequence[_Item]], Awaitable[Sequence[_Result]]]) -> None:
        self._work = work
        self._waiting: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def add(self, item: _Item) -> _Result:
        """Return the item's result when its batch is done, or raise what went wrong with it.

        A caller that is cancelled takes nothing back: its item is worked on all the same.
        """
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._run(), name="batches")
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._do(batch)
        finally:
            self._worker = None
            for _, future in self._waiting:
                future.cancel()
            self._waiting = []

    async def _do(self, batch: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except Exception as problem:  # noqa: BLE001 - it belongs to the callers, who get it
            if len(batch) > 1:
                for one in batch:
                    await self._do([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(problem)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def group_commit(
    engine: AsyncEngine, write: Callable[[AsyncConnection, Sequence[_Item]], Awaitable[Sequence[_Result]]]
) -> Batches[_Item, _Result]:
    """Return batches that each share a transaction, and so a sync to disk."""

    async def work(items: Sequence[_Item]) -> Sequence[_Result]:
        async with engine.begin() as connection:
            return await write(connection, items)

    return Batches(work)

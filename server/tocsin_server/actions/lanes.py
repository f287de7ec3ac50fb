"""Lanes: what belongs to one name is worked on in order, and what waits meanwhile is worked on together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from tocsin_events.ending import end_all

_Item = TypeVar("_Item")
_Waiting = tuple[_Item, "asyncio.Future[None]"]

_MOST: Final = 200


class Lanes(Generic[_Item]):
    """Hands items to ``work``: those of one name in the order of their coming, those of different names side by side.

    Items of a name that come while it is worked for make the next call. A call that fails is repeated item by item, so
    that one bad item takes no others with it; ``work`` has to bear that.
    """

    def __init__(self, work: Callable[[Sequence[_Item]], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: dict[str, list[_Waiting[_Item]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str, item: _Item) -> None:
        """Return when the item has been worked on, or raise what went wrong with it."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append((item, future))
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._run(name), name=f"lane {name}")
        await future

    async def close(self) -> None:
        """Stop at once; who waits is cancelled."""
        await end_all(list(self._tasks.values()), patience=5.0)

    async def _run(self, name: str) -> None:
        taken: list[_Waiting[_Item]] = []
        try:
            while waiting := self._waiting.pop(name, None):
                # Who was cancelled while it waited no longer wants its item to be worked on.
                wanted = [one for one in waiting if not one[1].done()]
                taken = wanted[:_MOST]
                if rest := wanted[_MOST:]:
                    self._waiting[name] = rest
                await self._do(taken)
        finally:
            del self._tasks[name]
            for _, future in [*taken, *self._waiting.pop(name, [])]:
                future.cancel()

    async def _do(self, taken: Sequence[_Waiting[_Item]]) -> None:
        try:
            await self._work([item for item, _ in taken])
        except Exception as problem:  # noqa: BLE001 - it belongs to those who wait, who get it
            if len(taken) > 1:
                for one in taken:
                    await self._do([one])
            elif taken and not taken[0][1].done():
                taken[0][1].set_exception(problem)
            return
        for _, future in taken:
            if not future.done():
                future.set_result(None)

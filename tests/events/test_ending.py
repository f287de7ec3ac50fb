import asyncio

import pytest

from tocsin_events.ending import end, run_together


class Deaf:
    """A part of a service that hears only the second time it is asked to end."""

    def __init__(self) -> None:
        self.asked = 0

    async def run(self) -> None:
        while self.asked < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.asked += 1


async def nothing() -> None:
    await asyncio.Event().wait()


async def failure() -> None:
    raise LookupError("gone")


async def test_a_task_that_did_not_hear_is_asked_again():
    deaf = Deaf()
    task = asyncio.create_task(deaf.run())
    await asyncio.sleep(0)
    assert await end(task, patience=0.01) is None
    assert deaf.asked == 2


async def test_asking_the_whole_again_asks_each_part_again():
    deaf = Deaf()
    whole = asyncio.create_task(run_together(deaf.run(), nothing(), patience=1000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await end(whole, patience=0.01) is None
    assert whole.cancelled()
    assert deaf.asked == 2


async def test_a_part_that_fails_ends_the_others_and_is_what_is_raised():
    deaf = Deaf()
    with pytest.raises(LookupError, match="gone"):
        await run_together(deaf.run(), failure(), patience=0.01)
    assert deaf.asked == 2


async def test_parts_that_end_by_themselves_end_the_whole():
    done = []

    async def part() -> None:
        done.append(1)

    await run_together(part(), part())
    assert done == [1, 1]

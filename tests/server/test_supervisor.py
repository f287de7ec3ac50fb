"""The supervisor starts services again, and ends them whatever they do."""

import asyncio

from tocsin_server.supervisor import Supervisor


class Deaf:
    """A service into which the first cancellation vanishes, as it may in asyncio.wait_for of Python 3.11."""

    def __init__(self) -> None:
        self.asked = 0
        self.started = asyncio.Event()

    async def run(self) -> None:
        self.started.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.asked += 1
                if self.asked > 1:
                    raise


async def test_a_service_that_misses_the_first_request_to_end_is_asked_again() -> None:
    service = Deaf()

    async def make() -> Deaf:
        return service

    supervisor = Supervisor({"deaf": make}, patience=0.01)
    supervisor.start()
    await service.started.wait()
    await asyncio.wait_for(supervisor.stop(), 10)
    assert service.asked == 2

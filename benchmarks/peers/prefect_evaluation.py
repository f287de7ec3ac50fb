"""Runs in Prefect's own environment: answers each line of JSON on standard input with one on standard output.

First come the automations, as the ids of their deployments: ``{"deployments": […]}``; then rounds of events:
``{"events": [[id, body], …]}``, answered with the seconds that took, by the clock and by the processor, and with how
many automations fired. Prefect's code is called as its server calls it, with nothing replaced.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.schemas.automations import Automation, EventTrigger, Posture
from prefect.server.utilities.messaging.memory import MemoryMessage, ephemeral_subscription

_EVENT = "prefect.flow-run.Failed"


def main() -> None:
    # Whatever prints to standard output must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    asyncio.run(_serve(answers))


async def _serve(answers: Any) -> None:
    await _store(json.loads(sys.stdin.readline())["deployments"])
    async with triggers.consumer() as handler:
        _tell(answers, {"loaded": len(triggers.triggers)})
        for line in sys.stdin:
            _tell(answers, await _evaluate(handler, json.loads(line)["events"]))


async def _store(deployments: list[str]) -> None:
    db = provide_database_interface()
    await db.create_db()
    async with db.session_context(begin_transaction=True) as session:
        for number, deployment in enumerate(deployments):
            trigger = EventTrigger(
                expect={_EVENT}, match_related={"prefect.resource.id": deployment}, posture=Posture.Reactive
            )
            automation = Automation(name=f"r{number}", trigger=trigger, actions=[])
            session.add(db.Automation(**automation.model_dump()))


async def _evaluate(handler: Any, events: list[tuple[str, str]]) -> dict[str, float]:
    messages = [MemoryMessage(body.encode(), {"id": id_, "event": _EVENT}) for id_, body in events]
    async with ephemeral_subscription("events") as fired:
        wall, cpu = time.perf_counter(), time.process_time()
        for message in messages:
            await handler(message)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall": wall, "cpu": cpu, "fired": fired["subscription"]._queue.qsize()}


def _tell(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()

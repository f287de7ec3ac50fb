"""Why: the answer is what the engine decided in life, windows, pauses and earlier forms of the rule included."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from tocsin_automations.decision import Outcome
from tocsin_automations.inquiry import CannotExplain, ask_why
from tocsin_automations.revisions import Revisions
from tocsin_events.envelope import encode_event
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import Recorded
from tocsin_events.store import EventStore
from tocsin_events.view import EventView

NOON = 1_767_960_000 * SECOND
TWICE = {"when": {"event": "flow-run.failed", "count": 2, "within": "10m", "for_each": "flow.name"}}
EACH = {
    "when": {"event": "flow-run.failed", "where": 'deployment.labels.env == "prod"'},
    "limits": {"cooldown": "1h"},
}


class Past:
    """A log and revisions that grow second by second."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.log = EventStore(engine)
        self.revisions = Revisions(engine)
        self._sequence = 0

    async def happened(
        self, type_: str, *, env: str = "prod", about: tuple[str, str] | None = None, data: Any = None
    ) -> str:
        self._sequence += 1
        kind, id_ = about or ("flow-run", f"r{self._sequence}")
        at = NOON + self._sequence * SECOND
        deployment = {
            "kind": "deployment",
            "id": "d",
            "name": "nightly",
            "labels": {"env": env},
            "role": "deployment",
        }
        flow = {"kind": "flow", "id": "etl", "name": "etl", "role": "flow"}
        body = encode_event(
            id=f"e{self._sequence}", type=type_, source="/test", time=at, resource={"kind": kind, "id": id_},
            related=[flow, deployment], payload=data,
        )  # fmt: skip
        view = EventView.decode(body, received=at, sequence=self._sequence)
        await self.log.append([Recorded(view, body)])
        return f"e{self._sequence}"

    async def applied(self, **automations: Any) -> None:
        revision = await self.revisions.add({"automations": automations}, created=NOON)
        await self.happened("config.applied", about=("config", str(revision)), data={"revision": revision})

    async def outcome(self, name: str, event: str) -> Outcome:
        answer = await ask_why(self.log, self.revisions, name, event)
        return answer.why.parts[0].outcome


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Past]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield Past(engine)
    await engine.dispose()


async def test_it_says_how_far_a_threshold_was_and_what_made_it_fire(past: Past) -> None:
    await past.applied(twice=TWICE)
    first = await past.happened("flow-run.failed")
    second = await past.happened("flow-run.failed")
    assert await past.outcome("twice", first) is Outcome.PENDING
    assert await past.outcome("twice", second) is Outcome.FIRED


async def test_it_names_the_condition_that_failed_with_its_value(past: Past) -> None:
    await past.applied(each=EACH)
    event = await past.happened("flow-run.failed", env="dev")
    answer = await ask_why(past.log, past.revisions, "each", event)
    assert answer.why.parts[0].outcome is Outcome.NO_MATCH
    told = "\n".join(answer.why.lines())
    assert 'deployment.labels.env == "prod"' in told
    assert '"dev"' in told


async def test_a_window_that_was_kept_across_an_edit_is_kept_in_the_answer(past: Past) -> None:
    await past.applied(twice=TWICE)
    await past.happened("flow-run.failed")
    await past.applied(twice={**TWICE, "description": "edited"})
    second = await past.happened("flow-run.failed")
    assert await past.outcome("twice", second) is Outcome.FIRED


async def test_a_pause_at_that_time_is_the_answer(past: Past) -> None:
    await past.applied(each=EACH)
    await past.happened("automation.paused", about=("automation", "each"))
    while_paused = await past.happened("flow-run.failed")
    await past.happened("automation.resumed", about=("automation", "each"))
    after = await past.happened("flow-run.failed")
    assert await past.outcome("each", while_paused) is Outcome.PAUSED
    assert await past.outcome("each", after) is Outcome.FIRED


async def test_a_cooldown_that_began_under_an_earlier_revision_still_counts(past: Past) -> None:
    await past.applied(each=EACH)
    await past.happened("flow-run.failed")
    await past.applied(each=EACH, other=TWICE)
    assert await past.outcome("each", await past.happened("flow-run.failed")) is Outcome.COOLDOWN


async def test_before_the_rule_was_there_it_says_what_the_rule_would_have_done(past: Past) -> None:
    early = await past.happened("flow-run.failed")
    await past.applied(each=EACH)
    answer = await ask_why(past.log, past.revisions, "each", early)
    assert answer.why.parts[0].outcome is Outcome.FIRED
    assert "not in force" in answer.note


async def test_unknown_names_and_events_are_said_to_be_unknown(past: Past) -> None:
    event = await past.happened("flow-run.failed")
    with pytest.raises(CannotExplain, match="no event 'nothing'"):
        await ask_why(past.log, past.revisions, "each", "nothing")
    with pytest.raises(CannotExplain, match="no automation 'each'"):
        await ask_why(past.log, past.revisions, "each", event)

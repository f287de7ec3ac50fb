"""Laws of the pipeline, on random days of alerts in virtual time: whatever is configured and whatever happens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from firings import fired, resolved
from notifying import NOON, notification
from tocsin_events.duration import parse_duration
from tocsin_events.instant import SECOND, to_rfc3339
from tocsin_notifiers.alert import Refused
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.notification import Severity
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.quiet_hours import QuietHours
from tocsin_notifiers.rehearsal import Rehearsal, rehearsal
from tocsin_notifiers.setup import parse_setup

MINUTE = 60 * SECOND
FLOWS = ("a", "b", "c", "d")
AFTERWARDS = 6 * 60 * MINUTE
"""Longer than a silence, quiet hours and a group's interval together: then nothing is held any more."""
KINDS = load_kinds()
NIGHT = {"intervals": [{"from": "13:00", "to": "15:30"}], "timezone": "UTC", "only": ["critical"]}
WEBHOOK = {"webhook": {"url": "http://127.0.0.1:9/"}}
SERVICES = (
    WEBHOOK,
    {"slack": {"token": {"secret": "token"}, "channel": "#alerts"}},
    {
        "email": {
            "to": ["ada@example.com", "bob@example.com"],
            "from": "t@example.com",
            "smtp": {"host": "mail"},
        }
    },
)
"""One that can only tell anew, one that can edit and answer, and one with two targets that can answer."""


@dataclass(frozen=True)
class Fires:
    flow: str
    severity: Severity


@dataclass(frozen=True)
class Resolves:
    flow: str


@dataclass(frozen=True)
class Acknowledges:
    flow: str


@dataclass(frozen=True)
class Silences:
    flow: str
    minutes: int


flows = st.sampled_from(FLOWS)
doings = st.one_of(
    st.builds(Fires, flows, st.sampled_from(Severity)),
    st.builds(Fires, flows, st.sampled_from(Severity)),
    st.builds(Resolves, flows),
    st.builds(Acknowledges, flows),
    st.builds(Silences, flows, st.integers(1, 45)),
)
days = st.lists(st.tuples(st.integers(0, 40), doings), min_size=1, max_size=14)
options = st.fixed_dictionaries(
    {},
    optional={
        "remind": st.sampled_from(["20m", "1h"]),
        "group": st.fixed_dictionaries(
            {
                "by": st.sampled_from([["automation.name"], ["severity"]]),
                "wait": st.sampled_from(["0s", "5m"]),
                "interval": st.sampled_from(["1m", "30m"]),
            }
        ),
        "quiet": st.just("night"),
        "resolve": st.sampled_from(["message", "edit", "thread"]),
    },
)
services = st.sampled_from(SERVICES)
setups = st.fixed_dictionaries(
    {name: st.builds(lambda service, more: {**service, **more}, services, options) for name in ("one", "two")}
)
_PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""Without shrinking: each step is many statements, and it would take minutes."""
law = settings(
    max_examples=20,
    deadline=None,
    phases=_PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
twice_as_long = settings(law, max_examples=10)
"""For a law that lives each day twice."""
groups = st.fixed_dictionaries(
    {
        "by": st.sampled_from([["automation.name"], ["severity"]]),
        "wait": st.sampled_from(["0s", "5m", "20m"]),
        "interval": st.sampled_from(["1m", "30m", "2h"]),
    }
)
news = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.one_of(st.builds(Fires, flows, st.sampled_from(Severity)), st.builds(Resolves, flows)),
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class Day:
    """One day: what was done, and what came of it."""

    pipeline: Rehearsal
    twice: bool = False
    now: int = NOON
    firings: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    born: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    silences: list[tuple[str, int, int]] = field(default_factory=list)
    opened: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    told: Sequence[Delivery] = ()

    @property
    def open(self) -> list[str]:
        """The alerts that are not over: their names."""
        return [self.name(flow) for flow in self.counts]

    def name(self, flow: str) -> str:
        return f"alert{flow}{self.born[flow]:02}"

    async def live(self, day: Sequence[tuple[int, Any]]) -> None:
        for minutes, doing in day:
            self.now += minutes * MINUTE
            await self.pipeline.move_to(self.now)
            await self.do(doing)

    async def do(self, doing: Any) -> None:
        match doing:
            case Fires(flow=flow, severity=severity):
                await self.fire(flow, severity)
            case Resolves(flow=flow) if flow in self.counts:
                await self.resolve(flow)
            case Acknowledges(flow=flow) if flow in self.counts:
                self.acknowledged.add(self.name(flow))
                try:
                    await self.pipeline.acknowledge(self.name(flow), "ada")
                except Refused as problem:
                    raise AssertionError("an open alert can be acknowledged") from problem
            case Silences(flow=flow, minutes=minutes):
                ends = self.now + minutes * MINUTE
                await self.pipeline.silence(f'flow.name == "{flow}"', ends=ends)
                self.silences.append((flow, self.now, ends))
            case _:
                pass

    async def fire(self, flow: str, severity: Severity) -> None:
        if flow not in self.counts:
            self.born[flow] = self.born.get(flow, 0) + 1
            self.counts[flow] = 0
            self.opened[self.name(flow)] = self.now
        self.counts[flow] += 1
        self.firings += 1
        name = self.name(flow)
        payload = fired(
            alert=name,
            id_=f"f{self.firings}",
            flow=flow,
            count=self.counts[flow],
            opened=to_rfc3339(self.now),
        )
        for turn in range(2 if self.twice else 1):
            await self.pipeline.keep_firing("automation.fired", payload)
            for notifier in ("one", "two"):
                asked = notification(
                    f"n{self.firings}-{notifier}", notifier, name, firing=payload, severity=severity,
                    created=self.now + turn, title=f"{name} is broken",
                )  # fmt: skip
                await self.pipeline.take(asked)

    async def resolve(self, flow: str) -> None:
        self.firings += 1
        payload = resolved(alert=self.name(flow), id_=f"f{self.firings}", flow=flow)
        self.ended[self.name(flow)] = self.now
        del self.counts[flow]
        for _ in range(2 if self.twice else 1):
            await self.pipeline.keep_firing("automation.resolved", payload)


def lived(
    notifiers: dict[str, Any],
    day: Sequence[tuple[int, Any]],
    *,
    end: Callable[[Day], Any],
    twice: bool = False,
) -> Day:
    """Live a day, end it, let some hours pass, and return it with all that was told."""

    async def live() -> Day:
        setup = parse_setup({"notifiers": notifiers, "quiet_hours": {"night": NIGHT}}, KINDS)
        async with rehearsal(setup, at=NOON, kinds=KINDS) as pipeline:
            made = Day(pipeline, twice)
            await made.live(day)
            await end(made)
            await pipeline.move_to(made.now + AFTERWARDS)
            made.told = await pipeline.told()
        return made

    return asyncio.run(live())


async def all_over(day: Day) -> None:
    for flow in list(day.counts):
        await day.resolve(flow)


async def as_it_is(day: Day) -> None:
    """Leave open what is open."""


def says(delivery: Delivery, name: str) -> bool:
    return name in delivery.message.title or name in delivery.message.body


def is_news(delivery: Delivery) -> bool:
    """Tell whether a message says that something is wrong, rather than how what was said before stands now."""
    return delivery.message.status == "firing" and delivery.after is None


def says_over(delivery: Delivery, name: str) -> bool:
    """Tell whether a message says that an alert is over."""
    message = delivery.message
    if message.status == "resolved" and name in message.title:
        return True
    lines = message.body.partition("**Still open:**")[0].splitlines()
    return delivery.after is not None and any(name in line and "over after" in line for line in lines)


def names(told: Sequence[Delivery]) -> set[str]:
    everything = {f"alert{flow}{number:02}" for flow in FLOWS for number in range(1, 16)}
    return {name for name in everything if any(says(one, name) for one in told)}


def by_target(told: Sequence[Delivery]) -> list[list[Delivery]]:
    """Return the deliveries to each target of each notifier."""
    targets = {(one.notifier, one.target) for one in told}
    return [[one for one in told if (one.notifier, one.target) == target] for target in sorted(targets)]


@given(setups, days)
@law
def test_every_firing_message_is_followed_by_a_resolution(notifiers, day):
    made = lived(notifiers, day, end=all_over)
    for told in by_target(made.told):
        for name in names(told):
            news = [one for one in told if is_news(one) and says(one, name)]
            ends = [one for one in told if says_over(one, name)]
            assert ends, name
            assert ends[0].created >= max(one.created for one in news), name
            # An edit shows all of what its message told of, each time; anything else is told once.
            assert len(ends) == 1 or {one.message.follow_up for one in ends} == {"edit"}, name
            assert {one.after for one in ends} <= {one.id for one in told if is_news(one)}, name


@given(setups, days)
@law
def test_the_ends_of_a_group_wait_for_its_turn_and_are_told_together(notifiers, day):
    made = lived(notifiers, day, end=all_over)
    for told in by_target(made.told):
        group = notifiers[told[0].notifier].get("group")
        longest = parse_duration(group["interval"]) if group else 0
        for name in names(told):
            end = min(one.created for one in told if says_over(one, name))
            assert made.ended[name] <= end <= made.ended[name] + longest, name
        if group and group["by"] == ["automation.name"]:
            turns = [one.created for one in told if one.after and one.message.status == "resolved"]
            edited = any(one.message.follow_up == "edit" for one in told)
            assert edited or len(turns) == len(set(turns))


@given(setups, days)
@law
def test_no_news_leaves_during_a_silence_or_quiet_hours(notifiers, day):
    made = lived(notifiers, day, end=as_it_is)
    night = QuietHours.model_validate(NIGHT)
    for one in made.told:
        if not is_news(one):
            continue
        for flow, starts, ends in made.silences:
            # What left at the very instant at which the silence was made was before it.
            if starts < one.created < ends:
                assert not any(says(one, f"alert{flow}{number:02}") for number in range(1, 16))
        if notifiers[one.notifier].get("quiet") and one.message.severity is not Severity.CRITICAL:
            assert night.quiet_until(one.created) is None


@given(setups, days)
@law
def test_whatever_is_open_in_the_end_has_been_told_to_everyone(notifiers, day):
    made = lived(notifiers, day, end=as_it_is)
    for notifier in notifiers:
        told = names([one for one in made.told if one.notifier == notifier and is_news(one)])
        assert set(made.open) <= told


@given(groups, news)
@law
def test_a_group_loses_none_of_its_alerts(group, day):
    notifiers = {"one": {**WEBHOOK, "group": group}, "two": WEBHOOK}
    made = lived(notifiers, day, end=as_it_is)
    told = [one for one in made.told if one.notifier == "one" and is_news(one)]
    longest = max(parse_duration(group["wait"]), parse_duration(group["interval"]))
    for name, opened in made.opened.items():
        last = opened + longest
        if made.ended.get(name, last + 1) > last:
            assert any(opened <= one.created <= last and says(one, name) for one in told), name
    for one in told:
        if one.message.title.partition(" ")[0].isdigit():
            assert one.message.title.startswith(f"{len(names([one]))} alerts")


@given(setups, days)
@twice_as_long
def test_what_comes_twice_is_told_once(notifiers, day):
    once, twice = (lived(notifiers, day, end=all_over, twice=twice) for twice in (False, True))
    assert [_shown(one) for one in once.told] == [_shown(one) for one in twice.told]


@given(setups, days)
@law
def test_an_acknowledged_alert_is_not_told_of_as_news_again(notifiers, day):
    made = lived(notifiers, [*day, *((0, Acknowledges(flow)) for flow in FLOWS)], end=as_it_is)
    late = [one for one in made.told if one.created > made.now and is_news(one)]
    # Only what silences, quiet hours or groups had held when it was acknowledged is still told, once.
    assert not any("Reminder" in one.message.body for one in late)


def _shown(one: Delivery) -> tuple[Any, ...]:
    return one.created, one.notifier, one.target, str(one.message.status), one.message.title, one.message.body

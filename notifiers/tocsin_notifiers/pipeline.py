"""The pipeline: what stands between a notification and its delivery, as a list of pure stages.

Each stage is ``(way, situation, now) -> Pass | Hold | Stop``. A *way* is the path of one notification to one notifier;
it remembers at which stage it is held, and begins there when its time has come. What a stage looks at beyond the way is
the *situation*, a picture of alerts, silences, groups and what has been told. Nothing here reads a clock or a database,
so a day of alerts takes a test no time, and a stop can be explained by running the stages again.

What says that something is over (or acknowledged) passes silences, inhibitions and quiet hours: who was told that
something is wrong is told the end of it. In a group the ends are collected, as its alerts are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tocsin_events.instant import SECOND, to_rfc3339
from tocsin_notifiers.alert import Alert, AlertState
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.configuration import Group, ServiceNotifier
from tocsin_notifiers.inhibition import Inhibition, inhibitor_of
from tocsin_notifiers.names import Names, names_of
from tocsin_notifiers.notification import Notification, Severity, Status
from tocsin_notifiers.quiet_hours import QuietHours
from tocsin_notifiers.silence import Silence

_LOOK_AGAIN: Final = 60 * SECOND
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


class Reason(StrEnum):
    """Why a notification went no further."""

    UNROUTED = "unrouted"
    OVER = "over"
    ACKNOWLEDGED = "acknowledged"
    ESCALATION = "escalation"
    REMINDER = "reminder"
    GROUPED = "grouped"
    INHIBITED = "inhibited"
    SILENCED = "silenced"
    QUIET = "quiet-hours"
    TOLD = "already-told"
    RESOLVE_NONE = "resolve-none"
    NOT_READY = "not-ready"


@dataclass(frozen=True, slots=True)
class Pass:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until an instant, then look again; ``by`` is the id of what holds it."""

    until: int
    reason: Reason
    detail: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Go no further; ``by`` is the id of what stops it."""

    reason: Reason
    detail: str = ""
    by: str = ""


Verdict = Pass | Hold | Stop


@dataclass(frozen=True, slots=True)
class Way:
    """The path of one notification to one notifier.

    ``level`` counts an escalation's steps and ``round`` the reminders, both from 0; ``due`` is when it may go on;
    ``stage`` names where it is held. ``muted`` says that a silence, an inhibition or quiet hours have held it, ``follows`` that
    it follows up on what was told: that an alert is acknowledged, or over.
    """

    id: str
    notification: Notification
    notifier: ServiceNotifier
    created: int
    due: int = 0
    stage: str = ""
    level: int = 0
    round: int = 0
    group: str = ""
    path: tuple[str, ...] = ()
    muted: bool = False
    follows: bool = False

    @property
    def is_news(self) -> bool:
        """Tell whether it says that something is wrong (rather than acknowledged or over)."""
        return self.notification.status is Status.FIRING


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """When a group was last told, and when its next turn is; ``over`` says that it was then told that all of it is over."""

    last: int | None = None
    next: int | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """That a notifier has been told of an alert: when, and how bad it was then."""

    at: int
    severity: Severity


@dataclass(frozen=True, slots=True)
class Situation:
    """What the stages look at. ``open_alerts`` are those that are not over, each with its names."""

    conditions: Conditions
    alert: Alert | None = None
    open_alerts: tuple[tuple[Alert, Names], ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    silences: tuple[Silence, ...] = ()
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    groups: Mapping[str, GroupTimes] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)
    """What this alert's notifiers were told, by notifier."""


def moment(way: Way, situation: Situation, now: int) -> Verdict:
    """Hold reminders and escalations until their time, and stop what has become needless meanwhile."""
    later = way.level > 0 or way.round > 0
    held = bool(way.stage) and (way.stage != "moment" or later)
    alert = situation.alert
    if way.is_news and alert is not None and (later or held):
        if alert.is_over:
            return Stop(Reason.OVER, f"the alert was {alert.state} at {_shown(alert.ended)}")
        if later and alert.state is AlertState.ACKNOWLEDGED:
            return Stop(Reason.ACKNOWLEDGED, f"by {alert.acknowledged_by}")
    if now >= way.due:
        return Pass()
    return Hold(way.due, Reason.REMINDER if way.round else Reason.ESCALATION, f"until {to_rfc3339(way.due)}")


def group(way: Way, situation: Situation, now: int) -> Verdict:
    """Collect what happens in a group until the group's turn: its alerts, and their ends."""
    wanted = way.notifier.options.group
    if not way.group or wanted is None or way.level or way.round:
        return Pass()
    due = way.due
    if way.stage != "group":
        times = situation.groups.get(way.group, GroupTimes())
        due = (turn_of_end if way.follows else turn_of_news)(wanted, times, now)
    return wait_for_turn(due) if due > now else Pass()


def wait_for_turn(due: int) -> Hold:
    """Return that something waits for its group's turn."""
    return Hold(due, Reason.GROUPED, f"until its group's turn at {to_rfc3339(due)}")


def turn_of_news(wanted: Group, times: GroupTimes, now: int) -> int:
    """Return when a group's news is told: after ``wait``, ``interval`` after the last message, or with what waits already.

    A group that was told to be over begins anew.
    """
    if times.next is not None and times.next > now:
        return times.next
    due = now + wanted.wait
    return due if times.last is None or times.over else max(due, times.last + wanted.interval)


def turn_of_end(wanted: Group, times: GroupTimes, now: int) -> int:
    """Return when the end of one of a group's alerts is told: ``interval`` after the last message, or with what waits already.

    Where the last message is longer ago, what ends together is collected for ``wait``. Never is it later than ``interval``.
    """
    latest = now + wanted.interval
    if times.next is not None and now < times.next <= latest:
        return times.next
    if times.last is not None and times.last + wanted.interval > now:
        return times.last + wanted.interval
    return min(now + wanted.wait, latest)


def inhibit(way: Way, situation: Situation, now: int) -> Verdict:
    """Keep quiet while another alert says the same at its root."""
    if not way.is_news or not situation.inhibitions:
        return Pass()
    own = names_of(way.notification, situation.alert)
    id_ = way.notification.alert.id if way.notification.alert else ""
    source = inhibitor_of(own, id_, situation.inhibitions, situation.open_alerts, situation.conditions)
    if source is None:
        return Pass()
    detail = f"while {source.title or source.automation} is open"
    if situation.alert is None:
        return Stop(Reason.INHIBITED, detail, source.id)
    return Hold(now + _LOOK_AGAIN, Reason.INHIBITED, detail, source.id)


def silence(way: Way, situation: Situation, now: int) -> Verdict:
    """Keep quiet while a silence matches."""
    if not way.is_news:
        return Pass()
    active = [one for one in situation.silences if one.is_active(now)]
    if not active:
        return Pass()
    names = names_of(way.notification, situation.alert)
    fitting = [one for one in active if situation.conditions.match(one.matcher, names)]
    if not fitting:
        return Pass()
    longest = max(fitting, key=lambda one: one.ends)
    detail = f"by {longest.author} until {to_rfc3339(longest.ends)}" + (
        f": {longest.comment}" if longest.comment else ""
    )
    if situation.alert is None:
        return Stop(Reason.SILENCED, detail, longest.id)
    # A silence may be deleted before its end, so the way looks again now and then.
    return Hold(min(longest.ends, now + _LOOK_AGAIN), Reason.SILENCED, detail, longest.id)


def quiet_hours(way: Way, situation: Situation, now: int) -> Verdict:
    """Wait for the end of the night, or let it go, unless it is bad enough."""
    name = way.notifier.options.quiet
    hours = situation.quiet_hours.get(name) if name else None
    if hours is None or not way.is_news or way.notification.severity in hours.only:
        return Pass()
    until = hours.quiet_until(now)
    if until is None:
        return Pass()
    if hours.then == "drop":
        return Stop(Reason.QUIET, f"{name} drops until {to_rfc3339(until)}", str(name))
    return Hold(until, Reason.QUIET, f"{name} defers until {to_rfc3339(until)}", str(name))


def dedup(way: Way, situation: Situation, now: int) -> Verdict:  # noqa: ARG001 - a stage's own form
    """Tell a notifier once of an open alert, unless it has become worse; reminders and escalations are asked for."""
    if not way.is_news or way.notification.alert is None or way.level or way.round:
        return Pass()
    told = situation.told.get(way.notifier.name)
    if told is None or _RANK[way.notification.severity] > _RANK[told.severity]:
        return Pass()
    remind = way.notifier.options.remind
    again = (
        f"the next reminder is due {to_rfc3339(told.at + remind)}"
        if remind
        else "it has no reminders (remind)"
    )
    return Stop(Reason.TOLD, f"told at {to_rfc3339(told.at)}; {again}")


Stage = Callable[[Way, Situation, int], Verdict]

STAGES: Final[Mapping[str, Stage]] = {
    "moment": moment,
    "group": group,
    "inhibit": inhibit,
    "silence": silence,
    "quiet-hours": quiet_hours,
    "dedup": dedup,
}
"""The stages between routing and rendering, in their order."""

MUTING: Final = frozenset({"inhibit", "silence", "quiet-hours"})
"""The stages whose end is news: what they held comes with the reason ``unmuted``."""


@dataclass(frozen=True, slots=True)
class Result:
    """Where a way got to: the stage that had the last word, and what it said."""

    stage: str
    verdict: Verdict


def run(way: Way, situation: Situation, now: int) -> Result:
    """Return how far a way gets now. It begins again after its group's turn, else at the first stage."""
    for name, stage in STAGES.items():
        if name == "group" and way.stage in ("inhibit", "silence", "quiet-hours", "deliver"):
            continue
        verdict = stage(way, situation, now)
        if not isinstance(verdict, Pass):
            return Result(name, verdict)
    return Result("", Pass())


def once_each(bundle: Sequence[Way]) -> tuple[list[Way], list[Way]]:
    """Return the ways that one message is made of, and those that say no more: of each alert its worst news, the latest of it."""
    ranked = sorted(
        bundle, key=lambda way: (_RANK[way.notification.severity], way.notification.created, way.id)
    )
    chosen = {way.notification.alert.id if way.notification.alert else way.id: way.id for way in ranked}
    kept = set(chosen.values())
    return [way for way in bundle if way.id in kept], [way for way in bundle if way.id not in kept]


def _shown(instant: int | None) -> str:
    return "some time" if instant is None else to_rfc3339(instant)

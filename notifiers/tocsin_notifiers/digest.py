"""One message for several notifications: what a group, or a night, has collected, and how it stands later. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin_events.identity import derived_id
from tocsin_events.instant import from_micros
from tocsin_notifiers.alert import Alert, AlertState
from tocsin_notifiers.default_message import Pages, ago, is_withdrawn, title_of
from tocsin_notifiers.markdown import literal
from tocsin_notifiers.message import Fact, FollowUp, Link, Message
from tocsin_notifiers.notification import Notification, Severity, Status
from tocsin_notifiers.plain_text import plain_text

LISTED: Final = 20
_RANK: Final = list(Severity)


@dataclass(frozen=True, slots=True)
class Standing:
    """A notification that was told, and its alert as it stands now, where it has one."""

    notification: Notification
    alert: Alert | None

    @property
    def is_open(self) -> bool:
        """Tell whether it has an alert that has not ended."""
        return self.alert is not None and not self.alert.is_over

    @property
    def is_acknowledged(self) -> bool:
        """Tell whether somebody has taken its alert on."""
        return self.alert is not None and self.alert.state is AlertState.ACKNOWLEDGED

    @property
    def is_withdrawn(self) -> bool:
        """Tell whether its alert has ended with its rule."""
        return self.alert is not None and self.alert.state is AlertState.WITHDRAWN


def make_digest(
    notifications: Sequence[Notification],
    *,
    id: str,  # noqa: A002 - the message's own word
    target: str,
    pages: Pages,
    note: str = "",
) -> Message:
    """Return the message that lists notifications (at least one), the worst first: the first 20, and how many more."""
    ordered = _worst_first(notifications)
    over = all(one.status is Status.RESOLVED for one in ordered)
    withdrawn = sum(is_withdrawn(one) for one in ordered) if over else 0
    body = _listed([_line(one, title_of(one), pages, _since(one)) for one in ordered])
    return Message(
        id=id,
        target=target,
        title=_over(ordered, withdrawn) if over else f"{len(ordered)} alerts{_subject(ordered)}",
        body=f"{note}\n\n{body}" if note else body,
        severity=ordered[0].severity,
        status=Status.RESOLVED if over else Status.FIRING,
        withdrawn=withdrawn > 0,
        fields=(_severities(ordered),),
        links=_all_alerts(pages),
        automation=_one_automation(ordered),
        thread=derived_id("digest", *(one.id for one in ordered)),
        at=max(one.created for one in ordered),
    )


def make_ends(
    ended: Sequence[Notification],
    still_open: Sequence[Standing],
    *,
    id: str,  # noqa: A002 - the message's own word
    target: str,
    pages: Pages,
    follow_up: FollowUp,
    thread: str,
) -> Message:
    """Return the message that lists what is over (at least one), and what is still open in the group."""
    ordered = _worst_first(ended)
    left = f", {len(still_open)} still open" if still_open else ""
    withdrawn = sum(is_withdrawn(one) for one in ordered)
    body = _listed([_line(one, name_of(one), pages, _lasted(one)) for one in ordered])
    return Message(
        id=id,
        target=target,
        title=_over(ordered, withdrawn) + left,
        body=body + open_list(still_open, pages),
        severity=ordered[0].severity,
        status=Status.RESOLVED,
        withdrawn=withdrawn > 0,
        fields=(_severities(ordered),),
        links=_all_alerts(pages),
        automation=_one_automation(ordered),
        thread=thread,
        at=max(one.created for one in ordered),
        follow_up=follow_up,
    )


def make_present(
    standings: Sequence[Standing],
    *,
    id: str,  # noqa: A002 - the message's own word
    target: str,
    pages: Pages,
    at: int,
    thread: str,
    note: str = "",
) -> Message:
    """Return the edit by which a message that told of several alerts tells how each stands now; what is open comes first."""
    ordered = sorted(
        standings, key=lambda one: (not one.is_open, one.is_acknowledged, *_worse(one.notification))
    )
    left = [one for one in ordered if one.is_open]
    told = [one.notification for one in ordered]
    withdrawn = 0 if left else sum(one.is_withdrawn for one in ordered)
    count = f"{len(ordered)} alerts{_subject(told)}"
    lines = _states(ordered, pages)
    return Message(
        id=id,
        target=target,
        title=f"{len(left)} of {count} still open" if left else _over(told, withdrawn),
        body=f"{note}\n\n{lines}" if note else lines,
        severity=_worst_first([one.notification for one in left or ordered])[0].severity,
        status=_status(left),
        withdrawn=withdrawn > 0,
        fields=(_severities(told),),
        links=_all_alerts(pages),
        automation=_one_automation(told),
        thread=thread,
        at=at,
        follow_up="edit",
    )


def open_list(still_open: Sequence[Standing], pages: Pages) -> str:
    """Return Markdown, to be put behind a body, that lists what is still open; empty where nothing is."""
    if not still_open:
        return ""
    ordered = sorted(still_open, key=lambda one: _worse(one.notification))
    return f"\n\n**Still open:**\n\n{_states(ordered, pages)}"


def name_of(one: Notification) -> str:
    """Return what people know an alert by: the title of its news."""
    return title_of(one.model_copy(update={"status": Status.FIRING}))


def _worse(one: Notification) -> tuple[int, int, str]:
    return -_RANK.index(one.severity), one.created, one.id


def _worst_first(notifications: Sequence[Notification]) -> list[Notification]:
    return sorted(notifications, key=_worse)


def _listed(lines: Sequence[str]) -> str:
    more = [f"- … and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])


def _states(standings: Sequence[Standing], pages: Pages) -> str:
    return _listed(
        [_line(one.notification, name_of(one.notification), pages, _state(one)) for one in standings]
    )


def _line(one: Notification, title: str, pages: Pages, said: str) -> str:
    links = pages.links(one)
    shown = f"[{literal(title)}]({links[0].url})" if links else f"**{literal(title)}**"
    return f"- {shown}, {said}"


def _over(ended: Sequence[Notification], withdrawn: int) -> str:
    """Return the title of what has ended, ``withdrawn`` of it with its rule."""
    subject, resolved = _subject(ended), len(ended) - withdrawn
    if not withdrawn:
        return f"Resolved: {resolved} alerts{subject}"
    if not resolved:
        return f"Withdrawn: {withdrawn} alerts{subject}"
    return f"Ended: {len(ended)} alerts{subject}, {withdrawn} of them withdrawn"


def _ended(*, withdrawn: bool) -> str:
    return "withdrawn (its rule was paused, removed or changed)" if withdrawn else "over"


def _since(one: Notification) -> str:
    return f"{one.severity}, since {from_micros(_opened(one)):%Y-%m-%d %H:%M} UTC"


def _lasted(one: Notification) -> str:
    lasted = f"{_ended(withdrawn=is_withdrawn(one))} after {ago(one.created - _opened(one))}"
    return f"{lasted}. {literal(plain_text(one.reason))}" if one.reason else lasted


def _state(one: Standing) -> str:
    alert = one.alert
    if alert is not None and alert.ended is not None:
        return f"{_ended(withdrawn=one.is_withdrawn)} after {ago(alert.ended - alert.opened)}"
    since = _since(one.notification)
    if alert is not None and one.is_acknowledged:
        return f"{since}, acknowledged by {literal(alert.acknowledged_by)}"
    return since


def _status(left: Sequence[Standing]) -> Status:
    if not left:
        return Status.RESOLVED
    return Status.ACKNOWLEDGED if all(one.is_acknowledged for one in left) else Status.FIRING


def _opened(one: Notification) -> int:
    return one.alert.opened if one.alert else one.created


def _subject(ordered: Sequence[Notification]) -> str:
    names = list(dict.fromkeys(one.automation for one in ordered if one.automation))
    return f" of {names[0]}" if len(names) == 1 else ""


def _one_automation(ordered: Sequence[Notification]) -> str:
    return ordered[0].automation if len({one.automation for one in ordered}) == 1 else ""


def _severities(ordered: Sequence[Notification]) -> Fact:
    counted = Counter(str(one.severity) for one in ordered).most_common()
    return Fact(name="Severities", value=", ".join(f"{count} {word}" for word, count in counted))


def _all_alerts(pages: Pages) -> tuple[Link, ...]:
    return (Link(kind="alerts", label="All alerts", url=f"{pages.base}/alerts"),) if pages.base else ()

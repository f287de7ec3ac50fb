"""What a message says when nobody wrote a template: what failed, where, since when, how often, the error, links."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin_events.duration import format_duration
from tocsin_events.instant import SECOND, from_micros
from tocsin_notifiers.ack_link import AckLinks
from tocsin_notifiers.firing import (
    description_of,
    key_of,
    mapping,
    micros_of,
    name_of_kind,
    reason_of,
    resource_of,
    run_of,
    runs_of,
    subject_of,
    subjects_of,
)  # fmt: skip
from tocsin_notifiers.markdown import fenced, literal
from tocsin_notifiers.message import Fact, FollowUp, Link, Message
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.plain_text import one_line, plain_text

_ERROR_LINES: Final = 12
_ERROR_CHARACTERS: Final = 1_500
_TITLE_CHARACTERS: Final = 250
_SUBJECT_CHARACTERS: Final = 200
_LABELS_CHARACTERS: Final = 300
_SAID_BY_REASON: Final = frozenset({"absence", "aggregate", "deadline", "lasting", "silence"})
"""Triggers at which the last event is not what is wrong."""
_SAID_BY_RULE: Final = frozenset({"all", "at_least", "schedule", "sequence"})
"""Triggers of which only the rule's author can say what they mean."""
_WITHDRAWN: Final = "The rule was paused, removed or changed: whether it is over is not known."
_PREFIXES: Final = {Status.RESOLVED: "Resolved: ", Status.ACKNOWLEDGED: "Acknowledged: "}
_SAYS_NOTHING: Final = frozenset({"", "an event matched"})
"""Reasons of a firing that its title says better."""
# Related resources that say where it happened, in the order in which they are shown.
_PLACES: Final = (
    ("deployment", "Deployment"),
    ("flow", "Flow"),
    ("flow-run", "Run"),
    ("work-pool", "Work pool"),
)


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the service's own pages are, for the links in messages; without a base there are no links.

    ``acks`` makes the links that acknowledge; without it there are none.
    """

    base: str = ""
    acks: AckLinks | None = None

    def links(self, notification: Notification) -> tuple[Link, ...]:
        """Return a notification's links, the most useful one first."""
        if not self.base:
            return ()
        found = []
        run = run_of(notification.firing)
        if run:
            found.append(Link(kind="run", label="Open run", url=f"{self.base}/runs/{run}"))
        firing = mapping(notification.firing.get("firing")).get("id")
        if firing:
            found.append(Link(kind="why", label="Why?", url=f"{self.base}/firings/{firing}"))
        if notification.alert is not None:
            found.append(Link(kind="alert", label="Alert", url=f"{self.base}/alerts/{notification.alert.id}"))
        return tuple(found)

    def ack_link(self, notification: Notification, reader: str, now: int) -> tuple[Link, ...]:
        """Return the link by which the reader of a message acknowledges, where there is something to."""
        if not self.base or self.acks is None or notification.alert is None:
            return ()
        if notification.status is not Status.FIRING:
            return ()
        token = self.acks.token(notification.alert.id, reader, now=now)
        return (Link(kind="ack", label="Acknowledge", url=f"{self.base}/ack/{token}"),)


def make_message(
    notification: Notification,
    *,
    id: str,  # noqa: A002 - the message's own word
    target: str,
    pages: Pages,
    follow_up: FollowUp = "message",
    note: str = "",
) -> Message:
    """Return the message of a notification for one target.

    The texts of the notification win over the default ones. ``note`` is a line in front of the body that says why
    it comes (a reminder, who acknowledged).
    """
    body = default_body(notification) if notification.body is None else plain_text(notification.body)
    withdrawn = is_withdrawn(notification)
    parts = (plain_text(note), _WITHDRAWN if withdrawn else "", body)
    return Message(
        id=id,
        target=target,
        title=title_of(notification),
        body="\n\n".join(part for part in parts if part),
        severity=notification.severity,
        status=notification.status,
        withdrawn=withdrawn,
        fields=facts(notification),
        links=pages.links(notification),
        alert=notification.alert,
        event=mapping(notification.firing.get("event")).get("id"),
        automation=notification.automation,
        run=run_of(notification.firing),
        runs_of=runs_of(notification.firing),
        thread=notification.alert.id if notification.alert else notification.id,
        at=notification.created,
        follow_up=follow_up,
    )


def is_withdrawn(notification: Notification) -> bool:
    """Tell whether it says that its alert has ended with its rule, so that nobody knows whether what was wrong is over."""
    return notification.status is Status.RESOLVED and ends_withdrawn(notification.firing)


def ends_withdrawn(firing: Mapping[str, Any]) -> bool:
    """Tell whether the payload of a resolution says that the alert's rule was paused, removed or changed."""
    alert = mapping(firing.get("alert"))
    return "withdrawn" in (alert.get("reason"), alert.get("state"), firing.get("reason"))


def title_of(notification: Notification) -> str:
    """Return the title, in one line: the one asked for, or what happened to what, and how often; never an empty one."""
    title = one_line(notification.title or "") or default_title(notification)
    prefix = "Withdrawn: " if is_withdrawn(notification) else _PREFIXES.get(notification.status, "")
    return _shorten(prefix + title, _TITLE_CHARACTERS)


def default_title(notification: Notification) -> str:
    """Return what is wrong with what, in one line.

    An event says it by its type, and how often: ``nightly failed 3 times``. Where the last event is not what is wrong
    (something did not come, lasts, or is too high), the firing's reason does.
    """
    firing = notification.firing
    event = mapping(firing.get("event"))
    subject = _shorten(one_line(subject_of(event)), _SUBJECT_CHARACTERS)
    who = subject or _shorten(key_of(firing), _SUBJECT_CHARACTERS)
    described = _shorten(one_line(description_of(firing)), _SUBJECT_CHARACTERS) or notification.automation
    kind = mapping(firing.get("tree")).get("kind")
    if kind in _SAID_BY_REASON:
        return f"{who or described or 'Notification'}: {_shorten(one_line(reason_of(firing)), _SUBJECT_CHARACTERS)}"
    if kind in _SAID_BY_RULE or not subject:
        return ": ".join(one for one in (described, who) if one) or "Notification"
    happened = str(event.get("type", "")).rpartition(".")[2].replace("-", " ").replace("_", " ")
    others = len(subjects_of(firing) - {subject_of(event)})
    if others:
        return f"{subject} and {others} more {happened}"
    return f"{subject} {happened}{_times(_count(notification))}"


def default_body(notification: Notification) -> str:
    """Return the body in Markdown: why it fired, and the error's last lines."""
    firing = notification.firing
    parts = []
    if notification.status is Status.RESOLVED:
        parts.append(_resolved_after(notification))
    parts.append(literal(plain_text(description_of(firing))))
    if notification.status is not Status.RESOLVED:
        parts.extend(_what_went_wrong(mapping(mapping(firing.get("event")).get("data"))))
    return "\n\n".join(part for part in parts if part)


def facts(notification: Notification) -> tuple[Fact, ...]:
    """Return where it happened, since when, how often and which rule said so."""
    event = mapping(notification.firing.get("event"))
    found = []
    for kind, label in _PLACES:
        name = name_of_kind(event, kind)
        if name:
            found.append(Fact(name=label, value=one_line(name)))
    found += _about(notification.firing, {fact.value for fact in found})
    since = _since(notification)
    if since is not None:
        found.append(Fact(name="Since", value=f"{from_micros(since):%Y-%m-%d %H:%M:%S} UTC"))
    count = _count(notification)
    if count > 1:
        found.append(Fact(name="Times", value=str(count)))
    suppressed = mapping(notification.firing.get("firing")).get("suppressed")
    if isinstance(suppressed, int) and suppressed > 0:
        found.append(Fact(name="Held back before", value=str(suppressed)))
    because = reason_of(notification.firing)
    if because not in _SAYS_NOTHING and notification.status is Status.FIRING:
        found.append(Fact(name="Because", value=_shorten(one_line(because), 300)))
    if notification.automation:
        found.append(Fact(name="Automation", value=notification.automation))
    return tuple(found)


def last_lines(text: str, *, lines: int = _ERROR_LINES, characters: int = _ERROR_CHARACTERS) -> str:
    """Return a text's last lines, no more than so many and no longer than so many characters."""
    kept = text.rstrip().splitlines()[-lines:]
    short = "\n".join(kept)
    return short if len(short) <= characters else "…" + short[-(characters - 1) :]


def ago(micros: int) -> str:
    """Return a duration as people say it: ``12m``, ``3h5m``; seconds only below an hour."""
    seconds = max(micros, 0) // SECOND
    step = 1 if seconds < 600 else 60
    return format_duration(seconds // step * step * SECOND)


def _about(firing: Mapping[str, Any], said: Collection[str]) -> Iterator[Fact]:
    """Return the key of an alert where nothing ``said`` yet names it, and the labels and tags of what it is about."""
    event = mapping(firing.get("event"))
    resource = resource_of(event)
    key = _shorten(key_of(firing), _LABELS_CHARACTERS)
    if key and key not in said and key != one_line(subject_of(event)):
        yield Fact(name="Key", value=key)
    labels = one_line(", ".join(f"{name}={value}" for name, value in mapping(resource.get("labels")).items()))
    if labels:
        yield Fact(name="Labels", value=_shorten(labels, _LABELS_CHARACTERS))
    tags = resource.get("tags")
    if isinstance(tags, list) and tags:
        yield Fact(name="Tags", value=_shorten(one_line(", ".join(map(str, tags))), _LABELS_CHARACTERS))


def _what_went_wrong(data: Mapping[str, Any]) -> list[str]:
    """Return Markdown of the error in an event's data: ours, or whatever an outside event calls it."""
    payload = data.get("payload") if "resource" in data and "payload" in data else data
    payload = mapping(payload)
    error = payload.get("error")
    if isinstance(error, Mapping):
        said = [one_line(str(error[name])) for name in ("type", "message") if error.get(name)]
        named = ": ".join(one for one in said if one)
        return [f"**{literal(_shorten(named, 500))}**" if named else "", _block(error.get("traceback"))]
    return [_block(error or payload.get("message") or mapping(payload.get("state")).get("message"))]


def _block(text: Any) -> str:
    if isinstance(text, list):
        text = "\n".join(str(line) for line in text)
    shown = last_lines(plain_text(str(text))) if text else ""
    return fenced(shown) if shown.strip() else ""


def _resolved_after(notification: Notification) -> str:
    since = _since(notification)
    count = _count(notification)
    if is_withdrawn(notification):
        over = f"It was open for {ago(notification.created - since)}" if since is not None else "It was open"
    else:
        over = f"It lasted {ago(notification.created - since)}" if since is not None else "It is over"
    return over + (f" and fired {count} times." if count > 1 else ".")


def _since(notification: Notification) -> int | None:
    if notification.alert is not None:
        return notification.alert.opened
    return micros_of(mapping(notification.firing.get("firing")).get("at"))


def _count(notification: Notification) -> int:
    count = mapping(notification.firing.get("firing")).get("count")
    in_firing = count if isinstance(count, int) and not isinstance(count, bool) else 1
    return max(in_firing, notification.alert.count if notification.alert else 1)


def _times(count: int) -> str:
    return f" {count} times" if count > 1 else ""


def _shorten(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"

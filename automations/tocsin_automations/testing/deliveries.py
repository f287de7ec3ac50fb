"""What a test expects of notifications beside what would be delivered: matching, and differences that a person can read.

The notification pipeline lives in a room that this one doesn't know. It is found by the entry point ``deliveries`` of
the group ``tocsin.rule_tests``, a `RehearseDeliveries`.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tocsin_automations.problem import nearest
from tocsin_automations.testing.compare import same_json
from tocsin_automations.testing.model import ExpectedDelivery, GivenAcknowledgement, GivenSilence, RuleTest
from tocsin_automations.testing.pairing import unpaired
from tocsin_automations.testing.rendering import Rendered
from tocsin_events.duration import format_duration


@dataclass(frozen=True, slots=True)
class Asked:
    """A firing as the pipeline hears of it: the type and payload of its event, and its actions, rendered.

    ``at`` is in microseconds from the test's start.
    """

    at: int
    id: str
    type: str
    payload: Mapping[str, Any]
    actions: tuple[Rendered, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """That somebody acknowledges an alert, by its id; ``at`` as in `Asked`."""

    at: int
    alert: str
    by: str


class NothingToAcknowledge(Exception):  # noqa: N818 - it names what was found
    """No alert is open that a test wants acknowledged; the message says which."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message for one target, or with ``suppressed`` that there was none, and why; ``at`` as in `Asked`."""

    at: int
    notifier: str
    target: str = ""
    status: str = ""
    title: str = ""
    text: str = ""
    suppressed: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """All that a rehearsal needs: what is configured, what happens, from when (since the epoch) and for how long."""

    sections: Mapping[str, Any]
    asked: tuple[Asked, ...]
    silences: tuple[GivenSilence, ...]
    acknowledged: tuple[Acknowledged, ...]
    clock: int
    lasts: int

    def steps(self) -> list[Asked | Acknowledged]:
        """Return all that happens, in order; at one instant, people act on what they have seen."""
        # Sorting is stable.
        return sorted((*self.asked, *self.acknowledged), key=lambda one: one.at)


class RehearseDeliveries(Protocol):
    """The notification pipeline, as rule tests know it."""

    @property
    def reasons(self) -> Collection[str]:
        """The words for why a delivery is suppressed."""
        ...

    def tellers(self, sections: Mapping[str, Any]) -> Collection[str]:
        """Return the notifiers that tell somebody themselves, rather than lead to others."""
        ...

    def __call__(self, script: Script) -> Sequence[Delivered]:
        """Return what a script would come to, in order.

        Raises:
            ValueError: its sections can't be used; says why.

        """
        ...


def acknowledged(given: Sequence[GivenAcknowledgement], asked: Sequence[Asked]) -> tuple[Acknowledged, ...]:
    """Return which alerts are acknowledged.

    Raises:
        NothingToAcknowledge: one is not open then.

    """
    return tuple(Acknowledged(one.at, _alert_for(one, asked), one.by) for one in given)


def unknown_words(
    test: RuleTest, sections: Mapping[str, Any], rehearse: RehearseDeliveries
) -> Iterator[tuple[tuple[str | int, ...], str, str | None]]:
    """Yield each word in a test's expected deliveries that nothing has: its path in the test, what to say, the nearest one."""
    tellers = rehearse.tellers(sections)
    for number, one in enumerate(test.deliveries or ()):
        if one.notifier not in tellers:
            path = ("deliveries", number, "notifier")
            if one.notifier in sections.get("notifiers", {}):
                yield path, f"{one.notifier!r} leads to other notifiers: name the one that tells", None
            else:
                said = f"there is no notifier {one.notifier!r} in this test"
                yield path, said, nearest(one.notifier, tellers)
        if one.suppressed is not None and one.suppressed not in rehearse.reasons:
            said = f"there is no reason {one.suppressed!r}: one of {', '.join(sorted(rehearse.reasons))}"
            yield ("deliveries", number, "suppressed"), said, nearest(one.suppressed, rehearse.reasons)


def delivery_differences(test: RuleTest, delivered: Sequence[Delivered]) -> Iterator[str]:
    """Yield each way in which deliveries differ from what the test expects; that of suppressions need not be complete."""
    expected = test.deliveries or []
    wanted = [one for one in expected if one.suppressed is None]
    made = [one for one in delivered if not one.suppressed]
    missing, extra = unpaired(wanted, made, _fits)
    for one in missing:
        near = _nearest(one, extra)
        if near is None:
            yield _absent(one, delivered)
        else:
            extra.remove(near)
            yield _differs(one, near)
    for delivery in extra:
        yield f"not expected, but delivered:\n  {_line(delivery)}"
    stopped = [one for one in delivered if one.suppressed]
    quiet = [one for one in expected if one.suppressed is not None]
    for one in unpaired(quiet, stopped, _fits)[0]:
        yield _absent(one, delivered)


def _alert_for(given: GivenAcknowledgement, asked: Sequence[Asked]) -> str:
    so_far = [one for one in asked if one.at <= given.at]
    ended = {_alert(one) for one in so_far if one.payload["firing"]["state"] == "resolved"}
    open_ = [one for one in so_far if _alert(one) and _alert(one) not in ended]
    for one in reversed(open_):
        if _is_about(one, given.automation, given.key):
            return _alert(one)
    raise NothingToAcknowledge("\n".join(_none_open(given, so_far, open_)))


def _none_open(given: GivenAcknowledgement, so_far: Sequence[Asked], open_: Sequence[Asked]) -> Iterator[str]:
    key = "" if given.key is None else f" key {json.dumps(given.key)}"
    yield f"at {format_duration(given.at)}, {given.by} can't acknowledge what is not open: {given.automation}{key}"
    if any(_is_about(one, given.automation, given.key) and not _alert(one) for one in so_far):
        yield f"  {given.automation} has fired, but without `until` it opens no alert"
    firings = (one.payload["firing"] for one in open_)
    named = ((one["automation"], json.dumps(one["key"])) for one in firings)
    yield from (f"  open then: {name} key {key}" for name, key in dict.fromkeys(named))


def _alert(one: Asked) -> str:
    alert = one.payload["alert"]
    return "" if alert is None else str(alert["id"])


def _is_about(one: Asked, automation: str, key: Sequence[Any] | None) -> bool:
    firing = one.payload["firing"]
    return firing["automation"] == automation and (key is None or same_json(list(key), firing["key"]))


def _fits(expected: ExpectedDelivery, one: Delivered) -> bool:
    return not any(_fields(expected, one))


def _fields(expected: ExpectedDelivery, one: Delivered) -> Iterator[tuple[str, str, str]]:
    """Yield the fields that differ: name, expected, got."""
    if expected.at != one.at:
        yield "at", format_duration(expected.at), format_duration(one.at)
    for name in ("notifier", "target", "status", "title", "suppressed"):
        wanted, got = getattr(expected, name), getattr(one, name)
        if wanted is not None and wanted != got:
            yield name, wanted, got
    for text in expected.contains:
        if text not in one.text:
            yield "contains", text, one.text


def _nearest(expected: ExpectedDelivery, extra: Sequence[Delivered]) -> Delivered | None:
    same = [one for one in extra if one.notifier == expected.notifier]
    return min(
        same, key=lambda one: (len(list(_fields(expected, one))), abs(one.at - expected.at)), default=None
    )


def _differs(expected: ExpectedDelivery, one: Delivered) -> str:
    lines = [f"delivered otherwise than expected:\n  {_line(one)}"]
    for name, wanted, got in _fields(expected, one):
        shown = got.replace("\n", "\n                ")
        lines += [f"    {name}", f"      expected  {wanted}", f"      got       {shown}"]
    return "\n".join(lines)


def _absent(expected: ExpectedDelivery, delivered: Sequence[Delivered]) -> str:
    what = "delivered" if expected.suppressed is None else f"suppressed ({expected.suppressed})"
    lines = [
        f"expected, but not {what}:",
        f"  at {format_duration(expected.at)}  {expected.notifier}  {expected.title or ''}".rstrip(),
    ]
    stopped = [one for one in delivered if one.suppressed and one.notifier == expected.notifier]
    lines += [f"  it was told nothing: {_line(one)}" for one in stopped]
    return "\n".join(lines)


def _line(one: Delivered) -> str:
    at = format_duration(one.at)
    if one.suppressed:
        return f"at {at}  {one.notifier}  suppressed: {one.suppressed}"
    return f"at {at}  {one.notifier} > {one.target}  {one.status}  {one.title}"

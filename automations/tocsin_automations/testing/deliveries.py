"""What a test expects of notifications beside what would be delivered: matching, and differences that a person can read.

The notification pipeline lives in a room that this one doesn't know. It is found by the entry point `RehearseDeliveries` of
the group ``tocsin.rule_tests``, and given as a callable.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin_automations.testing.model import ExpectedDelivery, GivenSilence, RuleTest
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
    clock: int
    lasts: int


RehearseDeliveries = Callable[[Script], Sequence[Delivered]]
"""Returns what a script would come to, in order; raises `ValueError` where its sections can't be used."""


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

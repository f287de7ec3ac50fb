"""What a test expected beside what happened: matching, and differences that a person can read."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin_automations.testing.model import ExpectedDecision, ExpectedFiring, RuleTest
from tocsin_automations.testing.pairing import unpaired
from tocsin_automations.testing.rendering import Rendered
from tocsin_events.duration import format_duration

_IDLE: Final = frozenset({"no_match", "no_key", "paused", "duplicate"})
"""Outcomes that say little about how near a rule was to firing."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A firing as a test sees it; ``at`` is in microseconds from the test's start.

    ``events`` are ids.
    """

    at: int
    automation: str
    state: str
    key: tuple[Any, ...]
    events: tuple[str, ...]
    actions: tuple[Rendered, ...]
    count: int
    value: float | None
    suppressed: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as a test sees it; ``explain`` gives the tree of values behind it, line by line."""

    at: int
    automation: str
    part: str
    outcome: str
    event: str
    key: tuple[Any, ...] | None
    reason: str
    explain: Callable[[], Sequence[str]]


def differences(test: RuleTest, happened: Sequence[Happened], decided: Sequence[Decided]) -> Iterator[str]:
    """Yield each way in which what happened differs from what the test expects, none if it is as expected."""
    missing, extra = unpaired(test.expect, happened, lambda wanted, one: not any(_fields(wanted, one)))
    for expected in missing:
        near = _nearest(expected, extra)
        if near is not None:
            extra.remove(near)
            yield _differs(expected, near)
        else:
            yield _absent(expected, decided)
    for one in extra:
        yield f"not expected, but fired:\n  {_line(one)}"
    for wanted in test.decisions:
        yield from _undecided(wanted, decided)


def same_json(left: Any, right: Any) -> bool:
    """Tell whether two values are the same JSON: numbers by value, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(left[name], right[name]) for name in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def _fields(expected: ExpectedFiring, one: Happened) -> Iterator[tuple[str, Any, Any]]:
    """Yield the fields that differ: name, expected, got."""
    if expected.automation != one.automation:
        yield "automation", expected.automation, one.automation
    if expected.state != one.state:
        yield "state", expected.state, one.state
    if expected.at != one.at:
        yield "at", format_duration(expected.at), format_duration(one.at)
    for name in ("key", "events", "count", "value", "suppressed"):
        wanted, got = getattr(expected, name), getattr(one, name)
        if wanted is not None and not same_json(wanted, got):
            yield name, wanted, got
    if expected.actions is not None:
        yield from _actions(expected.actions, one.actions)


def _actions(
    expected: Sequence[Mapping[str, Any]], got: Sequence[Rendered]
) -> Iterator[tuple[str, Any, Any]]:
    if len(expected) != len(got) or any(
        action.kind not in wanted for wanted, action in zip(expected, got, strict=True)
    ):
        yield "actions", [_kind(one) for one in expected], [one.kind for one in got]
        return
    for number, (wanted, action) in enumerate(zip(expected, got, strict=True)):
        if action.failed is not None and "failed" not in wanted:
            yield f"actions[{number}] failed", "no failure", action.failed
        for name, value in wanted.items():
            seen = _field(action, name)
            if not any(same_json(value, one) for one in seen):
                yield f"actions[{number}].{name}", value, seen[0] if seen else "(not there)"


def _field(action: Rendered, name: str) -> list[Any]:
    """Return a field of an action as it was written and as it is done, where it has it."""
    if name == "failed":
        return [action.failed]
    return [fields[name] for fields in (action.written, action.done) if name in fields]


def _kind(action: Mapping[str, Any]) -> str:
    return next(iter(action), "")


def _nearest(expected: ExpectedFiring, extra: Sequence[Happened]) -> Happened | None:
    same = [one for one in extra if (one.automation, one.state) == (expected.automation, expected.state)]
    return min(
        same, key=lambda one: (len(list(_fields(expected, one))), abs(one.at - expected.at)), default=None
    )


def _differs(expected: ExpectedFiring, one: Happened) -> str:
    lines = [f"fired otherwise than expected:\n  {_line(one)}"]
    for name, wanted, got in _fields(expected, one):
        lines += [f"    {name}", f"      expected  {_show(wanted)}", f"      got       {_show(got)}"]
    return "\n".join(lines)


def _absent(expected: ExpectedFiring, decided: Sequence[Decided]) -> str:
    key = "" if expected.key is None else f"  key {_show(expected.key)}"
    lines = [
        "expected, but did not fire:",
        f"  at {format_duration(expected.at)}  {expected.automation}{key}  {expected.state}",
    ]
    mine = [one for one in decided if one.automation == expected.automation]
    near = _nearest_decision(expected, mine)
    if near is None:
        lines.append(
            f"  no event of this test reached {expected.automation}: none is of a type it listens to"
        )
        return "\n".join(lines)
    lines += ["  nearest miss:", f"    {_decision_line(near)}"]
    lines += [f"      {line}" for line in near.explain()]
    return "\n".join(lines)


def _nearest_decision(expected: ExpectedFiring, decided: Sequence[Decided]) -> Decided | None:
    part = "when" if expected.state == "firing" else "until"

    def rank(one: Decided) -> tuple[bool, bool, bool, bool, int]:
        return (
            one.part == part,
            expected.key is None or one.key is None or same_json(expected.key, one.key),
            one.outcome not in _IDLE,
            one.at <= expected.at,
            -abs(one.at - expected.at),
        )

    return max(reversed(decided), key=rank, default=None)


def _undecided(wanted: ExpectedDecision, decided: Sequence[Decided]) -> Iterator[str]:
    about = [one for one in decided if (one.event, one.automation) == (wanted.event, wanted.automation)]
    if any(_decides(wanted, one) for one in about):
        return
    lines = [f"expected of event {wanted.event} and {wanted.automation}: {wanted.outcome}"]
    if wanted.key is not None:
        lines[0] += f" for key {_show(wanted.key)}"
    if not about:
        lines.append(
            "  no decision was made about it: no such event, or of a type that the rule doesn't listen to"
        )
    for one in about:
        lines.append(f"  got {_decision_line(one)}")
        lines += [f"    {line}" for line in one.explain()]
    yield "\n".join(lines)


def _decides(wanted: ExpectedDecision, one: Decided) -> bool:
    return (
        wanted.outcome.value == one.outcome
        and wanted.part in (None, one.part)
        and (wanted.key is None or same_json(wanted.key, one.key))
    )


def _line(one: Happened) -> str:
    return (
        f"at {format_duration(one.at)}  {one.automation}  key {_show(one.key)}  {one.state}"
        f"  events {_show(one.events)}"
    )


def _decision_line(one: Decided) -> str:
    about = f"event {one.event}" if one.event else "a timer"
    key = f" key {_show(one.key)}" if one.key else ""
    reason = f" ({one.reason})" if one.reason else ""
    return f"at {format_duration(one.at)}, {about}, {one.part}{key}: {one.outcome}{reason}"


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 2000 else text[:1999] + "…"

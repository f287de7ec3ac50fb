"""Selecting: whether an event concerns a trigger, and which of its independent states (`for_each`)."""

import base64
import math
from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from tocsin_automations.decision import Outcome
from tocsin_events.expression import Absent, Expression, Fault, compile_expression
from tocsin_events.instant import to_micros, to_rfc3339
from tocsin_events.view import EventView

NO_KEYS: Final = "[]"
"""The key of a trigger without `for_each`."""

_LONGEST_KEY: Final = 1_000
_MOST_REASONS: Final = 100

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(list[Any]).decode


class Miss(msgspec.Struct, frozen=True, eq=False):
    """Why an event does not concern a selector; compared by identity, so that misses are counted cheaply."""

    outcome: Outcome
    reason: str


class Keying:
    """What `for_each` means: from an event to the text of its key."""

    __slots__ = ("_by_subject", "_expressions", "_misses", "count")

    def __init__(self, for_each: Sequence[str] = (), *, by_subject: bool = False) -> None:
        self._expressions: tuple[Expression, ...] = tuple(compile_expression(text) for text in for_each)
        self._by_subject = by_subject
        self._misses: dict[str, Miss] = {}
        self.count = 1 if by_subject else len(self._expressions)

    def of(self, view: EventView) -> str | Miss:
        """Return the key's JSON text (equal keys have equal texts), or why the event has none."""
        if not self.count:
            return NO_KEYS
        if self._by_subject:
            subject = view.subject
            return (
                self._miss(Outcome.NO_KEY, "resource is missing") if subject is None else key_text([subject])
            )
        values = []
        for expression in self._expressions:
            value = expression.evaluate(view)
            if value.__class__ is Absent:
                return self._miss(Outcome.NO_KEY, f"{value.name} is missing")
            if value.__class__ is Fault:
                return self._miss(Outcome.CONDITION_ERROR, f"for_each: {value.reason}")
            values.append(value)
        try:
            text = key_text(values)
        except (TypeError, ValueError, OverflowError) as problem:
            return self._miss(Outcome.CONDITION_ERROR, f"for_each: {problem}")
        if len(text) > _LONGEST_KEY:
            return self._miss(
                Outcome.CONDITION_ERROR, f"for_each: the key is longer than {_LONGEST_KEY} characters"
            )
        return text

    def _miss(self, outcome: Outcome, reason: str) -> Miss:
        miss = self._misses.get(reason)
        if miss is None:
            miss = Miss(outcome, reason)
            if len(self._misses) < _MOST_REASONS:
                self._misses[reason] = miss
        return miss


class Selector:
    """One question that a trigger asks of events: type, `where`, and the key.

    ``bit`` names it within its part: a sighting's ``hits`` has the bits of all selectors that an event passed.
    """

    __slots__ = ("_absences", "_conjuncts", "bit", "keying", "number", "patterns", "where", "whole")

    def __init__(self, number: int, patterns: tuple[str, ...], where: str | None, keying: Keying) -> None:
        self.number = number
        self.bit = 1 << number
        self.patterns = patterns
        self.where = None if where is None else compile_expression(where)
        self.keying = keying
        conjuncts = () if self.where is None else self.where.conjuncts
        self._conjuncts = tuple(
            (conjunct.expression.matches, Miss(Outcome.NO_MATCH, conjunct.source)) for conjunct in conjuncts
        )
        self._absences: dict[str, Miss] = {}
        self.whole = self

    def without(self, source: str) -> "Selector":
        """Return this selector without the conjunct of that source, which is known to hold; `whole` is this one."""
        rest = copy(self)
        rest._conjuncts = tuple(one for one in self._conjuncts if one[1].reason != source)
        return rest

    def key_of(self, view: EventView) -> str | Miss:
        """Return the key of the event in this selector, or why it does not pass."""
        failed = None
        for matches, miss in self._conjuncts:
            held = matches(view)
            if held is True:
                continue
            if held is False:
                return miss
            failed = failed or (held, miss)
        if failed is not None:
            return self._failure(*failed)
        return self.keying.of(view)

    def _failure(self, failure: Any, conjunct: Miss) -> Miss:
        if failure.__class__ is Absent:
            outcome, reason = Outcome.NO_MATCH, f"{failure.name} is missing, in {conjunct.reason}"
        else:
            outcome, reason = Outcome.CONDITION_ERROR, f"{failure.reason}, in {conjunct.reason}"
        miss = self._absences.get(reason)
        if miss is None:
            miss = Miss(outcome, reason)
            if len(self._absences) < _MOST_REASONS:
                self._absences[reason] = miss
        return miss


def key_text(values: Sequence[Any]) -> str:
    """Return the JSON text of the values of a key; equal keys (1 and 1.0, as CEL has it) have equal texts.

    Raises:
        TypeError, ValueError: a value has no JSON form.

    """
    return _encode([value if value.__class__ is str else _plain(value) for value in values]).decode()


@lru_cache(maxsize=4096)
def key_values(text: str) -> tuple[Any, ...]:
    """Return the values of a key's text; the inverse of `key_text`."""
    return tuple(_decode(text))


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} cannot be a key")
            return int(value) if value.is_integer() and abs(value) < 2**63 else value
        case datetime():
            return to_rfc3339(to_micros(value))
        case timedelta():
            return f"{value.total_seconds()}s"
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case _:
            raise TypeError("the value has no JSON form")

"""The index: from an event to the few selectors that could pass it, whatever the number of rules.

By event type first (exact types and patterns, resolved once per type), then by what most conditions ask: a path equal
to a constant, or in a list of constants. Each such selector sits under the one of its conditions that leaves it with
the fewest neighbours, so ten thousand rules about one deployment each cost one look-up.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tocsin_automations.selector import Selector
from tocsin_events.expression import Expression, Fault, compile_expression, path_getter, written_path
from tocsin_events.pattern import matches_any
from tocsin_events.view import MISSING, EventView

Entry = tuple[int, Selector]
"""A selector with the number of the part that it belongs to."""

_MOST_TYPES: Final = 10_000


class TypeIndex:
    """The selectors that listen to one event type."""

    __slots__ = ("_buckets", "always", "entries", "parts", "skipped")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries: Final = tuple(entries)
        self.parts: Final = tuple(sorted({number for number, _ in entries}))
        sizes = Counter(
            (path, value)
            for _, selector in entries
            for path, values, _ in _indexable(selector)
            for value in values
        )
        self.always: list[Entry] = []
        self.skipped: dict[int, str] = {}
        buckets: dict[tuple[str, ...], dict[Any, list[Entry]]] = {}
        for entry in entries:
            choices = _indexable(entry[1])
            if not choices:
                self.always.append(entry)
                continue
            path, values, source = min(
                choices, key=lambda choice: sum(sizes[choice[0], one] for one in choice[1])
            )
            self.skipped[entry[0]] = source
            rest = entry[0], entry[1].without(source)
            for value in values:
                buckets.setdefault(path, {}).setdefault(value, []).append(rest)
        self._buckets: list[tuple[Callable[[Any], Any], Expression, dict[Any, list[Entry]]]] = [
            (path_getter(path), compile_expression(written_path(path)), by_value)
            for path, by_value in buckets.items()
        ]

    def candidates(self, view: EventView) -> list[Entry]:
        """Return the selectors that could pass the event, by the numbers of their parts."""
        found = self.always
        for get, path, by_value in self._buckets:
            value = get(view)
            if value is MISSING:
                # Missing is no match; but a path through something that is no map is an error that rules must tell.
                hits = _all(by_value) if path.evaluate(view).__class__ is Fault else None
            else:
                hits = by_value.get(value)
            if hits is not None:
                found = [*found, *hits] if found else hits
        return found if found is self.always or len(found) == 1 else sorted(found, key=_order)


class Index:
    """The selectors of all parts by event type; types are resolved when they are first seen."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: Final = tuple(entries)
        self._exact: dict[str, list[Entry]] = {}
        self._patterns: list[Entry] = []
        for entry in self._entries:
            wild = [one for one in entry[1].patterns if "*" in one or ">" in one]
            if wild:
                self._patterns.append(entry)
            for one in set(entry[1].patterns) - set(wild):
                self._exact.setdefault(one, []).append(entry)
        self._types: dict[str, TypeIndex] = {}

    def of_type(self, type_: str) -> TypeIndex:
        """Return the selectors that listen to an event type."""
        found = self._types.get(type_)
        if found is None:
            if len(self._types) >= _MOST_TYPES:
                self._types.clear()
            found = self._types[type_] = self._resolve(type_)
        return found

    def _resolve(self, type_: str) -> TypeIndex:
        entries = {
            (number, selector.bit): (number, selector) for number, selector in self._exact.get(type_, ())
        }
        for number, selector in self._patterns:
            if matches_any(selector.patterns, type_):
                entries[number, selector.bit] = (number, selector)
        return TypeIndex([entries[key] for key in sorted(entries)])


def _all(by_value: dict[Any, list[Entry]]) -> list[Entry]:
    unique = {
        (number, selector.bit): (number, selector.whole)
        for hits in by_value.values()
        for number, selector in hits
    }
    return list(unique.values())


def _order(entry: Entry) -> tuple[int, int]:
    return entry[0], entry[1].number


def _indexable(selector: Selector) -> list[tuple[tuple[str, ...], tuple[Any, ...], str]]:
    """Return the conditions of a selector that an index can serve: path, hashable constants, source."""
    if selector.where is None:
        return []
    choices = []
    for conjunct in selector.where.conjuncts:
        if conjunct.path is None or conjunct.constants is None:
            continue
        choices.append((conjunct.path, tuple(conjunct.constants), conjunct.source))
    return choices

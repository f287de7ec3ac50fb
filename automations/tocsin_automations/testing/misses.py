"""The decisions that the engine only counts: `no_match`."""

from collections.abc import Callable, Collection, Iterator, Sequence

from tocsin_automations.decision import Outcome
from tocsin_automations.rules import Part, Rules
from tocsin_automations.selector import Miss, Selector
from tocsin_automations.testing.compare import Decided
from tocsin_events.pattern import matches_any
from tocsin_events.view import EventView


def misses(
    rules: Rules,
    view: EventView,
    at: int,
    decided: Collection[tuple[str, str]],
    explain: Callable[[str, str], Callable[[], Sequence[str]]],
) -> Iterator[Decided]:
    """Yield `no_match` for each part that listens to an event's type, was not passed, and decided nothing else.

    ``explain`` gives what explains a decision, of the automation and the part.
    """
    for part, rule in zip(rules.parts, rules.owners, strict=True):
        if (rule.name, part.role) in decided:
            continue
        listening = _listening(part, view)
        missed = [miss for miss in (one.key_of(view) for one in listening) if isinstance(miss, Miss)]
        if missed and len(missed) == len(listening):
            yield Decided(
                at=at,
                automation=rule.name,
                part=part.role,
                outcome=Outcome.NO_MATCH.value,
                event=view.id,
                key=None,
                reason=missed[0].reason,
                explain=explain(rule.name, part.role),
            )


def _listening(part: Part, view: EventView) -> list[Selector]:
    return [selector for selector in part.selectors if matches_any(selector.patterns, view.type)]

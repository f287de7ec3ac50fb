"""``event: P``, ``where: E``: fires at each matching event."""

from typing import Any, ClassVar

from tocsin_automations.decision import Outcome
from tocsin_automations.trigger import Fire, Sighting, Trigger, TriggerConfig, Verdict, Wiring
from tocsin_automations.words import ExpressionText, Patterns


class EventTrigger(TriggerConfig):
    """Fires at each event of these types that fulfils the condition."""

    kind: ClassVar[str] = "event"
    marks: ClassVar[frozenset[str]] = frozenset({"event"})

    event: Patterns
    where: ExpressionText | None = None

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        return _Event(wiring.keyed(self.for_each).listen(self.event, self.where))


class _Event(Trigger[None]):
    stateless = True

    def __init__(self, bit: int) -> None:
        self.bits = bit

    def fresh(self, at: int) -> None:
        return None

    def observe(self, state: None, sighting: Sighting) -> Verdict:
        ref = sighting.ref
        return Verdict(Outcome.FIRED, signals=(Fire(ref.time, ref, (ref,), 1),))

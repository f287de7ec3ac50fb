"""What a kind of trigger is: a model that people write, and the compiled form that the engine runs.

One file per kind in `triggers/`. A kind is a `TriggerConfig` (registered by the entry-point group ``tocsin.triggers``)
whose `compile` gives a `Trigger`: pure logic over a small state per key, which the engine keeps, stores and
restores. All times are microseconds since the epoch.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationInfo, WithJsonSchema

from tocsin_automations.decision import Outcome
from tocsin_automations.plugins import trigger_kinds
from tocsin_automations.selector import Keying, Selector
from tocsin_automations.words import ForEach
from tocsin_events.view import EventView


class Kept(msgspec.Struct, gc=False, array_like=True):
    """The state of one key of a trigger; kinds of triggers derive theirs, with fields that have defaults.

    ``queued`` belongs to the engine: when the next timer of the key is in its queue.
    """

    queued: int | None = None


class Ref(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """An event as a window remembers it; compared in the order of events: time, then `follows`, then arrival.

    ``behind`` is how many events of the same instant it follows that arrived after it; ``sequence`` its number on the
    bus. ``causes`` travels along for the chain limit: how many causes lie behind the event, as a negative number where
    they are too many of this automation's own.
    """

    time: int
    behind: int
    sequence: int
    causes: int = 0

    @property
    def hops(self) -> int:
        """How many causes lie behind the event."""
        return abs(self.causes)

    @property
    def loop(self) -> bool:
        """Whether this automation itself caused it, more hops deep than it allows."""
        return self.causes < 0


class Fire(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A trigger fires: at which event time, on which events (in event-time order), with which aggregate.

    ``event`` is the one that templates call ``event``; ``count`` how many events there were.
    """

    time: int
    event: Ref | None
    events: tuple[Ref, ...]
    count: int
    value: int | float | None = None


class Recovery(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The natural opposite of what a trigger fires on has happened; ``event`` is what showed it."""

    event: Ref | None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a trigger made of an event or of its timer.

    ``signals`` are in the order in which they happened. ``outcome`` and ``detail`` become the decision if none of
    them is a `Fire`.
    """

    outcome: Outcome
    detail: Mapping[str, Any] = {}
    signals: tuple[Fire | Recovery, ...] = ()

    @property
    def fires(self) -> tuple[Fire, ...]:
        """The firings among the signals."""
        return tuple(signal for signal in self.signals if signal.__class__ is Fire)


NOTHING: Final = Verdict(Outcome.NO_MATCH)
"""Nothing happened: for timers that only tidy up."""


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """An event as one part sees it: when it happened, when it came, and which selectors it passed (``hits``).

    ``ref.time`` is the event's time, or its arrival where it claims to lie in the future. ``now`` is the clock; it
    is later than ``arrived`` only where the event was held back.
    """

    view: EventView
    ref: Ref
    key: str
    hits: int
    arrived: int
    now: int


S = TypeVar("S", bound=Kept | None)


class Trigger(ABC, Generic[S]):
    """A compiled trigger: decides over the state of one key, which it may change in place.

    ``natural`` says whether it signals `Recovery`; ``ordered`` whether the order of events matters so much that one
    that overtook the event that it follows is held; ``horizon`` how far back events matter; ``standing`` the keys
    that it watches from the moment it is applied; ``bits`` its selectors.
    """

    natural: bool = False
    ordered: bool = False
    stateless: bool = False
    horizon: int = 0
    standing: tuple[str, ...] = ()
    bits: int = 0

    @abstractmethod
    def fresh(self, at: int) -> S:
        """Return the state of a key that nothing is known about, at the clock ``at``."""

    def begin(self, key: str, at: int) -> S | None:
        """Return the state of a key from the moment of application (or None): for ``standing`` keys."""
        return None

    @abstractmethod
    def observe(self, state: S, sighting: Sighting) -> Verdict:
        """Take in an event that passed at least one of the trigger's selectors for this key."""

    def due(self, state: S) -> int | None:
        """Return the clock at which `expire` wants to be called next (grace included)."""
        return None

    def decides(self, state: S, at: int) -> bool:
        """Tell whether the timer that is due at ``at`` may decide something, and not only forget."""
        return True

    def expire(self, state: S, at: int) -> Verdict:
        """Act on the timer that is due at ``at``; afterwards `due` is later, or None."""
        return NOTHING

    def is_empty(self, state: S) -> bool:
        """Tell whether the state can be forgotten."""
        return False

    def load(self, raw: Any) -> S:
        """Return a state from its stored form (msgpack's plain values)."""
        state: S = msgspec.convert(raw, self.state_type())
        return state

    def state_type(self) -> Any:
        """Return the type of the state, for `load`."""
        raise NotImplementedError

    def settle(self, warm: S | None, fresh: S | None) -> S | None:
        """Return the state that a newly applied trigger starts with, after history was played to it."""
        return warm if warm is not None else fresh

    def inner(self) -> "tuple[Trigger[Any], ...]":
        """Return the triggers inside it, as the model's `children`."""
        return ()

    def reason(self, fire: Fire) -> str:
        """Return in a few words why it fired."""
        return "an event matched"

    def show(self, state: S | None, now: int) -> dict[str, Any]:
        """Return what the state holds, in words and numbers, for the tree of `why`."""
        return {}


class Wiring:
    """What a trigger is compiled with: the grace, and the selectors of the whole part that it adds its own to."""

    def __init__(self, grace: int, for_each: Sequence[str] = (), *, by_subject: bool = False) -> None:
        self.grace = grace
        self.for_each = tuple(for_each)
        self.by_subject = by_subject
        self.nested = False
        self._selectors: dict[tuple[Any, ...], Selector] = {}
        self._keying = Keying(self.for_each, by_subject=by_subject)

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """All selectors of the part, by their numbers."""
        return tuple(self._selectors.values())

    @property
    def values(self) -> int:
        """How many values a key has."""
        return self._keying.count

    def listen(self, patterns: Sequence[str], where: str | None = None) -> int:
        """Return the bit of the selector for these events, which is made if there is none yet."""
        identity = (tuple(patterns), where, self.for_each, self.by_subject)
        selector = self._selectors.get(identity)
        if selector is None:
            selector = Selector(len(self._selectors), tuple(patterns), where, self._keying)
            self._selectors[identity] = selector
        return selector.bit

    def keyed(self, for_each: Sequence[str], *, by_subject: bool = False) -> "Wiring":
        """Return the wiring of a trigger inside: with its own `for_each` if it has one, else with this one's.

        Raises:
            ValueError: its `for_each` gives another number of values than the one around it.

        """
        inner = Wiring.__new__(Wiring)
        inner.__dict__.update(self.__dict__)
        if for_each:
            inner.for_each, inner.by_subject = tuple(for_each), False
        elif by_subject and not self.for_each and not self.nested:
            inner.by_subject = True
        inner._keying = Keying(inner.for_each, by_subject=inner.by_subject)
        if self.nested and inner.values != self.values:
            raise ValueError(
                f"a child's for_each gives {inner.values} value(s), that of the trigger around it {self.values}: "
                "they must be as many"
            )
        return inner

    def child(self) -> "Wiring":
        """Return the wiring for the children of a composite."""
        inner = self.keyed(())
        inner.nested = True
        return inner


class TriggerConfig(BaseModel):
    """A trigger as people write it. A kind is chosen by its ``marks``: the fields that tell it from the others."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: ClassVar[str]
    marks: ClassVar[frozenset[str]]
    priority: ClassVar[int] = 0
    by_subject: ClassVar[bool] = False

    for_each: ForEach = ()

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the trigger in its compiled form.

        Raises:
            ValueError: the trigger makes no sense where it stands.

        """
        raise NotImplementedError

    def children(self) -> "tuple[TriggerConfig, ...]":
        """Return the triggers inside it."""
        return ()

    def fingerprint(self) -> str:
        """Return what tells two definitions apart: unchanged triggers keep their windows across revisions."""
        written = self.model_dump_json(by_alias=True, exclude_defaults=True)
        return hashlib.sha256(f"{self.kind} {written}".encode()).hexdigest()[:16]


def parse_trigger(written: Any, kinds: Mapping[str, type[TriggerConfig]]) -> TriggerConfig:
    """Return the trigger that a mapping of a file means.

    Raises:
        ValidationError: wrong fields; the locations are those of the mapping.
        ValueError: it is no mapping that fits one kind.

    """
    if isinstance(written, TriggerConfig):
        return written
    if not isinstance(written, Mapping):
        raise ValueError("a trigger is a mapping such as `event: flow-run.failed`")  # noqa: TRY004 - pydantic's way
    kind = _kind_of(frozenset(written), kinds.values())
    if kind is None:
        marks = sorted({" + ".join(sorted(kind.marks)) for kind in kinds.values()})
        raise ValueError(f"no trigger has these fields; one has {', or '.join(marks)}")
    return kind.model_validate(written)


def _kind_of(fields: frozenset[str], kinds: Iterable[type[TriggerConfig]]) -> type[TriggerConfig] | None:
    fitting = [kind for kind in kinds if kind.marks <= fields]
    return max(fitting, key=lambda kind: (len(kind.marks), kind.priority, kind.kind), default=None)


def parsed_trigger(value: Any, info: ValidationInfo) -> TriggerConfig:
    """Return `parse_trigger` with the kinds of a validation's context, or the installed ones."""
    kinds = (info.context or {}).get("trigger_kinds")
    return parse_trigger(value, trigger_kinds() if kinds is None else kinds)


AnyTrigger = Annotated[
    SerializeAsAny[TriggerConfig],
    BeforeValidator(parsed_trigger),
    WithJsonSchema({"title": "Trigger", "type": "object", "description": "Exactly one trigger."}),
]
"""A trigger of any installed kind."""

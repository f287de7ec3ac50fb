"""What users write under ``notifiers:``, checked: services, routes and escalations, each under its own name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from tocsin_events.duration import format_duration, parse_duration
from tocsin_events.instant import SECOND
from tocsin_events.template import compile_template
from tocsin_notifiers.mistakes import mistakes_of

DAY: Final = 86_400 * SECOND
_ROUTING: Final = ("route", "escalate")
_Part = TypeVar("_Part", bound=BaseModel)


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    Field(ge=0),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""A duration in microseconds, written as ``30s`` or ``1h30m``."""


def _template(text: str) -> str:
    compile_template(text)
    return text


Template = Annotated[str, AfterValidator(_template)]
"""A Jinja2 template that can be compiled."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Group(_Written):
    """Several alerts in one message: ``by`` CEL expressions, ``wait`` before the first, ``interval`` between changes."""

    by: tuple[str, ...] = ()
    wait: Duration = 30 * SECOND
    interval: Duration = 300 * SECOND


class TemplateOverride(_Written):
    """Jinja2 templates that replace the default texts where the action names none."""

    title: Template | None = Field(default=None, max_length=10_000)
    body: Template | None = Field(default=None, max_length=100_000)


class Options(_Written):
    """What every service's notifier may have beside its service."""

    remind: Duration | None = Field(
        default=None, description="Say again after this time while an alert stays open."
    )
    group: Group | None = None
    resolve: Literal["edit", "thread", "message", "none"] | None = None
    template: TemplateOverride = TemplateOverride()
    quiet: str | None = Field(default=None, description="The name of the quiet hours that hold it back.")
    max_age: Duration = DAY
    concurrency: int = Field(default=64, ge=1, le=1000)


class Branch(_Written):
    """One branch of a route: whom to ``notify`` ``where`` a CEL expression is true; ``continue`` looks further."""

    notify: str = Field(min_length=1)
    where: str | None = None
    go_on: bool = Field(default=False, alias="continue")


class Step(_Written):
    """One step of an escalation: notify somebody, wait (unless acknowledged meanwhile), or begin again."""

    notify: str | None = None
    wait: Duration | None = None
    unless: Literal["acknowledged"] | None = None
    repeat: int | None = Field(default=None, ge=1, le=100)


@dataclass(frozen=True, slots=True)
class ServiceNotifier:
    """A notifier that tells people by one service; ``settings`` are the service's own, already checked."""

    name: str
    kind: str
    settings: BaseModel
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class RouteNotifier:
    """A notifier that chooses others: the first branch that fits, and further ones after ``continue``."""

    name: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class EscalateNotifier:
    """A notifier that tells others one after the other until somebody acknowledges."""

    name: str
    steps: tuple[Step, ...]


NotifierConfig = ServiceNotifier | RouteNotifier | EscalateNotifier


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place in ``notifiers:``."""

    path: tuple[str | int, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.path)}: {self.text}"


class InvalidNotifiers(ValueError):  # noqa: N818 - it names what was found
    """``notifiers:`` has problems; all of them are in ``problems``."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(slots=True)
class _Reading:
    kinds: Mapping[str, Any]
    problems: list[Problem] = field(default_factory=list)

    def one(self, name: str, written: Any) -> NotifierConfig | None:
        if not isinstance(written, Mapping):
            self._say((name,), "a notifier is a mapping, such as {slack: {…}}")
            return None
        words = (*self.kinds, *_ROUTING)
        found = [key for key in written if key in words]
        if len(found) != 1:
            self._wrong_service(name, written, found)
            return None
        if found[0] == "route":
            branches = self._parts(name, "route", written, Branch)
            return None if branches is None else RouteNotifier(name, tuple(branches))
        if found[0] == "escalate":
            steps = self._parts(name, "escalate", written, Step)
            return None if steps is None else self._escalation(name, steps)
        return self._service(name, found[0], written)

    def _service(self, name: str, kind: str, written: Mapping[str, Any]) -> ServiceNotifier | None:
        rest = {key: value for key, value in written.items() if key != kind}
        model: type[BaseModel] = self.kinds[kind].config
        settings: BaseModel | None = self._check(
            model, {} if written[kind] is None else written[kind], (name, kind)
        )
        options = self._check(Options, rest, (name,), near=(*Options.model_fields, *self.kinds))
        if settings is None or options is None:
            return None
        return ServiceNotifier(name, kind, settings, options)

    def _escalation(self, name: str, steps: list[Step]) -> EscalateNotifier | None:
        before = len(self.problems)
        for number, step in enumerate(steps):
            said = [word for word in ("notify", "wait", "repeat") if getattr(step, word) is not None]
            if len(said) != 1:
                self._say((name, "escalate", number), "a step has one of notify, wait, repeat")
            if step.unless is not None and step.wait is None:
                self._say((name, "escalate", number, "unless"), "unless belongs to a wait")
            if step.repeat is not None and number < len(steps) - 1:
                self._say((name, "escalate", number, "repeat"), "repeat is the last step")
        if not any(step.notify for step in steps):
            self._say((name, "escalate"), "no step notifies anybody")
        if steps[-1].repeat is not None and not any(step.wait for step in steps):
            self._say(
                (name, "escalate", len(steps) - 1, "repeat"),
                "repeat needs a wait before it: without one it tells everybody several times at once",
            )
        return EscalateNotifier(name, tuple(steps)) if len(self.problems) == before else None

    def _parts(
        self, name: str, word: str, written: Mapping[str, Any], model: type[_Part]
    ) -> list[_Part] | None:
        before = len(self.problems)
        for key in written:
            if key != word:
                self._say(
                    (name, key), f"{key!r} does not belong beside {word}: put it on the notifiers it leads to"
                )
        parts = written[word]
        if not isinstance(parts, list) or not parts:
            self._say((name, word), "needs a list with at least one entry")
            return None
        checked = [self._check(model, part, (name, word, number)) for number, part in enumerate(parts)]
        if len(self.problems) > before:
            return None
        return [part for part in checked if part is not None]

    def _wrong_service(self, name: str, written: Mapping[str, Any], found: list[str]) -> None:
        if found:
            self._say(
                (name,),
                f"has {' and '.join(found)}: one notifier has one service; make one for each and a route",
            )
            return
        words = (*self.kinds, *_ROUTING)
        for key in written:
            near = get_close_matches(str(key), words, n=1)
            if near and key not in Options.model_fields:
                self._say((name, key), f"there is no service {key!r}: did you mean {near[0]!r}?")
                return
        self._say((name,), f"names no service: one of {', '.join(sorted(words))}")

    def _check(
        self, model: type[_Part], value: Any, path: tuple[str | int, ...], near: Iterable[str] | None = None
    ) -> _Part | None:
        try:
            return model.model_validate(value)
        except ValidationError as wrong:
            for place, said in mistakes_of(wrong, lambda: near or _words(model)):
                self._say((*path, *place), said)
        return None

    def _say(self, path: tuple[str | int, ...], text: str) -> None:
        self.problems.append(Problem(path, text))


def parse_notifiers(written: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, NotifierConfig]:
    """Return the notifiers that a document's ``notifiers:`` mapping defines, by name.

    ``kinds`` are the known services, as `tocsin_notifiers.notifier.load_kinds` gives them.

    Raises:
        InvalidNotifiers: with all problems, not only the first.

    """
    reading = _Reading(kinds)
    made = {str(name): reading.one(str(name), value) for name, value in written.items()}
    for name, made_one in made.items():
        for path, other in _mentions(made_one):
            if other not in made:
                near = get_close_matches(other, made, n=1)
                hint = f": did you mean {near[0]!r}?" if near else "; define it, too"
                reading.problems.append(Problem((name, *path), f"there is no notifier {other!r}{hint}"))
    if not reading.problems:
        reading.problems.extend(_circles(made))
    if reading.problems:
        raise InvalidNotifiers(reading.problems)
    return {name: one for name, one in made.items() if one is not None}


def _mentions(config: NotifierConfig | None) -> list[tuple[tuple[str | int, ...], str]]:
    match config:
        case RouteNotifier(branches=branches):
            return [(("route", number, "notify"), branch.notify) for number, branch in enumerate(branches)]
        case EscalateNotifier(steps=steps):
            return [
                (("escalate", number, "notify"), step.notify)
                for number, step in enumerate(steps)
                if step.notify
            ]
        case _:
            return []


def _circles(made: Mapping[str, NotifierConfig | None]) -> list[Problem]:
    problems = []
    for name in made:
        seen = {name}
        ahead = [other for _, other in _mentions(made[name])]
        while ahead:
            other = ahead.pop()
            if other == name:
                problems.append(Problem((name,), "leads back to itself"))
                break
            if other not in seen:
                seen.add(other)
                ahead.extend(further for _, further in _mentions(made.get(other)))
    return problems


def _words(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())

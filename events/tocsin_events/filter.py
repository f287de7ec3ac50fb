"""Which events somebody wants to see: the same filter for the stored log and the live feed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tocsin_events.expression import Expression, ExpressionSyntaxError, compile_expression
from tocsin_events.pattern import check_pattern, matches_any
from tocsin_events.view import EventView


class InvalidFilter(ValueError):  # noqa: N818 - it names what was found
    """A filter that can't be understood: ``name`` is the parameter, ``problem`` what is wrong with it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """A resource, or all of a kind where ``id`` is None; ``role`` only for related ones."""

    kind: str
    id: str | None = None
    role: str | None = None

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Tell whether a resource of an event is meant."""
        return (
            bool(resource["kind"] == self.kind)
            and self.id in (None, resource["id"])
            and self.role in (None, resource.get("role"))
        )


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What an event must be: every part that is given must hold.

    ``types`` are patterns, of which one must fit; ``related`` must all be there; ``labels`` are looked for on the
    resource and on the related ones. ``since`` (included) and ``until`` (excluded) are about the event's time, in
    microseconds. ``where`` is a condition in CEL; one that fails to evaluate does not hold.
    """

    types: tuple[str, ...] = ()
    resource: ResourceFilter | None = None
    related: tuple[ResourceFilter, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    since: int | None = None
    until: int | None = None
    source: str | None = None
    cause: str | None = None
    where: Expression | None = None

    @classmethod
    def parse(
        cls,
        *,
        types: Sequence[str] = (),
        resource: str | None = None,
        related: Sequence[str] = (),
        labels: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        source: str | None = None,
        cause: str | None = None,
        where: str | None = None,
    ) -> Self:
        """Return the filter that a user wrote.

        ``resource`` is ``kind/id`` or a ``kind``, ``related`` the same with an optional ``role=`` before it, a label
        is ``key=value``.

        Raises:
            InvalidFilter: a part can't be understood.

        """
        for pattern in types:
            problem = check_pattern(pattern)
            if problem is not None:
                raise InvalidFilter("type", problem)
        if since is not None and until is not None and until <= since:
            raise InvalidFilter("until", "it is not after since, so that nothing can be found")
        return cls(
            types=tuple(types),
            resource=_resource("resource", resource) if resource else None,
            related=tuple(_related(one) for one in related),
            labels=tuple(_label(one) for one in labels),
            since=since,
            until=until,
            source=source or None,
            cause=cause or None,
            where=_condition(where) if where else None,
        )

    @property
    def needs_body(self) -> bool:
        """Whether SQL's columns are not enough to tell."""
        return self.where is not None or bool(self.labels)

    def matches(self, view: EventView) -> bool:
        """Tell whether an event passes."""
        return (
            (not self.types or matches_any(self.types, view.type))
            and (self.since is None or view.time >= self.since)
            and (self.until is None or view.time < self.until)
            and self.source in (None, view.source)
            and self.cause in (None, view.cause)
            and (
                self.resource is None or (view.resource is not None and self.resource.matches(view.resource))
            )
            and all(any(wanted.matches(one) for one in view.related) for wanted in self.related)
            and self.matches_body(view)
        )

    def matches_body(self, view: EventView) -> bool:
        """Tell whether an event passes the parts that `needs_body` is about."""
        if self.labels:
            resources = [*view.related, *([] if view.resource is None else [view.resource])]
            if not all(
                any(resource["labels"].get(key) == value for resource in resources)
                for key, value in self.labels
            ):
                return False
        return self.where is None or self.where.matches(view) is True


def _resource(name: str, text: str) -> ResourceFilter:
    kind, slash, id_ = text.partition("/")
    if not kind or (slash and not id_):
        raise InvalidFilter(name, f"{text!r} is not KIND/ID or KIND, such as deployment/nightly")
    return ResourceFilter(kind, id_ if slash and id_ != "*" else None)


def _related(text: str) -> ResourceFilter:
    head, equals, rest = text.partition("=")
    # An id may have an equals sign of its own; a role has no slash.
    if not equals or "/" in head:
        return _resource("related", text)
    if not head:
        raise InvalidFilter("related", f"{text!r} has no role before the equals sign")
    found = _resource("related", rest)
    return ResourceFilter(found.kind, found.id, head)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise InvalidFilter("label", f"{text!r} is not KEY=VALUE, such as team=data")
    return key, value


def _condition(text: str) -> Expression:
    try:
        return compile_expression(text)
    except ExpressionSyntaxError as problem:
        raise InvalidFilter("where", str(problem)) from problem

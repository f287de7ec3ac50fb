"""Everything that is configured about notifications, in one frozen value, and the notifiers made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tocsin_events.expression import ExpressionSyntaxError, compile_expression
from tocsin_notifiers.configuration import (
    InvalidNotifiers,
    NotifierConfig,
    Problem,
    RouteNotifier,
    ServiceNotifier,
    parse_notifiers,
)
from tocsin_notifiers.inbox import InboxConfig
from tocsin_notifiers.inhibition import Inhibition
from tocsin_notifiers.mistakes import mistakes_of
from tocsin_notifiers.notifier import Notifier, Outside
from tocsin_notifiers.quiet_hours import QuietHours
from tocsin_notifiers.secret import SecretRef

INBOX: Final = "inbox"
"""The notifier that is always there, and gets what has no other place to go."""


class Unusable(BaseModel):
    """In the place of settings that can't be read."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Setup:
    """Notifiers by name, inhibitions, and quiet hours by name.

    ``problems`` say, by section and name, what of it can't be used as it is written (an inhibition's name is its number).
    """

    notifiers: Mapping[str, NotifierConfig] = field(default_factory=dict)
    inhibitions: tuple[Inhibition, ...] = ()
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    problems: Mapping[tuple[str, Any], str] = field(default_factory=dict)

    @property
    def services(self) -> dict[str, ServiceNotifier]:
        """The notifiers that tell somebody themselves, the inbox among them."""
        found = {name: one for name, one in self.notifiers.items() if isinstance(one, ServiceNotifier)}
        return {INBOX: ServiceNotifier(INBOX, INBOX, InboxConfig()), **found}

    @property
    def all(self) -> dict[str, NotifierConfig]:
        """All notifiers, the inbox among them."""
        return {**self.services, **self.notifiers}

    @property
    def broken(self) -> dict[str, str]:
        """The notifiers that are not as they are written, and why: they themselves, or the quiet hours that they name."""
        found = {
            name: f"the quiet hours {one.options.quiet} hold nothing back: {said}"
            for name, one in self.notifiers.items()
            if isinstance(one, ServiceNotifier)
            and (said := self.problems.get(("quiet_hours", one.options.quiet)))
        }
        return {
            **found,
            **{name: said for (section, name), said in self.problems.items() if section == "notifiers"},
        }


def parse_setup(written: Mapping[str, Any], kinds: Mapping[str, Any]) -> Setup:
    """Return what the sections ``notifiers``, ``inhibit`` and ``quiet_hours`` say; other sections are not looked at.

    Raises:
        InvalidNotifiers: with all problems; each path begins with the section's name.

    """
    problems: list[Problem] = []
    notifiers: dict[str, NotifierConfig] = {}
    section = written.get("notifiers") or {}
    if INBOX not in section:
        section = {**section, INBOX: {INBOX: None}}
    try:
        notifiers = parse_notifiers(section, kinds)
    except InvalidNotifiers as wrong:
        problems += [Problem(("notifiers", *one.path), one.text) for one in wrong.problems]
    hours = {
        name: _checked(QuietHours, one, ("quiet_hours", name), problems)
        for name, one in (written.get("quiet_hours") or {}).items()
    }
    rules = [
        _checked(Inhibition, one, ("inhibit", number), problems)
        for number, one in enumerate(written.get("inhibit") or [])
    ]
    setup = Setup(
        notifiers,
        tuple(one for one in rules if one is not None),
        {name: one for name, one in hours.items() if one is not None},
    )
    problems += _bad_expressions(setup) + _unknown_hours(setup, hours)
    if problems:
        raise InvalidNotifiers(problems)
    return setup


def secrets_of(settings: Any) -> frozenset[str]:
    """Return the names of the secrets that settings of a notifier ask for."""
    match settings:
        case SecretRef():
            return frozenset({settings.secret})
        case BaseModel():
            return frozenset().union(*(secrets_of(value) for _, value in settings))
        case Mapping():
            return frozenset().union(*map(secrets_of, settings.values()))
        case list() | tuple():
            return frozenset().union(*map(secrets_of, settings))
        case _:
            return frozenset()


def make(config: ServiceNotifier, kinds: Mapping[str, Any], outside: Outside) -> Notifier:
    """Return a notifier made from its settings.

    Raises:
        UnknownSecret, Rejected: the settings name what isn't there.

    """
    made: Notifier = kinds[config.kind](config.settings, outside)
    return made


def _checked(model: type[Any], written: Any, path: tuple[str | int, ...], problems: list[Problem]) -> Any:
    assert issubclass(model, BaseModel)
    try:
        return model.model_validate(written)
    except ValidationError as wrong:
        known = [info.alias or name for name, info in model.model_fields.items()]
        problems += [Problem((*path, *place), said) for place, said in mistakes_of(wrong, lambda: known)]
        return None


def _bad_expressions(setup: Setup) -> list[Problem]:
    written: list[tuple[tuple[str | int, ...], str]] = []
    for name, one in setup.notifiers.items():
        if isinstance(one, RouteNotifier):
            written += [
                (("notifiers", name, "route", number, "where"), branch.where)
                for number, branch in enumerate(one.branches)
                if branch.where is not None
            ]
        elif isinstance(one, ServiceNotifier) and one.options.group is not None:
            written += [
                (("notifiers", name, "group", "by", number), path)
                for number, path in enumerate(one.options.group.by)
            ]
    for number, rule in enumerate(setup.inhibitions):
        written += [
            (("inhibit", number, "source"), rule.source),
            (("inhibit", number, "target"), rule.target),
        ]
        written += [(("inhibit", number, "equal", place), path) for place, path in enumerate(rule.equal)]
    problems = []
    for path, text in written:
        try:
            compile_expression(text)
        except ExpressionSyntaxError as wrong:
            problems.append(Problem(path, str(wrong)))
    return problems


def _unknown_hours(setup: Setup, hours: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            ("notifiers", name, "quiet"), f"there are no quiet hours {one.options.quiet!r}; define them, too"
        )
        for name, one in setup.notifiers.items()
        if isinstance(one, ServiceNotifier) and one.options.quiet and one.options.quiet not in hours
    ]

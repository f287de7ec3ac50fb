"""What can still be used of settings that were right when they were applied, and are not all right now.

A plugin may be gone, or a newer version may check more strictly. What is right goes on then, and nothing that a notifier should
have told gets lost: a service that can't be read keeps its messages until it is mended, a route or an escalation that can't be
read leads to the inbox, and quiet hours and inhibitions that can't be read hold nothing back.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from tocsin_notifiers.configuration import (
    Branch,
    InvalidNotifiers,
    NotifierConfig,
    Options,
    Problem,
    RouteNotifier,
    ServiceNotifier,
)
from tocsin_notifiers.setup import INBOX, Setup, Unusable, parse_setup

_ROUTING: Final = ("route", "escalate")
_NEVER: Final = {"source": "false", "target": "false"}
_SOME_HOURS: Final = {"intervals": [{"from": "00:00", "to": "00:01"}]}


def usable_setup(written: Mapping[str, Any], kinds: Mapping[str, Any]) -> Setup:
    """Return what can be used of the sections that `parse_setup` reads; its ``problems`` say what is wrong with the rest."""
    sections: dict[str, dict[Any, Any]] = {
        "notifiers": dict(written.get("notifiers") or {}),
        "quiet_hours": dict(written.get("quiet_hours") or {}),
        "inhibit": dict(enumerate(written.get("inhibit") or [])),
    }
    wrong: dict[tuple[str, Any], str] = {}
    tried: Counter[tuple[str, Any]] = Counter()
    while True:
        try:
            setup = parse_setup({**sections, "inhibit": list(sections["inhibit"].values())}, kinds)
        except InvalidNotifiers as invalid:
            for place, said in _by_place(invalid.problems).items():
                section, name = place
                tried[place] += 1
                if tried[place] > _MOST_TRIES:
                    raise
                wrong.setdefault(place, said)
                sections[section][name] = _stand_in(section, sections[section][name], tried[place])
        else:
            return _without_stand_ins(setup, wrong, written, kinds)


# A service stands in with its options, and then, if it is they that are wrong, without.
_MOST_TRIES: Final = 2


def _by_place(problems: Iterable[Problem]) -> dict[tuple[str, Any], str]:
    """Return what is wrong by section and name."""
    found: dict[tuple[str, Any], list[str]] = {}
    for one in problems:
        section, name, *rest = one.path
        where = ".".join(str(part) for part in rest)
        found.setdefault((str(section), name), []).append(f"{where}: {one.text}" if where else one.text)
    return {place: "; ".join(said) for place, said in found.items()}


def _stand_in(section: str, written: Any, tries: int) -> dict[str, Any]:
    """Return something that is right in the place of what is wrong, so that what refers to it is right, too."""
    if section == "inhibit":
        return _NEVER
    if section == "quiet_hours":
        return _SOME_HOURS
    options = written if isinstance(written, Mapping) and tries < _MOST_TRIES else {}
    return {**{key: value for key, value in options.items() if key in Options.model_fields}, INBOX: None}


def _without_stand_ins(
    setup: Setup, wrong: Mapping[tuple[str, Any], str], written: Mapping[str, Any], kinds: Mapping[str, Any]
) -> Setup:
    notifiers = dict(setup.notifiers)
    for section, name in wrong:
        if section == "notifiers" and name != INBOX:
            notifiers[name] = _broken(notifiers[name], written["notifiers"][name], kinds)
    return replace(
        setup,
        notifiers=notifiers,
        quiet_hours={
            name: one for name, one in setup.quiet_hours.items() if ("quiet_hours", name) not in wrong
        },
        inhibitions=tuple(
            one for number, one in enumerate(setup.inhibitions) if ("inhibit", number) not in wrong
        ),
        problems={place: _said(place, said, written, kinds) for place, said in wrong.items()},
    )


def _broken(stand_in: NotifierConfig, written: Any, kinds: Mapping[str, Any]) -> NotifierConfig:
    if isinstance(written, Mapping) and any(word in written for word in _ROUTING):
        return RouteNotifier(stand_in.name, (Branch(notify=INBOX),))
    assert isinstance(stand_in, ServiceNotifier)
    return replace(stand_in, kind=_kind_of(written, kinds), settings=Unusable())


def _said(place: tuple[str, Any], said: str, written: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    section, name = place
    if section == "notifiers":
        kind = _kind_of(written[section][name], kinds)
        if kind and kind not in kinds and kind not in _ROUTING:
            said = f"there is no service {kind!r} here any more: install its plugin again"
    return f"{said} (it was right when it was applied; mend it and apply again)"


def _kind_of(written: Any, kinds: Mapping[str, Any]) -> str:
    """Return the service that a notifier names, be it known or not; empty where that can't be told."""
    words = [str(word) for word in written] if isinstance(written, Mapping) else []
    known = [word for word in words if word in kinds or word in _ROUTING]
    services = known or [word for word in words if word not in Options.model_fields]
    return services[0] if len(services) == 1 else ""

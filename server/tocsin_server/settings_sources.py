"""Where settings come from: the environment and tocsin.toml, each value with its place."""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin_server.errors import ExitCode, UserError

_SHORT = {
    "TOCSIN_NATS_URL": "nats.url",
    "TOCSIN_DATABASE_URL": "database.url",
    "TOCSIN_DATA_DIR": "server.data_dir",
}
_LISTS = frozenset({"server.services", "server.allowed_hosts", "actions.allowed_networks"})


@dataclass(frozen=True)
class Place:
    """Where a setting was found."""

    name: str
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


Found = dict[str, tuple[Any, Place]]
"""Values by dotted name, each with its place."""


def from_environment(environment: Mapping[str, str], known: Collection[str]) -> Found:
    """Return the settings that TOCSIN_SECTION__KEY (and …_FILE, the short names) hold.

    Raises:
        UserError: a name with a double underscore names no setting, or a …_FILE cannot be read.

    """
    found: Found = {}
    for variable, value in sorted(environment.items()):
        name = _name_of(variable)
        if name is None or not value:
            continue
        if name in known:
            found[name] = (_split(name, value), Place(f"environment {variable}"))
        elif name.endswith("_file") and name.removesuffix("_file") in known:
            name = name.removesuffix("_file")
            found[name] = (_split(name, _read(variable, value)), Place(f"environment {variable} ({value})"))
        else:
            raise _unknown(name, Place(f"environment {variable}"), known)
    return found


def from_file(path: Path, known: Collection[str]) -> Found:
    """Return the settings of a tocsin.toml.

    Raises:
        UserError: the file is no TOML, or has a key that is no setting.

    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UserError(
            f"{path} cannot be read as TOML.",
            f"{problem}",
            "Correct the file; docs/reference/settings.md shows its form.",
            code=ExitCode.INVALID_INPUT,
        ) from None
    found: Found = {}
    for name, value in _flatten(tables):
        place = Place(str(path), _line_of(text, name))
        if name not in known:
            raise _unknown(name, place, known)
        found[name] = (value, place)
    return found


def _flatten(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, content in tables.items():
        if not isinstance(content, dict) or not content:
            yield section, content
            continue
        for key, value in content.items():
            yield f"{section}.{key}", value


def _line_of(text: str, name: str) -> int | None:
    """Return the line that a key stands on; tomllib keeps no positions."""
    section, _, key = name.partition(".")
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            current = header[1].strip("\"'")
            if current == name:
                return number
            continue
        left = line.partition("=")[0].strip().strip("\"'")
        full = f"{current}.{left}" if current else left
        if full == name or (not key and left == section) or left.startswith(f"{section}.{key}"):
            return number
    return None


def _name_of(variable: str) -> str | None:
    for short, name in _SHORT.items():
        if variable == short:
            return name
        if variable == f"{short}_FILE":
            return f"{name}_file"
    if not variable.startswith("TOCSIN_"):
        return None
    section, double, key = variable.removeprefix("TOCSIN_").partition("__")
    return f"{section.lower()}.{key.lower()}" if double and section else None


def _split(name: str, value: str) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if name in _LISTS else value


def _read(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(
            f"The file that {variable} names cannot be read.",
            str(problem),
            "Put the value into that file, readable for the user that runs the server.",
            code=ExitCode.INVALID_INPUT,
        ) from None


def _unknown(name: str, place: Place, known: Collection[str]) -> UserError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:
        key = name.rpartition(".")[2]
        near = [full for full in known if full.rpartition(".")[2] == key][:1]
    return UserError(
        f"{place}: there is no setting {name!r}.",
        f"Did you mean {near[0]!r}?" if near else "",
        "docs/reference/settings.md lists every setting; `tocsin config show` prints those in force.",
        code=ExitCode.INVALID_INPUT,
    )

"""Writes YAML that our reader reads back as the same values."""

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

_PLAIN: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9_.>/-]*(?: [A-Za-z0-9_./-]+)*|[0-9]+(?:ms|s|m|h|d)(?:[0-9]+(?:ms|s|m|h|d))*"
)
_LINE: Final = 4_000
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def as_yaml(value: Mapping[str, Any]) -> str:
    """Return a YAML text; what could be read as anything but text is quoted."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE)


class _Dumper(yaml.SafeDumper):
    """Nothing is an alias; a text is plain only where no reader can take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML calls it
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    style = None if plain else "|" if _fits_block(text) else "'" if _fits_quotes(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _fits_block(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(lines) > 1
        and all(line.isprintable() and line == line.rstrip() for line in lines)
        and text[:1] not in (" ", "\n", "")
    )


def _fits_quotes(text: str) -> bool:
    return '"' in text and "'" not in text and len(text) < _LINE and text.isprintable()


_Dumper.add_representer(str, _text)

"""Which files a path stands for, and what is in them: the only place here that touches the disk."""

import os
from collections.abc import Iterable
from pathlib import Path

from tocsin_automations.document import MAX_BYTES
from tocsin_automations.problem import Problem

TEST_SUFFIXES = (".tocsin-test.yaml", ".tocsin-test.yml")
"""How the names of files of rule tests end."""

Source = tuple[str, bytes]
"""A file's name, as problems give it, and what is in it."""


def read_sources(
    paths: Iterable[Path], *, tests: bool = False
) -> tuple[tuple[Source, ...], tuple[Problem, ...]]:
    """Return the YAML files that paths stand for, and problems with those that can't be read.

    A directory stands for all YAML files below it, hidden ones left out; ``tests`` picks the files of rule tests
    in it, else those are left out. A file that is named itself is always read. Each file is there once.
    """
    found: dict[Path, Source] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            files = _below(path, tests=tests) if path.is_dir() else [path]
            if not files:
                problems.append(Problem(str(path), 1, 1, _nothing_in(tests=tests)))
            for file in files:
                with file.open("rb") as opened:
                    found.setdefault(file.resolve(), (str(file), opened.read(MAX_BYTES + 1)))
        except FileNotFoundError:
            problems.append(Problem(str(path), 1, 1, "there is no such file or directory"))
        except OSError as error:
            problems.append(Problem(str(path), 1, 1, f"can't be read: {error.strerror}"))
    return tuple(found.values()), tuple(problems)


def _below(folder: Path, *, tests: bool) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in (".yaml", ".yml")
        and path.name.endswith(TEST_SUFFIXES) is tests
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _nothing_in(*, tests: bool) -> str:
    return "no file *.tocsin-test.yaml is in this directory" if tests else "no YAML file is in this directory"


def read_beside(file: str, path: str) -> tuple[tuple[Source, ...], tuple[Problem, ...]]:
    """Return the files that a path in a file stands for; it begins in the folder of that file."""
    return read_sources([Path(os.path.normpath(Path(file).parent / path))])

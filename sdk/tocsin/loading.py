"""Finding a flow by its entrypoint: ``file.py:function`` or ``module:function``."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tocsin.flows import Flow


class CannotLoad(Exception):  # noqa: N818 - it says what happened
    """There is no flow to be run there; the message says what was looked for, and what is wrong."""


def load_flow(entrypoint: str, path: Path) -> Flow[Any, Any]:
    """Return the flow that an entrypoint names in a folder; a plain function becomes one.

    The folder, and that of the file, come first in ``sys.path``, as for a script.

    Raises:
        CannotLoad: the file, the module or the function is missing, or importing it failed.

    """
    place, colon, name = entrypoint.rpartition(":")
    if not (colon and place and name):
        raise CannotLoad(f"{entrypoint!r} is no entrypoint: write file.py:function or module:function")
    _put_first(path)
    module = _from_file(path / place) if place.endswith(".py") else _from_module(place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise CannotLoad(f"{place} has no {name!r}; it has: {_flows_in(module) or 'no flows'}")
    if isinstance(found, Flow):
        return found
    if callable(found) and not isinstance(found, type):
        return Flow(found)
    raise CannotLoad(f"{entrypoint} is a {type(found).__name__}, not a flow: put @flow above a function")


def _from_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise CannotLoad(f"there is no file {file}")
    _put_first(file.parent)
    specification = importlib.util.spec_from_file_location(file.stem, file)
    if specification is None or specification.loader is None:
        raise CannotLoad(f"{file} is no Python file")
    module = importlib.util.module_from_spec(specification)
    # As an import does: the module is findable while it runs, for pickle, dataclasses and the like.
    sys.modules[file.stem] = module
    try:
        specification.loader.exec_module(module)
    except BaseException as problem:
        sys.modules.pop(file.stem, None)
        if isinstance(problem, KeyboardInterrupt):
            raise
        raise CannotLoad(f"importing {file.name} failed: {type(problem).__name__}: {problem}") from problem
    return module


def _from_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name and (name == problem.name or name.startswith(problem.name + ".")):
            raise CannotLoad(f"there is no module {name!r} in {sys.path[0]} or the environment") from problem
        raise CannotLoad(f"importing {name} failed: {problem}") from problem
    except Exception as problem:
        raise CannotLoad(f"importing {name} failed: {type(problem).__name__}: {problem}") from problem


def _put_first(folder: Path) -> None:
    entry = str(folder.resolve())
    if sys.path[:1] != [entry]:
        sys.path.insert(0, entry)


def _flows_in(module: ModuleType) -> str:
    return ", ".join(name for name, value in vars(module).items() if isinstance(value, Flow))

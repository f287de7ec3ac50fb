"""What a flow takes: the JSON schema of its parameters, found by importing its code in a process of its own.

The server never imports a user's code: `describe_flow` starts a child that does, with a time limit, and reads its
answer.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

_SECONDS = 30.0
_MOST_BYTES = 1_000_000


class FlowProblem(ValueError):  # noqa: N818 - it names what was found
    """A flow that can't be loaded; the message says what is wrong with it."""


@dataclass(frozen=True)
class FlowDescription:
    """A flow's name, what its docstring says, and the JSON schema of its parameters."""

    name: str
    description: str
    schema: dict[str, Any]


def split_entrypoint(entrypoint: str) -> tuple[str, str]:
    """Return the file or module of ``file.py:function``, and the function.

    Raises:
        FlowProblem: it is not written so.

    """
    place, colon, function = entrypoint.rpartition(":")
    if not (colon and place and function.isidentifier()):
        raise FlowProblem(f"{entrypoint!r} names no flow: write file.py:function or module:function")
    return place, function


def find_problem(entrypoint: str, directory: Path) -> str | None:
    """Return why the flow's file can't be there, without running any code; None where it may be."""
    place, _ = split_entrypoint(entrypoint)
    if not directory.is_dir():
        return f"there is no directory {directory}"
    if place.endswith(".py") and not (directory / place).is_file():
        return f"there is no file {directory / place}"
    return None


async def describe_flow(entrypoint: str, directory: Path, *, seconds: float = _SECONDS) -> FlowDescription:
    """Return what a flow takes; its import may last ``seconds``.

    Raises:
        FlowProblem: the file is not there, its import failed, it has no such flow, or it took too long.

    """
    problem = find_problem(entrypoint, directory)
    if problem is not None:
        raise FlowProblem(problem)
    # A file, not a pipe: nothing that the flow left running can keep it open and us waiting.
    with tempfile.TemporaryFile() as errors:
        answer = await _ask(entrypoint, directory, errors, seconds)
        if not answer:
            raise FlowProblem(f"{entrypoint} can't be imported from {directory}: {_last_line(errors)}")
    found = msgspec.json.decode(answer)
    if "problem" in found:
        raise FlowProblem(found["problem"])
    return FlowDescription(**found)


async def _ask(entrypoint: str, directory: Path, errors: IO[bytes], seconds: float) -> bytes:
    """Return what the child answers; nothing if it could not."""
    read, write = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tocsin_server.flow_schema_child",
            entrypoint,
            str(write),
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(write,),
            start_new_session=True,
        )
    finally:
        os.close(write)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, read))
    try:
        await _wait(child, seconds)
    finally:
        # The child has been killed by now, so this ends.
        answer = await reading
        os.close(read)
    return answer


async def _wait(child: asyncio.subprocess.Process, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await child.wait()
    except TimeoutError:
        raise FlowProblem(
            f"its import took longer than {seconds:g} s; move work out of the module's top level"
        ) from None
    finally:
        # The child's own children would otherwise keep the answer's pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def _read_all(descriptor: int) -> bytes:
    parts = []
    size = 0
    while size < _MOST_BYTES and (part := os.read(descriptor, 65_536)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _MOST_BYTES))
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it ended without a word"

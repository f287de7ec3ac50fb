"""Talks with a script that runs in Prefect's own environment: a line of JSON each way."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import prefect_python
from benchmarks.servers import own_process

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@contextlib.contextmanager
def prefect_script(name: str, environment: Mapping[str, str]) -> Iterator[Ask]:
    """Run a script of this folder and give a function that asks it."""
    command = [str(prefect_python()), "-P", "-W", "ignore", str(Path(__file__).with_name(name))]
    with own_process(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None

        def ask(question: dict[str, Any]) -> dict[str, Any]:
            questions.write(json.dumps(question) + "\n")
            questions.flush()
            line = answers.readline()
            assert line, f"{name} ended, and said above why"
            answer: dict[str, Any] = json.loads(line)
            return answer

        yield ask

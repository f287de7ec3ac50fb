"""What importing the package loads."""

import subprocess
import sys

import pytest

HEAVY = [
    "pydantic",
    "nats",
    "httpx2",
    "coolname",
    "asyncio",
    "faststream",
    "sqlmodel",
    "sqlalchemy",
    "celpy",
    "apprise",
    "jinja2",
    "yaml",
    "click",
    "rich",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import tocsin",
        "from tocsin import flow, task, emit, get_run_logger, Secret, Variable, State, StateType",
        "from tocsin import task\n@task\ndef f(): pass\nf()",
    ],
)
def test_importing_and_a_plain_task_load_nothing_heavy(statement: str) -> None:
    script = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_is_there() -> None:
    import tocsin

    for name in tocsin.__all__:
        assert getattr(tocsin, name) is not None
    assert set(tocsin.__all__) <= set(dir(tocsin))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tocsin.nonsense

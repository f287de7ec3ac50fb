"""The code in the SDK's documents runs."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def snippets(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)


def test_the_first_flow_runs_as_the_tutorial_shows(tmp_path: Path) -> None:
    script, test = snippets("tutorial/first-flow.md")
    (tmp_path / "etl.py").write_text(script)
    (tmp_path / "test_etl.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "etl.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = [line.split(" | ")[-1] for line in done.stderr.splitlines()]
    assert lines[:2] == ["started", "loaded 60"]
    assert lines[2].startswith("completed in ")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_etl.py")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout


def test_every_option_of_the_decorators_is_in_the_reference() -> None:
    import inspect
    import typing

    from tocsin import flow, task

    text = (DOCS / "reference/sdk.md").read_text()
    for decorator in (flow, task):
        options = {
            name
            for overload in typing.get_overloads(decorator)
            for name in inspect.signature(overload).parameters
        }
        assert len(options) > 10
        missing = [name for name in options - {"function"} if f"`{name}`" not in text]
        assert missing == []

"""The house keeps its own rules: floors, purity, plugins that are complete, files that name no host."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = {
    "events/tocsin_events": "tocsin_events",
    "automations/tocsin_automations": "tocsin_automations",
    "notifiers/tocsin_notifiers": "tocsin_notifiers",
    "sdk/tocsin": "tocsin",
    "server/tocsin_server": "tocsin_server",
}
REFERENCES = {
    "tocsin.triggers": "docs/reference/triggers.md",
    "tocsin.actions": "docs/reference/actions.md",
    "tocsin.notifiers": "docs/reference/notifiers.md",
}


def test_the_import_contracts_hold() -> None:
    lint = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    heavy = {
        "faststream",
        "sqlmodel",
        "sqlalchemy",
        "celpy",
        "apprise",
        "jinja2",
        "pydantic",
        "nats",
        "httpx2",
    }
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tocsin; print(' '.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert heavy.isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize("group", REFERENCES)
def test_every_built_in_plugin_loads_and_has_a_heading_in_the_reference(group: str) -> None:
    built_in = PROJECT["project"]["entry-points"][group]
    reference = (ROOT / REFERENCES[group]).read_text()
    headings = set(re.findall(r"^#+ .*?`([\w-]+)`", reference, flags=re.MULTILINE))
    registered = {point.name: point for point in entry_points(group=group)}
    for name in built_in:
        assert registered[name].load() is not None
    assert set(built_in) <= headings


def test_no_module_hides_what_it_is_for_behind_a_vague_name() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "misc.py", "common.py"}
    found = [path for room in PACKAGES for path in (ROOT / room).rglob("*.py") if path.name in vague]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for room in PACKAGES
        for path in (ROOT / room).rglob("*.py")
        if "versions" not in path.parts and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_no_file_names_a_package_registry() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    hosts = re.compile(
        r"files\.pythonhosted|pypi\.org|registry\.npmjs|deb\.debian\.org|find-links|extra-index-url"
    )
    guilty = [
        name
        for name in tracked
        if name != "tests/test_house.py" and hosts.search((ROOT / name).read_bytes().decode(errors="replace"))
    ]
    assert guilty == []


def test_decision_records_are_numbered_once_each() -> None:
    numbers = [path.name.split("-")[0] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
    assert all(re.fullmatch(r"\d{3}", number) for number in numbers)


def test_the_readme_says_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3 -m venv .venv && .venv/bin/pip install '.[server]' && .venv/bin/tocsin demo" in readme
    assert ".venv/bin/pip install -e '.[server,test]' && .venv/bin/pytest" in readme

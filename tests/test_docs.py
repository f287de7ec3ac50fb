"""The documentation hangs together: links lead somewhere, every page can be found, what is generated is up to date."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin_server.cli.schema import command

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
CODE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
SCHEMAS = {"tocsin.schema.json": [], "tocsin-test.schema.json": ["--tests"]}


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield what each relative link of a page names: a file, and a heading in it (either may be empty)."""
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield file, heading


def headings(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to."""
    found = re.findall(
        r"^#+ (.+)$",
        re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL),
        re.MULTILINE,
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_what_is_there(page: Path) -> None:
    for file, heading in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} links to {file}"
        if heading and target.suffix == ".md":
            assert heading in headings(target), f"{page.name} links to {file}#{heading}"


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = {(DOCS / file).resolve() for file, _ in links(DOCS / "README.md")}
    missing = [
        page for page in DOCS.rglob("*") if page.is_file() and page not in {*listed, DOCS / "README.md"}
    ]
    assert not missing, f"add a line to docs/README.md for {[str(one.relative_to(DOCS)) for one in missing]}"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_reference_is_what_the_command_prints(name: str) -> None:
    printed = CliRunner().invoke(command, SCHEMAS[name]).stdout
    file = DOCS / "reference" / name
    again = " ".join(["tocsin schema", *SCHEMAS[name], "--write", str(file.relative_to(ROOT))])
    assert json.loads(file.read_text()) == json.loads(printed), f"run: {again}"

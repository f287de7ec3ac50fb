"""``tocsin test``: tests of rules in virtual time, with no server and no network."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin_server.errors import ExitCode, UserError

if TYPE_CHECKING:
    from tocsin_automations.problem import Problem
    from tocsin_automations.testing import RuleTestCase, RuleTestResult


@click.command(name="test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--junit-xml",
    "junit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results here, for CI.",
)
@click.option(
    "--output", "-o", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="How to print the results.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], junit: Path | None, output: str) -> None:
    """Run the tests of rules in files and in directories (there, *.tocsin-test.yaml).

    Exits with 0 when all passed, with 1 when one failed, with 4 when a file is not right.
    """
    from tocsin_automations.problem import has_errors
    from tocsin_automations.testing import junit_xml

    cases, problems = _load(paths)
    for problem in problems:
        click.echo(str(problem), err=True)
    results = []
    for case in cases:
        result = _timed(case)
        results.append(result)
        if output == "table":
            _show(result)
    if junit is not None:
        _write(junit, junit_xml(results, problems))
    if output == "json":
        click.echo(json.dumps(_as_json(results, problems), indent=2, ensure_ascii=False))
    else:
        _summary(results)
    if has_errors(problems):
        ctx.exit(ExitCode.INVALID_INPUT)
    if not all(result.passed for result in results):
        ctx.exit(ExitCode.FAILED)


def _load(paths: Iterable[Path]) -> "tuple[list[RuleTestCase], list[Problem]]":
    from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
    from tocsin_automations.sources import read_beside, read_sources
    from tocsin_automations.testing import TestContext, load_tests

    context = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
    sources, unreadable = read_sources(paths, tests=True)
    problems = list(unreadable)
    cases: list[RuleTestCase] = []
    for file, text in sources:
        loaded = load_tests(text, file, context)
        problems += loaded.problems
        cases += loaded.cases
    return cases, list(dict.fromkeys(problems))


def _timed(case: "RuleTestCase") -> "RuleTestResult":
    started = time.perf_counter()
    result = case.run()
    return replace(result, seconds=time.perf_counter() - started)


def _show(result: "RuleTestResult") -> None:
    if result.passed:
        click.echo(f"{click.style('ok', fg='green')}      {result.file}  {_printable(result.name)}")
        return
    click.echo(f"{click.style('FAILED', fg='red')}  {result.file}:{result.line}  {_printable(result.name)}")
    for difference in result.differences:
        for line in difference.split("\n"):
            click.echo(f"  {_printable(line)}")


def _summary(results: "list[RuleTestResult]") -> None:
    failed = sum(not result.passed for result in results)
    passed = len(results) - failed
    seconds = sum(result.seconds or 0 for result in results)
    parts = [f"{failed} failed"] if failed else []
    click.echo(f"{', '.join([*parts, f'{passed} passed'])} in {seconds:.2f} s")


def _as_json(results: "list[RuleTestResult]", problems: "list[Problem]") -> dict[str, object]:
    return {
        "results": [{**asdict(result), "passed": result.passed} for result in results],
        "problems": [asdict(problem) for problem in problems],
    }


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The results can't be written to {file}.",
            str(error.strerror),
            "Name a file in a folder that is there.",
        ) from error


def _printable(text: str) -> str:
    """Return a text that can't steer the terminal: what events say is not to be trusted."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)

"""``tocsin schema``: what editors need to complete and check our files."""

import json
from pathlib import Path

import click

from tocsin_server.errors import UserError


@click.command(name="schema")
@click.option("--tests", is_flag=True, help="The schema of files of rule tests, instead of tocsin.yaml.")
@click.option(
    "--write", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file."
)
def command(tests: bool, file: Path | None) -> None:
    """Print the JSON Schema of our files.

    With `# yaml-language-server: $schema=./tocsin.schema.json` as the first line of a file, editors that know the YAML
    language server complete and check what is written in it.
    """
    from tocsin_automations.plugins import action_kinds, trigger_kinds
    from tocsin_automations.schema import automations_schema, rule_tests_schema
    from tocsin_server.deployment import Deployment

    schema = (
        rule_tests_schema(action_kinds(), trigger_kinds())
        if tests
        else automations_schema(action_kinds(), trigger_kinds(), {"deployments": Deployment})
    )
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The schema can't be written to {file}.",
            str(error.strerror),
            "Name a file in a folder that is there.",
        ) from error
    click.echo(f"Wrote {file}.", err=True)

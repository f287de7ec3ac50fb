import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tocsin_automations.document import read
from tocsin_automations.plugins import action_kinds, trigger_kinds
from tocsin_automations.schema import automations_schema, rule_tests_schema
from tocsin_server.cli.schema import command

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = Draft202012Validator(automations_schema(action_kinds(), trigger_kinds()))
TESTS = Draft202012Validator(rule_tests_schema(action_kinds(), trigger_kinds()))


def documents(file: Path) -> list[Any]:
    return [document.plain() for document in read(file.read_bytes(), str(file)).documents]


@pytest.mark.parametrize("validator", [RULES, TESTS])
def test_the_schemas_are_schemas(validator: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize(
    "file", sorted((EXAMPLES / "automations").glob("*.yaml")), ids=lambda file: file.stem
)
def test_an_editor_finds_nothing_wrong_in_an_example(file: Path) -> None:
    for document in documents(file):
        assert [error.message for error in RULES.iter_errors(document)] == []


@pytest.mark.parametrize("file", sorted((EXAMPLES / "tests").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_editor_finds_nothing_wrong_in_an_example_of_tests(file: Path) -> None:
    for document in documents(file):
        assert [error.message for error in TESTS.iter_errors(document)] == []


@pytest.mark.parametrize(
    "automation",
    [
        {"when": {"evnt": "x"}},
        {"when": {"event": "x"}, "then": [{"notfy": "x"}]},
        {"when": {"event": "x"}, "then": [{"notify": "x", "titel": "y"}]},
        {"when": {"event": "x"}, "limits": {"cooldwon": "1h"}},
        {"when": {"event": "x", "count": 3, "within": "ten minutes"}},
        {"then": []},
        {"when": {"event": "x"}, "until": 3},
    ],
)
def test_an_editor_sees_what_the_loader_refuses(automation: dict[str, Any]) -> None:
    assert list(RULES.iter_errors({"automations": {"a": automation}}))


def test_templates_stand_where_other_values_are_wanted() -> None:
    rule = {
        "when": {"event": "x"},
        "then": [{"notify": "x", "severity": "{{ data.severity }}"}],
        "until": "never",
    }
    assert [error.message for error in RULES.iter_errors({"automations": {"a": rule}})] == []


def test_the_command_writes_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.schema.json"
    run = CliRunner().invoke(command, ["--write", str(file)])
    assert run.exit_code == 0, run.output
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    project = documents(EXAMPLES / "tocsin.yaml")[0]
    assert [error.message for error in Draft202012Validator(schema).iter_errors(project)] == []
    assert list(Draft202012Validator(schema).iter_errors({"deployments": {"a": {"flwo": "x"}}}))
    printed = CliRunner().invoke(command, ["--tests"])
    assert json.loads(printed.stdout)["$defs"]["RuleTest"]

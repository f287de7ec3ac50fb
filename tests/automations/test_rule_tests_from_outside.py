"""The command `tocsin test`, and the pytest plugin, as users start them."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from tocsin_automations.document import MAX_BYTES
from tocsin_automations.sources import read_beside, read_sources
from tocsin_server.cli.test import command

GOOD = """\
automations: {a: {when: {event: x}, then: [{notify: oncall, title: hello}]}}
tests:
  - {name: fires, events: [{type: x}], expect: [{at: 0s, automation: a, actions: [{notify: oncall}]}]}
"""
FAILING = GOOD.replace("name: fires", "name: fires later").replace("at: 0s, automation", "at: 1m, automation")
BAD = "automations: {a: {wehn: {event: x}}}\ntests: []\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "good.tocsin-test.yaml").write_text(GOOD)
    (tmp_path / "deeper" / "other.tocsin-test.yml").write_text(GOOD)
    (tmp_path / "rules.yaml").write_text("automations: {b: {when: {event: x}}}\n")
    return tmp_path


def test_all_tests_below_a_folder_run_and_exit_with_0(folder: Path) -> None:
    run = CliRunner().invoke(command, [str(folder)])
    assert run.exit_code == 0, run.output
    assert run.stdout.count("ok ") == 2
    assert "2 passed" in run.stdout


def test_a_failure_is_shown_and_exits_with_1(folder: Path) -> None:
    (folder / "bad.tocsin-test.yaml").write_text(FAILING)
    junit = folder / "junit.xml"
    run = CliRunner().invoke(command, [str(folder), "--junit-xml", str(junit)])
    assert run.exit_code == 1
    assert (
        f"FAILED  {folder / 'bad.tocsin-test.yaml'}:3  fires later\n  fired otherwise than expected:"
        in run.stdout
    )
    assert "1 failed, 2 passed" in run.stdout
    assert ET.parse(junit).getroot().get("failures") == "1"


def test_a_bad_file_exits_with_4_and_the_others_run_all_the_same(folder: Path) -> None:
    (folder / "bad.tocsin-test.yaml").write_text(BAD)
    run = CliRunner().invoke(command, [str(folder)])
    assert run.exit_code == 4
    assert (
        f"{folder / 'bad.tocsin-test.yaml'}:1:19: error: unknown key 'wehn' (did you mean when?)"
        in run.stderr
    )
    assert "2 passed" in run.stdout


def test_a_path_that_is_not_there_or_empty_exits_with_4(tmp_path: Path) -> None:
    run = CliRunner().invoke(command, [str(tmp_path / "nowhere"), str(tmp_path)])
    assert run.exit_code == 4
    assert "there is no such file or directory" in run.stderr
    assert "no file *.tocsin-test.yaml is in this directory" in run.stderr


def test_results_come_as_json(folder: Path) -> None:
    run = CliRunner().invoke(command, [str(folder / "good.tocsin-test.yaml"), "--output", "json"])
    [result] = json.loads(run.stdout)["results"]
    assert (result["name"], result["passed"], result["line"]) == ("fires", True, 3)


def test_what_an_event_says_does_not_steer_the_terminal(folder: Path) -> None:
    (folder / "good.tocsin-test.yaml").write_text(
        FAILING.replace("fires later", "x\\e[31m").replace("name: x", 'name: "x').replace("[31m", '[31m"')
    )
    run = CliRunner().invoke(command, [str(folder)])
    assert "\x1b" not in run.stdout


def test_automations_are_read_from_the_folder_of_the_test_file(folder: Path) -> None:
    (folder / "deeper" / "other.tocsin-test.yml").write_text(
        "automations: ..\ntests: [{name: b, events: [{type: x}], expect: [{at: 0s, automation: b}]}]\n"
    )
    assert CliRunner().invoke(command, [str(folder / "deeper")]).exit_code == 0
    sources, problems = read_beside(str(folder / "deeper" / "x"), "..")
    assert [Path(name).name for name, _ in sources] == ["rules.yaml"]
    assert problems == ()


def test_a_directory_leaves_out_hidden_files_and_a_file_is_read_once(folder: Path) -> None:
    (folder / ".hidden.yaml").write_text("x: [")
    (folder / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 10))
    sources, _ = read_sources([folder, folder / "rules.yaml"])
    assert [Path(name).name for name, _ in sources] == ["large.yaml", "rules.yaml"]
    assert len(sources[0][1]) == MAX_BYTES + 1


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def test_pytest_collects_tests_of_rules_by_itself(folder: Path) -> None:
    (folder / "bad.tocsin-test.yaml").write_text(FAILING)
    run = pytest_in(folder)
    assert run.returncode == 1, run.stdout
    assert "1 failed, 2 passed" in run.stdout
    assert "fired otherwise than expected:" in run.stdout
    assert "Traceback" not in run.stdout


def test_pytest_shows_what_is_wrong_with_a_file(folder: Path) -> None:
    (folder / "bad.tocsin-test.yaml").write_text(BAD)
    run = pytest_in(folder)
    assert run.returncode == 2, run.stdout
    assert "1:19: error: unknown key 'wehn' (did you mean when?)" in run.stdout
    assert "Traceback" not in run.stdout

import json
from pathlib import Path
from uuid import uuid4

import pytest

from server_process import ServerProcess, eventually, running_server

RULE = """
automations:
  {name}:
    description: Say that it happened.
    when:
      event: {type}
      for_each: resource.id
    then:
      - notify: inbox
        title: "{{{{ resource.id }}}} happened"
    until:
      event: {type}.over
"""

FLOW = """
from tocsin import flow

@flow
def greet(who: str, times: int = 1) -> str:
    return " ".join([f"hello {who}"] * times)
"""


@pytest.fixture
def client(server: ServerProcess):
    with server.client() as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"rule-{uuid4().hex[:8]}"


def write_rule(folder: Path, name: str, type_: str = "") -> Path:
    file = folder / "tocsin.yaml"
    file.write_text(RULE.format(name=name, type=type_ or f"test.{name}"))
    return file


def emit(server: ServerProcess, type_: str, resource: str) -> None:
    done = server.cli("events", "emit", type_, "--resource", resource)
    assert done.returncode == 0, done.stderr


def test_an_applied_rule_fires_tells_the_inbox_and_its_alert_resolves(
    server: ServerProcess, name: str, tmp_path: Path
):
    done = server.cli("apply", str(write_rule(tmp_path, name)))
    assert done.returncode == 0, done.stderr
    assert f"+ automation {name}" in done.stdout
    emit(server, f"test.{name}", "thing/t1")
    (message,) = eventually(
        lambda: [one for one in server.read("inbox", "ls") if one["title"] == "t1 happened"]
    )
    assert message["status"] == "firing"
    (alert,) = server.read("alerts", "ls", "--automation", name)
    assert (alert["state"], alert["key"], alert["count"]) == ("open", ["t1"], 1)
    (automation,) = [one for one in server.read("automations", "ls") if one["name"] == name]
    assert eventually(lambda: server.read("automations", "show", name)["firings"]) == 1
    assert automation["paused"] is False
    emit(server, f"test.{name}.over", "thing/t1")
    assert eventually(lambda: server.read("alerts", "show", alert["id"])["state"] == "resolved")
    story = server.read("alerts", "show", alert["id"])
    assert [one["step"] for one in story["history"]][-1] == "resolved"
    assert eventually(
        lambda: (
            [one["status"] for one in server.read("inbox", "ls") if one["alert"] == alert["id"]][:1]
            == ["resolved"]
        )
    )


def test_every_problem_of_every_file_is_told_with_its_place_and_nothing_is_applied(
    server: ServerProcess, client, name: str, tmp_path: Path
):
    write_rule(tmp_path, name)
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "automations:\n  broken:\n    when: {evnt: a.b}\n    then:\n      - notify: nobody\n"
        "webhooks:\n  w: {}\n"
    )
    before = client.get("/config").json()["revision"]
    done = server.cli("apply", str(tmp_path))
    assert done.returncode == 4
    assert f"{bad}:3:12: error:" in done.stderr
    assert "did you mean event?" in done.stderr
    assert f"{bad}:5:" in done.stderr
    assert f"{bad}:6:1: error: 'webhooks' is not available in this version" in done.stderr
    assert client.get("/config").json()["revision"] == before


def test_a_plan_shows_each_field_that_changes_and_changes_nothing(
    server: ServerProcess, name: str, tmp_path: Path
):
    file = write_rule(tmp_path, name)
    server.cli("apply", str(file))
    file.write_text(file.read_text().replace("Say that it happened.", "Say it."))
    plan = server.read("plan", str(file))
    (change,) = plan["changes"]
    assert (change["name"], change["change"]) == (name, "update")
    assert change["fields"] == [
        {"path": "description", "before": "Say that it happened.", "after": "Say it."}
    ]
    assert "kept" in change["consequence"]
    file.write_text(file.read_text().replace(f"test.{name}\n", f"test.{name}.other\n", 1))
    assert "recomputed" in server.read("plan", str(file))["changes"][0]["consequence"]
    assert server.read("automations", "show", name)["description"] == "Say that it happened."


def test_applying_the_same_again_makes_no_revision(server: ServerProcess, name: str, tmp_path: Path):
    file = write_rule(tmp_path, name)
    first = server.read("apply", str(file))
    again = server.read("apply", str(file))
    assert again["revision"] == first["revision"]
    assert again["changes"] == []


def test_an_apply_onto_another_revision_than_was_seen_is_refused(client, name: str, tmp_path: Path):
    text = RULE.format(name=name, type="a.b")
    body = {"files": [{"name": "x.yaml", "folder": str(tmp_path), "text": text}]}
    etag = client.get("/config").headers["etag"]
    assert client.post("/config/apply", json=body, headers={"If-Match": etag}).status_code == 200
    body["files"][0]["text"] = text.replace("a.b", "a.c")
    answer = client.post("/config/apply", json=body, headers={"If-Match": etag})
    assert answer.status_code == 412


def test_prune_deletes_and_a_rollback_brings_back(tmp_path: Path):
    with running_server(tmp_path / "data") as server:
        (tmp_path / "a.yaml").write_text(RULE.format(name="first", type="a.b"))
        (tmp_path / "b.yaml").write_text(RULE.format(name="second", type="a.b"))
        one = server.read("apply", str(tmp_path / "a.yaml"))["revision"]
        server.read("apply", str(tmp_path / "b.yaml"))
        assert [one["name"] for one in server.read("automations", "ls")] == ["first", "second"]
        changes = server.read("apply", "--prune", str(tmp_path / "b.yaml"))["changes"]
        assert [(one["name"], one["change"]) for one in changes] == [("first", "delete")]
        assert server.cli("rollback", str(one)).returncode == 0
        assert [one["name"] for one in server.read("automations", "ls")] == ["first"]
        assert server.cli("rollback", "99").returncode == 3
        assert [one["revision"] for one in server.read("rollback")] == [4, 3, 2, 1]
        assert eventually(lambda: server.read("events", "ls", "--type", "config.rolled-back"))


def test_a_paused_automation_does_not_fire_until_it_is_resumed(
    server: ServerProcess, name: str, tmp_path: Path
):
    server.cli("apply", str(write_rule(tmp_path, name)))
    assert server.cli("automations", "pause", name).returncode == 0
    assert server.read("automations", "show", name)["paused"] is True
    emit(server, f"test.{name}", "thing/while-paused")
    assert server.cli("automations", "resume", name).returncode == 0
    emit(server, f"test.{name}", "thing/after")
    eventually(lambda: server.read("alerts", "ls", "--automation", name))
    assert [one["key"] for one in server.read("alerts", "ls", "--automation", name)] == [["after"]]
    assert server.cli("automations", "pause", "no-such").returncode == 3


def test_a_deployments_flow_is_looked_at_and_its_parameters_are_known(
    server: ServerProcess, name: str, tmp_path: Path
):
    (tmp_path / "greet.py").write_text(FLOW)
    file = tmp_path / "tocsin.yaml"
    file.write_text(f"deployments:\n  {name}:\n    flow: greet.py:greet\n    parameters: {{whoo: me}}\n")
    done = server.cli("apply", str(file))
    assert done.returncode == 4
    assert f"{file}:4:" in done.stderr
    assert "did you mean who?" in done.stderr
    file.write_text(f"deployments:\n  {name}:\n    flow: missing.py:greet\n")
    done = server.cli("apply", str(file))
    assert done.returncode == 4
    assert "there is no file" in done.stderr
    file.write_text(f"deployments:\n  {name}:\n    flow: greet.py:greet\n    parameters: {{who: me}}\n")
    done = server.cli("apply", str(file))
    assert done.returncode == 0, done.stderr
    assert f"+ deployment {name}" in done.stdout


def test_only_an_admin_may_define_an_apprise_notifier(server: ServerProcess, client, tmp_path: Path):
    key = client.post("/keys", json={"name": "editor", "role": "editor"}).json()["key"]
    text = "notifiers:\n  any:\n    apprise: {urls: ['json://localhost:1']}\n"
    body = {"files": [{"name": "x.yaml", "folder": str(tmp_path), "text": text}]}
    with server.client(key) as editor:
        assert editor.post("/config/apply", json=body).status_code == 403
    with server.client(
        client.post("/keys", json={"name": "w", "role": "operator"}).json()["key"]
    ) as operator:
        assert operator.post("/config/plan", json=body).status_code == 403


def test_a_notifier_is_tested_through_the_whole_pipeline(server: ServerProcess):
    (done,) = server.read("notifiers", "test", "inbox")
    assert done["status"] == "delivered"
    assert server.cli("notifiers", "test", "nobody").returncode == 3
    assert any(one["title"] == "Test of the notifier inbox" for one in server.read("inbox", "ls"))


def test_a_silence_keeps_an_alert_quiet_and_says_so(server: ServerProcess, name: str, tmp_path: Path):
    server.cli("apply", str(write_rule(tmp_path, name)))
    wide = server.cli("silences", "create", "true", "--for", "1h")
    assert wide.returncode == 4
    made = server.cli(
        "silences", "create", f'automation.name == "{name}"', "--for", "1h", "--comment", "maintenance"
    )
    assert made.returncode == 0, made.stderr
    emit(server, f"test.{name}", "thing/quiet")
    alert = eventually(lambda: server.read("alerts", "ls", "--automation", name))[0]
    ways = eventually(lambda: server.read("alerts", "show", alert["id"])["ways"])
    assert ways[0]["stage"] == "silence"
    assert server.cli("silences", "rm", made.stdout.strip()).returncode == 0


def test_json_output_is_json_and_nothing_else_on_stdout(server: ServerProcess):
    for command in (
        ["automations", "ls"],
        ["alerts", "ls"],
        ["keys", "ls"],
        ["dead-letters", "ls"],
        ["secrets", "ls"],
    ):
        done = server.cli(*command, "--output", "json")
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), list)
        assert done.stderr == ""


def test_why_shows_each_part_with_its_value_for_a_firing_and_for_none(
    server: ServerProcess, name: str, tmp_path: Path
):
    file = tmp_path / "rule.yaml"
    rule = f"automations:\n  {name}:\n    when: {{event: test.{name}, where: data.n > 5, count: 2, within: 10m}}\n"
    file.write_text(f"{rule}    then: [{{notify: inbox}}]\n")
    assert (
        server.cli("events", "emit", f"test.{name}", "--id", f"{name}-early", "--data", '{"n": 9}').returncode
        == 0
    )
    assert server.cli("apply", str(file)).returncode == 0
    for number in (3, 7):
        emitted = server.cli(
            "events", "emit", f"test.{name}", "--id", f"{name}-{number}", "--data", f'{{"n": {number}}}'
        )
        assert emitted.returncode == 0
    eventually(lambda: server.cli("events", "show", f"{name}-7").returncode == 0)
    missed = server.cli("why", name, "--event", f"{name}-3")
    assert missed.returncode == 0, missed.stderr
    assert "no_match" in missed.stdout
    assert "data.n > 5" in missed.stdout
    # The event from before the rule counts: it is as if the rule had always been there.
    assert "fired" in server.read("why", name, "--event", f"{name}-7")["parts"][0]["outcome"]
    assert eventually(lambda: server.read("automations", "firings", name))[0]["count"] == 2
    early = server.cli("why", name, "--event", f"{name}-early")
    assert "was not in force" in early.stderr
    assert server.cli("why", name, "--event", "nothing").returncode == 3

"""`tocsin import prefect`: what Prefect's automations become, and that whatever comes in, what goes out can be loaded."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tocsin_automations.automation import Automation
from tocsin_automations.document import read
from tocsin_automations.loader import LoadContext, load_automations
from tocsin_automations.plugins import action_kinds, trigger_kinds
from tocsin_server.cli.import_ import command
from tocsin_server.prefect_import import Imported, NotPrefect, RemarkKind, Vocabulary, translate
from tocsin_server.prefect_import.writing import as_yaml

DEPLOYMENT = "33333333-3333-3333-3333-333333333333"
BLOCK = "22222222-2222-2222-2222-222222222222"
NAMES = {DEPLOYMENT: "nightly", BLOCK: "oncall"}


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary(action_kinds(), trigger_kinds())


def imported(*automations: Any, names: Mapping[str, str] = NAMES) -> Imported:
    return translate(json.dumps(list(automations)).encode(), vocabulary(), names)


def prefect(
    trigger: Mapping[str, Any], *actions: Mapping[str, Any], name: str = "rule", **more: Any
) -> dict[str, Any]:
    return {"name": name, "trigger": trigger, "actions": list(actions), **more}


def loaded(result: Imported) -> dict[str, Automation]:
    """Return the automations of what was printed, as our own loader reads it."""
    context = LoadContext(vocabulary().actions, vocabulary().triggers)
    found = load_automations([("imported.yaml", result.yaml)], context)
    assert found.ok, found.problems
    return {one.name: one for one in found.automations}


def when(trigger: Mapping[str, Any], names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """Return the trigger that a trigger of Prefect becomes, as it is written."""
    return written(prefect(trigger), names=names)["when"]


def written(automation: Mapping[str, Any], names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    result = imported(automation, names=names)
    assert result.complete, result.automations
    loaded(result)
    (document,) = read(result.yaml, "imported.yaml").documents
    (rule,) = document.plain()["automations"].values()
    return rule


def remarks(automation: Mapping[str, Any], kind: RemarkKind) -> list[str]:
    (one,) = imported(automation).automations
    return [remark.text for remark in one.remarks if remark.kind is kind]


def test_a_threshold_becomes_a_sliding_window_that_rests_after_it_fired():
    rule = written(
        prefect(
            {
                "type": "event",
                "posture": "Reactive",
                "expect": ["prefect.flow-run.Failed"],
                "match": {"prefect.resource.id": "prefect.flow-run.*"},
                "match_related": {"prefect.resource.role": "flow", "prefect.resource.name": "etl"},
                "for_each": ["related:flow:prefect.resource.id"],
                "threshold": 3,
                "within": 600,
            },
            {"type": "pause-deployment", "source": "inferred"},
        )
    )
    assert rule["when"] == {
        "event": "flow-run.failed",
        "where": 'resource.kind == "flow-run" && flow.name == "etl"',
        "count": 3,
        "within": "10m",
        "for_each": "flow.id",
    }
    assert rule["limits"] == {"cooldown": "10m"}
    assert rule["then"] == [{"pause_deployment": None}]


def test_a_proactive_trigger_is_an_absence_or_a_silence():
    heartbeat = {"posture": "Proactive", "expect": ["my.heartbeat"], "within": "PT15M"}
    assert when(heartbeat) == {"missing": "my.heartbeat", "within": "15m", "arm": "always"}
    keyed = {**heartbeat, "for_each": ["prefect.resource.id"]}
    assert when(keyed) == {"missing": "my.heartbeat", "within": "15m", "for_each": "resource.id"}
    started = {**keyed, "after": ["my.start"], "match": {"prefect.resource.name": ["a", "b*"]}}
    where = 'resource.name == "a" || resource.name.startsWith("b")'
    assert when(started) == {
        "missing": "my.heartbeat", "where": where, "within": "15m", "after": "my.start", "after_where": where,
        "for_each": "resource.id",
    }  # fmt: skip


def test_too_few_events_are_a_count_that_stays_below():
    trigger = {"posture": "Proactive", "expect": ["a.b"], "threshold": 5, "within": 60}
    assert when(trigger) == {
        "event": "a.b", "aggregate": "count", "over": "1m", "below": 5, "min_events": 0, "for": "1m"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["prefect.flow-run.Failed"], "flow-run.failed"),
        (["prefect.flow-run.TimedOut"], "flow-run.timed-out"),
        (["prefect.flow-run.*"], "flow-run.*"),
        (["prefect.task-run.Cached"], "task-run.cached"),
        (["prefect.work-pool.not-ready"], "work-pool.not-ready"),
        (["prefect-cloud.automation.triggered"], "automation.fired"),
        (["prefect.*-run.Completed"], ["flow-run.completed", "task-run.completed"]),
        (["com.example.*"], "com.example.>"),
        (["orders"], "orders"),
        ([], ">"),
    ],
)
def test_names_of_events_become_our_types(theirs: list[str], ours: str | list[str]):
    assert when({"expect": theirs})["event"] == ours


def test_wildcards_that_patterns_can_not_say_become_a_condition():
    assert when({"expect": ["a.b?-*", "c.d"]}) == {
        "event": ">",
        "where": r'event.type.matches("(?s)^a\\.b.\\-.*$") || event.type.matches("^c\\.d$")',
    }


@pytest.mark.parametrize(
    ("match", "where"),
    [
        ({"prefect.resource.id": f"prefect.deployment.{DEPLOYMENT}"}, 'resource.kind == "deployment" && resource.name == "nightly"'),
        ({"prefect.resource.name": ["a", "b"]}, 'resource.name in ["a", "b"]'),
        ({"prefect.resource.name": "!a"}, '!(resource.name == "a")'),
        ({"prefect.state-type": "FAILED"}, 'data.state.type in ["failed", "timed-out"]'),
        ({"prefect.state-name": "Crashed", "my.label": "x"}, 'data.state.type == "crashed" && resource.labels["my.label"] == "x"'),
        ({"prefect.resource.id": "s3.bucket-*"}, 'resource.id.startsWith("s3.bucket-")'),
    ],
)  # fmt: skip
def test_labels_become_conditions(match: dict[str, Any], where: str):
    assert when({"expect": ["x"], "match": match})["where"] == where


@pytest.mark.parametrize(
    ("related", "where"),
    [
        ({"prefect.resource.id": ["prefect.tag.prod", "prefect.tag.live"], "prefect.resource.role": "tag"}, '"prod" in tags || "live" in tags'),
        ([{"prefect.resource.role": "flow", "prefect.resource.name": "etl"}, {"prefect.resource.id": "prefect.work-pool.k8s"}], 'flow.name == "etl" && work_pool.name == "k8s"'),
        ({"prefect.resource.role": "team", "prefect.resource.name": "data"}, 'related.exists(r, r.role == "team" && r.name == "data")'),
    ],
)  # fmt: skip
def test_related_resources_are_called_by_their_kind_where_there_is_one_of_it(related: Any, where: str):
    assert when({"expect": ["x"], "match_related": related})["where"] == where


def test_composite_triggers_keep_their_children_and_get_a_common_key():
    children = [{"expect": [name], "for_each": ["prefect.resource.id"]} for name in ("a", "b", "c")]
    ours = [{"event": name, "for_each": "resource.id"} for name in ("a", "b", "c")]
    compound = {"type": "compound", "triggers": children, "within": 60}
    assert when({**compound, "require": "all"}) == {"all": ours, "within": "1m", "for_each": "resource.id"}
    assert when({**compound, "require": "any"}) == {"any": ours, "for_each": "resource.id"}
    two = {"at_least": 2, "of": ours, "within": "1m", "for_each": "resource.id"}
    assert when({**compound, "require": 2}) == two
    sequence = {"type": "sequence", "triggers": children, "within": 60}
    assert when(sequence) == {"sequence": ours, "within": "1m", "for_each": "resource.id"}


def test_a_metric_becomes_an_average():
    metric = {"name": "successes", "threshold": 0.9, "operator": "<", "range": 3600, "firing_for": 300}
    trigger = when({"type": "metric", "metric": metric})
    assert (trigger["aggregate"], trigger["over"], trigger["below"], trigger["for"]) == (
        "avg",
        "1h",
        0.9,
        "5m",
    )
    assert remarks(prefect({"type": "metric", "metric": {**metric, "name": "lateness"}}), RemarkKind.REFUSED)


def test_templates_keep_what_they_say_under_our_names():
    rule = written(
        prefect(
            {"expect": ["x"], "for_each": ["prefect.resource.name"]},
            {
                "type": "send-notification",
                "block_document_id": BLOCK,
                "subject": "{{ flow.name }} is {{ flow_run.state.name }}",
                "body": "{{ labels['prefect.resource.name'] }} {{ event.payload.rows }} {{ flow_run | ui_url }}"
                " {{ event.resource['prefect.resource.id'] }} {% if event.event == 'a' %}{{ event.occurred }}{% endif %}",
            },
        )
    )
    assert rule["then"] == [
        {
            "notify": "oncall",
            "title": "{{ flow.name }} is {{ data.state.name }}",
            "body": "{{ key[0] }} {{ data.rows }} {{ run_url }} {{ resource.id }}"
            " {% if event.type == 'a' %}{{ event.time }}{% endif %}",
        }
    ]


def test_parameters_keep_their_types():
    parameters = {
        "rows": {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ event.payload.rows | tojson }}"}},
        "name": {"__prefect_kind": "jinja", "template": "run of {{ flow.name }}"},
        "zone": {"__prefect_kind": "workspace_variable", "variable_name": "zone"},
        "list": {"__prefect_kind": "json", "value": '[1, {"a": true}]'},
        "plain": ["1e5", None, 2.5],
    }  # fmt: skip
    action = {
        "type": "run-deployment",
        "deployment_id": DEPLOYMENT,
        "parameters": parameters,
        "schedule_after": 90,
    }
    assert written(prefect({"expect": ["x"]}, action))["then"] == [
        {
            "run_deployment": "nightly",
            "parameters": {
                "rows": "{{ data.rows }}",
                "name": "run of {{ flow.name }}",
                "zone": "{{ vars.zone }}",
                "list": [1, {"a": True}],
                "plain": ["1e5", None, 2.5],
            },
            "delay": "1m30s",
        }
    ]


def test_what_is_still_to_be_named_keeps_the_automation_from_running():
    action = {"type": "run-deployment", "deployment_id": DEPLOYMENT}
    rule = written(prefect({"expect": ["x"]}, action), names={})
    assert rule["enabled"] is False
    assert rule["then"] == [{"run_deployment": f"prefect-deployment-{DEPLOYMENT}"}]
    assert "enabled" not in written(prefect({"expect": ["x"]}, action))


def test_an_automation_of_the_same_file_is_known_by_its_id():
    id_ = "44444444-4444-4444-4444-444444444444"
    other = prefect({"expect": ["x"]}, {"type": "do-nothing"}, name="The other", id=id_)
    rule = prefect({"expect": ["y"]}, {"type": "pause-automation", "automation_id": id_}, name="The other")
    assert loaded(imported(other, rule))["the-other-2"].then[0].args == {"name": "the-other"}


def test_actions_without_a_counterpart_are_left_out_and_told():
    rule = prefect({"expect": ["x"]}, {"type": "declare-incident"}, {"type": "cancel-flow-run"})
    assert written(rule)["then"] == [{"cancel_run": None}]
    (told,) = remarks(rule, RemarkKind.LEFT_OUT)
    assert told.startswith("action declare-incident")


def test_one_bad_automation_does_not_keep_the_others_from_coming():
    result = imported(prefect({"type": "nonsense"}, name="bad"), prefect({"expect": ["x"]}, name="good"), 7)
    assert list(loaded(result)) == ["good"]
    assert [one.name for one in result.automations] == [None, "good", None]


@pytest.mark.parametrize(
    "text", [b"", b"7", b"{}", b"[]", b"[1]", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"automations": []}']
)
def test_what_is_not_of_prefect_is_refused(text: bytes):
    with pytest.raises(NotPrefect):
        translate(text, vocabulary(), {})


def test_the_command_prints_yaml_and_tells_the_rest_on_stderr(tmp_path: Path):
    file = tmp_path / "automations.json"
    file.write_text(json.dumps({"automations": [prefect({"expect": ["x"]}, {"type": "declare-incident"})]}))
    done = CliRunner().invoke(command, ["prefect", str(file)])
    assert done.exit_code == 0
    assert done.stdout.startswith("automations:\n  rule:\n")
    assert "left out" in done.stderr
    file.write_text(json.dumps([prefect({"type": "nonsense"})]))
    assert CliRunner().invoke(command, ["prefect", str(file)]).exit_code == 1


TEXTS = st.one_of(
    st.sampled_from(["prefect.flow-run.Failed", "prefect.flow-run.*", "a.b.*", "*", "!x", "b?r[!a-]", "[]", "..", "true",
                     "1e5", "{{ flow.name }}", "{{ event.payload['x\"'].y | tojson }}", "{{ (", "{% for a in events %}",
                     "{{ labels.a.b }}", "prefect.resource.id", "prefect.state-type", "FAILED", "prefect.tag.x",
                     f"prefect.deployment.{DEPLOYMENT}", "related:flow:prefect.resource.id", "related::", "",
                     "prefect.work-pool.k*"]),
    st.text(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LABELS = st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=3)
LENGTHS = st.sampled_from([0, 0.0001, 9, 10, 600, 1e9, "PT10M"]) | VALUES
EVENT_TRIGGERS = st.fixed_dictionaries(
    {"expect": st.lists(TEXTS, max_size=3)},
    optional={
        "type": st.just("event"),
        "posture": st.sampled_from(["Reactive", "Proactive", "Other"]),
        "after": st.lists(TEXTS, max_size=2),
        "match": LABELS,
        "match_related": LABELS | st.lists(LABELS, max_size=2),
        "for_each": st.lists(TEXTS, max_size=2),
        "threshold": st.integers(-1, 5) | st.just(10**30),
        "within": LENGTHS,
    },
)
METRICS = st.fixed_dictionaries(
    {
        "type": st.just("metric"),
        "match": LABELS,
        "metric": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["successes", "duration", "lateness"]),
                "operator": st.sampled_from(["<", ">="]),
                "threshold": st.floats() | st.integers(),
                "range": LENGTHS,
            }
        ),
    }
)
TRIGGERS = st.recursive(
    EVENT_TRIGGERS | METRICS,
    lambda inner: st.fixed_dictionaries(
        {"triggers": st.lists(inner, max_size=4)},
        optional={
            "type": st.sampled_from(["compound", "sequence"]),
            "require": st.sampled_from(["any", "all", 1, 2, 0, "2"]),
            "within": LENGTHS,
        },
    ),
    max_leaves=5,
)
ACTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["run-deployment", "pause-deployment", "pause-automation", "resume-work-pool", "cancel-flow-run",
                              "suspend-flow-run", "change-flow-run-state", "send-notification", "call-webhook", "do-nothing",
                              "declare-incident", "pause-work-queue", "other"])},
    optional={"deployment_id": TEXTS, "automation_id": TEXTS, "block_document_id": TEXTS, "work_pool_id": TEXTS,
              "parameters": st.dictionaries(TEXTS, VALUES | st.fixed_dictionaries(
                  {"__prefect_kind": TEXTS | st.sampled_from(["json", "jinja", "none", "workspace_variable"])},
                  optional={"value": VALUES, "template": TEXTS, "variable_name": TEXTS}), max_size=3),
              "schedule_after": LENGTHS, "subject": TEXTS, "body": TEXTS, "payload": VALUES, "state": TEXTS},
)  # fmt: skip
AUTOMATIONS = st.fixed_dictionaries(
    {"name": TEXTS, "trigger": TRIGGERS | VALUES},
    optional={"id": TEXTS, "description": TEXTS, "enabled": st.booleans(), "tags": st.lists(TEXTS, max_size=2),
              "actions": st.lists(ACTIONS, max_size=2), "actions_on_resolve": st.lists(ACTIONS, max_size=1)},
)  # fmt: skip


@given(st.lists(AUTOMATIONS | VALUES, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_whatever_comes_in_what_goes_out_can_be_loaded(automations: list[Any], names: dict[str, str]):
    try:
        result = translate(json.dumps(automations).encode(), vocabulary(), names)
    except NotPrefect:
        return
    assert len(result.automations) == len(automations)
    assert list(loaded(result)) == [one.name for one in result.automations if one.name is not None]
    assert all(one.remarks for one in result.automations if one.name is None)


@given(st.dictionaries(TEXTS, VALUES | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4))
def test_what_is_written_is_read_back_as_it_was(value: dict[str, Any]):
    parsed = read(as_yaml(value), "written.yaml")
    assert not parsed.problems
    (document,) = parsed.documents
    assert document.plain() == value

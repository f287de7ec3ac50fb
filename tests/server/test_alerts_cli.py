"""``tocsin alerts show``: why somebody was told, and why somebody was not."""

from pathlib import Path

from server_process import ServerProcess, eventually
from tocsin_server.cli.tellings import what_became_of

CONFIG = """
notifiers:
  story-tells: {console: {}, remind: 4h}
  story-night: {console: {}, quiet: story-always}
  story-page: {escalate: [{notify: story-tells}, {wait: 1h, unless: acknowledged}, {notify: inbox}]}
quiet_hours:
  story-always: {intervals: [{from: "00:00", to: "24:00"}]}
automations:
  story:
    labels: {team: data}
    when: {event: story.bad, for_each: resource.id}
    until: {event: story.good}
    then: [{notify: story-page}, {notify: story-night}]
"""


def lines_of(shown: str, *words: str) -> list[str]:
    return [line for line in shown.splitlines() if all(word in line for word in words)]


def test_an_alert_is_shown_as_a_story_for_people(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(CONFIG)
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).returncode == 0
    server.cli("events", "emit", "story.bad", "--resource", "pump/p1", "--name", "pump \x1b[31m1")
    (alert,) = eventually(lambda: server.read("alerts", "ls", "--automation", "story"))

    def told() -> str:
        shown = server.cli("alerts", "show", alert["id"]).stdout
        return shown if lines_of(shown, "story-tells", "console", "delivered") else ""

    shown = eventually(told)
    assert shown.splitlines()[:2] == ["pump 1 bad", "open · error · story · p1"]
    assert lines_of(shown, "story-tells", "reminder 1", "held: due at", "unless it is acknowledged or over")
    assert lines_of(shown, "inbox", "escalation 1", "held: due at")
    assert lines_of(shown, "story-night", "held: quiet hours story-always defers until")
    assert lines_of(shown, "team: data")
    for matcher, said in [
        ('automation.name == "story" && resource.name.startsWith("pump")', "It is true of 1 open alert."),
        ('automatoin.name == "story"', "No open alert is like that now."),
    ]:
        made = server.cli("silences", "create", matcher, "--for", "1h")
        assert said in made.stderr
        assert server.cli("silences", "rm", made.stdout.strip()).returncode == 0
    whole = server.read("alerts", "show", alert["id"])
    assert all(line["at"].endswith("Z") for one in whole["deliveries"] for line in one["log"])
    assert whole["firing"]["event"]["type"] == "story.bad"

    assert server.cli("alerts", "resolve", alert["id"], "--reason", "pumped by hand").returncode == 0
    shown = server.cli("alerts", "show", alert["id"]).stdout
    assert lines_of(shown, "resolved", ": pumped by hand")
    assert lines_of(shown, "story-night", "not sent: the alert was over before")


def test_several_alerts_are_acknowledged_and_ended_at_once(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(
        "automations: {several: {when: {event: several.bad, for_each: resource.id}, until: {event: several.good},"
        " then: [{notify: inbox}]}}"
    )
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).returncode == 0
    for number in range(3):
        server.cli("events", "emit", "several.bad", "--resource", f"pump/s{number}")

    def states() -> dict[str, str]:
        return {one["id"]: one["state"] for one in server.read("alerts", "ls", "--automation", "several")}

    first, second, third = eventually(lambda: states() if len(states()) == 3 else None)
    done = server.cli("alerts", "ack", first, second)
    assert done.stderr.count("acknowledged by local") == 2
    assert "local" in server.cli("alerts", "ls", "--automation", "several").stdout
    assert server.cli("alerts", "resolve", second, third, "--reason", "both mended").returncode == 0
    assert states() == {first: "acknowledged", second: "resolved", third: "resolved"}
    assert server.cli("alerts", "ack", first, "nope").returncode == 3


def test_words_for_what_became_of_a_message():
    way = {"id": "w1", "told_by": "w1", "state": "passed", "status": "firing", "reason": "reminder"}

    def said(*states: str, **changes: str) -> str:
        return what_became_of({**way, **changes}, [{"way": "w1", "status": one} for one in states])

    assert said("delivered", "delivered") == "sent as a reminder"
    assert (
        said("delivered", "retrying", reason="") == "sent, but 1 of 2 did not get it yet (see the deliveries)"
    )
    assert said("failed", "failed") == "failed (see the deliveries)"
    assert said("dropped", status="resolved") == "not sent: what it follows up on never arrived"
    assert said("delivered", told_by="w2", reason="") == "sent, in one message with others"

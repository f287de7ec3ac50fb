"""Backtests: the rules of a file over what the server has stored, beside what really fired."""

import json
from pathlib import Path
from typing import Any

from server_process import ServerProcess, event, eventually, post_events, running_server

RULE = """
automations:
  {name}:
    when:
      event: order.failed
      count: {count}
      within: 10m
      for_each: data.shop
    then:
      - notify: inbox
        title: "{{{{ data.shop }}}}"
"""


def failed(server: ServerProcess, *shops: str) -> None:
    with server.client() as client:
        batch = [
            event("order.failed", f"{shop}-{place}", datacontenttype="application/json", data={"shop": shop})
            for place, shop in enumerate(shops)
        ]
        assert post_events(client, batch).status_code == 202


def stored(server: ServerProcess, count: int) -> bool:
    return len(server.read("events", "ls", "--type", "order.failed")) == count


def kept(server: ServerProcess) -> bool:
    """Tell whether the firing is in the engine's record, which is written with its checkpoints."""
    with server.client() as client:
        return len(client.get("/firings").json()["items"]) == 1


def backtest(server: ServerProcess, file: Path, *options: str) -> list[dict[str, Any]]:
    done = server.cli("backtest", str(file), "--since", "1h", "--output", "json", *options)
    assert done.returncode == 0, done.stderr
    tested: list[dict[str, Any]] = json.loads(done.stdout)
    return tested


def test_a_backtest_tells_what_would_have_fired_and_how_that_differs_from_life(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    with running_server(tmp_path / "data") as server:
        rules.write_text(RULE.format(name="too-many", count=3))
        assert server.cli("apply", str(rules)).returncode == 0
        failed(server, *["berlin"] * 3, *["paris"] * 2)
        eventually(lambda: stored(server, 5) and server.read("inbox", "ls") and kept(server))
        (same,) = backtest(server, rules)
        assert (same["fired"], same["really"]["same"]) == (1, 1)
        assert (same["really"]["new"], same["really"]["gone"]) == (0, 0)
        rules.write_text(RULE.format(name="too-many", count=2))
        (stricter,) = backtest(server, rules)
        assert stricter["fired"] == 2
        assert stricter["notifications"] == 2
        assert {tuple(one["key"]) for one in stricter["top_keys"]} == {("berlin",), ("paris",)}
        # It was a test: nothing was done, and nothing changed.
        assert len(server.read("inbox", "ls")) == 1
        assert len(server.read("events", "ls", "--type", "automation.fired")) == 1


def test_a_backtest_of_what_is_wrong_or_unknown_says_so(server: ServerProcess, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE.format(name="fine", count=1))
    unknown = server.cli("backtest", str(rules), "--since", "1h", "--name", "other")
    assert unknown.returncode == 4
    assert "'other'" in unknown.stderr
    rules.write_text("automations: {broken: {when: {evnt: x}}}")
    broken = server.cli("backtest", str(rules), "--since", "1h")
    assert broken.returncode == 4
    assert "rules.yaml:1:" in broken.stderr

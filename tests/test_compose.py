import re
import subprocess
from pathlib import Path

import yaml

from tocsin_events.nats_binary import find_nats_server
from tocsin_server.settings import SERVICES, load_settings

COMPOSE = Path(__file__).parents[1] / "compose.yaml"


def test_the_production_form_uses_settings_and_services_that_exist(tmp_path: Path):
    compose = yaml.safe_load(COMPOSE.read_text())
    run: list[str] = []
    for name in ("api", "engine", "worker"):
        service = compose["services"][name]
        run += service["command"][-1].split(",")
        environment = {}
        for variable, value in service["environment"].items():
            if variable.endswith("_FILE"):
                file = tmp_path / Path(value).name
                file.write_text(f"tsk_{'x' * 40}" if "ADMIN_KEY" in variable else "nats://x")
                environment[variable] = str(file)
            else:
                environment[variable] = value
        load_settings({}, environment)
        assert {
            Path(value).name for value in service["environment"].values() if value.startswith("/run/secrets")
        } == set(service["secrets"])
    assert sorted(run) == sorted(SERVICES)


def test_every_secret_that_it_needs_is_made_by_the_commands_at_its_head():
    text = COMPOSE.read_text()
    made = set(re.findall(r"^#.*> secrets/([a-z-]+)$", text, re.MULTILINE))
    assert set(yaml.safe_load(text)["secrets"]) <= made


def test_nats_server_takes_the_configuration(tmp_path: Path):
    compose = yaml.safe_load(COMPOSE.read_text())
    file = tmp_path / "nats.conf"
    file.write_text(compose["configs"]["nats.conf"]["content"].replace("$$", "$"))
    environment = {"NATS_NAME": "nats-1", "NATS_PASSWORD": "p0123abc"}
    checked = subprocess.run(
        [find_nats_server(), "-t", "-c", str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr

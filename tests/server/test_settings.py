from pathlib import Path

import pytest

from tocsin_server.errors import ExitCode, UserError
from tocsin_server.settings import load_settings


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "tocsin.toml"
        file.write_text(text)
        return file

    return write


def test_a_flag_goes_before_the_environment_the_environment_before_the_file(toml):
    file = toml("[server]\nport = 1\nhost = '::1'\npublic_url = 'https://x'\n")
    loaded = load_settings(
        {"server.port": 3}, {"TOCSIN_SERVER__PORT": "2", "TOCSIN_SERVER__HOST": "localhost"}, file=file
    )
    server = loaded.settings.server
    assert (server.port, server.host, server.public_url) == (3, "localhost", "https://x")
    assert loaded.places["server.port"] == "flag --port"
    assert loaded.places["server.host"] == "environment TOCSIN_SERVER__HOST"
    assert loaded.places["server.public_url"] == f"{file}:4"


def test_an_unknown_key_is_refused_with_file_line_and_the_nearest_name(toml):
    file = toml("# mine\n\n[server]\nprot = 4200\n")
    with pytest.raises(UserError) as refused:
        load_settings({}, {}, file=file)
    assert refused.value.what == f"{file}:4: there is no setting 'server.prot'."
    assert refused.value.why == "Did you mean 'server.port'?"
    assert refused.value.code is ExitCode.INVALID_INPUT


def test_an_unknown_variable_with_two_underscores_is_refused():
    with pytest.raises(UserError, match=r"TOCSIN_SERVER__PROT"):
        load_settings({}, {"TOCSIN_SERVER__PROT": "1"})


def test_a_value_that_does_not_fit_names_its_place_and_not_a_secret(toml):
    file = toml("[events]\nmax_age = 'for ever'\n")
    with pytest.raises(UserError) as refused:
        load_settings({}, {}, file=file)
    assert "events.max_age" in refused.value.what
    assert f"{file}:2" in refused.value.why


def test_a_file_that_is_no_toml_is_refused_with_the_line(toml):
    with pytest.raises(UserError, match="cannot be read as TOML") as refused:
        load_settings({}, {}, file=toml("[server\n"))
    assert "line 1" in refused.value.why


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path):
    file = tmp_path / "url"
    file.write_text("nats://me:geheim@bus:4222\n")
    loaded = load_settings({}, {"TOCSIN_NATS_URL_FILE": str(file)})
    assert loaded.settings.nats.url is not None
    assert loaded.settings.nats.url.get_secret_value() == "nats://me:geheim@bus:4222"
    assert "geheim" not in repr(loaded)


def test_the_key_of_a_server_with_its_own_data_folder_lies_inside_it(tmp_path: Path):
    loaded = load_settings({"server.data_dir": tmp_path}, {})
    assert loaded.settings.key_file == tmp_path / "api-key"
    assert loaded.settings.database_url == f"sqlite:///{tmp_path}/tocsin.db"


def test_networks_are_checked_where_they_are_listed(toml):
    loaded = load_settings({}, {"TOCSIN_ACTIONS__ALLOWED_NETWORKS": "10.1.0.0/16, fd00:1::/32,192.168.0.7"})
    assert loaded.settings.actions.allowed_networks == ("10.1.0.0/16", "fd00:1::/32", "192.168.0.7")
    file = toml("[actions]\nallowed_networks = ['10.1.0.0/16']\n")
    assert load_settings({}, {}, file=file).settings.actions.allowed_networks == ("10.1.0.0/16",)
    for wrong in ("10.1.2.3/16", "intranet", "10.1.0.0/33"):
        with pytest.raises(UserError, match=r"actions\.allowed_networks .*a network is written as"):
            load_settings({}, {"TOCSIN_ACTIONS__ALLOWED_NETWORKS": wrong})


def test_services_are_checked_and_may_come_as_a_list_in_the_environment():
    loaded = load_settings({}, {"TOCSIN_SERVER__SERVICES": "api, engine"})
    assert loaded.settings.server.services == ("api", "engine")
    with pytest.raises(UserError, match="'motor' is no service"):
        load_settings({"server.services": ("motor",)}, {})

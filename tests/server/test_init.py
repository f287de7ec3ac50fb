from pathlib import Path

from server_process import ServerProcess, clean_environment, tocsin


def test_a_starter_project_passes_its_own_tests(tmp_path: Path):
    environment = clean_environment(tmp_path)
    made = tocsin("init", str(tmp_path / "mine"), environment=environment)
    assert made.returncode == 0, made.stderr
    assert {Path(line).name for line in made.stdout.split()} >= {"README.md", "automations.yaml", "orders.py"}
    tested = tocsin("test", str(tmp_path / "mine"), environment=environment)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_init_writes_over_nothing_and_then_writes_nothing(tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "automations.yaml").write_text("mine: true\n")
    done = tocsin("init", str(folder), environment=clean_environment(tmp_path))
    assert done.returncode == 4
    assert "there already" in done.stderr
    assert [file.name for file in folder.iterdir()] == ["automations.yaml"]
    assert (folder / "automations.yaml").read_text() == "mine: true\n"


def test_init_into_a_file_is_a_mistake_in_the_command(tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = tocsin("init", str(tmp_path / "file"), environment=clean_environment(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_starter_project_can_be_applied_and_run(server: ServerProcess, tmp_path: Path):
    assert server.cli("init", str(tmp_path / "mine")).returncode == 0
    applied = server.cli("apply", str(tmp_path / "mine"))
    assert applied.returncode == 0, applied.stderr
    assert server.cli("run", "load-orders", "--watch").returncode == 0
    assert server.cli("run", "load-orders", "--param", "broken=true", "--watch").returncode == 1


def test_init_where_a_file_is_in_the_way_says_which(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "flows").write_text("")
    done = tocsin("init", str(tmp_path / "mine"), environment=clean_environment(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path / "mine" / "flows") in done.stderr

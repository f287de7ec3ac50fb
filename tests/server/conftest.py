from collections.abc import Iterator

import pytest

from server_process import ServerProcess, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with everything in one process, for tests that don't stop it."""
    # Runs that sleep on are not waited for at the end.
    environment = {"TOCSIN_WORKER__GRACE": "1s"}
    with running_server(tmp_path_factory.mktemp("server") / "data", environment=environment) as running:
        yield running

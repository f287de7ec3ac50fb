"""A PostgreSQL cluster of the tests' own: made with initdb, on a free port, gone afterwards."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=50"


def missing() -> str | None:
    """Return why there can be no cluster here, None where there can."""
    if _program("initdb") is None or _program("pg_ctl") is None:
        return "PostgreSQL's initdb and pg_ctl are not installed"
    if os.getuid() == 0 and (_user() is None or shutil.which("setpriv") is None):
        return "PostgreSQL does not run as root, and there is no other user to run it as"
    return None


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Run a cluster while the block runs; give the URL of its server, without a database."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
    user = _user() if os.getuid() == 0 else None
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    assert initdb is not None
    assert pg_ctl is not None
    try:
        _run(user, [initdb, "-D", str(data), "-U", "tocsin", "--auth=trust", "-E", "UTF8", "--no-sync"])
        port = _start(user, [pg_ctl, "-D", str(data), "-w", "-l", str(folder / "log")], folder)
        try:
            yield f"postgresql://tocsin@127.0.0.1:{port}"
        finally:
            _run(user, [pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(user: pwd.struct_passwd | None, command: list[str], folder: Path) -> int:
    """Start the server and return its port. Somebody may take a port that was free before the server does."""
    for last in (False, False, True):
        port = _free_port()
        try:
            _run(user, [*command, "-o", f"-h 127.0.0.1 -p {port} -k {folder} {_FAST}", "start"])
        except RuntimeError:
            if last:
                raise
        else:
            return port
    raise AssertionError


def _run(user: pwd.struct_passwd | None, command: list[str]) -> None:
    prefix: list[str] = []
    if user is not None:
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    done = subprocess.run(
        [*prefix, *command], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, text=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found is not None and Path(found).resolve().parent.joinpath("postgres").exists():
        return str(Path(found).resolve())
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(places[-1]) if places else found


def _user() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

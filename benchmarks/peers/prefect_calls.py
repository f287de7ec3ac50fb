"""Runs in Prefect's own environment: the empty calls, without heartbeats.

At its end a flow run waits, up to a second, for the thread that sends them. Only code can turn them off.
"""

import runpy
from pathlib import Path

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

if __name__ == "__main__":
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        runpy.run_path(str(Path(__file__).parents[1] / "empty_calls.py"), run_name="__main__")

"""The process of the demo's server: ``DEMO_PID ARGUMENT…``; it ends with the demo, however the demo ends."""

import signal
import sys

from tocsin_server.cli import main
from tocsin_server.parent_death import die_with

if __name__ == "__main__":
    die_with(int(sys.argv.pop(1)), signal.SIGTERM)
    main()

"""The process of one run: ``WORKER_PID REPORT_DESCRIPTOR``, the order on standard input.

It does what ``python -m tocsin.run`` does, and two things for the worker. Where the system can (Linux), the kernel
kills it when the worker dies, even by SIGKILL, so that a run never goes on unseen while another worker takes it over.
And once the run's end has been told of, it says so on the descriptor: a flow that ends the process by itself
(``os._exit``, a segmentation fault, the kernel's out-of-memory killer) never gets there, and has crashed.
"""

import os
import signal
import sys
from pathlib import Path

from tocsin_server.parent_death import die_with

_FLUSH_SECONDS = 5.0


def main() -> None:
    """Run the flow, report, and end the process."""
    parent, report = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent, signal.SIGKILL)
    os.set_inheritable(report, False)
    sys.argv[1:] = []
    # The flow's own directory comes first, as for a script.
    sys.path[0] = str(Path.cwd())
    from tocsin import emitter, run

    code = run.main([])
    emitter.current().carrier.close(_FLUSH_SECONDS)
    os.write(report, b"%d" % code)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a cancelled run may never end; the process does.
    os._exit(code)


if __name__ == "__main__":
    main()

"""The process that imports a flow's code to say what the flow takes: ``ENTRYPOINT DESCRIPTOR``.

Started by `tocsin_server.flow_schema`; the answer goes to the descriptor, so that what the code prints is no matter.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tocsin.loading import CannotLoad, load_flow


def main() -> None:
    """Load the flow and answer."""
    entrypoint, descriptor = sys.argv[1], int(sys.argv[2])
    answer: dict[str, Any]
    try:
        flow = load_flow(entrypoint, Path.cwd())
        answer = {"name": flow.name, "description": flow.description or "", "schema": flow.parameter_schema}
    except CannotLoad as problem:
        answer = {"problem": str(problem)}
    with os.fdopen(descriptor, "w", closefd=True) as answers:
        json.dump(answer, answers)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

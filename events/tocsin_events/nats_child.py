"""Starting a program so that it does not outlive us, however we end."""

import os
import sys
from pathlib import Path
from typing import Final

_BEFORE_IT: Final = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def bound_to_us(program: Path, *arguments: str | Path) -> list[str]:
    """Return the command that starts a program which the system ends, by SIGTERM, when our starting thread ends.

    On Linux, a small Python asks the kernel for that (prctl(2), PR_SET_PDEATHSIG, which survives exec) and becomes the
    program; unlike code between fork and exec in this process, it can't meet a lock that another thread holds. Start it
    from the main thread. Elsewhere it is the plain command.
    """
    plain = [str(program), *(str(one) for one in arguments)]
    if not sys.platform.startswith("linux"):
        return plain
    # -I -S: nothing of the user's is imported, which also makes it quick.
    return [sys.executable, "-I", "-S", "-c", _BEFORE_IT, str(os.getpid()), *plain]

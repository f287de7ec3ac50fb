"""``python -m tocsin_server.cli`` is ``tocsin``."""

from tocsin_server.cli import main

main()

"""`peers`: other products beside ours in the same run, each in a Python environment of its own."""

from benchmarks.peers.engine import measure

__all__ = ["measure"]

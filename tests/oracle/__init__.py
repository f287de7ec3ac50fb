"""The oracle: what automations mean, told again, slowly and from the contract alone.

It keeps every event that ever came, has no queue of timers (it looks at every instant of a coarse grid) and
recomputes from the definition of each trigger whenever something may have changed. It shares no code with the engine:
own patterns, own conditions, own cron. `tell` is its one promise.

Its limits: all instants lie on the grid; an expression is a path (``data.k``), a condition compares a path with a
constant; ``follows`` goes at most eight events of a resource back; what lies behind a firing is what lies behind its
last event.
"""

from oracle.matter import Told
from oracle.rule import tell

__all__ = ["Told", "tell"]

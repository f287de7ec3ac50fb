"""The order: what stands on a notifier's queue."""

import msgspec


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which delivery to make, and to which target.

    ``again_after`` is set in the dead letter of a delivery that failed: the number of attempts after which it did. Put
    back on the queue, it opens that failure again, and no later one: so a message that comes twice does so once.
    """

    delivery: str
    target: str = ""
    again_after: int | None = None

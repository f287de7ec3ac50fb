"""Times empty tasks and flows of a product: ``empty_calls.py PRODUCT TASKS FLOWS``; a script, run in that product's environment."""

import json
import sys
import time
from importlib import import_module

product, TASKS, FLOWS = import_module(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


@product.task  # type: ignore[untyped-decorator]
def empty() -> None:
    return None


@product.flow  # type: ignore[untyped-decorator]
def many_tasks() -> float:
    start = time.perf_counter()
    for _ in range(TASKS):
        empty()
    return time.perf_counter() - start


@product.flow  # type: ignore[untyped-decorator]
def nothing() -> None:
    return None


def many_flows(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        nothing()
    return time.perf_counter() - start


if __name__ == "__main__":
    # The flows first: what so many tasks leave to do in the background doesn't slow them down.
    many_flows(FLOWS // 10)
    in_flows = many_flows(FLOWS)
    many_tasks()
    in_tasks = many_tasks()
    print(json.dumps({"task": in_tasks / TASKS * 1e6, "flow": in_flows / FLOWS * 1e6}))

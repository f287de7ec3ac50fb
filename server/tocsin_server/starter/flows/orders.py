"""A flow that adds up a day's orders. `python flows/orders.py --broken` lets it fail."""

import sys

from tocsin import flow, task


@task
def extract(broken: bool) -> list[dict[str, str]]:
    orders = [{"id": "1001", "price": "12.50"}, {"id": "1002", "price": "7.90"}]
    return [*orders, {"id": "1003", "price": "n/a"}] if broken else orders


@task
def add_up(orders: list[dict[str, str]]) -> float:
    total = 0.0
    for order in orders:
        total += float(order["price"])
    return total


@flow(name="load-orders", log_prints=True)
def load_orders(broken: bool = False) -> float:
    total = add_up(extract(broken))
    print(f"loaded orders worth {total:.2f}")
    return total


if __name__ == "__main__":
    load_orders(broken="--broken" in sys.argv)

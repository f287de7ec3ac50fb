"""Two flows to try rules on: `etl` fails when it is told to, `report` reads what it is given."""

from tocsin import flow, get_run_logger, task


@task(retries=1, retry_delay=1)
def extract(rows: int) -> list[int]:
    return list(range(rows))


@task
def load(values: list[int], limit: int) -> int:
    if len(values) > limit:
        raise ValueError(f"{len(values)} rows are more than the {limit} that the table takes")
    return sum(values)


@flow(log_prints=True)
def etl(rows: int = 10, limit: int = 100) -> int:
    total = load(extract(rows), limit)
    print(f"loaded {rows} rows, sum {total}")
    return total


@flow
def report(path: str = "", rows: int = 0) -> str:
    get_run_logger().info("report on %s with %d rows", path or "nothing", rows)
    return f"{path}: {rows}"


if __name__ == "__main__":
    etl()

"""Flows and tasks: what they return, raise, tell, and how often they are tried."""

import asyncio
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tocsin
from tocsin import (
    RunTimedOut,
    State,
    StateType,
    emit,
    flow,
    get_run_context,
    get_run_logger,
    task,
    unmapped,
    wait,
)
from tocsin.runs import FlowRun, NotInARun
from tocsin.testing import CapturedEvents


def states_of(events: CapturedEvents, kind: str) -> list[str]:
    return [event.type for event in events if event.type.startswith(f"{kind}.")]


# What a run is


def test_a_flow_returns_what_its_function_does_and_tells_of_its_states(events: CapturedEvents) -> None:
    @flow
    def add_up(a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    assert add_up(1) == 3
    assert add_up.name == "add-up"
    assert add_up.description == add_up.__doc__ == "Add two numbers."
    assert add_up.__name__ == "add_up"
    assert events.types == ["flow-run.running", "flow-run.completed"]
    running, completed = events
    assert running.data["previous"] is None
    assert completed.data["previous"] == running.data["state"]
    assert completed.data["parameters"] == {"a": 1, "b": 2}
    assert completed.data["duration"] > 0
    assert running.resource == completed.resource
    assert [one["role"] for one in completed.related] == ["flow"]


def test_each_event_of_a_run_follows_the_one_before(events: CapturedEvents) -> None:
    import json

    @flow
    def one() -> None: ...

    one()
    running, completed = (json.loads(event.body) for event in events)
    assert "follows" not in running
    assert completed["follows"] == running["id"]


def test_a_task_concerns_its_flow_run_and_flow(events: CapturedEvents) -> None:
    @task(tags=["db"])
    def step() -> None: ...

    @flow
    def main() -> None:
        step()
        step()

    main()
    first, second = (event for event in events if event.type == "task-run.completed")
    assert first.resource is not None
    assert first.resource["tags"] == ["db"]
    assert first.resource["name"] == "step-1"
    assert second.resource is not None
    assert second.resource["name"] == "step-2"
    assert {one["role"]: one["name"] for one in first.related}["flow"] == "main"
    assert [one["role"] for one in first.related] == ["flow-run", "flow", "task"]


def test_a_flow_within_a_flow_is_a_run_of_its_own_that_knows_its_parent(events: CapturedEvents) -> None:
    @flow
    def inner() -> FlowRun:
        run = get_run_context().flow_run
        assert run is not None
        return run

    @flow
    def outer() -> tuple[FlowRun, FlowRun]:
        run = get_run_context().flow_run
        assert run is not None
        return inner(), run

    child, parent = outer()
    assert child.parent is parent
    assert child.name != parent.name
    ended = events.of_type("flow-run.completed")[0]
    assert [one["id"] for one in ended.related if one["role"] == "parent"] == [parent.id]


def test_run_names_are_readable_and_do_not_touch_the_users_random_numbers(events: CapturedEvents) -> None:
    import random

    @flow
    def named() -> str:
        run = get_run_context().flow_run
        assert run is not None
        return run.name

    random.seed(7)
    first = (named(), random.random())
    random.seed(7)
    second = (named(), random.random())
    assert first[1] == second[1]
    assert first[0] != second[0]
    assert first[0].count("-") >= 1


def test_a_run_can_be_named_by_its_parameters(events: CapturedEvents) -> None:
    @flow(run_name="load-{table}")
    def load(table: str) -> None: ...

    load("orders")
    assert events[0].resource is not None
    assert events[0].resource["name"] == "load-orders"


def test_outside_of_a_run_there_is_no_context() -> None:
    with pytest.raises(NotInARun):
        get_run_context()
    get_run_logger().info("but there is a logger")


# The four kinds of function, and methods


def test_async_flows_and_tasks(events: CapturedEvents) -> None:
    @task
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    @flow
    async def main() -> int:
        futures = [double.submit(number) for number in range(3)]
        return await double(10) + sum([await future for future in futures])

    assert asyncio.run(main()) == 26
    assert states_of(events, "flow-run") == ["flow-run.running", "flow-run.completed"]
    assert events.types.count("task-run.completed") == 4


async def test_two_flows_at_once_keep_their_tasks_apart(events: CapturedEvents) -> None:
    @task
    async def who() -> str:
        await asyncio.sleep(0.001)
        context = get_run_context()
        assert context.flow_run is not None
        return context.flow_run.name

    @flow(run_name="{name}")
    async def main(name: str) -> list[str]:
        return [await who() for _ in range(5)]

    assert await asyncio.gather(main("a"), main("b")) == [["a"] * 5, ["b"] * 5]


def test_a_generator_task_gives_its_values_one_by_one(events: CapturedEvents) -> None:
    @task
    def count(to: int) -> Iterator[int]:
        for number in range(to):
            assert get_run_context().task_run is not None
            yield number

    @flow
    def main() -> list[int]:
        seen = []
        for number in count(3):
            context = get_run_context()
            assert context.task_run is None
            seen.append(number)
        return seen

    assert main() == [0, 1, 2]
    assert states_of(events, "task-run") == ["task-run.running", "task-run.completed"]


def test_a_generator_takes_what_is_sent_and_thrown_into_it(events: CapturedEvents) -> None:
    @task
    def echo() -> Any:
        got = []
        while True:
            try:
                got.append((yield len(got)))
            except KeyError as error:
                got.append(error.args[0])
            if len(got) == 3:
                return got

    def consumer() -> Any:
        return (yield from echo())

    values = consumer()
    assert next(values) == 0
    assert values.send("a") == 1
    assert values.throw(KeyError("b")) == 2
    with pytest.raises(StopIteration) as stop:
        values.send("c")
    assert stop.value.value == ["a", "b", "c"]
    assert events.types[-1] == "task-run.completed"


def test_a_consumer_that_stops_early_completes_a_generator(events: CapturedEvents) -> None:
    closed = []

    @task
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    values = endless()
    next(values)
    values.close()  # type: ignore[attr-defined]
    assert closed
    assert events[-1].type == "task-run.completed"
    assert "after 1 values" in events[-1].data["message"]


def test_a_generator_is_tried_again_only_before_its_first_value(events: CapturedEvents) -> None:
    attempts = []

    @task(retries=3)
    def flaky(fails_before: bool) -> Iterator[int]:
        attempts.append(1)
        if fails_before and len(attempts) < 3:
            raise ValueError("not yet")
        yield 1
        if not fails_before:
            raise ValueError("too late")

    assert list(flaky(True)) == [1]
    assert len(attempts) == 3
    attempts.clear()
    with pytest.raises(ValueError, match="too late"):
        list(flaky(False))
    assert len(attempts) == 1
    assert events.types[-1] == "task-run.failed"


async def test_an_async_generator_task(events: CapturedEvents) -> None:
    @task
    async def count(to: int) -> AsyncIterator[int]:
        for number in range(to):
            await asyncio.sleep(0)
            yield number

    assert [number async for number in count(3)] == [0, 1, 2]
    assert events.types == ["task-run.running", "task-run.completed"]


def test_methods_of_all_kinds(events: CapturedEvents) -> None:
    class Loader:
        factor = 3

        def __init__(self, base: int) -> None:
            self.base = base

        @task
        def load(self, number: int) -> int:
            return self.base + number

        @flow
        def main(self, numbers: list[int]) -> int:
            return sum(self.load.map(numbers).result())

        @classmethod
        @task
        def below(cls, number: int) -> int:
            return cls.factor * number

        @task
        @classmethod
        def above(cls, number: int) -> int:  # type: ignore[misc]
            return cls.factor * number

        @staticmethod
        @task
        def inner(number: int) -> int:
            return -number

        @task  # type: ignore[arg-type]
        @staticmethod
        def outer(number: int) -> int:
            return -number

    loader = Loader(10)
    assert loader.main([1, "2"]) == 23  # type: ignore[list-item]
    assert Loader.below(2) == loader.below(2) == 6
    assert Loader.above(2) == loader.above(2) == 6  # type: ignore[call-arg]
    assert Loader.inner(2) == loader.inner(2) == -2
    assert Loader.outer(2) == loader.outer(2) == -2
    assert Loader.load(loader, 1) == 11
    assert list(loader.main.parameter_schema["properties"]) == ["numbers"]
    assert events.of_type("flow-run.completed")[0].data["parameters"] == {"numbers": [1, 2]}


# How runs fail


def test_the_users_exception_comes_out_untouched_with_few_frames_of_ours(events: CapturedEvents) -> None:
    error = ValueError("boom")

    @task
    def step() -> None:
        raise error

    @flow
    def main() -> None:
        step()

    with pytest.raises(ValueError, match="boom") as raised:
        main()
    assert raised.value is error
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    package = str(Path(tocsin.__file__).parent)
    files = [frame.filename for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert files[-1] == __file__
    assert sum(file.startswith(package) for file in files) <= 4  # two for each decorator
    failed = events.of_type("task-run.failed")[0]
    assert failed.data["error"]["type"] == "ValueError"
    assert failed.data["error"]["message"] == "boom"
    assert "raise error" in failed.data["error"]["traceback"]
    assert package not in failed.data["error"]["traceback"]
    assert failed.data["message"] == "ValueError: boom"


def test_an_error_shows_once_in_the_log(events: CapturedEvents, caplog: pytest.LogCaptureFixture) -> None:
    @task
    def step() -> None:
        raise ValueError("boom")

    @flow
    def main() -> None:
        step()

    with pytest.raises(ValueError, match="boom"):
        main()
    assert [record.getMessage() for record in caplog.records if "boom" in record.getMessage()] != []
    assert caplog.text.count("boom") == 1


def test_an_error_that_is_handled_does_not_fail_the_flow(events: CapturedEvents) -> None:
    @task
    def step() -> None:
        raise ValueError("boom")

    @flow
    def main() -> str:
        try:
            step()
        except ValueError:
            return "handled"
        return ""

    assert main() == "handled"
    assert events.types[-1] == "flow-run.completed"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (KeyboardInterrupt(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (SystemExit(3), "crashed"),
        (MemoryError("full"), "failed"),
        (RunTimedOut("late"), "timed-out"),
    ],
)
def test_every_way_out_is_a_state_and_is_raised_again(
    events: CapturedEvents, error: BaseException, state: str
) -> None:
    @flow
    def main() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        main()
    assert raised.value is error
    assert events.types[-1] == f"flow-run.{state}"


def test_a_returned_state_is_the_runs_state(events: CapturedEvents) -> None:
    @flow
    def main() -> State:
        return State.failed("nothing to load", name="Empty")

    state = main()
    assert state.type is StateType.FAILED
    assert events[-1].type == "flow-run.failed"
    assert events[-1].data["state"]["name"] == "Empty"
    assert events[-1].data["message"] == "nothing to load"


def test_a_transition_that_the_table_refuses_is_an_error_event(events: CapturedEvents) -> None:
    @flow
    def main() -> FlowRun:
        run = get_run_context().flow_run
        assert run is not None
        return run

    run = main()
    assert not run.enter(State(StateType.RUNNING))
    assert run.state is not None
    assert run.state.type is StateType.COMPLETED
    refused = events[-1]
    assert refused.type == "flow-run.transition-refused"
    assert refused.data["message"] == "a flow-run can't go from completed to running"


# Retries and time limits


def test_a_task_is_tried_again_until_it_succeeds(events: CapturedEvents) -> None:
    attempts = []

    @task(retries=3, retry_delay=[0.001, 0.002])
    def flaky() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("not yet")
        return "done"

    assert flaky() == "done"
    assert events.types == [
        "task-run.running", "task-run.retrying", "task-run.running", "task-run.retrying", "task-run.running",
        "task-run.completed",
    ]  # fmt: skip
    assert [event.data["attempt"] for event in events] == [1, 1, 2, 2, 3, 3]
    assert events[1].data["error"]["message"] == "not yet"


async def test_async_flows_are_tried_again(events: CapturedEvents) -> None:
    attempts = []

    @flow(retries=1)
    async def flaky() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError
        return len(attempts)

    assert await flaky() == 2
    assert events.types.count("flow-run.retrying") == 1


def test_retry_if_decides_by_the_exception(events: CapturedEvents) -> None:
    @task(retries=5, retry_if=lambda error: isinstance(error, ConnectionError))
    def wrong() -> None:
        raise ValueError("for good")

    with pytest.raises(ValueError, match="for good"):
        wrong()
    assert events.types == ["task-run.running", "task-run.failed"]


def test_an_interrupt_is_never_tried_again(events: CapturedEvents) -> None:
    @task(retries=5)
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert events.types == ["task-run.running", "task-run.cancelled"]


def test_a_flow_in_the_main_thread_is_stopped_at_its_timeout_even_in_a_blocking_call() -> None:
    # In a process of its own: pytest-timeout has the alarm signal in this one.
    script = """if True:
        import signal, time
        from tocsin import RunTimedOut, flow

        @flow(timeout=0.05)
        def slow():
            time.sleep(60)

        try:
            slow()
        except RunTimedOut as error:
            print(error)
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "flow 'slow' took longer than its timeout of 0.05 s\n", done.stderr


def test_a_task_in_a_thread_is_stopped_at_its_timeout(events: CapturedEvents) -> None:
    ended = threading.Event()

    @task(timeout=0.05)
    def slow() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as threads, pytest.raises(RunTimedOut):
        threads.submit(slow).result()
    assert ended.wait(60)


async def test_a_coroutine_is_stopped_at_its_timeout_and_its_own_timeouts_are_its_own(
    events: CapturedEvents,
) -> None:
    @task(timeout=0.05)
    async def slow() -> None:
        await asyncio.sleep(30)

    @task(timeout=30)
    async def impatient() -> None:
        raise TimeoutError("its own")

    with pytest.raises(RunTimedOut):
        await slow()
    assert events.types[-1] == "task-run.timed-out"
    with pytest.raises(TimeoutError, match="its own"):
        await impatient()
    assert events.types[-1] == "task-run.failed"


async def test_a_cancelled_coroutine_is_a_cancelled_run(events: CapturedEvents) -> None:
    began = asyncio.Event()

    @flow
    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    running = asyncio.ensure_future(endless())
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert events.types[-1] == "flow-run.cancelled"


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"retry_delay": -1}, {"timeout": 0}, {"timeout": "soon"}]
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"-1|0|soon"):
        flow(**options)(lambda: None)


# Hooks


def test_hooks_are_called_with_the_run_and_its_final_state(events: CapturedEvents) -> None:
    called: list[tuple[str, str, str]] = []

    def note(which: str) -> Any:
        def hook(definition: Any, run: Any, state: State) -> None:
            called.append((which, definition.name, state.type.value))

        return hook

    async def later(definition: Any, run: Any, state: State) -> None:
        await asyncio.sleep(0)
        called.append(("async", definition.name, state.type.value))

    hooks = {name: note(name) for name in ("on_completion", "on_failure", "on_crash", "on_cancel")}

    @flow(**{**hooks, "on_completion": [hooks["on_completion"], later]})
    def main(error: object = None) -> None:
        if isinstance(error, BaseException):
            raise error

    main()
    for error in (ValueError(), SystemExit(), KeyboardInterrupt()):
        with pytest.raises(BaseException):  # noqa: B017, PT011 - which one is not the point
            main(error)
    assert called == [
        ("on_completion", "main", "completed"), ("async", "main", "completed"), ("on_failure", "main", "failed"),
        ("on_crash", "main", "crashed"), ("on_cancel", "main", "cancelled"),
    ]  # fmt: skip


def test_a_hook_that_fails_changes_nothing(events: CapturedEvents, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    @flow(on_completion=broken)
    def main() -> int:
        return 1

    assert main() == 1
    assert "broken" in caplog.text


# Tasks in the background


def test_map_goes_through_its_arguments_side_by_side(events: CapturedEvents) -> None:
    @task
    def join(left: int, right: str, *, rest: list[int]) -> str:
        return f"{left}{right}{rest}"

    @flow
    def main() -> list[str]:
        return join.map(range(2), ("a", "b"), rest=unmapped([1])).result()

    assert main() == ["0a[1]", "1b[1]"]
    assert events.types.count("task-run.pending") == 2


def test_map_needs_something_of_one_length() -> None:
    @task
    def join(*_: object) -> None: ...

    with pytest.raises(ValueError, match="different lengths"):
        join.map([1], [1, 2])
    with pytest.raises(ValueError, match="nothing to go through"):
        join.map("text", 1)


def test_futures_among_arguments_become_their_results(events: CapturedEvents) -> None:
    @task
    def double(number: int) -> int:
        return 2 * number

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @flow
    def main() -> tuple[int, int, int]:
        parts = double.map([1, 2, 3])
        chained = double.submit(double.submit(5))
        return total(parts), total.submit(parts).result(), total.submit([chained, 1]).result()

    assert main() == (12, 12, 21)


def test_tasks_that_wait_for_tasks_never_run_out_of_threads(events: CapturedEvents) -> None:
    @task
    def fibonacci(number: int) -> int:
        if number < 2:
            return number
        left, right = fibonacci.submit(number - 1), fibonacci.submit(number - 2)
        result: int = left.result() + right.result()
        return result

    @flow(max_workers=2)
    def main() -> int:
        result: int = fibonacci.submit(8).result()
        return result

    assert main() == 21


def test_a_flow_waits_for_what_it_submitted(events: CapturedEvents) -> None:
    done = []

    @task
    def slow() -> None:
        time.sleep(0.02)
        done.append(1)

    @flow
    def main() -> None:
        slow.submit()
        slow.submit()

    main()
    assert done == [1, 1]
    assert events.types[-1] == "flow-run.completed"


def test_a_submitted_task_whose_failure_nobody_looked_at_fails_the_flow(events: CapturedEvents) -> None:
    error = ValueError("unseen")

    @task
    def broken() -> None:
        raise error

    @flow
    def careless() -> str:
        broken.submit()
        return "fine"

    @flow
    def careful() -> str:
        assert broken.submit().exception() is error
        return "fine"

    with pytest.raises(ValueError, match="unseen") as raised:
        careless()
    assert raised.value is error
    assert events.types[-1] == "flow-run.failed"
    assert careful() == "fine"
    assert events.types[-1] == "flow-run.completed"


def test_what_needs_a_failed_task_fails_without_running(events: CapturedEvents) -> None:
    ran = []

    @task
    def broken() -> None:
        raise ValueError("first")

    @task(retries=3)
    def second(_: object) -> None:
        ran.append(1)

    @flow
    def main() -> None:
        second.submit(broken.submit()).result()

    with pytest.raises(ValueError, match="first"):
        main()
    assert ran == []
    assert [e.type for e in events if e.resource is not None and e.resource["name"] == "second-1"] == [
        "task-run.pending", "task-run.failed",
    ]  # fmt: skip


def test_tasks_not_begun_are_cancelled_when_their_flow_fails(events: CapturedEvents) -> None:
    hold, began = threading.Event(), threading.Event()

    @task
    def blocked() -> None:
        began.set()
        hold.wait(60)

    @flow(max_workers=1)
    def main() -> None:
        blocked.submit()
        blocked.submit()
        began.wait(60)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        main()
    assert events.types.count("task-run.cancelled") == 1
    hold.set()


def test_wait_tells_what_is_done(events: CapturedEvents) -> None:
    hold = threading.Event()

    @task
    def quick() -> int:
        return 1

    @task
    def slow() -> None:
        hold.wait(60)

    @flow
    def main() -> None:
        first, second = quick.submit(), slow.submit()
        first.wait()
        done, not_done = wait([first, second], timeout=0.01)  # type: ignore[list-item]
        assert (done, not_done) == ([first], [second])
        with pytest.raises(TimeoutError):
            second.result(timeout=0.01)
        hold.set()

    main()


async def test_waiting_on_the_event_loop_for_a_task_of_that_loop_is_an_error_not_a_deadlock(
    events: CapturedEvents,
) -> None:
    @task
    async def step() -> int:
        await asyncio.sleep(0.001)
        return 1

    @flow
    async def main() -> int:
        future = step.submit()
        with pytest.raises(RuntimeError, match="await it instead"):
            future.result()
        return await future

    assert await main() == 1


def test_a_task_can_be_submitted_outside_of_a_flow(events: CapturedEvents) -> None:
    @task
    async def step() -> int:
        return 1

    assert step.submit().result() == 1


# Caching


def test_a_cached_result_is_taken_again_by_arguments(events: CapturedEvents) -> None:
    calls = []

    @task(cache_for="1h")
    def load(table: str) -> list[int]:
        calls.append(table)
        return [len(calls)]

    assert [load("a"), load("a"), load("b")] == [[1], [1], [2]]
    assert events.types.count("task-run.cached") == 1


def test_a_cached_result_is_taken_again_by_the_next_process(
    events: CapturedEvents, own_folders: Path
) -> None:
    from tocsin.caching import Cache

    Cache(own_folders).put("key", {"a": [1, None, "x"]}, keep=60)
    assert Cache(own_folders).get("key") == ({"a": [1, None, "x"]},)
    Cache(own_folders).put("tuple", (1, 2), keep=60)
    assert Cache(own_folders).get("tuple") is None  # JSON would give back a list
    Cache(own_folders).put("old", 1, keep=0)
    assert Cache(own_folders).get("old") is None


def test_a_cache_key_may_be_computed_or_refused(events: CapturedEvents) -> None:
    calls = []

    @task(cache_key=lambda arguments: arguments["table"].lower() if arguments["table"] else None)
    def load(table: str) -> int:
        calls.append(table)
        return len(calls)

    assert [load("A"), load("a"), load(""), load("")] == [1, 1, 2, 3]


# Logging


def test_prints_become_log_lines_where_asked_for(
    events: CapturedEvents, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @task
    def step() -> None:
        print("in a task")

    @flow(log_prints=True)
    def main() -> None:
        print("one", 2, sep="-")
        step()

    caplog.set_level("INFO")
    main()
    print("outside")
    messages = [record.getMessage() for record in caplog.records]
    assert "one-2" in messages
    assert "in a task" in messages
    assert capsys.readouterr().out == "outside\n"


def test_emit_in_a_run_is_about_the_run_or_relates_to_it(events: CapturedEvents) -> None:
    @flow
    def main() -> None:
        emit("orders.checked")
        emit(
            "orders.loaded",
            resource={"kind": "table", "id": "orders", "labels": {"env": "prod"}},
            data={"n": 3},
        )

    main()
    checked, loaded = events.of_type("orders.checked")[0], events.of_type("orders.loaded")[0]
    assert checked.resource is not None
    assert checked.resource["kind"] == "flow-run"
    assert loaded.resource is not None
    assert loaded.resource["labels"] == {"env": "prod"}
    assert [one["role"] for one in loaded.related] == ["flow-run", "flow"]
    assert loaded.data == {"n": 3}


# The user's own code around a run


def test_a_retry_if_that_fails_does_not_hide_the_error(
    events: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    @task(retries=3, retry_if=lambda error: 1 / 0 > 0)
    def broken() -> None:
        raise ValueError("the real one")

    with pytest.raises(ValueError, match="the real one"):
        broken()
    assert events.types == ["task-run.running", "task-run.failed"]
    assert "retry_if or retry_delay failed" in caplog.text


def test_a_run_name_that_fails_does_not_stop_the_flow(
    events: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    @flow(run_name="{missing}")
    def main() -> int:
        return 1

    assert main() == 1
    assert "random name" in caplog.text


def test_a_generator_cannot_be_cached() -> None:
    with pytest.raises(ValueError, match="can't be cached"):

        @task(cache_for="1h")
        def rows() -> Iterator[int]:
            yield 1

"""``tocsin events``."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from tocsin_server.cli.client import Api, api_of, told
from tocsin_server.cli.output import Column, local_time, output_option, printable, show_list, show_one
from tocsin_server.errors import ExitCode, UserError


@click.group(name="events")
def command() -> None:
    """Emit and read events."""


@command.command()
@click.argument("type", metavar="TYPE")
@click.option("--resource", metavar="KIND/ID", help="What it is about.")
@click.option("--name", help="The resource's name.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="A label of the resource.")
@click.option("--tag", "tags", multiple=True, help="A tag of the resource.")
@click.option("--related", multiple=True, metavar="ROLE=KIND/ID", help="Another resource it concerns.")
@click.option("--data", "data", metavar="JSON", help="What else it says; - reads stdin.")
@click.option("--source", default="/cli", show_default=True, help="Who says so.")
@click.option("--time", "time", metavar="T", help="When it happened (RFC 3339); now by default.")
@click.option("--id", "id_", metavar="ID", help="Its id; a new one by default.")
@output_option
@click.pass_context
def emit(ctx: click.Context, /, output: str, **given: Any) -> None:
    """Put an event on the bus; done when the bus has acknowledged it."""
    event = _event(**given)
    body = json.dumps(event).encode()
    api_of(ctx).call(
        "POST", "/events", content=body, headers={"Content-Type": "application/cloudevents+json"}
    )
    if output == "table":
        click.echo(event["id"])
    else:
        show_one(event, output, name="id")


@command.command()
@click.option(
    "--type", "types", multiple=True, metavar="P", help="A pattern of types: flow-run.*, com.github.>"
)
@click.option("--resource", metavar="KIND/ID", help="What the event is about.")
@click.option("--related", metavar="KIND/ID", help="What else it concerns.")
@click.option("--since", metavar="T", help="A duration (1h) or an RFC 3339 time.")
@click.option("--until", metavar="T", help="A duration or an RFC 3339 time.")
@click.option("--where", metavar="CEL", help="An expression over the event.")
@click.option("--limit", default=50, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(ctx: click.Context, /, output: str, limit: int, types: tuple[str, ...], **filters: Any) -> None:
    """List stored events, the newest first."""
    found = api_of(ctx).pages("/events", limit=limit, type=list(types) or None, **filters)
    columns: list[Column] = [
        ("TIME", lambda row: local_time(row["time"])),
        ("TYPE", "type"),
        ("RESOURCE", "subject"),
        ("NAME", _name),
        ("ID", "id"),
    ]
    show_list(found, output, columns, name="id", empty="No event fits.")


@command.command()
@click.argument("id", metavar="ID")
@click.option("--source", help="Needed where several sources used the same id.")
@output_option
@click.pass_context
def show(ctx: click.Context, id: str, source: str | None, output: str) -> None:  # noqa: A002 - the argument's name
    """Show one event whole."""
    show_one(api_of(ctx).get("/events/{}", id, source=source), output, name="id")


@command.command()
@output_option
@click.pass_context
def types(ctx: click.Context, output: str) -> None:
    """List the types of events that Tocsin itself makes."""
    columns: list[Column] = [("TYPE", "type"), ("KIND", "kind"), ("SUMMARY", "summary")]
    show_list(api_of(ctx).get("/event-types")["items"], output, columns, name="type")


@command.command()
@click.option("--type", "types", multiple=True, metavar="P", help="A pattern of types.")
@click.option("--where", metavar="CEL", help="An expression over the event.")
@click.option(
    "--output", "-o", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="Lines for people, or an event as JSON on each.",
)  # fmt: skip
@click.pass_context
def tail(ctx: click.Context, types: tuple[str, ...], where: str | None, output: str) -> None:
    """Follow the events as they arrive; Ctrl-C ends it."""
    import asyncio

    wanted: dict[str, Any] = {"type": list(types)} if types else {}
    asyncio.run(_follow(api_of(ctx), wanted | ({"where": where} if where else {}), output))


async def _follow(api: Api, parameters: dict[str, Any], output: str) -> None:
    from tocsin.client import ApiError

    try:
        async with api.streaming() as client, client.lines("/events/stream", **parameters) as lines:
            async for line in lines:
                if line.startswith("data:"):
                    _print_event(json.loads(line.removeprefix("data:")), output)
    except ApiError as problem:
        raise told(problem) from problem


def _print_event(event: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(event, ensure_ascii=False))
    else:
        line = f"{local_time(event['time'])}  {event['type']}  {event.get('subject') or ''}  {_name(event)}"
        click.echo(printable(line).rstrip())
    sys.stdout.flush()


def _event(
    *, type: str, resource: str | None, name: str | None, labels: tuple[str, ...], tags: tuple[str, ...],  # noqa: A002
    related: tuple[str, ...], data: str | None, source: str, time: str | None, id_: str | None,
) -> dict[str, Any]:  # fmt: skip
    from datetime import UTC, datetime

    from tocsin_events.envelope import OUR_SCHEMA
    from tocsin_events.identity import new_id

    if (name or labels or tags) and resource is None:
        raise _invalid("--name, --label and --tag describe a resource.", "There is no --resource KIND/ID.")
    about = None
    if resource is not None:
        about = {
            **_resource(resource),
            "labels": dict(_pair(label, "--label") for label in labels),
            "tags": list(tags),
        }
        about |= {"name": name} if name else {}
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": id_ or new_id(),
        "type": type,
        "source": source,
        "time": time or datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "dataschema": OUR_SCHEMA,
        "data": {
            "resource": about,
            "related": [
                _resource(subject) | {"role": role}
                for role, subject in (_pair(one, "--related") for one in related)
            ],
            "payload": _payload(data),
        },
    }
    return body | ({"subject": resource} if resource else {})


def _payload(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as problem:
        raise _invalid("--data is not JSON.", f"{problem}.") from None


def _resource(subject: str) -> dict[str, str]:
    kind, slash, id_ = subject.partition("/")
    if not (kind and slash and id_):
        raise _invalid(f"{subject!r} is no resource.", "It is written KIND/ID, for example flow-run/42.")
    return {"kind": kind, "id": id_}


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise _invalid(f"{option} {text!r} has no value.", "It is written with an equals sign, name=value.")
    return key, value


def _invalid(what: str, why: str) -> UserError:
    return UserError(what, why, "`tocsin events emit --help` shows the form.", code=ExitCode.INVALID_INPUT)


def _name(row: Mapping[str, Any]) -> str:
    data = row.get("data")
    resource = data.get("resource") if isinstance(data, dict) else None
    return str(resource.get("name") or "") if isinstance(resource, dict) else ""

"""What is configured: plan, apply, rollback, and the revisions."""

import re
from collections.abc import Iterable
from pathlib import Path as Folder
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from tocsin_automations.problem import Problem as FileProblem
from tocsin_automations.revisions import Revision
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.times import with_times
from tocsin_server.config import Applied, InvalidFiles, Overtaken, Plan
from tocsin_server.config_diff import Change
from tocsin_server.config_files import SourceFile

router = APIRouter(prefix="/config", tags=["config"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Editor = Annotated[Caller, Depends(needs(Scope.AUTOMATIONS_WRITE))]

_LATEST: Final = 2**31 - 1
"""The largest number that a revision can have in the database."""

_REVISION: Final = re.compile(r"[0-9]{1,9}")
_TRIGGER_FIELDS = ("when", "until", "grace")


class File(BaseModel):
    """A file's name (as problems give it), the folder its relative paths begin at, and its text."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=4096)
    folder: Folder
    text: str


class Files(BaseModel):
    """Files to be planned or applied; ``prune`` deletes what their sections no longer define."""

    model_config = ConfigDict(extra="forbid")

    files: tuple[File, ...] = Field(max_length=10_000)
    prune: bool = False

    def sources(self) -> list[SourceFile]:
        """Return them as the server reads them."""
        return [SourceFile(one.name, one.folder, one.text) for one in self.files]


class Back(BaseModel):
    """The revision to return to."""

    model_config = ConfigDict(extra="forbid")

    revision: int = Field(ge=1, le=_LATEST)


@router.post("/plan")
async def plan_config(wanted: Files, request: Request, _: Editor) -> dict[str, Any]:
    """Tell what applying files would change."""
    try:
        plan = await parts_of(request).config.plan(wanted.sources(), prune=wanted.prune)
    except InvalidFiles as invalid:
        raise refused(invalid) from None
    return {"revision": plan.base, **_said(plan)}


@router.post("/apply")
async def apply_config(
    wanted: Files, request: Request, caller: Editor, if_match: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    """Apply files: all of it or nothing. With ``If-Match`` only onto that revision."""
    config = parts_of(request).config
    try:
        plan = await config.plan(wanted.sources(), prune=wanted.prune)
        _allow(plan, caller)
        applied = await config.apply(
            wanted.sources(), caller, prune=wanted.prune, base=_revision_of(if_match)
        )
    except InvalidFiles as invalid:
        raise refused(invalid) from None
    except Overtaken as overtaken:
        raise Problem(412, f"Nothing was applied: {overtaken}.") from None
    return {"revision": applied.revision, "on_the_bus": applied.on_the_bus, **_said(applied)}


@router.post("/rollback")
async def rollback_config(wanted: Back, request: Request, caller: Editor) -> dict[str, Any]:
    """Return to an earlier revision; that is a new revision with its content."""
    try:
        applied = await parts_of(request).config.rollback(wanted.revision, caller)
    except LookupError:
        raise not_found("revision", str(wanted.revision)) from None
    except Overtaken as overtaken:
        raise Problem(412, f"Nothing was applied: {overtaken}.") from None
    return {"revision": applied.revision, "on_the_bus": applied.on_the_bus, **_said(applied)}


@router.get("")
async def read_config(request: Request, response: Response, _: Reader) -> dict[str, Any]:
    """Return the configuration in force; its revision is the ETag."""
    current = await parts_of(request).config.current()
    response.headers["ETag"] = f'"{current.revision}"'
    return _shown(current, content=True)


@router.get("/revisions")
async def list_revisions(
    request: Request, _: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Page:
    """List the revisions, the newest first."""
    return Page(items=[_shown(one) for one in await parts_of(request).config.revisions(limit)])


@router.get("/revisions/{number}")
async def read_revision(
    number: Annotated[int, Path(ge=1, le=_LATEST)], request: Request, _: Reader
) -> dict[str, Any]:
    """Return one revision with its content."""
    revision = await parts_of(request).config.revision(number)
    if revision is None:
        raise not_found("revision", str(number))
    return _shown(revision, content=True)


def _shown(revision: Revision, *, content: bool = False) -> dict[str, Any]:
    shown = {
        "revision": revision.revision,
        "created": revision.created,
        "author": revision.author,
        "note": revision.note,
    }
    return with_times(shown) | ({"content": revision.content} if content else {})


def _said(outcome: Plan | Applied) -> dict[str, Any]:
    return {
        "changes": [_change(one) for one in outcome.changes],
        "warnings": [_problem(one) for one in outcome.warnings],
    }


def _change(change: Change) -> dict[str, Any]:
    said = change.as_json()
    if change.section == "automations":
        said["consequence"] = _consequence(change)
    return said


def _consequence(change: Change) -> str:
    """Return what happens to an automation's open windows and alerts."""
    if change.change == "create":
        return "behaves as if it had always been there; fires only from now on"
    if change.change == "delete":
        return "its windows are dropped, its open alerts withdrawn"
    if any(one.path.partition(".")[0] in _TRIGGER_FIELDS for one in change.fields):
        return "its trigger changed: its windows are recomputed from history"
    return "its windows and alerts are kept"


def _problem(problem: FileProblem) -> dict[str, Any]:
    return {
        "path": f"{problem.file}:{problem.line}:{problem.column}",
        "detail": problem.message,
        "suggestion": problem.suggestion,
        "severity": str(problem.severity),
        "text": str(problem),
    }


def refused(invalid: InvalidFiles) -> Problem:
    """Return the answer to files that can't be applied: all that is wrong with them."""
    count = len(invalid.problems)
    said = "There is 1 problem" if count == 1 else f"There are {count} problems"
    return Problem(400, f"{said}; nothing was applied.", errors=[_problem(one) for one in invalid.problems])


def _allow(plan: Plan, caller: Caller) -> None:
    """Let only admins define what is as powerful as a program: an Apprise URL."""
    if caller.may(Scope.ADMIN):
        return
    for name in _notifiers_changed(plan.changes):
        notifier = plan.content.get("notifiers", {}).get(name)
        if isinstance(notifier, dict) and "apprise" in notifier:
            raise Problem(
                403,
                f"Only an admin may define the notifier {name!r}: an Apprise URL is as powerful as a program.",
            )


def _notifiers_changed(changes: Iterable[Change]) -> list[str]:
    return [one.name for one in changes if one.section == "notifiers" and one.change != "delete"]


def _revision_of(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"')
    if not _REVISION.fullmatch(number):
        raise Problem(400, "If-Match is not the ETag of a revision.")
    return int(number)
